//! The real contracts on a real node: what we send them, what they log, and what they take of what is signed here.
//!
//! They need what `cargo xtask test` installs and names in `BOURSE_ANVIL` and `BOURSE_CONTRACTS`; where that is unset these
//! tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers may stop the test"
)]

use bourse_app::dev_chain::{CATALOG, FIRST_TRADE_BLOCK};
use bourse_chain::{
    Artifacts, ChannelClose, Consent, Contracts, DeploymentError, Foreign, NewMarket, SendError, Sender,
    Signer, consent_id, decode, deploy,
};
use bourse_market::chain::{ChainEvent, ChannelTerms, Payout};
use bourse_market::registry::{ActorKey, ActorType, ConsentKey, MemberLevel};
use bourse_market::{
    Address, Amount, BlockNumber, CatalogId, ChannelId, ChannelKind, MarketId, Seq, Signature,
};
use bourse_tests::{Chain, tokens, until};
use serde_json::json;

const PAYMENT: ChannelId = ChannelId([0xAA; 16]);
const PAYING: ChannelId = ChannelId([0xBB; 16]);
const MARKET: MarketId = Chain::MARKET;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// A state of a channel, signed now.
async fn state(chain: &Chain, channel: ChannelId, seq: u32, balance: Amount, is_final: bool) -> ChannelClose {
    ChannelClose {
        close_at: Amount::from_units(chain.head().await.into()),
        market: MARKET,
        channel,
        seq: Seq(seq),
        balance,
        is_final,
    }
}

async fn timestamp(chain: &Chain) -> u64 {
    chain.node().latest().await.unwrap().timestamp.to()
}

#[tokio::test]
async fn the_contracts_lie_where_truffle_puts_them_from_a_fresh_account() {
    let Some(chain) = Chain::bare().await else { return };
    assert_eq!(
        chain.contracts,
        Contracts {
            token: address("0x5b1869D9A4C187F2EAa108f3062412ecf0526b24"),
            network: address("0xCfEB869F69431e42cdB54A4F4f105C19C080A601"),
            catalog: address("0xC89Ce4735882C9F0f0FE26686c53074E09B0D550"),
            market: address("0xD833215cBcc3f914bD1C9ece3EE7BF8B14f841bb"),
            channel: address("0x9561C133DD8580860B6b7E504bC5Aa500f0f06a7"),
        }
    );
    let organization = chain.parties.organization.address();
    assert_eq!(Contracts::first_of(organization), chain.contracts);
    for (what, at) in [
        ("XBRTypes", "0xe78A0F7E598Cc8b0Bb87894B0F60dD2a88d6a8Ab"),
        ("XBRDomain", "0x254dffcd3277C0b1660F6d42EFbB754edaBAbC2B"),
    ] {
        assert!(
            !chain.node().code(address(at)).await.unwrap().is_empty(),
            "{what}"
        );
    }
    assert_eq!(chain.node().nonce(organization).await, Ok(7));
    assert_eq!(chain.head().await, 7);

    // Each knows those before it.
    let (contracts, node) = (&chain.contracts, chain.node());
    let supply = contracts.token_supply(node).await.unwrap();
    assert_eq!(supply, Amount::from_tokens(1_000_000_000));
    assert_eq!(chain.tokens_of(organization).await, supply);
    assert_eq!(contracts.organization(node).await.unwrap(), organization);
    let eula = "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uD94";
    assert_eq!(contracts.eula(node).await.unwrap(), eula);
}

#[tokio::test]
async fn a_deployment_is_accepted_if_it_is_this_markets() {
    let Some(chain) = Chain::start().await else { return };
    let marketmaker = chain.parties.marketmaker.address();
    for expected in [None, Some(MARKET)] {
        let found = chain
            .contracts
            .look_up(chain.node(), marketmaker, expected)
            .await
            .unwrap();
        assert_eq!(found.contracts, chain.contracts);
        assert_eq!((found.chain_id, found.network_id), (1337, 1337));
        assert_eq!(found.market, MARKET);
        assert_eq!(found.owner, chain.parties.owner.address());
        assert_eq!(found.coin, chain.contracts.token);
        assert_eq!(found.coin_supply, Amount::from_tokens(1_000_000_000));
        assert_eq!(found.fee, Amount::from_tokens(10_000_000));
        assert_eq!(found.eula_hash, "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uD94");
    }
}

