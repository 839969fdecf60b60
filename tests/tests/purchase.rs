//! One test or more for each numbered rule of a purchase: identity, what is refused before anything is reserved,
//! price, the queue, POST and VOID, the deadline, and what getters show meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::{ChannelClose, Signer, recover};
use bourse_market::{
    Amount, BuyerPubkey, ChannelId, ChannelKind, KeyId, PriceSource, PurchaseState, Seq, Signature, View,
};
use bourse_policy::testing::{DATA, Guest, price, refusal};
use bourse_tests::{
    Behaviour, Buyer, Order, Seller, World, amount_of, assert_balanced, call, error_text, int_of, map_of,
    now, open, refused, tokens,
};
use bourse_wamp::{Dict, Value};
use std::time::{Duration, Instant};

const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const TRANSACTION_FAILED: &str = "xbr.error.transaction_failed";
const OUT_OF_ORDER: &str = "bourse.error.out_of_order";
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const OFFER_EXPIRED: &str = "xbr.error.offer_expired";

async fn pair() -> (World, Seller, Buyer) {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    (world, seller, buyer)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn rule_1_the_signature_is_verified_even_where_the_receipt_is_known() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    let order = buyer.order(key, tokens(5));
    buyer.pay(&order).await.unwrap();
    let stranger = Buyer::new(&world, tokens(1)).await;
    for signature in [
        stranger.sign_for(buyer.channel, order.seq, order.balance),
        Signature([0; 65]),
        high_s(order.signature),
        with_v(order.signature, 29),
        with_v(order.signature, order.signature.0[64] - 27),
    ] {
        refused(
            stranger
                .send(&Order {
                    signature,
                    ..order.clone()
                })
                .await,
            INVALID_SIGNATURE,
        );
    }
    assert_balanced(&world, &[&buyer, &stranger], &[&seller]).await;
}

/// The other signature that the same key seems to have made: s replaced by n − s, v by its opposite.
fn high_s(signature: Signature) -> Signature {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
        0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];
    let s = Amount::from_be_bytes(signature.0[32..64].try_into().unwrap());
    let flipped = Amount::from_be_bytes(N).checked_sub(s).unwrap();
    let mut bytes = signature.0;
    bytes[32..64].copy_from_slice(&flipped.to_be_bytes());
    with_v(Signature(bytes), 27 + 28 - signature.0[64])
}

fn with_v(mut signature: Signature, v: u8) -> Signature {
    signature.0[64] = v;
    signature
}

