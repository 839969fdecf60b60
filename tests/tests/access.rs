//! Who may see and do what: every cell of the table, against a market with and without its router (W-04, W-10); and whom
//! events reach (W-12).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::access::{Cell, Role, TABLE};
use bourse_app::config::{Access, Config, Ticket};
use bourse_app::simulation::{Outside, Sellers, Stage, library};
use bourse_app::{System, uri};
use bourse_chain::{ChannelOpen, Domain, Signer};
use bourse_market::{Address, Amount, ChannelId, ChannelKind, KeyId, MarketId, SessionId};
use bourse_store::SystemDisk;
use bourse_tests::{Buyer, Ear, Seller, World, call, call_named, error_text, refused, tokens};
use bourse_wamp::{CallError, CallResult, Dict, Invocation, Session, Value, WampError};
use std::collections::HashMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A member with a delegate and a channel of each kind.
struct Party {
    member: Signer,
    delegate: Signer,
    payment: ChannelId,
    paying: ChannelId,
}

/// Whose things a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Others,
    Nobodys,
}

/// A market, and a way to call it as each role that can be had there.
enum Market {
    /// Without a router: callers are whoever they say.
    Bare {
        stage: Box<Stage>,
        _folder: tempfile::TempDir,
    },
    /// Over its own router, by tickets.
    Routed(Box<World>, HashMap<Role, Session>),
}

/// No seller is ever asked here.
struct NoSellers;

impl Sellers for NoSellers {
    fn call(
        &self,
        _: SessionId,
        _: String,
        _: Vec<Value>,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<CallResult, CallError>> + Send + '_>> {
        Box::pin(pending())
    }

    fn drop_registration(&self, _: &str, _: SessionId) {}
}

/// The authid and role by which somebody has `role`.
fn login(role: Role, own: &(Signer, Signer)) -> (String, &'static str) {
    let hex = |signer: &Signer| hex::encode(signer.address().0);
    match role {
        Role::Anonymous => ("~somebody".to_owned(), "anonymous"),
        Role::Member => (format!("member-{}", hex(&own.0)), "user"),
        Role::Delegate => (format!("delegate-{}", hex(&own.1)), "delegate"),
        Role::Operator => ("olga".to_owned(), "operator"),
        Role::Router => ("router".to_owned(), "trusted"),
        Role::MarketMaker => ("market".to_owned(), "marketmaker"),
    }
}

fn tickets(config: &mut Config, own: &(Signer, Signer)) {
    for role in [Role::Member, Role::Delegate, Role::Operator] {
        let (authid, name) = login(role, own);
        let file = config.store.path.join(format!("{name}.ticket"));
        std::fs::write(&file, "sesame").unwrap();
        config.wamp.ticket.push(Ticket {
            authid,
            role: name.to_owned(),
            file,
        });
    }
}

impl Market {
    async fn bare(access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.realm.access = access;
        config.store.path = folder.path().join("data");
        config.store.map_size = 64 << 20;
        std::fs::create_dir(&config.store.path).unwrap();
        let outside = Outside {
            environment: Arc::new(System),
            disk: Arc::new(SystemDisk),
            sellers: Arc::new(NoSellers),
            library: library(&config).unwrap(),
            events: Box::new(|_, _| {}),
        };
        let stage = Stage::open(&config, outside).await.unwrap();
        (1..=Role::ALL.len() as u64).for_each(|session| stage.joined(session));
        Self::Bare {
            stage: Box::new(stage),
            _folder: folder,
        }
    }

    async fn routed(access: Access, own: &(Signer, Signer)) -> Self {
        let world = World::with(|config| {
            config.realm.access = access;
            tickets(config, own);
        })
        .await;
        let mut sessions = HashMap::from([(Role::Anonymous, world.session().await)]);
        for role in [Role::Member, Role::Delegate, Role::Operator] {
            let (authid, _) = login(role, own);
            sessions.insert(role, world.session_as(&authid, "sesame").await.unwrap());
        }
        Self::Routed(Box::new(world), sessions)
    }