#[tokio::test]
async fn a_deployment_that_is_not_this_markets_is_refused() {
    let Some(chain) = Chain::start().await else { return };
    let marketmaker = chain.parties.marketmaker.address();
    let refused = async |contracts: &Contracts, marketmaker: Address, expected: Option<MarketId>| {
        contracts
            .look_up(chain.node(), marketmaker, expected)
            .await
            .unwrap_err()
    };

    let nowhere = Address([0x77; 20]);
    for (change, name) in [
        (
            (|it, at| it.token = at) as fn(&mut Contracts, Address),
            "XBRToken",
        ),
        (|it, at| it.network = at, "XBRNetwork"),
        (|it, at| it.catalog = at, "XBRCatalog"),
        (|it, at| it.market = at, "XBRMarket"),
        (|it, at| it.channel = at, "XBRChannel"),
    ] {
        let mut contracts = chain.contracts;
        change(&mut contracts, nowhere);
        let error = refused(&contracts, marketmaker, None).await;
        assert!(
            matches!(error, DeploymentError::NoCode { contract, address } if contract == name && address == nowhere),
            "{error}"
        );
    }

    let mut crossed = chain.contracts;
    (crossed.network, crossed.market) = (crossed.market, crossed.network);
    let error = refused(&crossed, marketmaker, None).await;
    assert!(
        matches!(
            error,
            DeploymentError::WrongContract {
                contract: "XBRNetwork",
                ..
            }
        ),
        "{error}"
    );

    let stranger = chain.parties.stranger.address();
    let error = refused(&chain.contracts, stranger, None).await;
    assert!(
        matches!(error, DeploymentError::NoMarket { marketmaker, .. } if marketmaker == stranger),
        "{error}"
    );

    let other = MarketId([0x3B; 16]);
    let error = refused(&chain.contracts, marketmaker, Some(other)).await;
    assert_eq!(
        error,
        DeploymentError::WrongMarket {
            marketmaker,
            expected: other,
            got: MARKET
        }
    );

    // A copy of the chain under another id, as after a fork: messages signed for one would be valid on neither.
    chain.dev().ask("anvil_setChainId", json!([1338])).await.unwrap();
    let error = refused(&chain.contracts, marketmaker, None).await;
    assert_eq!(
        error,
        DeploymentError::WrongChain {
            network: chain.contracts.network,
            expected: 1337,
            got: 1338
        }
    );
}

