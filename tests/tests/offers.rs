//! Whose offers, whose registrations, whose channels: signatures over offers, revocation, provider ids, tickets,
//! anonymous sessions, delegates and their actors, and the concession to buyers that sign an old seq.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::Host;
use bourse_app::config::{Config, SignatureRule, Ticket};
use bourse_chain::{KeyOffer, RevokeOffer, Signer};
use bourse_market::{Address, Amount, ApiId, ChannelId, ChannelKind, KeyId, Nanos, Seq, Signature, View};
use bourse_tests::{
    Buyer, Ear, Seller, Wire, World, assert_balanced, bytes_of, call, call_named, error_amount, map_of, now,
    open, open_args, open_message, public, refused, tokens,
};
use bourse_wamp::{
    Auth, CallError, CallResult, Dict, JoinError, PublishOptions, Serializer, Session, Value, WampError,
};

const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const NOT_AUTHORIZED: &str = "bourse.error.not_authorized";
const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const OFFER_EXPIRED: &str = "xbr.error.offer_expired";
const OUT_OF_ORDER: &str = "bourse.error.out_of_order";
const API: ApiId = ApiId([7; 16]);

/// The offer that [`Seller::offer_args`] makes for `key` at one token, as its seller would sign it.
fn message(world: &World, seller: &Seller, key: KeyId) -> KeyOffer {
    KeyOffer {
        market: world.market(),
        key,
        api: API,
        uri: "com.example.".to_owned(),
        price: tokens(1),
        dynamic: false,
        valid_from: Nanos(0),
        expires: Nanos(0),
        delegate: seller.signer.address(),
    }
}

fn signed_with(key: KeyId, signature: Signature) -> Dict {
    Dict::from([
        ("key_id".to_owned(), Value::from(key.0)),
        ("delegate_signature".to_owned(), Value::from(signature.0)),
    ])
}

async fn revoke(session: &Session, key: KeyId, signature: Option<Signature>) -> Result<Value, WampError> {
    let mut args = vec![Value::from(key.0)];
    args.extend(signature.map(|signature| Value::from(signature.0)));
    call(session, "xbr.marketmaker.revoke_offer", args).await
}

