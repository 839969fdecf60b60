//! Revisions come and go under a running market: by command, by file, with shadows, breakers and signatures; and no
//! quote or purchase ever notices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Grant, Rule};
use bourse_market::{Amount, KeyId};
use bourse_policy::testing::hostile::willing;
use bourse_policy::testing::{Guest, price, request_offset};
use bourse_policy::{Hook, PolicyState};
use bourse_tests::{
    Buyer, Seller, World, assert_balanced, call, error_text, map_of, policy_status, process, refused, tokens,
    until,
};
use bourse_wamp::{Session, Value, WampError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const POLICY_FAILED: &str = "bourse.error.policy_failed";
const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";

/// A component that always asks for these base units.
fn asking(name: &str, units: u64) -> Vec<u8> {
    Guest::named(name).quote(price([units, 0, 0, 0], 30_000)).build()
}

fn rule(policy: &str) -> Rule {
    Rule {
        policy: policy.to_owned(),
        grants: vec![Grant::Market],
        ..Rule::default_pricing()
    }
}

/// A market whose dynamic offers are priced by `ladder`, at 1 base unit.
async fn world() -> World {
    World::with_policies(&[("ladder", asking("ladder", 1))], |config| {
        config.policies.rule = vec![rule("ladder")];
    })
    .await
}

/// A component beside the data folder.
fn file(world: &World, name: &str, component: &[u8]) -> PathBuf {
    let folder = world.folder().join(format!("build-{}", rand::random::<u32>()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, component).unwrap();
    path
}

/// Runs `bourse policy …` on the world's data folder: whether it said yes, and what it said.
fn policy(world: &World, args: &[&str]) -> Result<String, String> {
    let args: Vec<&str> = std::iter::once("policy").chain(args.iter().copied()).collect();
    let output = process::run(world.data(), &args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        Err(text(&output.stderr))
    }
}

fn deploy(world: &World, name: &str, component: &[u8]) -> Result<String, String> {
    policy(world, &["deploy", file(world, name, component).to_str().unwrap()])
}

async fn quote(session: &Session, key: KeyId) -> Result<Value, WampError> {
    call(session, "xbr.marketmaker.get_quote", vec![Value::from(key.0)]).await
}

fn units(units: u64) -> Amount {
    Amount::from_units(units.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_swaps_fail_no_quote_and_break_no_promise() {
    const SWAPS: u64 = 200;
    let world = world().await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (session, stop) = (world.session().await, Arc::clone(&stop));
        load.spawn(async move {
            let mut seen = BTreeMap::<String, Vec<u8>>::new();
            let mut quotes = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let told = quote(&session, key).await.unwrap();
                let told = map_of(&told);
                let price = match &told["price"] {
                    Value::Bytes(bytes) => bytes.clone(),
                    other => panic!("{other:?}"),
                };
                let revision = told["revision"].as_str().unwrap().to_owned();
                let before = seen.entry(revision).or_insert_with(|| price.clone());
                assert_eq!(*before, price, "each price comes from the revision it names");
                quotes += 1;
            }
            (seen.len(), quotes)
        });
    }
    let (stop_buying, mut buyer) = (Arc::clone(&stop), Buyer::new(&world, tokens(1)).await);
    let buying = tokio::spawn(async move {
        let mut sales = 0;
        while !stop_buying.load(Ordering::Relaxed) {
            let promised = buyer.quote(key).await.unwrap();
            // Whatever is in force by now, the promise holds.
            assert_eq!(buyer.buy_at(key, promised).await.unwrap().paid, promised);
            sales += 1;
        }
        (buyer, sales)
    });
    let revisions: Vec<PathBuf> = (1..=8)
        .map(|units| file(&world, "ladder", &asking("ladder", units)))
        .collect();
    let world = Arc::new(world);
    for swap in 0..SWAPS {
        let path = revisions[usize::try_from(swap).unwrap() % revisions.len()].clone();
        let market = Arc::clone(&world);
        tokio::task::spawn_blocking(move || policy(&market, &["deploy", path.to_str().unwrap()]).unwrap())
            .await
            .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let (mut most, mut quotes) = (0, 0);
    for (seen, count) in load.join_all().await {
        most = most.max(seen);
        quotes += count;
    }
    let (buyer, sales) = buying.await.unwrap();
    assert!(
        most == revisions.len(),
        "a client saw {most} of {} revisions",
        revisions.len()
    );
    assert!(quotes >= SWAPS && sales >= 10, "{quotes} quotes, {sales} sales");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_is_in_force_at_once_and_after_a_restart_and_can_be_taken_back() {
    let mut world = world().await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    assert_eq!(buyer.quote(key).await.unwrap(), units(1));
    let said = deploy(&world, "ladder", &asking("ladder", 2)).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        said["revision"],
        policy_status(&world, "ladder").revision.unwrap()
    );
    assert_eq!(buyer.quote(key).await.unwrap(), units(2));
    world.restart().await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    assert_eq!(buyer.quote(key).await.unwrap(), units(2));
    policy(&world, &["rollback", "ladder"]).unwrap();
    assert_eq!(buyer.quote(key).await.unwrap(), units(1));
    let error = policy(&world, &["rollback", "ladder"]).unwrap_err();
    assert!(error.contains("ladder"), "{error}");
    policy(&world, &["disable", "ladder"]).unwrap();
    let error = refused(quote(&buyer.session, key).await, POLICY_FAILED);
    assert_eq!(error.kwargs["code"], Value::from("not_loaded"));
    refused(
        seller_again(&world)
            .await
            .try_offer(None, bourse_wamp::Dict::new())
            .await,
        INVALID_ARGUMENT,
    );
    policy(&world, &["enable", "ladder"]).unwrap();
    assert_eq!(buyer.quote(key).await.unwrap(), units(1));
}

async fn seller_again(world: &World) -> Seller {
    Seller::new(world, tokens(1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_bad_replaces_a_good_revision_by_command_or_by_file() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    let no_hook_of_its_rule = willing("ladder", Hook::Consent);
    for (bad, why) in [
        (b"not wasm at all".to_vec(), "WebAssembly"),
        (asking("other", 1), "other"),
        (no_hook_of_its_rule, "pricing"),
        (asking("ladder", 9)[..200].to_vec(), "damaged"),
    ] {
        let error = deploy(&world, "ladder", &bad).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(buyer.quote(key).await.unwrap(), units(1));
        let in_folder = world.data().join("policies").join("ladder.wasm");
        std::fs::write(&in_folder, &bad).unwrap();
        until("the refusal of the file", async || {
            policy_status(&world, "ladder").state == PolicyState::LastGood
        })
        .await;
        assert_eq!(buyer.quote(key).await.unwrap(), units(1));
        deploy(&world, "ladder", &asking("ladder", 1)).unwrap();
        assert_eq!(policy_status(&world, "ladder").state, PolicyState::Active);
    }
    // And a good file that is dropped in takes over by itself.
    std::fs::write(world.data().join("policies/ladder.wasm"), asking("ladder", 7)).unwrap();
    until("the new revision", async || {
        buyer.quote(key).await.unwrap() == units(7)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_asked_and_compared_and_never_used_until_it_is_promoted() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    let shadow = file(&world, "ladder", &asking("ladder", 5));
    policy(&world, &["deploy", "--shadow", shadow.to_str().unwrap()]).unwrap();
    assert_eq!(buyer.quote(key).await.unwrap(), units(1));
    let id = policy_status(&world, "ladder").shadow.unwrap();
    until("the shadow's decision", async || {
        world.host().flush_log();
        bourse_tests::decisions(&world)
            .iter()
            .any(|record| record.revision.0.to_string() == id && record.outcome == "priced")
    })
    .await;
    let exported = process::run(world.data(), &["decisions", "export"]);
    let exported = String::from_utf8(exported.stdout).unwrap();
    let of_shadows = exported.lines().filter(|line| line.contains("\"shadow\":true"));
    assert_eq!(
        of_shadows.filter(|line| line.contains(&id)).count(),
        1,
        "{exported}"
    );
    policy(&world, &["promote", "ladder"]).unwrap();
    assert_eq!(buyer.quote(key).await.unwrap(), units(5));
    assert_eq!(policy_status(&world, "ladder").shadow, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_keeps_failing_is_left_alone_says_so_and_gets_another_chance() {
    let traps = Guest::named("ladder").quote("unreachable").build();
    let world = World::with_policies(&[("ladder", traps)], |config| {
        config.policies.rule = vec![rule("ladder")];
        config.policies.breaker_seconds = 1;
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    let mut codes = Vec::new();
    for _ in 0..7 {
        let error = refused(quote(&buyer.session, key).await, POLICY_FAILED);
        codes.push(error.kwargs["code"].as_str().unwrap().to_owned());
        if codes.len() == 6 {
            assert!(error_text(&error).contains("5 times in a row"), "{error:?}");
        }
    }
    assert_eq!(
        codes,
        [
            "trap",
            "trap",
            "trap",
            "trap",
            "trap",
            "breaker_open",
            "breaker_open"
        ]
    );
    let listed = policy(&world, &["list"]).unwrap();
    assert!(listed.contains("\"open\""), "{listed}");
    // A new revision starts afresh.
    deploy(&world, "ladder", &asking("ladder", 3)).unwrap();
    assert_eq!(buyer.quote(key).await.unwrap(), units(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_seller_opens_the_breaker_for_others_with_parameters_of_its_own() {
    // Traps where the parameters are longer than `{}`.
    let long = format!(
        "(i32.load (i32.add (local.get $request) (i32.const {})))",
        request_offset("ctx.params") + 4
    );
    let choosy = Guest::named("ladder").quote(format!(
        "(if (i32.ne {long} (i32.const 2)) (then unreachable)) {}",
        price([1, 0, 0, 0], 30_000)
    ));
    let choosy = choosy.build();
    let world = World::with_policies(&[("ladder", choosy)], |config| {
        config.policies.rule = vec![rule("ladder")];
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let honest = seller.offer(None).await;
    let params = bourse_wamp::Dict::from([("x".to_owned(), Value::from("y"))]);
    let pricing = bourse_wamp::Dict::from([("params".to_owned(), params.into())]);
    let more = bourse_wamp::Dict::from([("pricing".to_owned(), pricing.into())]);
    let choking = seller.try_offer(None, more).await.unwrap();
    let buyer = Buyer::new(&world, tokens(1)).await;
    for _ in 0..10 {
        let error = refused(quote(&buyer.session, choking).await, POLICY_FAILED);
        assert_eq!(error.kwargs["code"], Value::from("trap"));
    }
    assert_eq!(buyer.quote(honest).await.unwrap(), units(1));
}