#[tokio::test]
async fn every_event_of_a_markets_life_is_read() {
    let Some(chain) = Chain::start().await else { return };
    assert_eq!(chain.head().await, FIRST_TRADE_BLOCK);
    let (contracts, parties) = (&chain.contracts, &chain.parties);
    let (buyer, seller) = (parties.buyer.address(), parties.seller.address());
    let marketmaker = parties.marketmaker.address();

    let consent = Consent {
        member: seller,
        updated: Amount::ZERO,
        market: MARKET,
        delegate: parties.seller_delegate.address(),
        delegate_type: 1,
        catalog: CATALOG,
        consent: true,
        service_prefix: "com.example.".to_owned(),
    };
    chain
        .send(&parties.seller, &contracts.set_consent(&consent))
        .await;
    let mut terms = Vec::new();
    for (kind, channel, actor) in [
        (ChannelKind::Payment, PAYMENT, &parties.buyer),
        (ChannelKind::Paying, PAYING, &parties.seller),
    ] {
        let open = chain.opening(kind, channel, tokens(500)).await;
        let signature = actor.sign(&open.digest(&chain.domain()));
        let call = contracts.open_channel(&open, &signature);
        chain.send(&parties.marketmaker, &call).await;
        terms.push(ChannelTerms {
            channel,
            kind,
            market: MARKET,
            actor: open.actor,
            delegate: open.delegate,
            marketmaker,
            recipient: open.recipient,
            amount: tokens(500),
            signature,
        });
    }
    let closing = state(&chain, PAYMENT, 3, tokens(400), false).await;
    chain.close(&closing, &parties.buyer_delegate).await.unwrap();
    let until = timestamp(&chain).await + 1440;
    let closed = state(&chain, PAYING, 5, tokens(300), true).await;
    chain.close(&closed, &parties.seller_delegate).await.unwrap();
    let closed_at = timestamp(&chain).await;
    let leave = contracts.leave_market(MARKET, ActorType::Consumer);
    chain.send(&parties.buyer, &leave).await;
    chain.send(&parties.seller, &contracts.unregister_member()).await;

    let registered = |member| ChainEvent::MemberChanged {
        member,
        registered: true,
        eula: "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uD94".to_owned(),
        profile: String::new(),
        level: MemberLevel::Active,
    };
    let consents_to = ConsentKey {
        catalog: CATALOG,
        member: seller,
        delegate: parties.seller_delegate.address(),
        delegate_type: ActorType::Provider,
        market: MARKET,
    };
    let actor = |actor, kind| ActorKey {
        market: MARKET,
        actor,
        kind,
    };
    let joined = |key| ChainEvent::ActorJoined {
        key,
        security: Amount::ZERO,
        meta: String::new(),
    };
    // Of 100 earned, 1 is the fee; of the fee, the network takes three tenths.
    let payout = |earned: u64, refund: u64, at: u64| Payout {
        payout: Amount::from_units(u128::from(earned) * 990_000_000_000_000_000),
        fee: Amount::from_units(u128::from(earned) * 7_000_000_000_000_000),
        refund: tokens(refund),
        at,
    };
    let paying = payout(200, 300, closed_at);
    let mut opened = terms.into_iter().map(|terms| ChainEvent::Opened(Box::new(terms)));
    let expected = [
        // The network's constructor registers whoever deploys it, without a licence.
        ChainEvent::MemberChanged {
            member: parties.organization.address(),
            registered: true,
            eula: String::new(),
            profile: String::new(),
            level: MemberLevel::Verified,
        },
        registered(parties.owner.address()),
        registered(buyer),
        registered(seller),
        ChainEvent::MarketChanged {
            market: MARKET,
            created: true,
            seq: 2,
            owner: parties.owner.address(),
            coin: contracts.token,
            terms: String::new(),
            meta: String::new(),
            maker: marketmaker,
            provider_security: Amount::ZERO,
            consumer_security: Amount::ZERO,
            fee: Amount::from_tokens(10_000_000),
        },
        joined(actor(buyer, ActorType::Consumer)),
        joined(actor(seller, ActorType::Provider)),
        ChainEvent::CatalogCreated {
            catalog: CATALOG,
            seq: 1,
            owner: seller,
            terms: String::new(),
            meta: String::new(),
        },
        ChainEvent::ConsentSet {
            id: consent_id(&consents_to),
            key: consents_to,
            signed_at: BlockNumber(FIRST_TRADE_BLOCK + 1),
            granted: true,
            service_prefix: "com.example.".to_owned(),
        },
        opened.next().unwrap(),
        opened.next().unwrap(),
        ChainEvent::Closing {
            channel: PAYMENT,
            payout: payout(100, 400, until),
        },
        ChainEvent::Closing {
            channel: PAYING,
            payout: Payout {
                at: closed_at + 1440,
                ..paying
            },
        },
        ChainEvent::Closed {
            channel: PAYING,
            payout: paying,
        },
        ChainEvent::ActorLeft {
            key: actor(buyer, ActorType::Consumer),
        },
        ChainEvent::MemberRetired { member: seller },
    ];
    let logged = chain.logged(0).await;
    let events: Vec<_> = logged
        .iter()
        .filter_map(|(_, event)| event.clone().ok())
        .collect();
    assert_eq!(events, expected);
    for (log, event) in &logged {
        // What is left are movements of tokens, and which tokens the network takes.
        assert!(
            matches!(event, Ok(_) | Err(Foreign::Event(_))),
            "{log:?}: {event:?}"
        );
    }
}

