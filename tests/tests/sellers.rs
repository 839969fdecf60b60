//! What becomes of a purchase, a seller and its channel when the seller's answer is not clean: which answers prove
//! that nothing moved, which are asked again, which suspend whom, and what brings a seller back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, ChannelKind, KeyId};
use bourse_tests::{
    Behaviour, Buyer, Seller, World, assert_balanced, call, map_of, open, refused, run, tokens,
};
use bourse_wamp::{CallResult, Dict, Session, Value};
use std::time::{Duration, Instant};

const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const TRANSACTION_FAILED: &str = "xbr.error.transaction_failed";
const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const INSUFFICIENT_PAYING: &str = "xbr.error.insufficient_paying_balance";
const RUNTIME: &str = "wamp.error.runtime_error";

/// A seller that has sold one key to one buyer, for one token.
async fn proven(world: &World) -> (Seller, Buyer, KeyId) {
    let seller = Seller::new(world, tokens(1000)).await;
    let mut buyer = Buyer::new(world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    (seller, buyer, key)
}

/// Why a paying channel is suspended, null if it is not.
async fn suspended(seller: &Seller) -> Value {
    let channel = vec![Value::from(seller.channel.0)];
    let channel = call(&seller.session, "xbr.marketmaker.get_paying_channel", channel)
        .await
        .unwrap();
    map_of(&channel)["suspended"].clone()
}

#[tokio::test]
async fn an_answer_that_proves_that_nothing_moved_voids_and_nothing_else_happens() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    for (answer, uri) in [
        ("wamp.error.no_such_procedure", SELLER_UNAVAILABLE),
        (
            "xbr.error.unexpected_marketmaker_adr",
            "xbr.error.unexpected_marketmaker_adr",
        ),
        (NO_SUCH_OBJECT, NO_SUCH_OBJECT),
        (
            "xbr.error.unexpected_channel_oid",
            "xbr.error.unexpected_channel_oid",
        ),
        (
            "xbr.error.unexpected_channel_balance",
            "xbr.error.unexpected_channel_balance",
        ),
    ] {
        let sells = seller.sells().len();
        seller.behave(Behaviour::Refuse(answer));
        refused(buyer.buy(key).await, uri);
        assert_eq!(seller.sells().len(), sells + 1, "{answer}: not asked again");
        assert_eq!(suspended(&seller).await, Value::Null, "{answer}");
        assert_balanced(&world, &[&buyer], &[&seller]).await;
        seller.behave(Behaviour::Honest);
        buyer.buy(key).await.unwrap();
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_seller_that_is_not_there_costs_nothing() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    seller.session.leave().await;
    refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
    let nobodys = Seller::new(&world, tokens(1)).await;
    let nobodys = nobodys
        .try_offer(
            Some(tokens(1)),
            Dict::from([("provider_id".to_owned(), Value::Null)]),
        )
        .await;
    refused(buyer.buy(nobodys.unwrap()).await, SELLER_UNAVAILABLE);
    assert_eq!(
        world.host().counts().unwrap().purchases,
        1,
        "nothing was reserved"
    );
    world.assert_sound();
}

#[tokio::test]
async fn a_seller_that_has_not_finished_its_start_is_asked_again_and_sells() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    // Once unproven, once proven.
    for times in [2, 3] {
        let before = seller.sells().len();
        seller.behave(Behaviour::StartSlowly(times));
        buyer.buy(key).await.unwrap();
        assert_eq!(seller.sells().len() - before, times as usize + 1);
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_seller_that_never_agrees_on_the_seq_is_given_up_within_the_deadline_and_suspended() {
    let world = World::with(|config| config.market.sell_deadline_ms = 500).await;
    let (mut seller, mut buyer, key) = proven(&world).await;
    seller.behave(Behaviour::StartSlowly(u32::MAX));
    let asked = Instant::now();
    let error = buyer.buy(key).await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(
        ["xbr.error.unexpected_channel_seq", SELLER_UNAVAILABLE].contains(&error.uri.as_str()),
        "{error:?}"
    );
    assert_ne!(suspended(&seller).await, Value::Null, "it may have advanced");
    seller.behave(Behaviour::Honest);
    seller.restart(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn an_unclear_answer_suspends_the_channel_of_a_proven_pair_until_its_seller_registers_anew() {
    let world = World::start().await;
    let (mut seller, mut buyer, key) = proven(&world).await;
    let other = Seller::new(&world, tokens(10)).await;
    let elsewhere = other.offer(Some(tokens(1))).await;

    seller.behave(Behaviour::LoseAnswer);
    refused(buyer.buy(key).await, TRANSACTION_FAILED);
    assert_ne!(
        seller.posted().await,
        seller.books(),
        "the seller has advanced, the ledger has not"
    );
    let why = suspended(&seller).await;
    assert!(why.as_str().is_some_and(|why| why.contains(RUNTIME)), "{why:?}");

    seller.behave(Behaviour::Honest);
    let sells = seller.sells().len();
    for _ in 0..2 {
        refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
    }
    assert_eq!(seller.sells().len(), sells, "a suspended channel is left alone");
    buyer.buy(elsewhere).await.unwrap();

    seller.restart(&world).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(suspended(&seller).await, Value::Null);
    assert_balanced(&world, &[&buyer], &[&seller, &other]).await;
}

#[tokio::test]
async fn a_suspension_outlives_the_market_makers_restart_but_not_the_sellers() {
    let mut world = World::start().await;
    let (mut seller, mut buyer, key) = proven(&world).await;
    seller.behave(Behaviour::NoKey);
    refused(buyer.buy(key).await, TRANSACTION_FAILED);
    seller.behave(Behaviour::Honest);
    world.restart().await;
    buyer.reconnect(&world).await;
    // The seller that comes back after the market did has registered anew.
    seller.reconnect(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_second_unclear_answer_without_a_sale_between_keeps_the_channel_suspended() {
    let mut world = World::start().await;
    let (mut seller, mut buyer, key) = proven(&world).await;
    // With sales between, it may happen again and again.
    for _ in 0..3 {
        seller.behave(Behaviour::LoseAnswer);
        refused(buyer.buy(key).await, TRANSACTION_FAILED);
        seller.behave(Behaviour::Honest);
        seller.restart(&world).await;
        buyer.buy(key).await.unwrap();
    }
    for _ in 0..2 {
        seller.behave(Behaviour::LoseAnswer);
        refused(buyer.buy(key).await, TRANSACTION_FAILED);
        seller.restart(&world).await;
    }
    seller.behave(Behaviour::Honest);
    let sells = seller.sells().len();
    for _ in 0..2 {
        refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
        seller.restart(&world).await;
    }
    assert_eq!(
        seller.sells().len(),
        sells,
        "the market maker bears one purchase, not two"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;

    // Until the operator decides.
    let channel = seller.channel.to_string();
    let release = ["ledger", "release", "--channel", channel.as_str()];
    let beside = run(world.data(), &release);
    assert_eq!(beside.status.code(), Some(1), "the host has the ledger");
    world.stop().await;
    let (unknown, released, again) = (
        run(
            world.data(),
            &[
                "ledger",
                "release",
                "--channel",
                &format!("0x{}", "77".repeat(16)),
            ],
        ),
        run(world.data(), &release),
        run(world.data(), &release),
    );
    assert_eq!(unknown.status.code(), Some(1));
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text(&released).contains("sells again"), "{released:?}");
    assert!(text(&again).contains("is not suspended"), "{again:?}");
    world.restart().await;
    buyer.reconnect(&world).await;
    seller.reconnect(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_seller_whose_signature_is_not_its_delegates_loses_its_registration() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    seller.behave(Behaviour::WrongSigner);
    refused(buyer.buy(key).await, INVALID_SIGNATURE);
    seller.behave(Behaviour::Honest);
    let sells = seller.sells().len();
    refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
    assert_eq!(seller.sells().len(), sells);

    // The id is free: the same session, or any other, may register it again.
    let mut seller = seller;
    seller.register(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// Somebody who offers keys in `seller`'s name under a provider id of his own, and answers with `answer`.
async fn impostor(world: &World, seller: &Seller, id: &str, answer: Behaviour) -> (Session, KeyId) {
    let session = world.session().await;
    session
        .register(&format!("xbr.provider.{id}.sell"), move |_| {
            let answer = answer.clone();
            async move {
                match answer {
                    Behaviour::Silent => std::future::pending().await,
                    Behaviour::Refuse(uri) => Err(bourse_wamp::WampError::new(uri, "no")),
                    _ => Ok(CallResult::one(Dict::from([
                        ("signature".to_owned(), Value::Bytes(vec![27; 65])),
                        ("sealed_key".to_owned(), Value::Bytes(vec![5; 80])),
                    ]))),
                }
            }
        })
        .await
        .unwrap();
    let in_his_own_name = Dict::from([("provider_id".to_owned(), Value::from(id))]);
    let args = seller.offer_args(Some(tokens(1)), in_his_own_name);
    let offer = bourse_tests::call_named(&session, "xbr.marketmaker.place_offer", vec![], args)
        .await
        .unwrap();
    let key = KeyId::try_from(bourse_tests::bytes_of(&offer, "key")).unwrap();
    (session, key)
}

#[tokio::test]
async fn a_strangers_offers_in_a_sellers_name_cannot_freeze_its_channel() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    for (number, (answer, uri)) in [
        (Behaviour::Refuse(RUNTIME), TRANSACTION_FAILED),
        (Behaviour::Honest, INVALID_SIGNATURE),
        (Behaviour::Refuse(NO_SUCH_OBJECT), NO_SUCH_OBJECT),
    ]
    .into_iter()
    .enumerate()
    {
        let (_session, trap) = impostor(&world, &seller, &format!("impostor{number}"), answer).await;
        refused(buyer.buy(trap).await, uri);
        if uri != NO_SUCH_OBJECT {
            refused(buyer.buy(trap).await, SELLER_UNAVAILABLE);
        }
        assert_eq!(
            suspended(&seller).await,
            Value::Null,
            "the seller's own channel is not touched"
        );
        buyer.buy(key).await.unwrap();
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
}

#[tokio::test]
async fn an_unproven_pair_is_released_when_it_registers_anew() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    for _ in 0..3 {
        seller.behave(Behaviour::LoseAnswer);
        refused(buyer.buy(key).await, TRANSACTION_FAILED);
        seller.behave(Behaviour::Honest);
        refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
        assert_eq!(
            suspended(&seller).await,
            Value::Null,
            "only the pair is suspended"
        );
        // As often as it likes: it risks nobody's channel.
        seller.restart(&world).await;
    }
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unproven_sell_gets_two_seconds_and_waits_behind_proven_ones() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    let (_silent, trap) = impostor(&world, &seller, "silent", Behaviour::Silent).await;
    let (_other, second_trap) = impostor(&world, &seller, "other", Behaviour::Refuse(NO_SUCH_OBJECT)).await;
    let [victim, waiting] = [
        Buyer::new(&world, tokens(10)).await,
        Buyer::new(&world, tokens(10)).await,
    ];
    let asked = Instant::now();
    let trapped = tokio::spawn(async move {
        refused(
            victim.send(&victim.order(trap, tokens(1))).await,
            SELLER_UNAVAILABLE,
        );
        (victim, asked.elapsed())
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Both queue behind the silent one: the unproven first, and yet it comes last.
    let unproven = tokio::spawn(async move {
        refused(
            waiting.send(&waiting.order(second_trap, tokens(1))).await,
            NO_SUCH_OBJECT,
        );
        (waiting, Instant::now())
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    seller.behave(Behaviour::Slow(Duration::from_millis(50)));
    let order = buyer.order(key, tokens(1));
    buyer.pay(&order).await.unwrap();
    let sold = Instant::now();
    let (victim, took) = trapped.await.unwrap();
    let (waiting, refused_at) = unproven.await.unwrap();
    assert!(
        (Duration::from_millis(1900)..Duration::from_secs(8)).contains(&took),
        "it took {took:?}"
    );
    assert!(
        refused_at + Duration::from_millis(20) > sold,
        "the proven sale went first"
    );
    assert_balanced(&world, &[&buyer, &victim, &waiting], &[&seller]).await;
}

#[tokio::test]
async fn an_exhausted_channels_successor_serves_only_after_its_seller_registers_anew() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(3)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(2))).await;
    buyer.buy(key).await.unwrap();
    let error = refused(buyer.buy(key).await, INSUFFICIENT_PAYING);
    assert!(!error.args.is_empty());

    let old = seller.channel;
    let (actor, delegate) = (&seller.actor, seller.signer.address());
    let new = open(
        &world,
        &seller.session,
        ChannelKind::Paying,
        actor,
        delegate,
        tokens(50),
    )
    .await;
    refused(buyer.buy(key).await, INSUFFICIENT_PAYING);
    assert_eq!(
        seller.sells().len(),
        1,
        "a seller is never shown a channel that it was not told"
    );

    // One token is left in the old channel: it stays the active one, so this alone does not help.
    seller.restart(&world).await;
    assert_eq!(seller.channel, old);
    refused(buyer.buy(key).await, INSUFFICIENT_PAYING);
    let rest = seller.offer(Some(tokens(1))).await;
    buyer.buy(rest).await.unwrap();
    assert_eq!(seller.books().1, Amount::ZERO);
    refused(buyer.buy(key).await, INSUFFICIENT_PAYING);

    seller.restart(&world).await;
    assert_eq!(seller.channel, new);
    buyer.buy(key).await.unwrap();
    assert_eq!(seller.books().1, tokens(48));
    world.assert_sound();
    assert_eq!(seller.posted().await, seller.books());
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
}

#[tokio::test]
async fn w_47_a_seller_without_a_paying_channel_sells_nothing_but_what_follows_its_first_channel() {
    let world = World::start().await;
    let (seller, mut buyer, _) = proven(&world).await;
    let nobody = bourse_chain::Signer::generate();
    let strange = Dict::from([("delegate_adr".to_owned(), Value::from(nobody.address().0))]);
    let key = seller.try_offer(Some(tokens(1)), strange).await.unwrap();
    refused(buyer.buy(key).await, INSUFFICIENT_PAYING);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
