//! The log of decisions in a running market: complete where it can be, bounded where it must be, and never in the way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Hook, Rule};
use bourse_market::{Amount, KeyId};
use bourse_policy::testing::hostile::willing;
use bourse_policy::testing::{Guest, price};
use bourse_policy::{Hook as PolicyHook, Record};
use bourse_store::{LogRead, read_log};
use bourse_tests::{
    Buyer, Seller, World, assert_balanced, call, decisions, figures, process, refused, tokens, until,
};
use bourse_wamp::{Session, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const INSUFFICIENT_AMOUNT: &str = "xbr.error.insufficient_amount";

fn rule(hook: Hook, policy: &str) -> Rule {
    Rule {
        hook,
        policy: policy.to_owned(),
        grants: Vec::new(),
        ..Rule::default_pricing()
    }
}

/// A market whose dynamic offers cost one base unit, and whose deals a second policy allows.
async fn world(change: impl FnOnce(&mut bourse_app::config::Config)) -> World {
    let policies = [
        (
            "priced",
            Guest::named("priced").quote(price([1, 0, 0, 0], 30_000)).build(),
        ),
        ("allowed", willing("allowed", PolicyHook::Consent)),
    ];
    World::with_policies(&policies, |config| {
        config.policies.rule = vec![rule(Hook::Pricing, "priced"), rule(Hook::Consent, "allowed")];
        change(config);
    })
    .await
}

fn unit() -> Amount {
    Amount::from_units(1)
}

async fn quote(session: &Session, key: KeyId) {
    call(session, "xbr.marketmaker.get_quote", vec![Value::from(key.0)])
        .await
        .unwrap();
}

/// What `bourse decisions export` writes beside the running host: a decision a line.
fn export(world: &World, more: &[&str]) -> Vec<Json> {
    let args: Vec<&str> = ["decisions", "export"].iter().chain(more).copied().collect();
    let output = process::run(world.data(), &args);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn texts<'a>(lines: &'a [Json], key: &str) -> Vec<&'a str> {
    lines.iter().map(|line| line[key].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_export_tells_every_decision_once_and_which_purchase_came_of_it() {
    let world = world(|_| {}).await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let stranger = world.session().await;
    let key = seller.offer(None).await;
    for _ in 0..3 {
        quote(&stranger, key).await;
    }
    buyer.buy(key).await.unwrap();
    refused(
        buyer.send(&buyer.order(key, Amount::ZERO)).await,
        INSUFFICIENT_AMOUNT,
    );
    world.host().flush_log();

    let lines = export(&world, &[]);
    // Placed; three quotes; the buyer's quote; the purchase, whose price is the quote's; the purchase that was refused.
    let policies = texts(&lines, "policy");
    let count = |policy: &str| policies.iter().filter(|name| **name == policy).count();
    assert_eq!((count("allowed"), count("priced")), (7, 5), "{policies:?}");
    let ids: BTreeSet<&str> = texts(&lines, "id").into_iter().collect();
    assert_eq!(ids.len(), lines.len(), "each once");
    let times: Vec<u64> = lines.iter().map(|line| line["at_ns"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "oldest first");

    let (sold, unsold): (Vec<Json>, Vec<Json>) = lines
        .iter()
        .cloned()
        .partition(|line| line.get("purchase").is_some());
    let mut of_purchase: Vec<(&str, &str, &str)> = sold
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap();
            (text("policy"), text("hook"), text("outcome"))
        })
        .collect();
    of_purchase.sort_unstable();
    assert_eq!(
        of_purchase,
        [("allowed", "consent", "allowed"), ("priced", "pricing", "priced")]
    );
    let purchases: BTreeSet<&str> = texts(&sold, "purchase").into_iter().collect();
    assert_eq!(purchases.len(), 1);
    for line in &sold {
        assert_eq!(line["sale"]["price"], "1");
    }
    assert!(unsold.iter().all(|line| line.get("sale").is_none()));
    // A line is a record, and what the log holds is what the line says.
    let logged: Vec<Record> = decisions(&world);
    assert_eq!(logged.len(), lines.len());
    for line in &lines {
        let record = Record::from_json(&line.to_string()).unwrap();
        assert!(logged.contains(&record));
    }

    let own = export(&world, &["--policy", "priced"]);
    assert_eq!(texts(&own, "policy"), ["priced"; 5]);
    assert_eq!(export(&world, &["--to", "2026-01-01"]), [Json::Null; 0]);
    let file = world.folder().join("decisions.jsonl");
    assert_eq!(
        export(&world, &["--out", file.to_str().unwrap()]),
        [Json::Null; 0]
    );
    let written = std::fs::read_to_string(file).unwrap();
    let written: Vec<Json> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(written, lines);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_purchases_keep_their_decisions_and_quotes_none() {
    let world = world(|config| config.policies.log.enabled = false).await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    quote(&buyer.session, key).await;
    buyer.buy(key).await.unwrap();
    world.host().flush_log();
    assert!(!world.data().join("decisions").exists(), "nothing is written");
    let lines = export(&world, &[]);
    let mut policies = texts(&lines, "policy");
    policies.sort_unstable();
    assert_eq!(policies, ["allowed", "priced"]);
    assert!(lines.iter().all(|line| line["purchase"].is_string()));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// Decisions that the log has dropped, as the figures count them.
fn dropped(world: &World) -> u64 {
    figures(world, "bourse_decision_log_dropped_total").values().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_keep_up_drops_and_counts_and_nobody_notices() {
    const CALLERS: usize = 8;
    let world = world(|config| config.policies.log.queue = 1).await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let mut decided = 1;
    let started = Instant::now();
    while dropped(&world) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was dropped");
        let mut load = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let session = world.session().await;
            load.spawn(async move {
                for _ in 0..50 {
                    quote(&session, key).await;
                }
            });
        }
        assert_eq!(buyer.buy_at(key, unit()).await.unwrap().paid, unit());
        load.join_all().await;
        // Each is allowed and priced.
        decided += 2 * (CALLERS * 50 + 1);
    }
    world.host().flush_log();
    let kept = decisions(&world).len();
    let lost = usize::try_from(dropped(&world)).unwrap();
    assert_eq!(kept + lost, decided, "what is not kept is counted");
    // What belongs to purchases is not the log's to drop.
    let lines = export(&world, &[]);
    let sold = lines.iter().filter(|line| line.get("purchase").is_some()).count();
    assert_eq!(sold, 2 * usize::try_from(buyer.seq.0 - 1).unwrap());
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_take_is_counted_too() {
    let world = world(|_| {}).await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let session = world.session().await;
    // Written and closed to new segments: whatever comes now finds no place.
    world.host().flush_log();
    let folder = world.data().join("decisions");
    std::fs::rename(&folder, world.data().join("elsewhere")).unwrap();
    quote(&session, key).await;
    world.host().flush_log();
    // Allowed and priced.
    until("both", async || dropped(&world) == 2).await;
}

/// Everything that can be read of the log, and how reading went.
fn read(world: &World) -> (Vec<Record>, LogRead) {
    let mut records = Vec::new();
    let read = read_log(&world.data().join("decisions"), &mut |decision| {
        records.push(Record::decode(&decision.body).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    (records, read)
}

/// The segments of the log, oldest first.
fn segments(world: &World) -> Vec<PathBuf> {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(world.data().join("decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "decisions"))
        .collect();
    segments.sort();
    segments
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_log_reads_up_to_the_tear_and_goes_on_behind_it() {
    let mut world = World::apart().await;
    let seller = Seller::new(&world, tokens(100_000)).await;
    let mut buyer = Buyer::new(&world, tokens(100_000)).await;
    let key = seller.offer(None).await;
    buyer.buy(key).await.unwrap();
    // The quote that was bought at.
    let mut before = 1;
    for lives in 1..=3 {
        let session = world.session().await;
        let asking = tokio::spawn(async move {
            let args = || vec![Value::from(key.0)];
            let mut answered = 0;
            let options = bourse_wamp::CallOptions::default;
            while session
                .call("xbr.marketmaker.get_quote", args(), Default::default(), options())
                .await
                .is_ok()
            {
                answered += 1;
            }
            answered
        });
        // Until something of this life is on its way, and not the same moment each time.
        let started = Instant::now();
        while read(&world).0.len() < before + 50 {
            assert!(started.elapsed() < Duration::from_secs(30), "nothing is written");
            tokio::time::sleep(Duration::from_millis(5 + 7 * lives)).await;
        }
        world.kill();
        let answered: usize = asking.await.unwrap();
        let (records, how) = read(&world);
        assert_eq!(how.damaged, 0, "a tear is no damage: {how:?}");
        // Surge decides alone: once for each answer, and once for the one that the kill cut off.
        let gained = records.len() - before;
        assert!(gained <= answered + 1, "{gained} decisions of {answered} quotes");
        assert!(records.iter().all(|record| record.policy == "surge"));

        // By hand it is torn once more: in the middle of its last record, or of what the kill left of one.
        let last = segments(&world).pop().unwrap();
        let len = std::fs::metadata(&last).unwrap().len();
        std::fs::File::options()
            .write(true)
            .open(&last)
            .unwrap()
            .set_len(len - 9)
            .unwrap();
        let (torn, how) = read(&world);
        assert!(torn.len() + 1 >= records.len(), "one record at most is lost");
        assert_eq!(
            (how.torn, how.damaged),
            (lives, 0),
            "each life left one tear: {how:?}"
        );
        assert_eq!(torn[..], records[..torn.len()]);

        world.run_apart();
        let (kept, how) = read(&world);
        assert_eq!(
            (&kept[..], how.damaged),
            (&torn[..], 0),
            "a start loses nothing more"
        );
        before = kept.len();
    }
    let lines = export(&world, &[]);
    let bought = lines.iter().filter(|line| line.get("purchase").is_some());
    assert_eq!(
        bought.count(),
        1,
        "the purchase keeps its decision whatever became of the log"
    );
    assert!(lines.len() >= before);
    world.assert_sound();
}