/// W-08: anybody can deploy a contract that logs the same.
#[tokio::test]
async fn w_08_what_another_deployment_logs_is_refused() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    let from = chain.head().await + 1;
    let rogue = Sender::new(chain.node().clone(), parties.stranger.clone())
        .await
        .unwrap();
    let theirs = deploy(&chain.artifacts, &rogue).await.unwrap();
    let eula = theirs.eula(chain.node()).await.unwrap();
    for victim in [&parties.owner, &parties.buyer] {
        let register = theirs.register_member(eula.clone(), String::new());
        chain.send(victim, &register).await;
    }
    // The same market, the same owner and the same market maker, on contracts that are not ours.
    let create = theirs.create_market(NewMarket {
        id: MARKET,
        coin: theirs.token,
        maker: parties.marketmaker.address(),
        fee: Amount::ZERO,
        terms: String::new(),
        meta: String::new(),
    });
    chain.send(&parties.owner, &create).await;
    let join = theirs.join_market(MARKET, ActorType::Consumer, String::new());
    chain.send(&parties.buyer, &join).await;

    let addresses = theirs.named().map(|(_, address)| address);
    let logs = chain
        .node()
        .logs(from, chain.head().await, &addresses)
        .await
        .unwrap();
    let read: Vec<_> = logs.iter().filter_map(|log| decode(&theirs, log).ok()).collect();
    assert!(
        read.iter()
            .any(|event| matches!(event, ChainEvent::ActorJoined { .. })),
        "{read:?}"
    );
    for log in &logs {
        assert!(
            matches!(decode(&chain.contracts, log), Err(Foreign::Contract(_))),
            "{log:?}"
        );
    }
    // And a node that is asked for our contracts alone does not even say so.
    assert_eq!(chain.logged(from).await, []);
}

#[tokio::test]
async fn only_the_actors_signature_opens_a_channel() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    let open = chain.opening(ChannelKind::Payment, PAYMENT, tokens(500)).await;
    let digest = open.digest(&chain.domain());
    for wrong in [&parties.buyer_delegate, &parties.marketmaker, &parties.stranger] {
        let call = chain.contracts.open_channel(&open, &wrong.sign(&digest));
        let reason = chain.refusal(&parties.marketmaker, &call).await;
        assert!(reason.contains("INVALID_CHANNEL_SIGNATURE"), "{reason}");
    }
    let call = chain.contracts.open_channel(&open, &parties.buyer.sign(&digest));
    chain.send(&parties.marketmaker, &call).await;
    assert_eq!(chain.tokens_of(chain.contracts.channel).await, tokens(500));
}

#[tokio::test]
async fn only_both_signatures_over_one_state_close_a_channel() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    chain.open(ChannelKind::Paying, PAYING, tokens(500)).await;
    let close = state(&chain, PAYING, 9, tokens(1), true).await;
    let digest = close.digest(&chain.domain());
    let sign = |signer: &Signer| signer.sign(&digest);
    let (delegate, marketmaker) = (sign(&parties.seller_delegate), sign(&parties.marketmaker));
    let other = ChannelClose {
        balance: tokens(2),
        ..close
    };
    let other = parties.seller_delegate.sign(&other.digest(&chain.domain()));
    let cases: [(&Signature, &Signature, &str); 4] = [
        (&sign(&parties.seller), &marketmaker, "INVALID_DELEGATE_SIGNATURE"),
        (&other, &marketmaker, "INVALID_DELEGATE_SIGNATURE"),
        (&marketmaker, &delegate, "INVALID_DELEGATE_SIGNATURE"),
        (
            &delegate,
            &sign(&parties.stranger),
            "INVALID_MARKETMAKER_SIGNATURE",
        ),
    ];
    for (of_delegate, of_marketmaker, says) in cases {
        let call = chain.contracts.close_channel(&close, of_delegate, of_marketmaker);
        let reason = chain.refusal(&parties.marketmaker, &call).await;
        assert!(reason.contains(says), "{reason}");
    }
    // Signed with the constant of off-chain states, it is too old to be taken by now.
    let stale = ChannelClose::off_chain(MARKET, PAYING, Seq(9), tokens(1));
    let reason = chain
        .close(&stale, &parties.seller_delegate)
        .await
        .unwrap_err()
        .to_string();
    assert!(reason.contains("INVALID_CHANNEL_BLOCK_NUMBER"), "{reason}");
    // Whoever has both may send it.
    let call = chain.contracts.close_channel(&close, &delegate, &marketmaker);
    chain.send(&parties.stranger, &call).await;
    assert_eq!(chain.tokens_of(chain.contracts.channel).await, Amount::ZERO);
}