#[tokio::test]
async fn rule_1_a_posted_purchase_replays_its_receipt_verbatim_also_after_a_restart() {
    let (mut world, mut seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    let order = buyer.order(key, tokens(5));
    let receipt = buyer.pay(&order).await.unwrap();
    world.restart().await;
    buyer.reconnect(&world).await;
    assert_eq!(
        buyer.send(&order).await.unwrap(),
        receipt,
        "the seller is not even connected"
    );
    seller.reconnect(&world).await;
    assert_eq!(buyer.send(&order).await.unwrap(), receipt);
    assert_eq!(seller.sells().len(), 1);

    // Any other identity at that seq is none of it.
    let other_key = seller.offer(Some(tokens(5))).await;
    for other in [
        Order {
            key: other_key,
            ..order.clone()
        },
        Order {
            pubkey: BuyerPubkey([10; 32]),
            ..order.clone()
        },
        Order {
            amount: tokens(6),
            ..order.clone()
        },
    ] {
        refused(buyer.send(&other).await, OUT_OF_ORDER);
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn rule_1_a_voided_purchase_frees_its_seq_for_any_other_and_for_itself() {
    let (world, seller, mut buyer) = pair().await;
    let keys = [
        seller.offer(Some(tokens(5))).await,
        seller.offer(Some(tokens(7))).await,
    ];
    for key in keys {
        let order = buyer.order(key, if key == keys[0] { tokens(5) } else { tokens(7) });
        seller.behave(Behaviour::Refuse(NO_SUCH_OBJECT));
        refused(buyer.send(&order).await, NO_SUCH_OBJECT);
        refused(buyer.send(&order).await, NO_SUCH_OBJECT);
    }
    assert_eq!(
        seller.sells().len(),
        4,
        "a voided purchase is no answer to replay"
    );
    seller.behave(Behaviour::Honest);
    let order = buyer.order(keys[1], tokens(7));
    buyer.pay(&order).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_1_the_same_purchase_joins_the_pending_one_and_another_is_refused() {
    let (world, seller, mut buyer) = pair().await;
    let keys = [
        seller.offer(Some(tokens(5))).await,
        seller.offer(Some(tokens(5))).await,
    ];
    seller.behave(Behaviour::Slow(millis(300)));
    let order = buyer.order(keys[0], tokens(5));
    let elsewhere = Buyer::new(&world, tokens(1)).await;
    let later = async {
        tokio::time::sleep(millis(100)).await;
        let other = buyer.order(keys[1], tokens(5));
        let asked = Instant::now();
        refused(buyer.send(&other).await, OUT_OF_ORDER);
        assert!(asked.elapsed() < millis(150), "it is told at once");
        elsewhere.send(&order).await.unwrap()
    };
    let (first, joined) = tokio::join!(buyer.send(&order), later);
    assert_eq!(first.unwrap(), joined);
    assert_eq!(seller.sells().len(), 1);
    (buyer.seq, buyer.balance) = (joined.seq, joined.remaining);
    assert_balanced(&world, &[&buyer, &elsewhere], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_1_a_buyer_that_leaves_meanwhile_finds_its_receipt_when_it_returns() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    seller.behave(Behaviour::Slow(millis(200)));
    let order = buyer.order(key, tokens(5));
    let gone = tokio::time::timeout(millis(50), buyer.send(&order)).await;
    assert!(gone.is_err(), "the seller takes longer");
    buyer.session.leave().await;
    buyer.reconnect(&world).await;
    buyer.pay(&order).await.unwrap();
    assert_eq!(seller.sells().len(), 1);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn rule_2_what_cannot_be_is_refused_before_anything_is_reserved() {
    let refuses = Guest::named("refuses")
        .data(b"not_to_younot to you")
        .quote(refusal((DATA, 10), (DATA + 10, 10)));
    let world = World::with_policies(&[("refuses", refuses.build())], |_| {}).await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let five = tokens(5);
    let key = seller.offer(Some(five)).await;

    let copies = Dict::from([("copies".to_owned(), Value::from(1u64))]);
    let sold_out = seller.try_offer(Some(five), copies).await.unwrap();
    buyer.buy(sold_out).await.unwrap();
    let revoked = seller.offer(Some(five)).await;
    call(
        &seller.session,
        "xbr.marketmaker.revoke_offer",
        vec![Value::from(revoked.0)],
    )
    .await
    .unwrap();
    let ahead = Dict::from([("valid_from".to_owned(), Value::from(now() + 60_000_000_000))]);
    let ahead = seller.try_offer(Some(five), ahead).await.unwrap();
    let hidden = seller.offer_by("refuses").await;
    // A rogue member's channel that names the buyer's delegate.
    let rogue = open(
        &world,
        &buyer.session,
        ChannelKind::Payment,
        &Signer::generate(),
        buyer.signer.address(),
        five,
    )
    .await;

    let honest = buyer.order(key, five);
    let on = |channel: ChannelId, balance: Amount| {
        let order = buyer.order_at(key, five, Seq(2), balance);
        Order {
            channel,
            signature: buyer.sign_for(channel, order.seq, balance),
            ..order
        }
    };
    let pubkey = |pubkey| Order {
        pubkey: BuyerPubkey(pubkey),
        ..honest.clone()
    };
    let mut one = [0; 32];
    one[0] = 1;
    let of_the_seller = {
        let (seq, balance) = (Seq(2), tokens(995));
        let state = ChannelClose::off_chain(world.market(), seller.channel, seq, balance);
        let signature = seller.signer.sign(&state.digest(&world.domain()));
        let (delegate, channel) = (seller.signer.address(), seller.channel);
        Order {
            delegate,
            channel,
            seq,
            balance,
            signature,
            ..honest.clone()
        }
    };

    let before = world.host().counts().unwrap().purchases;
    let sells = seller.sells();
    for (what, order, uri) in [
        ("a public key of low order", pubkey([0; 32]), INVALID_ARGUMENT),
        ("another public key of low order", pubkey(one), INVALID_ARGUMENT),
        (
            "an unknown channel",
            on(ChannelId([1; 16]), Amount::ZERO),
            NO_SUCH_OBJECT,
        ),
        (
            "a channel bound to nobody",
            on(rogue, Amount::ZERO),
            NO_SUCH_OBJECT,
        ),
        ("a paying channel", of_the_seller, NO_SUCH_OBJECT),
        (
            "an unknown key",
            buyer.order(KeyId([1; 16]), five),
            NO_SUCH_OBJECT,
        ),
        (
            "the seq before",
            buyer.order_at(key, five, Seq(2), tokens(90)),
            OUT_OF_ORDER,
        ),
        (
            "the seq after",
            buyer.order_at(key, five, Seq(4), tokens(90)),
            OUT_OF_ORDER,
        ),
        ("a revoked offer", buyer.order(revoked, five), OFFER_EXPIRED),
        (
            "an offer that begins later",
            buyer.order(ahead, five),
            "bourse.error.not_yet_valid",
        ),
        (
            "a key that is sold out",
            buyer.order(sold_out, five),
            "bourse.error.sold_out",
        ),
        (
            "a policy that refuses",
            buyer.order(hidden, five),
            "bourse.error.refused",
        ),
    ] {
        let error = buyer.send(&order).await.expect_err(what);
        assert_eq!(error.uri, uri, "{what}: {error:?}");
    }
    for (at, argument) in [
        "delegate_adr",
        "buyer_pubkey",
        "key_id",
        "channel_oid",
        "channel_seq",
        "amount",
        "balance",
        "signature",
    ]
    .into_iter()
    .enumerate()
    {
        for wrong in [
            Value::Bytes(vec![1; 15]),
            Value::Bytes(vec![1; 66]),
            Value::from("x"),
            Value::Null,
        ] {
            let mut args = honest.args();
            args[at] = wrong;
            let error = refused(
                call(&buyer.session, "xbr.marketmaker.buy_key", args).await,
                INVALID_ARGUMENT,
            );
            assert_eq!(error.kwargs["argument"], Value::from(argument));
            assert!(error_text(&error).starts_with(argument), "{error:?}");
        }
    }
    assert_eq!(
        world.host().counts().unwrap().purchases,
        before,
        "nothing was reserved"
    );
    assert_eq!(seller.sells(), sells, "the seller was never asked");
    buyer.pay(&honest).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn rule_3_a_buyer_that_offers_more_pays_the_price_and_no_more() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    for amount in [tokens(5), tokens(7), Amount::MAX] {
        let balance = buyer.balance.checked_sub(tokens(5)).unwrap();
        let order = buyer.order_at(key, amount, buyer.seq.next().unwrap(), balance);
        let receipt = buyer.pay(&order).await.unwrap();
        assert_eq!(receipt.paid, tokens(5));
        assert_eq!(amount_of(&receipt.value, "amount"), amount, "echoed");
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn rule_3_every_other_price_or_balance_is_refused_with_what_would_be_right() {
    let (world, seller, mut buyer) = pair().await;
    let (cheap, dear) = (
        seller.offer(Some(tokens(5))).await,
        seller.offer(Some(tokens(101))).await,
    );
    for (key, amount, balance, uri, told) in [
        (cheap, 4, 96, "xbr.error.insufficient_amount", "price"),
        (cheap, 6, 94, "bourse.error.price_changed", "price"),
        (cheap, 6, 96, "bourse.error.wrong_balance", "expected"),
        (cheap, 5, 94, "bourse.error.wrong_balance", "expected"),
        (dear, 101, 0, "xbr.error.insufficient_payment_balance", "price"),
        (dear, 100, 0, "xbr.error.insufficient_amount", "price"),
    ] {
        let order = buyer.order_at(key, tokens(amount), Seq(2), tokens(balance));
        let error = refused(buyer.send(&order).await, uri);
        let expected = if told == "expected" {
            tokens(95)
        } else if key == cheap {
            tokens(5)
        } else {
            tokens(101)
        };
        assert_eq!(bourse_tests::error_amount(&error, told), expected, "{error:?}");
    }
    assert_eq!(world.host().counts().unwrap().purchases, 0);
    buyer.buy(cheap).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_4_purchases_of_one_seller_wait_in_memory_in_order_and_leave_no_trace_before_their_turn() {
    const BUYERS: usize = 4;
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut parties = Vec::new();
    for _ in 0..BUYERS {
        parties.push((
            Buyer::new(&world, tokens(10)).await,
            seller.offer(Some(tokens(1))).await,
        ));
    }
    let keys: Vec<KeyId> = parties.iter().map(|(_, key)| *key).collect();
    seller.behave(Behaviour::Slow(millis(200)));
    let mut tasks = Vec::new();
    for (mut buyer, key) in parties {
        tasks.push(tokio::spawn(async move {
            let order = buyer.order(key, tokens(1));
            buyer.pay(&order).await.unwrap();
            buyer
        }));
        tokio::time::sleep(millis(15)).await;
    }
    let counts = world.host().counts().unwrap();
    assert_eq!(
        (counts.purchases, counts.sent),
        (1, 1),
        "only the one whose turn it is"
    );
    let mut buyers = Vec::new();
    for task in tasks {
        buyers.push(task.await.unwrap());
    }
    let sold: Vec<KeyId> = seller.sells().iter().map(|sell| sell.key).collect();
    assert_eq!(sold, keys, "first come, first served");
    assert_balanced(&world, &buyers.iter().collect::<Vec<_>>(), &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_4_everything_is_checked_again_when_the_turn_comes() {
    let (world, seller, mut buyer) = pair().await;
    let waiting = Buyer::new(&world, tokens(10)).await;
    let (first, second) = (
        seller.offer(Some(tokens(1))).await,
        seller.offer(Some(tokens(1))).await,
    );
    seller.behave(Behaviour::Slow(millis(300)));
    let orders = (buyer.order(first, tokens(1)), waiting.order(second, tokens(1)));
    let late = async {
        tokio::time::sleep(millis(50)).await;
        waiting.send(&orders.1).await
    };
    let revoke = async {
        tokio::time::sleep(millis(150)).await;
        call(
            &seller.session,
            "xbr.marketmaker.revoke_offer",
            vec![Value::from(second.0)],
        )
        .await
        .unwrap();
    };
    let (sold, late, ()) = tokio::join!(buyer.pay(&orders.0), late, revoke);
    sold.unwrap();
    refused(late, OFFER_EXPIRED);
    assert_eq!(world.host().counts().unwrap().purchases, 1);
    assert_balanced(&world, &[&buyer, &waiting], &[&seller]).await;
}

#[tokio::test]
async fn w_28_rule_5_a_posted_purchase_keeps_all_four_signatures_the_key_and_its_decision() {
    let (mut world, seller, mut buyer) = pair().await;
    let (fixed, dynamic) = (seller.offer(Some(tokens(5))).await, seller.offer(None).await);
    let bought = [
        (
            fixed,
            buyer.order(fixed, tokens(5)).signature,
            buyer.buy(fixed).await.unwrap(),
        ),
        (dynamic, Signature([0; 65]), buyer.buy(dynamic).await.unwrap()),
    ];
    let (domain, market, marketmaker) = (world.domain(), world.market(), world.marketmaker());
    assert_balanced(&world, &[&buyer], &[&seller]).await;

    let signer = |channel, seq, balance, signature: &Signature| {
        recover(
            &ChannelClose::off_chain(market, channel, seq, balance).digest(&domain),
            signature,
        )
        .unwrap()
    };
    world
        .after_the_end(|ledger| {
            for (key, s1, receipt) in bought {
                let purchase = ledger.purchase_at(&buyer.channel, receipt.seq).unwrap().unwrap();
                let PurchaseState::Posted {
                    s3, s4, sealed_key, ..
                } = purchase.state
                else {
                    panic!("{purchase:?}")
                };
                assert_eq!(purchase.identity.key, key);
                let (seq, balance) = (purchase.payment_seq, purchase.payment_balance);
                assert_eq!(
                    signer(buyer.channel, seq, balance, &purchase.s1),
                    buyer.signer.address()
                );
                assert_eq!(signer(buyer.channel, seq, balance, &s4), marketmaker);
                let (seq, balance) = (purchase.paying_seq, purchase.paying_balance);
                assert_eq!(signer(seller.channel, seq, balance, &purchase.s2), marketmaker);
                assert_eq!(signer(seller.channel, seq, balance, &s3), seller.signer.address());
                assert_eq!(
                    (s4, sealed_key.0.to_vec()),
                    (receipt.signature, receipt.sealed_key)
                );
                match purchase.source {
                    PriceSource::Fixed | PriceSource::Seller => assert_eq!(purchase.s1, s1),
                    PriceSource::Policy(id) => {
                        let decision = ledger.decision(&id).unwrap().unwrap();
                        assert_eq!((key, decision.header.policy.as_str()), (dynamic, "surge"));
                        assert!(!decision.body.is_empty());
                    }
                }
            }
        })
        .await;
}

#[tokio::test]
async fn rule_5_nothing_is_posted_without_a_valid_signature_and_a_whole_sealed_key() {
    let mut world = World::start().await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let mut sellers = Vec::new();
    for (behaviour, uri) in [
        (Behaviour::WrongSigner, INVALID_SIGNATURE),
        (Behaviour::NoKey, TRANSACTION_FAILED),
        (Behaviour::ShortKey, TRANSACTION_FAILED),
        (Behaviour::Nonsense, TRANSACTION_FAILED),
        (Behaviour::LoseAnswer, TRANSACTION_FAILED),
    ] {
        let seller = Seller::new(&world, tokens(10)).await;
        let key = seller.offer(Some(tokens(1))).await;
        buyer.buy(key).await.unwrap();
        seller.behave(behaviour.clone());
        let error = refused(buyer.buy(key).await, uri);
        assert!(
            error_text(&error).ends_with("nothing was charged"),
            "{behaviour:?}: {error:?}"
        );
        assert_eq!(
            world.host().counts().unwrap().sent,
            0,
            "{behaviour:?}: void before the error was sent"
        );
        assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance), "{behaviour:?}");
        sellers.push(seller);
    }
    world.assert_sound();
    world.restart().await;
    buyer.reconnect(&world).await;
    assert_eq!(world.host().recovered(), 0, "nothing was left to recover");
    for seller in &mut sellers {
        seller.reconnect(&world).await;
    }
    assert_balanced(&world, &[&buyer], &sellers.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn rule_5_a_full_ledger_refuses_new_purchases_and_keeps_every_promise() {
    let world = World::with(|config| config.store.map_size = 6 << 20).await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    let labels: Dict = (0..32)
        .map(|number| (format!("label{number}"), Value::from("x".repeat(256))))
        .collect();
    let big = Dict::from([("categories".to_owned(), labels.into())]);
    // Until not even an offer without labels fits, which takes less than a purchase.
    for offer in [big, Dict::new()] {
        let full = loop {
            if let Err(error) = seller.try_offer(Some(tokens(1)), offer.clone()).await {
                break error;
            }
            assert!(
                world.host().counts().unwrap().offers < 5000,
                "the map never fills"
            );
        };
        assert_eq!(full.uri, "bourse.error.storage_full", "{full:?}");
    }

    let counts = world.host().counts().unwrap();
    refused(buyer.buy(key).await, "bourse.error.storage_full");
    assert_eq!(world.host().counts().unwrap(), counts);
    call(
        &seller.session,
        "xbr.marketmaker.revoke_offer",
        vec![Value::from(key.0)],
    )
    .await
    .unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_6_whoever_waits_behind_a_silent_seller_is_answered_in_time_and_untouched() {
    let world = World::with(|config| config.market.sell_deadline_ms = 600).await;
    let seller = Seller::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut buyers = Vec::new();
    for _ in 0..5 {
        buyers.push(Buyer::new(&world, tokens(10)).await);
    }
    buyers[0].buy(key).await.unwrap();
    seller.behave(Behaviour::Silent);
    let mut tasks = Vec::new();
    for buyer in buyers {
        tasks.push(tokio::spawn(async move {
            let asked = Instant::now();
            refused(buyer.send(&buyer.order(key, tokens(1))).await, SELLER_UNAVAILABLE);
            (buyer, asked.elapsed())
        }));
    }
    let mut buyers = Vec::new();
    for task in tasks {
        let (buyer, took) = task.await.unwrap();
        assert!(took < millis(3000), "answered after {took:?}");
        assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
        buyers.push(buyer);
    }
    assert_eq!(
        world.host().counts().unwrap().purchases,
        2,
        "one was sold, one was tried, none of the rest reserved"
    );
    // The channel is suspended: from now on nobody waits at all.
    let asked = Instant::now();
    refused(
        buyers[1].send(&buyers[1].order(key, tokens(1))).await,
        SELLER_UNAVAILABLE,
    );
    assert!(asked.elapsed() < millis(200));
    assert_eq!(world.host().counts().unwrap().purchases, 2);
    assert_balanced(&world, &buyers.iter().collect::<Vec<_>>(), &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_7_getters_never_show_a_torn_pair() {
    const SALES: u32 = 30;
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(2))).await;
    let (session, channels) = (world.session().await, [buyer.channel, seller.channel]);
    let deposits = [buyer.deposit, seller.deposit];
    let watch = tokio::spawn(async move {
        let mut seen = 0;
        loop {
            for (number, getter) in ["payment", "paying"].into_iter().enumerate() {
                let getter = format!("xbr.marketmaker.get_{getter}_channel_balance");
                let pair = call(&session, &getter, vec![Value::from(channels[number].0)])
                    .await
                    .unwrap();
                let seq = int_of(&pair, "seq");
                assert_eq!(amount_of(&pair, "inflight"), Amount::ZERO);
                let spent = deposits[number]
                    .checked_sub(amount_of(&pair, "remaining"))
                    .unwrap();
                assert_eq!(spent, tokens(2 * (seq - 1)), "the pair of seq {seq}");
                seen = seq;
            }
            if seen == u64::from(SALES) + 1 {
                return;
            }
        }
    });
    for _ in 0..SALES {
        buyer.buy(key).await.unwrap();
    }
    watch.await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_7_a_getter_waits_for_the_pending_purchase_and_no_longer_than_two_seconds() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    for (pause, moved) in [(300, true), (2600, false)] {
        seller.behave(Behaviour::Slow(millis(pause)));
        let (order, before) = (buyer.order(key, tokens(1)), (buyer.seq, buyer.balance));
        let asked = async {
            tokio::time::sleep(millis(100)).await;
            let asked = Instant::now();
            let (payment, paying) = tokio::join!(buyer.posted(), seller.posted());
            (payment, paying, asked.elapsed())
        };
        let (receipt, (payment, paying, took)) = tokio::join!(buyer.send(&order), asked);
        let receipt = receipt.unwrap();
        (buyer.seq, buyer.balance) = (receipt.seq, receipt.remaining);
        let expected = if moved {
            (receipt.seq, receipt.remaining)
        } else {
            before
        };
        assert_eq!(payment, expected);
        assert_eq!(
            paying.0, expected.0,
            "one seller, one buyer: the seqs move together"
        );
        let waited = if moved {
            millis(100)..millis(900)
        } else {
            millis(1900)..millis(2500)
        };
        assert!(
            waited.contains(&took),
            "a getter took {took:?} of a sale that took {pause} ms"
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_price_may_be_anything_up_to_what_a_channel_holds() {
    let dear = Guest::named("dear").quote(price([0, 1, 0, 0], 1000)).build();
    let world = World::with_policies(&[("dear", dear)], |_| {}).await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(1000)).await;
    let key = seller.offer_by("dear").await;
    let receipt = buyer.buy(key).await.unwrap();
    assert_eq!(receipt.paid, Amount::from_units(1 << 64), "more than 64 bits");
    let rest = buyer.balance;
    let all = seller.offer(Some(rest)).await;
    assert_eq!(buyer.buy(all).await.unwrap().remaining, Amount::ZERO);
    let active = vec![Value::from(buyer.signer.address().0)];
    let active = call(
        &buyer.session,
        "xbr.marketmaker.get_active_payment_channel",
        active,
    )
    .await
    .unwrap();
    assert_eq!(active, Value::Null, "an empty channel is active no more");
    assert_eq!(map_of(&receipt.value)["free_rated"], Value::Bool(false));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