    fn roles(&self) -> Vec<Role> {
        match self {
            Self::Bare { .. } => Role::ALL.to_vec(),
            Self::Routed(_, sessions) => sessions.keys().copied().collect(),
        }
    }

    fn names(&self) -> (Domain, MarketId, Address, Address) {
        match self {
            Self::Bare { stage, .. } => {
                let network = stage.network();
                (network.domain, network.market, network.marketmaker, network.owner)
            }
            Self::Routed(world, _) => (world.domain(), world.market(), world.marketmaker(), world.owner()),
        }
    }

    async fn call(
        &self,
        role: Role,
        own: &(Signer, Signer),
        procedure: &str,
        args: Vec<Value>,
    ) -> Result<Value, WampError> {
        match self {
            Self::Routed(_, sessions) => call(&sessions[&role], procedure, args).await,
            Self::Bare { stage, .. } => {
                let (authid, name) = login(role, own);
                let place = Role::ALL.iter().position(|known| *known == role).unwrap();
                let invocation = Invocation {
                    procedure: procedure.to_owned(),
                    args,
                    caller: Some(place as u64 + 1),
                    caller_authid: Some(authid),
                    caller_authrole: Some(name.to_owned()),
                    ..Invocation::default()
                };
                let answer = stage.call(invocation).await?;
                Ok(answer.args.into_iter().next().unwrap_or_default())
            }
        }
    }

    /// Opens a channel of each kind for a member and its delegate.
    async fn party(&self, own: &(Signer, Signer), (member, delegate): &(Signer, Signer)) -> Party {
        let (domain, market, marketmaker, owner) = self.names();
        let amount = tokens(10);
        let funds = vec![Value::from(member.address().0), Value::from(amount.to_be_bytes())];
        self.call(Role::Anonymous, own, "bourse.dev.fund", funds)
            .await
            .unwrap();
        let mut channels = [ChannelId([0; 16]); 2];
        for (kind, channel) in [ChannelKind::Payment, ChannelKind::Paying]
            .into_iter()
            .zip(&mut channels)
        {
            *channel = ChannelId(rand::random());
            let message = ChannelOpen {
                kind,
                opened_at: Amount::from_units(1),
                market,
                channel: *channel,
                actor: member.address(),
                delegate: delegate.address(),
                marketmaker,
                recipient: match kind {
                    ChannelKind::Payment => owner,
                    ChannelKind::Paying => member.address(),
                },
                amount,
            };
            let signature = member.sign(&message.digest(&domain));
            let args = open_args(domain, &message, signature.0);
            self.call(Role::Anonymous, own, "xbr.marketmaker.open_channel", args)
                .await
                .unwrap();
        }
        let copy = |signer: &Signer| Signer::from_bytes(&signer.to_bytes()).unwrap();
        Party {
            member: copy(member),
            delegate: copy(delegate),
            payment: channels[0],
            paying: channels[1],
        }
    }
}

fn open_args(domain: Domain, message: &ChannelOpen, signature: [u8; 65]) -> Vec<Value> {
    vec![
        Value::from(message.actor.0),
        Value::from(message.market.0),
        Value::from(message.channel.0),
        Value::from(domain.chain_id),
        Value::from(1u64),
        Value::from(domain.verifying_contract.0),
        Value::from(message.kind as u8),
        Value::from(message.delegate.0),
        Value::from(message.marketmaker.0),
        Value::from(message.recipient.0),
        Value::from(message.amount.to_be_bytes()),
        Value::from(signature),
    ]
}