#[tokio::test]
async fn a_consent_is_taken_in_the_contracts_form_alone() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    let consent = Consent {
        member: parties.buyer.address(),
        updated: Amount::from_units(chain.head().await.into()),
        market: MARKET,
        delegate: parties.buyer_delegate.address(),
        delegate_type: 2,
        catalog: CATALOG,
        consent: true,
        service_prefix: "com.example.weather.".to_owned(),
    };
    let domain = chain.domain();
    let python = parties.buyer.sign(&consent.digest(&domain));
    let reason = chain
        .refusal(
            &parties.marketmaker,
            &chain.contracts.set_consent_for(&consent, &python),
        )
        .await;
    assert!(reason.contains("INVALID_CONSENT_SIGNATURE"), "{reason}");

    // The prefix is signed all the same.
    let signature = parties.buyer.sign(&consent.contract_digest(&domain));
    let wider = Consent {
        service_prefix: "com.".to_owned(),
        ..consent.clone()
    };
    let reason = chain
        .refusal(
            &parties.marketmaker,
            &chain.contracts.set_consent_for(&wider, &signature),
        )
        .await;
    assert!(reason.contains("INVALID_CONSENT_SIGNATURE"), "{reason}");

    let from = chain.head().await + 1;
    let call = chain.contracts.set_consent_for(&consent, &signature);
    chain.send(&parties.marketmaker, &call).await;
    let logged = chain.logged(from).await;
    let [
        (
            _,
            Ok(ChainEvent::ConsentSet {
                key,
                granted,
                service_prefix,
                ..
            }),
        ),
    ] = logged.as_slice()
    else {
        panic!("{logged:?}");
    };
    assert_eq!((key.member, *granted), (consent.member, true));
    assert_eq!(*service_prefix, consent.service_prefix);
}