#[tokio::test]
async fn by_default_the_bytes_of_a_signature_are_kept_and_prove_nothing() {
    let mut world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let random = KeyId([1; 16]);
    let real = KeyId([2; 16]);
    let bytes = Signature([0xab; 65]);
    seller
        .try_offer(Some(tokens(1)), signed_with(random, bytes))
        .await
        .unwrap();
    let signature = seller
        .signer
        .sign(&message(&world, &seller, real).digest(&world.domain()));
    seller
        .try_offer(Some(tokens(1)), signed_with(real, signature))
        .await
        .unwrap();
    for key in [random, real] {
        buyer.buy(key).await.unwrap();
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    world
        .after_the_end(|ledger| {
            for (key, bytes) in [(random, bytes), (real, signature)] {
                let offer = ledger.offer_by_key(&key).unwrap().unwrap();
                assert_eq!((offer.signature, offer.signature_verified), (bytes, false));
            }
        })
        .await;
}

#[tokio::test]
async fn where_offers_must_be_signed_only_the_delegates_signature_over_this_very_offer_will_do() {
    let mut world = World::with(|config| config.offers.signature = SignatureRule::Require).await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let domain = world.domain();
    let stranger = Signer::generate();
    let honest = |key| message(&world, &seller, key);
    type Change = fn(&mut KeyOffer);
    let changes: [(&str, Change); 9] = [
        ("market", |offer| offer.market.0[0] ^= 1),
        ("key", |offer| offer.key.0[0] ^= 1),
        ("api", |offer| offer.api.0[0] ^= 1),
        ("uri", |offer| offer.uri.push('x')),
        ("price", |offer| offer.price = tokens(2)),
        ("dynamic", |offer| offer.dynamic = true),
        ("valid_from", |offer| offer.valid_from = Nanos(1)),
        ("expires", |offer| offer.expires = Nanos(1)),
        ("delegate", |offer| offer.delegate = Address([1; 20])),
    ];
    for (field, change) in changes {
        let key = KeyId(rand::random());
        let mut other = honest(key);
        change(&mut other);
        let signature = seller.signer.sign(&other.digest(&domain));
        let error = seller
            .try_offer(Some(tokens(1)), signed_with(key, signature))
            .await
            .expect_err(field);
        assert_eq!(error.uri, INVALID_SIGNATURE, "{field}");
    }
    let key = KeyId(rand::random());
    let by_a_stranger = stranger.sign(&honest(key).digest(&domain));
    for signature in [by_a_stranger, Signature([1; 65])] {
        refused(
            seller
                .try_offer(Some(tokens(1)), signed_with(key, signature))
                .await,
            INVALID_SIGNATURE,
        );
    }
    assert_eq!(world.host().counts().unwrap().offers, 0);

    let signature = seller.signer.sign(&honest(key).digest(&domain));
    seller
        .try_offer(Some(tokens(1)), signed_with(key, signature))
        .await
        .unwrap();
    buyer.buy(key).await.unwrap();
    // A dynamic offer is signed with price 0 and says so.
    let key_of_dynamic = KeyId(rand::random());
    let dynamic = KeyOffer {
        price: Amount::ZERO,
        dynamic: true,
        ..honest(key_of_dynamic)
    };
    let signature = seller.signer.sign(&dynamic.digest(&domain));
    seller
        .try_offer(None, signed_with(key_of_dynamic, signature))
        .await
        .unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    world
        .after_the_end(|ledger| assert!(ledger.offer_by_key(&key).unwrap().unwrap().signature_verified))
        .await;
}

#[tokio::test]
async fn an_offer_is_revoked_by_the_session_that_placed_it_once_and_for_all() {
    let mut world = World::start().await;
    let mut seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let (key, other) = (
        seller.offer(Some(tokens(1))).await,
        seller.offer(Some(tokens(1))).await,
    );
    let first = revoke(&seller.session, key, None).await.unwrap();
    assert_eq!(
        revoke(&seller.session, key, None).await.unwrap(),
        first,
        "again tells the same"
    );
    refused(buyer.buy(key).await, OFFER_EXPIRED);
    refused(
        revoke(&seller.session, KeyId([9; 16]), None).await,
        NO_SUCH_OBJECT,
    );

    // The same seller on another anonymous session is a stranger.
    seller.restart(&world).await;
    refused(revoke(&seller.session, other, None).await, NOT_AUTHORIZED);
    world.restart().await;
    seller.reconnect(&world).await;
    buyer.reconnect(&world).await;
    refused(buyer.buy(key).await, OFFER_EXPIRED);
    refused(revoke(&seller.session, other, None).await, NOT_AUTHORIZED);
    buyer.buy(other).await.unwrap();
    let again = Dict::from([("key_id".to_owned(), Value::from(key.0))]);
    refused(
        seller.try_offer(Some(tokens(1)), again).await,
        "bourse.error.duplicate_key",
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn an_offer_is_revoked_from_anywhere_by_its_delegates_signature_and_by_no_other() {
    let mut world = World::start().await;
    let mut seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let (key, other) = (
        seller.offer(Some(tokens(1))).await,
        seller.offer(Some(tokens(1))).await,
    );
    let (domain, market, delegate) = (world.domain(), world.market(), seller.signer.address());
    let honest = RevokeOffer {
        market,
        key,
        delegate,
    };
    let stranger = Signer::generate();
    let anywhere = world.session().await;
    for (signature, uri) in [
        (stranger.sign(&honest.digest(&domain)), NOT_AUTHORIZED),
        (
            seller
                .signer
                .sign(&RevokeOffer { key: other, ..honest }.digest(&domain)),
            NOT_AUTHORIZED,
        ),
        (
            seller.signer.sign(&message(&world, &seller, key).digest(&domain)),
            NOT_AUTHORIZED,
        ),
        (Signature([0; 65]), INVALID_SIGNATURE),
    ] {
        refused(revoke(&anywhere, key, Some(signature)).await, uri);
    }
    buyer.buy(key).await.unwrap();

    let mut ear = Ear::at(&buyer.session, "xbr.marketmaker.on_offer_revoked").await;
    let revoked = revoke(&anywhere, key, Some(seller.signer.sign(&honest.digest(&domain))))
        .await
        .unwrap();
    assert_eq!(ear.one().await, public(&revoked));
    refused(buyer.buy(key).await, OFFER_EXPIRED);
    world.restart().await;
    seller.reconnect(&world).await;
    buyer.reconnect(&world).await;
    refused(buyer.buy(key).await, OFFER_EXPIRED);
    buyer.buy(other).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// Logs `authid` in with a ticket; its file lies beside the data.
fn ticket(config: &mut Config, authid: &str, secret: &str) {
    let file = config.store.path.join(format!("{authid}.ticket"));
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    config.wamp.ticket.push(Ticket {
        authid: authid.to_owned(),
        role: "delegate".to_owned(),
        file,
    });
}

fn two_tickets(config: &mut Config) {
    ticket(config, "alice", "sesame");
    ticket(config, "bob", "simsim");
}

#[tokio::test]
async fn a_proven_authid_may_revoke_on_another_session_and_nobody_elses_may() {
    let world = World::with(two_tickets).await;
    let alice = world.session_as("alice", "sesame").await.unwrap();
    let bob = world.session_as("bob", "simsim").await.unwrap();
    assert_eq!((alice.authid(), alice.authrole()), ("alice", "delegate"));
    let seller = Seller::on(&world, alice, "alice", tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    seller.session.leave().await;

    refused(revoke(&bob, key, None).await, NOT_AUTHORIZED);
    let anonymous = world.session().await;
    refused(revoke(&anonymous, key, None).await, NOT_AUTHORIZED);
    let claimed = world
        .join(
            Wire::WebSocket(Serializer::Cbor),
            Some("alice".to_owned()),
            Auth::Anonymous,
        )
        .await;
    if let Ok(claimed) = claimed {
        refused(revoke(&claimed, key, None).await, NOT_AUTHORIZED);
    }
    let back = world.session_as("alice", "sesame").await.unwrap();
    revoke(&back, key, None).await.unwrap();
    world.assert_sound();
}

#[tokio::test]
async fn a_wrong_ticket_or_an_unknown_authid_is_kept_out() {
    let world = World::with(two_tickets).await;
    for (authid, secret) in [
        ("alice", "simsim"),
        ("alice", ""),
        ("mallory", "sesame"),
        ("marketmaker", "sesame"),
    ] {
        let refused = world.session_as(authid, secret).await;
        assert!(
            matches!(refused, Err(JoinError::Refused { .. })),
            "{authid}: {refused:?}"
        );
    }
}

/// Registers a procedure that nobody calls.
async fn register(session: &Session, uri: &str) -> Result<(), CallError> {
    session
        .register(uri, |_| async { Ok(CallResult::default()) })
        .await
}

#[tokio::test]
async fn the_first_anonymous_session_holds_a_provider_id_until_it_leaves() {
    let world = World::start().await;
    let (first, second) = (world.session().await, world.session().await);
    register(&first, "xbr.provider.0xab.sell").await.unwrap();
    for name in ["sell", "close_channel", "anything"] {
        let uri = format!("xbr.provider.0xab.{name}");
        assert!(
            matches!(register(&second, &uri).await, Err(CallError::Wamp(_))),
            "{uri}"
        );
    }
    register(&second, "xbr.provider.0xabc.sell").await.unwrap();
    first.leave().await;
    register(&second, "xbr.provider.0xab.sell").await.unwrap();
}

#[tokio::test]
async fn with_authentication_the_provider_id_is_the_authid() {
    let world = World::with(two_tickets).await;
    let alice = world.session_as("alice", "sesame").await.unwrap();
    for uri in [
        "xbr.provider.bob.sell",
        "xbr.provider.0xab.sell",
        "xbr.provider.alice2.sell",
    ] {
        assert!(
            matches!(register(&alice, uri).await, Err(CallError::Wamp(_))),
            "{uri}"
        );
    }
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let seller = Seller::on(&world, alice, "alice", tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn nobody_speaks_for_the_market_or_the_router() {
    let world = World::with(two_tickets).await;
    let acknowledge = PublishOptions {
        acknowledge: true,
        ..PublishOptions::default()
    };
    for session in [
        world.session().await,
        world.session_as("alice", "sesame").await.unwrap(),
    ] {
        for uri in [
            "xbr.marketmaker.get_quote",
            "xbr.marketmaker.get_quote2",
            "xbr.marketmaker.delegate.0xab.on_payment_channel_open",
            "bourse.dev.fund",
            "bourse.anything",
            "wamp.session.count",
        ] {
            assert!(
                matches!(register(&session, uri).await, Err(CallError::Wamp(_))),
                "{uri}"
            );
            let published = session
                .publish(uri, vec![], Dict::new(), acknowledge.clone())
                .await;
            assert!(matches!(published, Err(CallError::Wamp(_))), "{uri}");
        }
        register(&session, "com.example.anything").await.unwrap();
        session.leave().await;
    }
}

#[tokio::test]
async fn anonymous_sessions_from_elsewhere_need_the_operators_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.store.path = folder.path().join("data");
    config.store.map_size = 64 << 20;
    config.http.listen = "127.0.0.1:0".parse().unwrap();
    for (ws, rs) in [
        ("0.0.0.0:0", "127.0.0.1:0"),
        ("127.0.0.1:0", "0.0.0.0:0"),
        ("[::]:0", "127.0.0.1:0"),
    ] {
        (config.wamp.listen_ws, config.wamp.listen_rs) = (ws.parse().unwrap(), rs.parse().unwrap());
        assert!(config.check().is_err());
        let error = Host::start(&config).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("allow_anonymous_remote"), "{error:#}");
    }
    assert!(!config.store.path.exists(), "nothing was made");
}

#[tokio::test]
async fn on_a_listener_that_others_reach_only_tickets_log_in_and_there_is_no_faucet() {
    let world = World::with(|config| {
        two_tickets(config);
        config.wamp.listen_ws = "0.0.0.0:0".parse().unwrap();
    })
    .await;
    let anonymous = world
        .join(Wire::WebSocket(Serializer::Cbor), None, Auth::Anonymous)
        .await;
    assert!(
        matches!(anonymous, Err(JoinError::Refused { .. })),
        "{anonymous:?}"
    );
    let alice = world.session_as("alice", "sesame").await.unwrap();
    call(&alice, "xbr.marketmaker.get_status", vec![]).await.unwrap();
    let grab = vec![Value::from([1; 20]), Value::from(tokens(1).to_be_bytes())];
    refused(
        call(&alice, "bourse.dev.fund", grab).await,
        "wamp.error.no_such_procedure",
    );
}

#[tokio::test]
async fn a_buyer_that_signs_the_posted_seq_is_admitted_only_where_the_operator_says_so() {
    for lenient in [false, true] {
        let world = World::with(|config| config.compat.lenient_seq = lenient).await;
        let seller = Seller::new(&world, tokens(100)).await;
        let mut buyer = Buyer::new(&world, tokens(100)).await;
        let key = seller.offer(Some(tokens(5))).await;
        let as_javascript_does = buyer.order_at(key, tokens(5), Seq(1), tokens(95));
        if !lenient {
            refused(buyer.send(&as_javascript_does).await, OUT_OF_ORDER);
            continue;
        }
        let receipt = buyer.pay(&as_javascript_does).await.unwrap();
        assert_eq!(receipt.seq, Seq(2));
        assert_eq!(
            buyer.send(&as_javascript_does).await.unwrap(),
            receipt,
            "a replay is a replay"
        );

        // It never updates its books: the same state for another key is stale, and the error says where it stands.
        let other = seller.offer(Some(tokens(5))).await;
        let error = refused(
            buyer
                .send(&buyer.order_at(other, tokens(5), Seq(1), tokens(95)))
                .await,
            OUT_OF_ORDER,
        );
        assert_eq!(error.kwargs["expected_seq"], Value::from(3u64));
        assert_eq!(error_amount(&error, "remaining"), tokens(95));
        for (seq, balance) in [(1, 90), (2, 95), (4, 90), (0, 90)] {
            let order = buyer.order_at(other, tokens(5), Seq(seq), tokens(balance));
            refused(buyer.send(&order).await, OUT_OF_ORDER);
        }
        assert_eq!(seller.sells().len(), 1);
        buyer.buy(other).await.unwrap();
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
}

/// The channel that a getter calls active.
async fn active(session: &Session, kind: &str, delegate: Address) -> Option<ChannelId> {
    let uri = format!("xbr.marketmaker.get_active_{kind}_channel");
    let active = call(session, &uri, vec![Value::from(delegate.0)]).await.unwrap();
    active
        .as_map()
        .map(|_| ChannelId::try_from(bytes_of(&active, "channel_oid")).unwrap())
}

#[tokio::test]
async fn a_channel_that_another_actor_opens_for_a_delegate_is_never_used() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(5)).await;
    let mut buyer = Buyer::new(&world, tokens(5)).await;
    let rogue = Signer::generate();
    let session = world.session().await;
    let (sells, buys) = (seller.signer.address(), buyer.signer.address());
    let paying = open(&world, &session, ChannelKind::Paying, &rogue, sells, tokens(500)).await;
    let payment = open(&world, &session, ChannelKind::Payment, &rogue, buys, tokens(500)).await;

    // The rightful channels are spent to the end: nothing else takes their place.
    let key = seller.offer(Some(tokens(5))).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(active(&session, "paying", sells).await, None);
    assert_eq!(active(&session, "payment", buys).await, None);
    for (delegate, kind) in [(sells, 2u64), (buys, 1)] {
        for only_open in [true, false] {
            let args = vec![Value::from(delegate.0), Value::from(kind), Value::from(only_open)];
            let listed = call(&session, "xbr.marketmaker.get_channels_by_delegate", args)
                .await
                .unwrap();
            let rogues = if kind == 2 { paying } else { payment };
            let shown = listed.as_list().unwrap().contains(&Value::from(rogues.0));
            assert!(!(only_open && shown), "it is not among those a client may use");
        }
    }
    seller.restart(&world).await;
    refused(
        Buyer::new(&world, tokens(5)).await.buy(key).await,
        "xbr.error.insufficient_paying_balance",
    );
    let other = Seller::new(&world, tokens(5)).await;
    let key = other.offer(Some(tokens(5))).await;
    let order = buyer.order_at(key, tokens(5), Seq(2), tokens(495));
    let over_the_rogues = bourse_tests::Order {
        channel: payment,
        signature: buyer.sign_for(payment, Seq(2), tokens(495)),
        ..order
    };
    refused(buyer.send(&over_the_rogues).await, NO_SUCH_OBJECT);
    world.assert_sound();

    // The rightful actor opens another, and trade goes on.
    let next = open(
        &world,
        &session,
        ChannelKind::Paying,
        &seller.actor,
        sells,
        tokens(50),
    )
    .await;
    assert_eq!(active(&session, "paying", sells).await, Some(next));
}

#[tokio::test]
async fn a_delegate_belongs_to_the_first_actor_that_names_it_and_open_channel_says_whether_it_was() {
    let world = World::start().await;
    let session = world.session().await;
    let (first, second, delegate) = (
        Signer::generate(),
        Signer::generate(),
        Signer::generate().address(),
    );
    for (actor, bound) in [(&first, true), (&second, false), (&first, true)] {
        let message = open_message(&world, ChannelKind::Paying, actor, delegate, tokens(1));
        let args = open_args(&world, &message, actor);
        let opened = call(&session, "xbr.marketmaker.open_channel", args)
            .await
            .unwrap();
        assert_eq!(map_of(&opened)["bound"], Value::Bool(bound));
    }
    let everything = vec![Value::from(delegate.0), Value::from(2u64)];
    let listed = call(&session, "xbr.marketmaker.get_channels_by_delegate", everything)
        .await
        .unwrap();
    assert_eq!(listed.as_list().unwrap().len(), 2);
    world.assert_sound();
}

#[tokio::test]
async fn an_offer_that_names_nobodys_provider_id_is_kept_but_not_sold() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let buyer = Buyer::new(&world, tokens(10)).await;
    for id in [Value::Null, Value::from("nobody")] {
        let nobody = Dict::from([
            ("provider_id".to_owned(), id),
            ("expires".to_owned(), Value::from(now() + 600_000_000_000)),
        ]);
        let args = seller.offer_args(Some(tokens(1)), nobody);
        let offer = call_named(&seller.session, "xbr.marketmaker.place_offer", vec![], args)
            .await
            .unwrap();
        let key = KeyId::try_from(bytes_of(&offer, "key")).unwrap();
        assert_eq!(buyer.quote(key).await.unwrap(), tokens(1));
        refused(
            buyer.send(&buyer.order(key, tokens(1))).await,
            "bourse.error.seller_unavailable",
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