/// Good arguments for a call about what `party` has; every signature in them is a stranger's.
fn arguments(market: &Market, procedure: &str, party: &Party, offered: KeyId, offer: [u8; 16]) -> Vec<Value> {
    let (domain, id, marketmaker, owner) = market.names();
    let wrong = Signer::generate().sign(&[7; 32]).0;
    let (member, delegate) = (party.member.address().0, party.delegate.address().0);
    let contract = Value::from(domain.verifying_contract.0);
    let chain = Value::from(domain.chain_id);
    let amount = Value::from(tokens(1).to_be_bytes());
    let short = procedure
        .trim_start_matches("xbr.marketmaker.")
        .trim_start_matches("bourse.");
    match short {
        "status" | "get_status" | "get_config" | "get_gas_price" | "authenticator.logout" => vec![],
        "get_transaction_receipt" => vec![Value::from([1u8; 32])],
        "place_offer" => vec![
            Value::from(rand::random::<[u8; 16]>()),
            Value::from([7u8; 16]),
            Value::from("com.example."),
            Value::from(0u64),
            Value::from(delegate),
            Value::from(wrong),
            Value::Null,
            amount,
        ],
        "get_offer" => vec![Value::from(offer)],
        "query_offers" => vec![Value::from([7u8; 16]), Value::from(0u64)],
        "revoke_offer" => vec![Value::from(offered.0), Value::from(wrong)],
        "get_quote" => vec![Value::from(offered.0)],
        "buy_key" => vec![
            Value::from(delegate),
            Value::from([9u8; 32]),
            Value::from(offered.0),
            Value::from(party.payment.0),
            Value::from(2u64),
            amount,
            Value::from(tokens(9).to_be_bytes()),
            Value::from(wrong),
        ],
        "open_channel" => {
            let message = ChannelOpen {
                kind: ChannelKind::Payment,
                opened_at: Amount::from_units(1),
                market: id,
                channel: ChannelId(rand::random()),
                actor: party.member.address(),
                delegate: party.delegate.address(),
                marketmaker,
                recipient: owner,
                amount: tokens(1),
            };
            open_args(domain, &message, wrong)
        }
        "close_channel" => vec![
            Value::from(party.payment.0),
            chain,
            Value::from(1u64),
            contract,
            Value::from(tokens(10).to_be_bytes()),
            Value::from(1u64),
            Value::from(true),
            Value::from(wrong),
        ],
        "market.renew_voucher" => vec![
            Value::from(party.payment.0),
            Value::from(1u64),
            Value::from(wrong),
        ],
        "get_payment_channel" | "get_payment_channel_balance" => vec![Value::from(party.payment.0)],
        "get_paying_channel" | "get_paying_channel_balance" => vec![Value::from(party.paying.0)],
        "get_active_payment_channel" | "get_active_paying_channel" => vec![Value::from(delegate)],
        "get_channels_by_delegate" => vec![Value::from(delegate), Value::from(1u64)],
        "get_channels_by_actor" => vec![Value::from(member), Value::from(1u64)],
        "set_consent" => vec![
            Value::from(member),
            Value::from(id.0),
            chain,
            Value::from(1u64),
            contract,
            Value::from(delegate),
            Value::from(1u64),
            Value::from([3u8; 16]),
            Value::from(true),
            Value::from(""),
            Value::from(wrong),
        ],
        "get_consent" => vec![
            Value::from(id.0),
            Value::from(member),
            Value::from(delegate),
            Value::from(1u64),
            Value::from([3u8; 16]),
        ],
        "find_consents" => vec![],
        "get_catalogs_by_owner" => vec![Value::from(member)],
        "authenticator.authenticate" => vec![Value::Null, Value::Null, Value::Map(Dict::new())],
        "dev.fund" => vec![Value::from(member), amount],
        other => panic!("the table has {other}, and this test does not know how to call it"),
    }
}

/// Whether the table itself kept a call out, rather than what the procedure found.
fn kept_out(result: &Result<Value, WampError>) -> bool {
    match result {
        Err(error) if error.uri == uri::NOT_AUTHORIZED => {
            let text = error_text(error);
            text.contains("log in as one") || text.contains("not the caller's own")
        }
        _ => false,
    }
}