/// Every unit of both channels: the fee is a hundredth of what is earned, three tenths of it go to the network, and each
/// division rounds down.
#[tokio::test]
async fn a_cooperative_close_pays_out_to_the_unit() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    let everybody = [
        ("organisation", parties.organization.address()),
        ("owner", parties.owner.address()),
        ("market maker", parties.marketmaker.address()),
        ("buyer", parties.buyer.address()),
        ("seller", parties.seller.address()),
        ("XBRChannel", chain.contracts.channel),
    ];
    let deposit = tokens(500);
    // No amount here divides by 100, nor its fee by 10.
    let (earned, units_back) = (
        Amount::from_units(123_456_789_012_345_678_999),
        376_543_210_987_654_321_001,
    );
    let balance = Amount::from_units(units_back);
    assert_eq!(deposit.checked_sub(earned), Some(balance));
    let fee = 1_234_567_890_123_456_789;
    let contribution = 370_370_367_037_037_036;
    let payout = Amount::from_units(122_222_221_122_222_222_210);
    assert_eq!(payout.checked_add(Amount::from_units(fee)), Some(earned));

    for (kind, channel, delegate, payer, earner) in [
        (
            ChannelKind::Payment,
            PAYMENT,
            &parties.buyer_delegate,
            "buyer",
            "market maker",
        ),
        (
            ChannelKind::Paying,
            PAYING,
            &parties.seller_delegate,
            "market maker",
            "seller",
        ),
    ] {
        let mut expected = Vec::new();
        for (who, address) in everybody {
            let had = chain.tokens_of(address).await;
            let paid = if who == payer { earned } else { Amount::ZERO };
            let got = match who {
                "organisation" => Amount::from_units(contribution),
                "owner" => Amount::from_units(fee - contribution),
                who if who == earner => payout,
                _ => Amount::ZERO,
            };
            let has = had
                .checked_sub(paid)
                .and_then(|left| left.checked_add(got))
                .unwrap();
            expected.push((who, has));
        }
        chain.open(kind, channel, deposit).await;
        assert_eq!(chain.tokens_of(chain.contracts.channel).await, deposit);
        let close = state(&chain, channel, 2, balance, true).await;
        chain.close(&close, delegate).await.unwrap();
        for ((who, address), expected) in everybody.into_iter().zip(expected) {
            assert_eq!((who, chain.tokens_of(address).await), expected, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn what_a_contract_refuses_is_an_error_with_its_reason() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    let catalog = chain
        .contracts
        .create_catalog(CatalogId([1; 16]), String::new(), String::new());
    let error = chain.try_send(&parties.stranger, &catalog).await.unwrap_err();
    assert!(
        matches!(&error, SendError::Refused { reason, .. } if reason.contains("SENDER_NOT_A_MEMBER")),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("createCatalog") && text.contains(&chain.contracts.catalog.to_string()),
        "{text}"
    );
    // It was not even sent.
    assert_eq!(chain.node().nonce(parties.stranger.address()).await, Ok(0));

    let nothing = Artifacts::at(std::path::Path::new("/nowhere"));
    let sender = Sender::new(chain.node().clone(), parties.stranger.clone())
        .await
        .unwrap();
    let text = deploy(&nothing, &sender).await.unwrap_err().to_string();
    assert!(text.contains("/nowhere/XBRTypes.json"), "{text}");
    let pauper = Sender::new(chain.node().clone(), Signer::generate())
        .await
        .unwrap();
    let text = deploy(&chain.artifacts, &pauper).await.unwrap_err().to_string();
    assert!(text.contains("XBRTypes could not be deployed"), "{text}");
}

#[tokio::test]
async fn what_is_reverted_in_its_block_is_an_error_with_its_reason() {
    let Some(chain) = Chain::start().await else { return };
    let parties = &chain.parties;
    let catalog = chain
        .contracts
        .create_catalog(CatalogId([1; 16]), String::new(), String::new());
    // Each would succeed on its own, so both are sent; the block has room for one of that name.
    chain.dev().mine_at_once(false).await.unwrap();
    let mine = async {
        let waiting = async || {
            let status = chain.dev().ask("txpool_status", json!([])).await.unwrap();
            status["pending"].clone()
        };
        until("two transactions wait", async || waiting().await == "0x2").await;
        chain.mine(1).await;
    };
    let (one, other, ()) = tokio::join!(
        chain.try_send(&parties.owner, &catalog),
        chain.try_send(&parties.seller, &catalog),
        mine
    );
    let (done, error) = match (one, other) {
        (Ok(done), Err(error)) | (Err(error), Ok(done)) => (done, error),
        both => panic!("{both:?}"),
    };
    assert_eq!(done.logs.len(), 1);
    assert!(
        matches!(&error, SendError::Reverted { reason, .. } if reason.contains("CATALOG_ALREADY_EXISTS")),
        "{error}"
    );
}

#[tokio::test]
async fn a_chain_goes_back_to_a_snapshot_and_time_goes_as_told() {
    let Some(chain) = Chain::start().await else { return };
    let (head, hash) = (chain.head().await, chain.node().latest().await.unwrap().hash);
    let snapshot = chain.snapshot().await;
    chain.open(ChannelKind::Payment, PAYMENT, tokens(5)).await;
    let next = timestamp(&chain).await + 5000;
    chain.set_next_timestamp(next).await;
    chain.mine(1).await;
    assert_eq!((chain.head().await, timestamp(&chain).await), (head + 2, next));
    chain.revert(snapshot.clone()).await;
    assert_eq!(chain.head().await, head);
    assert_eq!(chain.node().latest().await.unwrap().hash, hash);
    assert_eq!(chain.tokens_of(chain.contracts.channel).await, Amount::ZERO);
    // A snapshot is good for once.
    let again = chain.dev().revert(snapshot).await.unwrap_err().to_string();
    assert!(again.contains("evm_revert"), "{again}");
}
