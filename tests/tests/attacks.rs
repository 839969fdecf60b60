//! What a thief with time and many sessions tries: to have competitors stopped by the market's own caution, and to
//! have the market itself stand still.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Grant, Rule, RuleLimits};
use bourse_market::{Amount, KeyId, Seq};
use bourse_policy::testing::{Guest, price};
use bourse_tests::{
    Behaviour, Buyer, Order, Receipt, Seller, World, assert_balanced, call, error_text, map_of, refused,
    send, tokens,
};
use bourse_wamp::{CallOptions, CallResult, Dict, Integer, Session, Value, WampError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};

const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const OVERLOADED: &str = "bourse.error.overloaded";
const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";

/// A seller that has sold once, so that an unclear answer of its stops its channel; a buyer; a key.
async fn proven(world: &World) -> (Seller, Buyer, KeyId) {
    let seller = Seller::new(world, tokens(100)).await;
    let mut buyer = Buyer::new(world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    (seller, buyer, key)
}

async fn suspended(seller: &Seller, session: &Session) -> Value {
    let args = vec![Value::from(seller.channel.0)];
    let channel = call(session, "xbr.marketmaker.get_paying_channel", args)
        .await
        .unwrap();
    map_of(&channel)["suspended"].clone()
}

/// Sends an order, and returns once its seller is asked.
async fn start(buyer: &Buyer, order: &Order) -> JoinHandle<Result<Receipt, WampError>> {
    let (session, order) = (buyer.session.clone(), order.clone());
    let under_way = tokio::spawn(async move { send(&session, &order).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    under_way
}

/// A policy that counts so far before it finds its price.
fn dawdling(count: u64) -> (&'static str, Vec<u8>) {
    let work = format!(
        "(local $n i64) (loop $on \
            (local.set $n (i64.add (local.get $n) (i64.const 1))) \
            (br_if $on (i64.lt_u (local.get $n) (i64.const {count}))))"
    );
    let guest = Guest::named("dawdling").quote(format!("{work} {}", price([1, 0, 0, 0], 1000)));
    ("dawdling", guest.build())
}

/// Calls of one thief over many sessions, each as often as it may at a time, until it is told to stop.
struct Flood {
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Flood {
    async fn start(
        world: &World,
        sessions: usize,
        procedure: &'static str,
        args: impl Fn() -> Vec<Value>,
    ) -> Self {
        /// Calls that the router lets a session have unanswered, or nearly so.
        const AT_ONCE: usize = 250;
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..sessions {
            let thief = world.session().await;
            for _ in 0..AT_ONCE {
                let (thief, stop, args) = (thief.clone(), Arc::clone(&stop), args());
                callers.spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = thief
                            .call(procedure, args.clone(), Dict::new(), CallOptions::default())
                            .await;
                    }
                });
            }
        }
        Self { stop, callers }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_does_not_stop_the_channel_of_a_seller_that_answers() {
    let world = World::with_policies(&[dawdling(4_000_000)], |_| {}).await;
    let (seller, mut buyer, key) = proven(&world).await;
    let watcher = world.session().await;
    let dear = seller.offer_by("dawdling").await;
    seller.behave(Behaviour::Slow(Duration::from_millis(4000)));
    let order = buyer.order(key, tokens(1));
    let under_way = start(&buyer, &order).await;
    let ask = move || vec![Value::from(dear.0)];
    let flood = Flood::start(&world, 20, "xbr.marketmaker.get_quote", ask).await;
    let receipt = under_way.await.unwrap();
    flood.stop().await;
    assert_eq!(suspended(&seller, &watcher).await, Value::Null);
    buyer.book(&receipt.unwrap());
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_whose_line_is_crowded_by_others_is_not_held_to_have_answered_badly() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    let watcher = world.session().await;
    seller
        .session
        .register("com.example.feed", |_| async { Ok(CallResult::default()) })
        .await
        .unwrap();
    let flood = Flood::start(&world, 2, "com.example.feed", || {
        vec![Value::Bytes(vec![0; 900_000])]
    })
    .await;
    for _ in 0..8 {
        let bought = buyer.buy_at(key, tokens(1)).await;
        assert!(
            bought
                .as_ref()
                .err()
                .is_none_or(|error| error.uri == SELLER_UNAVAILABLE),
            "{bought:?}"
        );
    }
    flood.stop().await;
    assert_eq!(suspended(&seller, &watcher).await, Value::Null);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_was_not_asked_in_time_is_not_held_to_have_answered_badly() {
    let world = World::with_policies(&[dawdling(1_500_000_000)], |config| {
        config.market.sell_deadline_ms = 1000;
        let limits = RuleLimits {
            fuel: Some(u64::MAX),
            deadline_ms: Some(60_000),
            ..RuleLimits::default()
        };
        config.policies.rule = vec![Rule {
            policy: "dawdling".to_owned(),
            limits,
            grants: vec![Grant::Market],
            ..Rule::default_pricing()
        }];
    })
    .await;
    let (seller, buyer, _) = proven(&world).await;
    let slow = seller.offer(None).await;
    let order = buyer.order(slow, Amount::from_units(1));
    let before = seller.sells().len();
    let asked = Instant::now();
    refused(buyer.send(&order).await, OVERLOADED);
    assert!(
        asked.elapsed() < Duration::from_millis(1500),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(seller.sells().len(), before, "the seller was not asked");
    assert_eq!(suspended(&seller, &seller.session).await, Value::Null);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn parameters_that_no_policy_is_given_are_as_small_as_those_that_one_is() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let params = Dict::from([("pad".to_owned(), Value::Str("x".repeat(900_000)))]);
    let pricing = Dict::from([("params".to_owned(), Value::Map(params))]);
    let more = Dict::from([("pricing".to_owned(), Value::Map(pricing))]);
    let error = refused(seller.try_offer(Some(tokens(1)), more).await, INVALID_ARGUMENT);
    assert!(error_text(&error).contains("4096"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_their_callers_gave_up_do_not_keep_others_out() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    seller.behave(Behaviour::Slow(Duration::from_millis(6000)));
    let order = buyer.order(key, tokens(1));
    let under_way = start(&buyer, &order).await;
    // Each waits for the purchase under way, and is cancelled at once: the router counts it no longer.
    let mut thieves = JoinSet::new();
    for _ in 0..4 {
        let (thief, args) = (world.session().await, order.args());
        thieves.spawn(async move {
            for _ in 0..3000 {
                let options = CallOptions::default();
                let ask = thief.call("xbr.marketmaker.buy_key", args.clone(), Dict::new(), options);
                let _ = tokio::time::timeout(Duration::from_micros(200), ask).await;
            }
        });
    }
    let bystander = world.session().await;
    while !thieves.is_empty() {
        while thieves.try_join_next().is_some() {}
        call(&bystander, "xbr.marketmaker.get_status", vec![])
            .await
            .unwrap();
    }
    let receipt = under_way.await.unwrap().unwrap();
    buyer.book(&receipt);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn who_takes_the_place_of_a_seller_that_is_away_cannot_freeze_its_channel() {
    let world = World::start().await;
    let (mut seller, mut buyer, key) = proven(&world).await;
    seller.session.leave().await;
    let sell = format!("xbr.provider.{}.sell", seller.provider_id);
    for _ in 0..3 {
        let thief = world.session().await;
        thief
            .register(&sell, |_| async {
                Err(WampError::new("wamp.error.runtime_error", "no"))
            })
            .await
            .unwrap();
        refused(buyer.buy(key).await, "xbr.error.transaction_failed");
        refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
        assert_eq!(suspended(&seller, &thief).await, Value::Null);
        thief.leave().await;
    }
    seller.reconnect(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn numbers_at_the_edge_of_their_types_buy_nothing() {
    let world = World::start().await;
    let (seller, buyer, key) = proven(&world).await;
    for seq in [0, u32::MAX - 1, u32::MAX] {
        let order = buyer.order_at(key, tokens(1), Seq(seq), tokens(98));
        refused(buyer.send(&order).await, "bourse.error.out_of_order");
    }
    let next = buyer.seq.next().unwrap();
    for (amount, balance) in [
        (Amount::MAX, Amount::MAX),
        (Amount::MAX, Amount::ZERO),
        (Amount::MAX, tokens(100)),
        (tokens(1), Amount::MAX),
    ] {
        let order = buyer.order_at(key, amount, next, balance);
        refused(buyer.send(&order).await, "bourse.error.wrong_balance");
    }
    for wide in [
        Integer::from(1u64 << 32),
        Integer::from(u64::MAX),
        Integer::from(-1i64),
    ] {
        let mut args = buyer.order(key, tokens(1)).args();
        args[4] = Value::Int(wide);
        let bought = call(&buyer.session, "xbr.marketmaker.buy_key", args).await;
        refused(bought, INVALID_ARGUMENT);
    }
    // The last moments there are, and a price nobody has.
    let times = |from: u64, until: u64| {
        Dict::from([
            ("valid_from".to_owned(), Value::Int(from.into())),
            ("expires".to_owned(), Value::Int(until.into())),
        ])
    };
    refused(
        seller.try_offer(None, times(u64::MAX, u64::MAX)).await,
        INVALID_ARGUMENT,
    );
    let never = seller
        .try_offer(None, times(u64::MAX - 300_000_000_000, u64::MAX))
        .await
        .unwrap();
    refused(buyer.quote(never).await, "bourse.error.not_yet_valid");
    let last = seller.try_offer(None, times(1, u64::MAX)).await.unwrap();
    buyer.quote(last).await.unwrap();
    let priceless = seller.offer(Some(Amount::MAX)).await;
    let order = buyer.order_at(priceless, Amount::MAX, next, Amount::ZERO);
    refused(buyer.send(&order).await, "xbr.error.insufficient_paying_balance");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn whoever_sells_to_himself_on_one_session_gains_nothing() {
    let world = World::start().await;
    let session = world.session().await;
    let seller = Seller::on(&world, session.clone(), "both", tokens(10)).await;
    let mut buyer = Buyer::on(&world, session, tokens(10)).await;
    let (key, free) = (
        seller.offer(Some(tokens(10))).await,
        seller.offer(Some(Amount::ZERO)).await,
    );
    buyer.buy(key).await.unwrap();
    // Both channels are empty now; what costs nothing may go on, what costs one unit may not.
    buyer.buy(free).await.unwrap();
    let one = seller.offer(Some(Amount::from_units(1))).await;
    refused(buyer.buy(one).await, "xbr.error.insufficient_paying_balance");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_under_way_holds_few_of_the_calls_that_wait_for_it() {
    let world = World::start().await;
    let (seller, mut buyer, key) = proven(&world).await;
    seller.behave(Behaviour::Slow(Duration::from_millis(1900)));
    let order = buyer.order(key, tokens(1));
    let under_way = start(&buyer, &order).await;
    let thief = world.session().await;
    for (procedure, args) in [
        ("xbr.marketmaker.buy_key", order.args()),
        (
            "xbr.marketmaker.get_payment_channel_balance",
            vec![Value::from(buyer.channel.0)],
        ),
        (
            "xbr.marketmaker.get_paying_channel_balance",
            vec![Value::from(seller.channel.0)],
        ),
    ] {
        let mut calls = JoinSet::new();
        for _ in 0..200 {
            let (thief, args) = (thief.clone(), args.clone());
            calls.spawn(async move { call(&thief, procedure, args).await.is_ok() });
        }
        for _ in 0..200 - 64 {
            calls.join_next().await.unwrap().unwrap();
        }
        assert!(!under_way.is_finished(), "{procedure} waited for the purchase");
        calls.detach_all();
        call(&thief, "xbr.marketmaker.get_status", vec![]).await.unwrap();
    }
    buyer.book(&under_way.await.unwrap().unwrap());
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