/// Calls every procedure as every role, about things of its own, of others and of nobody.
async fn every_cell(market: &Market, access: Access, own: &(Signer, Signer)) {
    let mine = market.party(own, own).await;
    let others = market.party(own, &(Signer::generate(), Signer::generate())).await;
    let nobodys = Party {
        member: Signer::generate(),
        delegate: Signer::generate(),
        payment: ChannelId([1; 16]),
        paying: ChannelId([2; 16]),
    };
    let mut cells = 0;
    for row in TABLE {
        for role in market.roles() {
            let rule = row.rule(access);
            let cell = rule.cell(role);
            let mut texts = Vec::new();
            for (whose, party) in [
                (Whose::Own, &mine),
                (Whose::Others, &others),
                (Whose::Nobodys, &nobodys),
            ] {
                // An offer of that party, and by the very caller if it is its own.
                let (placed, offer) = offer_of(market, role, own, whose, party).await;
                let args = arguments(market, row.procedure, party, placed, offer);
                let result = market.call(role, own, row.procedure, args).await;
                let what = format!(
                    "{} as {role:?} about {whose:?}, {cell:?}: {result:?}",
                    row.procedure
                );
                // The faucet and consents make members of strangers, whom later roles meet.
                match (cell, whose) {
                    (Cell::No, _) | (Cell::Own, Whose::Others | Whose::Nobodys) => {
                        assert!(kept_out(&result), "{what}");
                        texts.push(error_text(&result.unwrap_err()).to_owned());
                    }
                    (Cell::Yes, _) | (Cell::Own, Whose::Own) => assert!(!kept_out(&result), "{what}"),
                    (Cell::OwnOrSigned, Whose::Own) => assert!(result.is_ok(), "{what}"),
                    (Cell::Signed | Cell::OwnOrSigned, _) => {
                        let revokes_its_own = row.procedure.ends_with("revoke_offer") && whose == Whose::Own;
                        let refused = match &result {
                            Err(error)
                                if whose == Whose::Nobodys && UNKNOWN.contains(&error.uri.as_str()) =>
                            {
                                true
                            }
                            Err(error) => !kept_out(&result) && SIGNATURE.contains(&error.uri.as_str()),
                            Ok(_) => revokes_its_own,
                        };
                        assert!(refused, "{what}");
                    }
                }
                cells += 1;
            }
            texts.dedup();
            assert!(
                texts.len() <= 1,
                "{} tells things apart: {texts:?}",
                row.procedure
            );
        }
    }
    assert!(cells > 300, "{cells}");
}

/// What a signature of somebody else's comes to. Without a chain there are no vouchers to sign; an offer is revoked by its
/// seller.
const SIGNATURE: [&str; 3] = [uri::INVALID_SIGNATURE, uri::NOT_AUTHORIZED, uri::RUNTIME];
/// What a channel that is not there comes to, before anybody's signature is looked at.
const UNKNOWN: [&str; 2] = [uri::NO_SUCH_OBJECT, uri::INVALID_CHANNEL];

/// Places an offer of the party's delegate: by the caller if it may call it its own, else by somebody else.
async fn offer_of(
    market: &Market,
    role: Role,
    own: &(Signer, Signer),
    whose: Whose,
    party: &Party,
) -> (KeyId, [u8; 16]) {
    let key = KeyId(rand::random());
    let by = match (whose, role) {
        (Whose::Own, Role::Member | Role::Delegate) => role,
        // Whoever placed an offer may revoke it.
        (_, Role::Anonymous) => Role::Operator,
        _ => Role::Anonymous,
    };
    let (domain, id, ..) = market.names();
    let offer = bourse_chain::KeyOffer {
        market: id,
        key,
        api: bourse_market::ApiId([7; 16]),
        uri: "com.example.".to_owned(),
        price: tokens(1),
        dynamic: false,
        valid_from: bourse_market::Nanos(0),
        expires: bourse_market::Nanos(0),
        delegate: party.delegate.address(),
    };
    let args = vec![
        Value::from(key.0),
        Value::from(offer.api.0),
        Value::from("com.example."),
        Value::from(0u64),
        Value::from(offer.delegate.0),
        Value::from(party.delegate.sign(&offer.digest(&domain)).0),
        Value::Null,
        Value::from(offer.price.to_be_bytes()),
    ];
    let placed = market
        .call(by, own, "xbr.marketmaker.place_offer", args)
        .await
        .unwrap();
    let Some(Value::Bytes(offer)) = bourse_tests::map_of(&placed).get("offer") else {
        panic!("{placed:?}")
    };
    (key, offer.as_slice().try_into().unwrap())
}

