//! Policies that mean harm, in a running market: each its own clear outcome, in time, while everybody else trades;
//! and the bounds, fallbacks and choices that no policy can leave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{AppliesTo, Grant, OnFailure, Rule, RuleLimits};
use bourse_market::{Amount, KeyId};
use bourse_policy::testing::hostile::{failing, unloadable};
use bourse_policy::testing::{DATA, Guest, computed, price, refusal, request_offset};
use bourse_policy::{Engine, EngineOptions, Origin, PolicyState, PolicyStatus};
use bourse_tests::{
    Buyer, Seller, World, amount_of, assert_balanced, call, error_text, int_of, map_of, refused, tokens,
};
use bourse_wamp::{Dict, Value, WampError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const POLICY_FAILED: &str = "bourse.error.policy_failed";
const REFUSED: &str = "bourse.error.refused";
const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";

/// The deadline of a call is 50 ms; the rest is for a machine that does other things too.
const SOON: Duration = Duration::from_secs(5);

fn units(units: u64) -> Amount {
    Amount::from_units(units.into())
}

/// A component that always asks for these base units.
fn asking(name: &str, limbs: [u64; 4], valid_ms: u32) -> (&str, Vec<u8>) {
    (name, Guest::named(name).quote(price(limbs, valid_ms)).build())
}

fn rule(policy: &str) -> Rule {
    Rule {
        policy: policy.to_owned(),
        grants: vec![Grant::Market],
        ..Rule::default_pricing()
    }
}

/// The policies whose files are none.
fn broken(world: &World) -> Vec<PolicyStatus> {
    let mut policies = world.host().policies();
    policies.retain(|status| status.state == PolicyState::Broken);
    policies
}

/// The `pricing` argument of an offer.
fn terms(entries: &[(&str, Value)]) -> Dict {
    let terms: Dict = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    Dict::from([("pricing".to_owned(), terms.into())])
}

fn code(error: &WampError) -> &str {
    error.kwargs["code"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_policy_has_its_own_outcome_in_time_while_others_trade() {
    let hostile = failing();
    let files: Vec<(&str, Vec<u8>)> = hostile
        .iter()
        .map(|hostile| (hostile.name, hostile.bytes.clone()))
        .collect();
    let world = World::with_policies(&files, |_| {}).await;
    assert_eq!(
        broken(&world).len(),
        0,
        "all of these load, and fail when they are called"
    );
    let seller = Seller::new(&world, tokens(1_000_000)).await;
    let victim = Buyer::new(&world, tokens(100)).await;
    let mut trader = Buyer::new(&world, tokens(100_000)).await;
    let fixed = seller.offer(Some(tokens(1))).await;

    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let trading = tokio::spawn(async move {
        let (mut sales, mut slowest) = (0u32, Duration::ZERO);
        while stopped.try_recv().is_err() {
            let asked = Instant::now();
            trader.buy(fixed).await.unwrap();
            slowest = slowest.max(asked.elapsed());
            sales += 1;
        }
        (trader, sales, slowest)
    });
    for policy in &hostile {
        let key = seller.offer_by(policy.name).await;
        let price = tokens(1);
        for asked in ["get_quote", "buy_key"] {
            let started = Instant::now();
            let error = match asked {
                "get_quote" => victim.quote(key).await.unwrap_err(),
                _ => victim.send(&victim.order(key, price)).await.unwrap_err(),
            };
            assert!(
                started.elapsed() < SOON,
                "{} {asked} took {:?}",
                policy.name,
                started.elapsed()
            );
            assert_eq!(error.uri, POLICY_FAILED, "{} {asked}", policy.name);
            assert_eq!(code(&error), policy.code, "{} {asked}: {error:?}", policy.name);
            assert_eq!(error.kwargs["policy"], Value::from(policy.name));
            assert_eq!(error.kwargs["revision"].as_str().unwrap().len(), 66, "{error:?}");
            assert!(error_text(&error).contains(policy.name));
        }
    }
    let _ = stop.send(());
    let (trader, sales, slowest) = trading.await.unwrap();
    assert!(sales >= 3, "{sales} sales went on");
    assert!(slowest < SOON, "the slowest took {slowest:?}");
    assert_balanced(&world, &[&victim, &trader], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hostile_calls_at_once_leave_room_for_the_others() {
    let endless = Guest::named("endless")
        .quote("(loop $on (br $on)) unreachable")
        .build();
    let world = World::with_policies(&[("endless", endless)], |config| {
        config.policies.breaker_failures = 0;
        // As long as a call can take: the clock ends it, not the fuel.
        let limits = RuleLimits {
            fuel: Some(u64::MAX),
            ..RuleLimits::default()
        };
        config.policies.rule = vec![Rule {
            limits,
            ..rule("endless")
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let (key, fixed) = (seller.offer(None).await, seller.offer(Some(tokens(1))).await);
    let attacker = world.session().await;
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let attacker = attacker.clone();
        flood.spawn(async move {
            let error = call(&attacker, "xbr.marketmaker.get_quote", vec![Value::from(key.0)])
                .await
                .unwrap_err();
            code(&error).to_owned()
        });
    }
    let asked = Instant::now();
    buyer.buy(fixed).await.unwrap();
    assert!(
        asked.elapsed() < 2 * SOON,
        "an honest purchase took {:?}",
        asked.elapsed()
    );
    for code in flood.join_all().await {
        assert_eq!(code, "deadline");
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn files_that_are_no_policies_are_named_with_their_reason_and_stop_nothing() {
    // What fails before its name is looked at may lie under any name.
    let early = [
        "not_wasm",
        "invalid",
        "core_module",
        "too_large",
        "unknown_import",
        "no_hook",
        "missing_function",
    ];
    let mut files: Vec<(String, Vec<u8>, &str)> = unloadable()
        .into_iter()
        .filter(|file| early.contains(&file.code))
        .enumerate()
        .map(|(number, file)| (format!("bad{number}"), file.bytes, file.code))
        .collect();
    files.push((
        "other".to_owned(),
        Guest::named("somebody-else").build(),
        "name_mismatch",
    ));
    files.push((
        "mute".to_owned(),
        Guest::named("mute").describe("unreachable").build(),
        "describe",
    ));
    files.push((
        "endless".to_owned(),
        Guest::named("endless")
            .describe("(loop $on (br $on)) unreachable")
            .build(),
        "describe",
    ));
    files.push(("Not A Name".to_owned(), Guest::named("x").build(), "name"));
    let codes: std::collections::BTreeSet<&str> = files.iter().map(|(_, _, code)| *code).collect();
    assert!(
        codes.len() >= early.len() + 2,
        "every kind of file is here: {codes:?}"
    );
    let (name, component) = asking("good", [500, 0, 0, 0], 1000);
    let mut written: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, bytes, _)| (name.as_str(), bytes.clone()))
        .collect();
    written.push((name, component));

    let world = World::with_policies(&written, |_| {}).await;
    let broken = broken(&world);
    let engine = Engine::new(EngineOptions::default()).unwrap();
    for (name, bytes, code) in &files {
        let status = broken
            .iter()
            .find(|status| status.name == *name)
            .unwrap_or_else(|| panic!("{name} ({code}) is not reported"));
        let error = engine.load(name, bytes).unwrap_err();
        assert_eq!(error.code(), *code, "{name}: {error}");
        let reason = status.reason.as_deref().unwrap();
        assert!(reason.contains(&error.to_string()), "{name}: {reason}");
        if *code == "unknown_import" {
            assert!(reason.contains('`'), "it names the import: {reason}");
        }
    }
    assert_eq!(broken.len(), files.len());
    let known: Vec<String> = world
        .host()
        .policies()
        .into_iter()
        .filter(|status| status.state == PolicyState::Active && status.origin != Some(Origin::Shipped))
        .map(|status| status.name)
        .collect();
    assert_eq!(known, ["good"]);

    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    for policy in ["bad0", "other", "mute", "nobody", ""] {
        let error = refused(
            seller.try_offer(None, terms(&[("policy", policy.into())])).await,
            INVALID_ARGUMENT,
        );
        assert_eq!(error.kwargs["argument"], Value::from("pricing"));
        assert!(
            error_text(&error).contains("good"),
            "it says which there are: {error:?}"
        );
    }
    for key in [
        seller.offer_by("good").await,
        seller.offer(None).await,
        seller.offer(Some(tokens(1))).await,
    ] {
        buyer.buy(key).await.unwrap();
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_broken_file_in_the_place_of_a_shipped_policy_never_lets_the_shipped_one_back() {
    let world = World::with_policies(&[("surge", b"not surge".to_vec())], |_| {}).await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    // The rule for dynamic offers names a policy that is not there: refused by name, not sold at some other price.
    let error = seller.try_offer(None, Dict::new()).await.unwrap_err();
    assert_eq!(error.uri, INVALID_ARGUMENT);
    assert!(error_text(&error).contains("surge"), "{error:?}");
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    let key = seller.offer_by("dutch").await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_price_never_leaves_its_bounds() {
    const ALL: u64 = u64::MAX;
    let world = World::with_policies(
        &[
            asking("cheap", [1, 0, 0, 0], 1000),
            asking("free", [0, 0, 0, 0], 1000),
            asking("dear", [5000, 0, 0, 0], 1000),
            asking("greedy", [ALL; 4], u32::MAX),
            asking("brief", [5000, 0, 0, 0], 1),
        ],
        |config| {
            let limits = |floor: &str, cap: &str| RuleLimits {
                floor: Some(floor.to_owned()),
                cap: Some(cap.to_owned()),
                max_valid_ms: Some(700),
                ..RuleLimits::default()
            };
            // 1e-15 tokens are 1000 units.
            let bounded = limits("0.000000000000000100", "0.000000000000001000");
            config.policies.rule = ["cheap", "dear", "greedy"]
                .map(|name| Rule {
                    limits: bounded.clone(),
                    ..rule(name)
                })
                .into();
        },
    )
    .await;
    let seller = Seller::new(&world, tokens(1_000_000)).await;
    let mut buyer = Buyer::new(&world, tokens(1000)).await;
    let amount = |units: u64| Value::from(self::units(units).to_be_bytes());
    let supply = tokens(1_000_000_000);
    for (policy, bounds, expected, valid_ms) in [
        ("cheap", vec![], units(100), 700),
        ("dear", vec![], units(1000), 700),
        ("greedy", vec![], units(1000), 700),
        // The seller's bounds go as well: the higher floor, the lower cap.
        ("cheap", vec![("floor", amount(300))], units(300), 700),
        ("cheap", vec![("floor", amount(50))], units(100), 700),
        ("dear", vec![("cap", amount(400))], units(400), 700),
        ("dear", vec![("cap", amount(2000))], units(1000), 700),
        (
            "dear",
            vec![("floor", amount(200)), ("cap", amount(200))],
            units(200),
            700,
        ),
        // No rule speaks of these policies: the bounds of the rule for the offer hold all the same.
        ("free", vec![], units(100), 1000),
        ("free", vec![("floor", amount(107))], units(107), 1000),
        ("brief", vec![], units(1000), 1),
    ] {
        let mut entries = vec![("policy", Value::from(policy))];
        entries.extend(bounds.clone());
        let key = seller.try_offer(None, terms(&entries)).await.unwrap();
        let quote = call(
            &buyer.session,
            "xbr.marketmaker.get_quote",
            vec![Value::from(key.0)],
        )
        .await
        .unwrap();
        assert_eq!(amount_of(&quote, "price"), expected, "{policy} within {bounds:?}");
        let holds = (int_of(&quote, "expires") - int_of(&quote, "timestamp")) / 1_000_000;
        assert_eq!(holds, valid_ms, "{policy}");
        buyer.buy_at(key, expected).await.unwrap();
    }
    for bounds in [
        vec![("floor", amount(2000))],
        vec![("cap", amount(50))],
        vec![("floor", amount(500)), ("cap", amount(400))],
    ] {
        let mut entries = vec![("policy", Value::from("dear"))];
        entries.extend(bounds);
        let error = refused(seller.try_offer(None, terms(&entries)).await, INVALID_ARGUMENT);
        assert!(error_text(&error).contains("floor"), "{error:?}");
    }
    let above = terms(&[
        ("policy", "free".into()),
        (
            "floor",
            Value::from(supply.checked_add(units(1)).unwrap().to_be_bytes()),
        ),
    ]);
    refused(seller.try_offer(None, above).await, INVALID_ARGUMENT);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn without_any_bound_a_policy_asks_at_most_the_supply_of_the_token() {
    let world = World::with_policies(&[asking("greedy", [u64::MAX; 4], u32::MAX)], |_| {}).await;
    let seller = Seller::new(&world, tokens(1_000_000_000)).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer_by("greedy").await;
    assert_eq!(buyer.quote(key).await.unwrap(), tokens(1_000_000_000));
    let error = refused(
        buyer.send(&buyer.order(key, Amount::MAX)).await,
        "xbr.error.insufficient_payment_balance",
    );
    assert_eq!(bourse_tests::error_amount(&error, "price"), tokens(1_000_000_000));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn the_price_of_a_failed_policy_is_the_fallback_where_the_operator_says_so() {
    let traps = ("traps", Guest::named("traps").quote("unreachable").build());
    let no = Guest::named("says-no")
        .data(b"too_hotnot today")
        .quote(refusal((DATA, 7), (DATA + 7, 9)))
        .build();
    let world = World::with_policies(&[traps, ("says-no", no)], |config| {
        config.policies.breaker_failures = 0;
        let fallback = |policy: &str, price: Option<&str>, applies_to, uri: &str| Rule {
            on_failure: OnFailure::FallbackPrice,
            fallback_price: price.map(str::to_owned),
            applies_to,
            uri: Some(uri.to_owned()),
            ..rule(policy)
        };
        config.policies.rule = vec![
            fallback("traps", Some("0.5"), AppliesTo::Dynamic, "com.half."),
            fallback("traps", None, AppliesTo::All, "com.base."),
            fallback("says-no", Some("0.5"), AppliesTo::Dynamic, "com.no."),
            rule("traps"),
        ];
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let offer = async |uri: &str, price: Option<Amount>, more: Dict| {
        let uri = Dict::from([("uri".to_owned(), Value::from(uri))]);
        seller
            .try_offer(price, uri.into_iter().chain(more).collect())
            .await
            .unwrap()
    };
    let half = Amount::parse_tokens("0.5").unwrap();
    let two = Dict::from([("floor".to_owned(), Value::from(tokens(2).to_be_bytes()))]);
    let two = Dict::from([("pricing".to_owned(), two.into())]);
    for (uri, fixed, more, expected) in [
        ("com.half.", None, Dict::new(), half),
        ("com.half.", None, two, tokens(2)),
        ("com.base.", Some(tokens(3)), Dict::new(), tokens(3)),
        ("com.half.", Some(tokens(3)), Dict::new(), tokens(3)),
    ] {
        let key = offer(uri, fixed, more).await;
        assert_eq!(buyer.quote(key).await.unwrap(), expected, "{uri}");
        let receipt = buyer.buy(key).await.unwrap();
        assert_eq!(receipt.paid, expected);
    }
    // A refusal is an answer, not a failure; and by default there is no fallback.
    let key = offer("com.no.", None, Dict::new()).await;
    for error in [
        buyer.quote(key).await.unwrap_err(),
        buyer.send(&buyer.order(key, half)).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.uri.as_str(), code(&error), error_text(&error)),
            (REFUSED, "too_hot", "not today")
        );
        assert_eq!(error.kwargs["policy"], Value::from("says-no"));
    }
    for (uri, fixed) in [("com.other.", None), ("com.base.", None)] {
        let key = offer(uri, fixed, Dict::new()).await;
        assert_eq!(
            code(&refused(buyer.quote(key).await, POLICY_FAILED)),
            "trap",
            "{uri}"
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// A component that asks `times` the base, and 7 units where there is none.
fn multiple(name: &str, times: u64) -> (&str, Vec<u8>) {
    let base = request_offset("base");
    let load = |load: &str, at: u32| format!("({load} (i32.add (local.get $request) (i32.const {at})))");
    let price = format!(
        "(select (i64.mul {} (i64.const {times})) (i64.const 7) {})",
        load("i64.load", base + 8),
        load("i32.load8_u", base)
    );
    (name, Guest::named(name).quote(computed(&price, 1000)).build())
}

#[tokio::test]
async fn a_rule_for_all_offers_takes_a_fixed_price_as_base_and_floor() {
    let policies = [
        multiple("double", 2),
        multiple("nothing", 0),
        multiple("lower", 0),
    ];
    let world = World::with_policies(&policies, |config| {
        let all = |policy: &str, limits: RuleLimits| Rule {
            applies_to: AppliesTo::All,
            uri: Some(format!("com.{policy}.")),
            limits,
            ..rule(policy)
        };
        let zero = RuleLimits {
            floor: Some("0".to_owned()),
            ..RuleLimits::default()
        };
        config.policies.rule = vec![
            all("double", RuleLimits::default()),
            all("nothing", RuleLimits::default()),
            all("lower", zero),
        ];
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    for (policy, fixed, expected) in [
        ("double", Some(1000), 2000),
        ("double", Some(0), 0),
        ("double", None, 7),
        ("nothing", Some(1000), 1000),
        // Unless the operator says otherwise.
        ("lower", Some(1000), 0),
        ("none", Some(1000), 1000),
    ] {
        let uri = Dict::from([("uri".to_owned(), Value::from(format!("com.{policy}.")))]);
        let key = seller.try_offer(fixed.map(units), uri).await.unwrap();
        let quote = call(
            &buyer.session,
            "xbr.marketmaker.get_quote",
            vec![Value::from(key.0)],
        )
        .await
        .unwrap();
        assert_eq!(
            amount_of(&quote, "price"),
            units(expected),
            "{policy} over {fixed:?}"
        );
        assert_eq!(map_of(&quote)["dynamic"], Value::Bool(fixed.is_none()));
        assert_eq!(
            map_of(&quote).contains_key("policy"),
            policy != "none",
            "it says who decided"
        );
        let receipt = buyer.buy_at(key, units(expected)).await.unwrap();
        assert_eq!(receipt.paid, units(expected));
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn surge_reprices_the_offers_of_sellers_that_know_nothing_of_it() {
    let world = World::with(|config| {
        config.policies.rule = vec![Rule {
            applies_to: AppliesTo::All,
            ..rule("surge")
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(10_000)).await;
    let mut buyer = Buyer::new(&world, tokens(10_000)).await;
    let key = seller.offer(Some(tokens(35))).await;
    assert_eq!(buyer.quote(key).await.unwrap(), tokens(35));
    for _ in 0..30 {
        buyer.buy(key).await.unwrap();
    }
    let busy = buyer.quote(key).await.unwrap();
    assert!(
        busy > tokens(40),
        "thirty quick sales move the price visibly: {busy}"
    );
    refused(
        buyer.buy_at(key, tokens(35)).await,
        "xbr.error.insufficient_amount",
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_sellers_parameters_lie_over_the_rules() {
    let world = World::with(|config| {
        let params = "base = \"7\"\nvalid_ms = 900".parse().unwrap();
        config.policies.rule = vec![Rule {
            params,
            ..rule("surge")
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    let params = |entries: &[(&str, Value)]| {
        let params: BTreeMap<String, Value> = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        terms(&[("policy", "surge".into()), ("params", Value::Map(params))])
    };
    for (more, price) in [
        (Dict::new(), 7),
        (params(&[]), 7),
        (params(&[("base", "3".into())]), 3),
        (params(&[("base", 4u64.into())]), 4),
    ] {
        let key = seller.try_offer(None, more).await.unwrap();
        let quote = call(
            &buyer.session,
            "xbr.marketmaker.get_quote",
            vec![Value::from(key.0)],
        )
        .await
        .unwrap();
        assert_eq!(amount_of(&quote, "price"), tokens(price));
        assert_eq!(
            int_of(&quote, "expires") - int_of(&quote, "timestamp"),
            900_000_000,
            "the rule's own stays"
        );
    }
    // What the policy does not know, it refuses in its own words.
    let key = seller
        .try_offer(None, params(&[("bas", "3".into())]))
        .await
        .unwrap();
    let error = refused(buyer.quote(key).await, REFUSED);
    assert_eq!(code(&error), "bad_params", "{error:?}");
    for (what, bad) in [
        ("bytes", params(&[("base", Value::from([1; 4]))])),
        ("a huge number", params(&[("base", Value::from(u128::MAX))])),
        ("too much", params(&[("base", "3".repeat(5000).into())])),
        ("no dictionary", terms(&[("params", 3u64.into())])),
        ("a number for a name", terms(&[("policy", 3u64.into())])),
        ("a short floor", terms(&[("floor", Value::from([1; 31]))])),
        ("an unknown key", terms(&[("flor", Value::Null)])),
    ] {
        let error = seller.try_offer(None, bad).await.expect_err(what);
        assert_eq!(
            (error.uri.as_str(), &error.kwargs["argument"]),
            (INVALID_ARGUMENT, &"pricing".into()),
            "{what}"
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn an_import_that_was_not_granted_is_an_outcome_of_its_own() {
    let ask = "(call $demand (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 1) (i32.const 4096))";
    let nosy = Guest::named("nosy")
        .with_market()
        .quote(format!("{ask} {}", price([1, 0, 0, 0], 1000)))
        .build();
    let world = World::with_policies(&[("nosy", nosy)], |config| {
        let without = Rule {
            grants: vec![],
            uri: Some("com.without.".to_owned()),
            ..rule("nosy")
        };
        config.policies.rule = vec![without, rule("nosy")];
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let without = Dict::from([("uri".to_owned(), Value::from("com.without."))]);
    let without: KeyId = seller.try_offer(None, without).await.unwrap();
    assert_eq!(
        code(&refused(buyer.quote(without).await, POLICY_FAILED)),
        "not_granted"
    );
    let with = seller.offer(None).await;
    buyer.buy(with).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
