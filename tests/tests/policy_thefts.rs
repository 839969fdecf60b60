//! What a thief tries at a market whose prices and rules are programs: to buy at the price of another, to have a sound
//! policy left alone, and to use up what all share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Grant, Hook, OnFailure, Rule, RuleLimits};
use bourse_market::{Amount, KeyId};
use bourse_policy::Hook as PolicyHook;
use bourse_policy::testing::{DATA, Guest, field_offset, price, request_offset, yes};
use bourse_tests::{Buyer, Seller, World, assert_balanced, call, refused, tokens};
use bourse_wamp::{CallError, CallOptions, CallResult, Dict, Session, Value, WampError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const INSUFFICIENT_AMOUNT: &str = "xbr.error.insufficient_amount";
const OVERLOADED: &str = "bourse.error.overloaded";
const POLICY_FAILED: &str = "bourse.error.policy_failed";

fn units(units: u64) -> Amount {
    Amount::from_units(units.into())
}

fn rule(hook: Hook, policy: &str) -> Rule {
    Rule {
        hook,
        policy: policy.to_owned(),
        grants: vec![Grant::State],
        ..Rule::default_pricing()
    }
}

fn labelled(labels: impl IntoIterator<Item = (String, String)>) -> Dict {
    let labels: Dict = labels
        .into_iter()
        .map(|(name, value)| (name, Value::from(value)))
        .collect();
    Dict::from([("categories".to_owned(), Value::from(labels))])
}

async fn quote(session: &Session, key: KeyId) -> Result<Value, WampError> {
    call(session, "xbr.marketmaker.get_quote", vec![Value::from(key.0)]).await
}

/// As many calls of get_quote for a key as several sessions may have unanswered, again and again.
struct Flood {
    callers: JoinSet<()>,
    /// Calls that were turned away because too many wait.
    turned_away: Arc<AtomicU64>,
}

impl Flood {
    async fn start(world: &World, sessions: usize, key: KeyId) -> Self {
        /// Calls that the router lets a session have unanswered, or nearly so.
        const AT_ONCE: usize = 250;
        let mut callers = JoinSet::new();
        let turned_away = Arc::new(AtomicU64::new(0));
        for _ in 0..sessions {
            let thief = world.session().await;
            for _ in 0..AT_ONCE {
                let thief = thief.clone();
                let turned_away = Arc::clone(&turned_away);
                callers.spawn(async move {
                    loop {
                        let args = vec![Value::from(key.0)];
                        let options = CallOptions::default();
                        let asked = thief.call("xbr.marketmaker.get_quote", args, Dict::new(), options);
                        if let Err(error) = asked.await {
                            if matches!(&error, CallError::Wamp(error) if error.uri == OVERLOADED) {
                                turned_away.fetch_add(1, Ordering::Relaxed);
                            }
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                });
            }
        }
        Self { callers, turned_away }
    }

    /// Waits until it fills all the room there is.
    async fn rises(&self) {
        let started = Instant::now();
        while self.turned_away.load(Ordering::Relaxed) == 0 {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "nobody was turned away"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Gives up what is under way.
    async fn stop(mut self) {
        self.callers.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_price_of_one_buyer_is_no_price_for_another_on_the_same_session() {
    let world = World::with(|config| config.policies.rule = vec![rule(Hook::Pricing, "subscription")]).await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut subscriber = Buyer::new(&world, tokens(100)).await;
    let [first, second, third] = [
        seller.offer(None).await,
        seller.offer(None).await,
        seller.offer(None).await,
    ];
    subscriber.buy_at(first, tokens(10)).await.unwrap();
    for key in [second, third] {
        assert_eq!(subscriber.quote(key).await.unwrap(), Amount::ZERO);
    }
    // Whoever else signs on that session has not subscribed.
    let session = subscriber.session.clone();
    let mut thief = Buyer::on(&world, session, tokens(100)).await;
    refused(thief.buy_at(second, Amount::ZERO).await, INSUFFICIENT_AMOUNT);
    assert_eq!(thief.buy_at(second, tokens(10)).await.unwrap().paid, tokens(10));
    // The promise still is the subscriber's.
    assert_eq!(
        subscriber.buy_at(third, Amount::ZERO).await.unwrap().paid,
        Amount::ZERO
    );
    assert_balanced(&world, &[&subscriber, &thief], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_seller_has_a_sound_policy_left_alone_by_what_its_own_offer_says() {
    // Both trap where an offer has labels.
    let labels = |offset: u32| {
        format!(
            "(i32.load (i32.add (local.get $request) (i32.const {})))",
            offset + 4
        )
    };
    let choke = |offset: u32| format!("(if {} (then unreachable))", labels(offset));
    let priced = choke(request_offset("offer.categories"));
    let prices = Guest::named("prices").quote(format!("{priced} {}", price([7, 0, 0, 0], 30_000)));
    let allowed = format!(
        "(if (i32.ne (i32.load8_u (i32.add (local.get $request) (i32.const {}))) (i32.const 0)) (then {}))",
        field_offset("consent", "request", "ctx.action"),
        // An offer may be missing: its flag takes the eight bytes of the widest field.
        choke(field_offset("consent", "request", "offer") + 8 + field_offset("types", "offer", "categories"))
    );
    let allows = Guest::of("allows", PolicyHook::Consent).authorize(format!("{allowed} {}", yes()));
    let policies = [("prices", prices.build()), ("allows", allows.build())];
    let world = World::with_policies(&policies, |config| {
        let uri = |uri: &str| Some(uri.to_owned());
        config.policies.rule = vec![
            Rule {
                uri: uri("com.example."),
                on_failure: OnFailure::FallbackPrice,
                fallback_price: Some("0.000000000000000001".to_owned()),
                grants: Vec::new(),
                ..rule(Hook::Pricing, "prices")
            },
            Rule {
                uri: uri("com.private."),
                grants: Vec::new(),
                ..rule(Hook::Consent, "allows")
            },
        ];
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let thief = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let private = || Dict::from([("uri".to_owned(), Value::from("com.private."))]);
    let honest = seller.offer(None).await;
    let honest_private = seller.try_offer(Some(units(1)), private()).await.unwrap();
    let bait = labelled([("x".to_owned(), "y".to_owned())]);
    let choking = thief.try_offer(None, bait.clone()).await.unwrap();
    let mut more = private();
    more.extend(bait);
    let choking_private = thief.try_offer(Some(units(1)), more).await.unwrap();

    for _ in 0..12 {
        // Its own key goes at the fallback, which is the operator's wish; nobody else's does.
        quote(&thief.session, choking).await.unwrap();
        let error = refused(quote(&thief.session, choking_private).await, POLICY_FAILED);
        assert_eq!(error.kwargs["code"], Value::from("trap"));
    }
    assert_eq!(buyer.quote(honest).await.unwrap(), units(7));
    refused(buyer.buy_at(honest, units(1)).await, INSUFFICIENT_AMOUNT);
    buyer.buy_at(honest, units(7)).await.unwrap();
    buyer.buy(honest_private).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller, &thief]).await;
}

/// A price of seven units that keeps a mebibyte, piece by piece, and then puts each piece where another was.
fn recycling(name: &str) -> (&str, Vec<u8>) {
    let (counter, key) = (format!("(i32.const {DATA}) (i32.const 1)"), DATA + 8);
    let body = format!(
        "(local $n i32) (local $end i32) (local $k i32)
         (local.set $n (i32.mul (i32.wrap_i64 (call $counter {counter})) (i32.const 15)))
         (local.set $end (i32.add (local.get $n) (i32.const 15)))
         (loop $more
           (local.set $k (i32.rem_u (local.get $n) (i32.const 1020)))
           (i32.store8 (i32.const {key}) (i32.add (i32.const 32) (i32.and (local.get $k) (i32.const 63))))
           (i32.store8 (i32.const {}) (i32.add (i32.const 32) (i32.shr_u (local.get $k) (i32.const 6))))
           (call $set (i32.const {key}) (i32.const 2) (i32.const 1) (i32.const 200000) (i32.const 1024))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $n) (local.get $end))))
         (call $add {counter} (i64.const 1))
         {}",
        key + 1,
        price([7, 0, 0, 0], 30_000)
    );
    let guest = Guest::named(name).with_state().data(b"n");
    (name, guest.quote(body).build())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fills_a_policys_memory_stops_nobody_whom_it_knows_already() {
    let world = World::with_policies(&[recycling("recycles")], |config| {
        config.policies.rule = vec![Rule {
            on_failure: OnFailure::FallbackPrice,
            fallback_price: Some("0.000000000000000001".to_owned()),
            ..rule(Hook::Pricing, "recycles")
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    // 68 purchases fill it to the last kilobyte.
    for sale in 0..72 {
        assert_eq!(
            buyer.buy_at(key, units(7)).await.unwrap().paid,
            units(7),
            "sale {sale}"
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// A seller of its own prices, and a key of it; it answers at once, or never.
async fn pricing_seller(world: &World, answers: bool) -> (Seller, KeyId) {
    let seller = Seller::new(world, tokens(100)).await;
    let uri = format!("xbr.provider.{}.quote", seller.provider_id);
    let register = seller.session.register(&uri, move |_| async move {
        if !answers {
            std::future::pending::<()>().await;
        }
        let fields = [
            ("price".to_owned(), Value::from(tokens(1).to_be_bytes())),
            ("valid_ms".to_owned(), Value::Int(1_u64.into())),
        ];
        Ok(CallResult {
            args: vec![Value::Map(Dict::from(fields))],
            kwargs: Dict::new(),
        })
    });
    register.await.unwrap();
    let key = seller.offer(None).await;
    (seller, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_never_names_its_price_keeps_no_other_from_naming_his() {
    let world = World::with(|config| config.policies.default_rule = false).await;
    let (seller, key) = pricing_seller(&world, true).await;
    let (_thief, bait) = pricing_seller(&world, false).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let flood = Flood::start(&world, 4, bait).await;
    flood.rises().await;
    for _ in 0..20 {
        quote(&buyer.session, key).await.unwrap();
    }
    buyer.buy_at(key, tokens(1)).await.unwrap();
    flood.stop().await;
    assert_balanced(&world, &[&buyer], &[&seller]).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_to_the_slowest_policy_keeps_no_buyer_out() {
    let world = World::with_policies(&[dawdling(10_000_000)], |config| {
        config.policies.rule = vec![Rule {
            grants: Vec::new(),
            limits: RuleLimits {
                fuel: Some(100_000_000),
                // On a busy machine too it comes to an answer.
                deadline_ms: Some(10_000),
                ..RuleLimits::default()
            },
            ..rule(Hook::Pricing, "dawdling")
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let (slow, fixed) = (seller.offer(None).await, seller.offer(Some(tokens(1))).await);
    let flood = Flood::start(&world, 18, slow).await;
    flood.rises().await;
    for _ in 0..3 {
        buyer.buy_at(fixed, tokens(1)).await.unwrap();
        buyer.buy_at(slow, units(1)).await.unwrap();
    }
    flood.stop().await;
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shipped_policy_fails_over_the_largest_offer_that_is_legal() {
    let pricing = ["surge", "dutch", "tiered", "subscription", "auction-floor"];
    let world = World::with(|config| {
        config.policies.rule = vec![
            Rule {
                grants: Vec::new(),
                params: "best_by = \"best\"\nlabels = [{ name = \"l0\" }, { name = \"l1\" }, { name = \"l2\" }, \
                         { name = \"l3\" }, { name = \"l4\" }, { name = \"l5\" }, { name = \"l6\" }, { name = \"best\" }]"
                    .parse()
                    .unwrap(),
                ..rule(Hook::Offers, "quality-filter")
            },
            Rule {
                grants: Vec::new(),
                ..rule(Hook::Offers, "fair-share")
            },
            rule(Hook::Consent, "quota"),
        ];
        config.policies.rule.extend(pricing.map(|policy| Rule {
            grants: match policy {
                "surge" => vec![Grant::Market],
                "dutch" => Vec::new(),
                _ => vec![Grant::State],
            },
            ..rule(Hook::Pricing, policy)
        }));
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(1000)).await;
    for policy in pricing {
        for value in [
            "\u{1}".repeat(256),
            "9".repeat(256),
            "é".repeat(128),
            ",".repeat(256),
        ] {
            let names = (0..31).map(|number| match number {
                0..7 => format!("l{number}"),
                _ => format!("{number:\u{1}>256}"),
            });
            let labels = names.chain(["best".to_owned()]).map(|name| (name, value.clone()));
            let mut offer = labelled(labels);
            offer.insert("uri".to_owned(), Value::from(format!("com.{}", "a".repeat(1020))));
            let choice = Dict::from([("policy".to_owned(), Value::from(policy))]);
            offer.insert("pricing".to_owned(), choice.into());
            let key = seller.try_offer(None, offer).await.unwrap();
            buyer
                .buy_at(key, tokens(20))
                .await
                .map(drop)
                .unwrap_or_else(|error| {
                    assert_eq!(error.uri, "bourse.error.price_changed", "{policy}: {error:?}");
                });
        }
    }
    for status in world.host().policies() {
        assert_eq!(status.failures, 0, "{}", status.name);
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