#[tokio::test]
async fn w_10_every_cell_of_the_table_holds_in_an_open_realm() {
    let own = (Signer::generate(), Signer::generate());
    every_cell(&Market::bare(Access::Open).await, Access::Open, &own).await;
}

#[tokio::test]
async fn w_10_every_cell_of_the_table_holds_in_a_realm_of_members() {
    let own = (Signer::generate(), Signer::generate());
    every_cell(&Market::bare(Access::Members).await, Access::Members, &own).await;
}

#[tokio::test]
async fn w_10_every_cell_of_the_table_holds_over_the_routers_own_logins() {
    for access in [Access::Open, Access::Members] {
        let own = (Signer::generate(), Signer::generate());
        every_cell(&Market::routed(access, &own).await, access, &own).await;
    }
}

#[tokio::test]
async fn w_12_an_authid_in_a_role_that_takes_no_login_hears_nothing_of_its_namesake() {
    let own = (Signer::generate(), Signer::generate());
    let world = World::with(|config| {
        config.realm.access = Access::Members;
        tickets(config, &own);
        // As at a router that lets people choose their authid, and gives them a role of its own for it.
        let (namesake, _) = login(Role::Delegate, &own);
        let ticket = config
            .wamp
            .ticket
            .iter_mut()
            .find(|ticket| ticket.authid == namesake);
        ticket.unwrap().role = "guest".to_owned();
    })
    .await;
    let anybody = world.session().await;
    let adr = own.1.address();
    let (namesake, member) = (
        log_in(&world, Role::Delegate, &own).await,
        log_in(&world, Role::Member, &own).await,
    );
    let opened = format!("xbr.marketmaker.delegate.{adr}.on_paying_channel_open");
    let mut deaf = Ear::at(&namesake, &opened).await;
    let mut hears = Ear::at(&member, &opened).await;
    bourse_tests::open(&world, &anybody, ChannelKind::Paying, &own.0, adr, tokens(10)).await;
    hears.next().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(deaf.is_quiet());
}

/// A realm of members with the tickets of a member and a delegate.
async fn members(own: &(Signer, Signer)) -> World {
    World::with(|config| {
        config.realm.access = Access::Members;
        tickets(config, own);
    })
    .await
}

async fn log_in(world: &World, role: Role, own: &(Signer, Signer)) -> Session {
    let (authid, _) = login(role, own);
    world.session_as(&authid, "sesame").await.unwrap()
}

#[tokio::test]
async fn delegates_that_are_logged_in_trade_in_a_realm_of_members() {
    let sellers = (Signer::generate(), Signer::generate());
    let world = members(&sellers).await;
    let anybody = world.session().await;
    let open =
        |kind, actor, delegate| bourse_tests::open(&world, &anybody, kind, actor, delegate, tokens(10));
    let paying = open(ChannelKind::Paying, &sellers.0, sellers.1.address()).await;
    let (session, copy) = (
        log_in(&world, Role::Delegate, &sellers).await,
        |signer: &Signer| Signer::from_bytes(&signer.to_bytes()).unwrap(),
    );
    let (authid, _) = login(Role::Delegate, &sellers);
    let seller = Seller::over(
        &world,
        session,
        &authid,
        (copy(&sellers.0), copy(&sellers.1)),
        (paying, tokens(10)),
    )
    .await;
    let key = seller.offer(Some(tokens(1))).await;
    // A buyer that only signs: its first purchase tells who it is.
    let mut buyer = Buyer::new(&world, tokens(5)).await;
    refused(buyer.quote(key).await, uri::NOT_AUTHORIZED);
    let receipt = buyer.send(&buyer.order(key, tokens(1))).await.unwrap();
    assert_eq!(receipt.paid, tokens(1));
    buyer.seq = receipt.seq;
    buyer.balance = receipt.remaining;
    assert_eq!(buyer.quote(key).await.unwrap(), tokens(1));
    let channel = vec![Value::from(buyer.channel.0)];
    call(
        &buyer.session,
        "xbr.marketmaker.get_payment_channel",
        channel.clone(),
    )
    .await
    .unwrap();
    refused(
        call(&seller.session, "xbr.marketmaker.get_payment_channel", channel).await,
        uri::NOT_AUTHORIZED,
    );
}

#[tokio::test]
async fn w_04_in_a_realm_of_members_offers_are_placed_by_whom_they_concern_or_by_their_signature() {
    let own = (Signer::generate(), Signer::generate());
    let world = members(&own).await;
    let anybody = world.session().await;
    bourse_tests::open(
        &world,
        &anybody,
        ChannelKind::Paying,
        &own.0,
        own.1.address(),
        tokens(10),
    )
    .await;
    bourse_tests::fund(&anybody, own.0.address(), tokens(1)).await;
    let place = |session: Session, delegate: Address| async move {
        let args = Dict::from([
            ("key_id".to_owned(), Value::from(rand::random::<[u8; 16]>())),
            ("api_id".to_owned(), Value::from([7u8; 16])),
            ("uri".to_owned(), Value::from("com.example.")),
            ("valid_from".to_owned(), Value::from(0u64)),
            ("delegate_adr".to_owned(), Value::from(delegate.0)),
            ("delegate_signature".to_owned(), Value::Bytes(vec![1; 65])),
            ("price".to_owned(), Value::from(tokens(1).to_be_bytes())),
        ]);
        call_named(&session, "xbr.marketmaker.place_offer", vec![], args).await
    };
    let (member, delegate) = (
        log_in(&world, Role::Member, &own).await,
        log_in(&world, Role::Delegate, &own).await,
    );
    place(member.clone(), own.1.address()).await.unwrap();
    place(delegate.clone(), own.1.address()).await.unwrap();
    for session in [member, delegate] {
        refused(
            place(session, Signer::generate().address()).await,
            uri::INVALID_SIGNATURE,
        );
    }
    refused(place(anybody, own.1.address()).await, uri::INVALID_SIGNATURE);
}

#[tokio::test]
async fn w_12_in_a_realm_of_members_events_reach_those_whom_they_concern_and_nobody_else() {
    let own = (Signer::generate(), Signer::generate());
    let world = members(&own).await;
    let anybody = world.session().await;
    let (member, delegate, operator) = (
        log_in(&world, Role::Member, &own).await,
        log_in(&world, Role::Delegate, &own).await,
        log_in(&world, Role::Operator, &own).await,
    );
    let adr = own.1.address();
    let opened = format!("xbr.marketmaker.delegate.{adr}.on_paying_channel_open");
    let topics = [
        opened.clone(),
        format!("xbr.marketmaker.delegate.{adr}.on_offer_placed"),
        "xbr.marketmaker.on_offer_placed".to_owned(),
    ];
    let mut strangers = Vec::new();
    for topic in &topics {
        strangers.push(Ear::at(&anybody, topic).await);
    }
    strangers.push(Ear::at(&operator, &topics[0]).await);
    let mut first = Ear::at(&delegate, &opened).await;
    let mut heard = Vec::new();
    for session in [&delegate, &member, &operator] {
        heard.push(Ear::at(session, &topics[2]).await);
    }
    for session in [&delegate, &member] {
        heard.push(Ear::at(session, &topics[1]).await);
    }
    bourse_tests::open(&world, &anybody, ChannelKind::Paying, &own.0, adr, tokens(10)).await;
    bourse_tests::fund(&anybody, own.0.address(), tokens(1)).await;
    assert_eq!(
        bourse_tests::map_of(&first.next().await[0])["delegate"],
        Value::from(adr.0)
    );
    let args = vec![
        Value::from([5u8; 16]),
        Value::from([7u8; 16]),
        Value::from("com.example."),
        Value::from(0u64),
        Value::from(adr.0),
        Value::Bytes(vec![1; 65]),
        Value::Null,
        Value::from(tokens(1).to_be_bytes()),
    ];
    call(&delegate, "xbr.marketmaker.place_offer", args)
        .await
        .unwrap();
    for ear in &mut heard {
        let offer = ear.next().await.remove(0);
        assert_eq!(bourse_tests::map_of(&offer)["key"], Value::from([5u8; 16]));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(strangers.iter_mut().all(Ear::is_quiet));
}
