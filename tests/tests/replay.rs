//! What authors learn from a market's own history: replayed, tried on and compared beside the running host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::Amount;
use bourse_tests::{Buyer, Seller, World, call, process, tokens};
use bourse_wamp::Value;
use serde_json::Value as Json;
use std::process::Output;

/// A market whose offers surge prices, some purchases later. The seller's channel has more than they cost.
async fn traded(purchases: usize) -> World {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(10_000)).await;
    let mut buyer = Buyer::new(&world, tokens(10_000)).await;
    let key = seller.offer(None).await;
    for _ in 0..purchases {
        let key_id = vec![Value::from(key.0)];
        call(&buyer.session, "xbr.marketmaker.get_quote", key_id)
            .await
            .unwrap();
        buyer.buy(key).await.unwrap();
    }
    world.host().flush_log();
    world
}

fn bourse(world: &World, args: &[&str]) -> Output {
    process::run(world.data(), args)
}

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_market_is_replayed_exactly_and_a_changed_line_is_found() {
    let world = traded(9).await;
    let replay = bourse(&world, &["policy", "replay"]);
    let report = json(&replay);
    assert!(replay.status.success(), "{report}");
    let decisions = report["decisions"].as_u64().unwrap();
    assert!(decisions >= 9);
    assert_eq!(
        (&report["ok"], &report["exact"]),
        (&Json::from(true), &Json::from(decisions))
    );

    let file = world.folder().join("log.jsonl");
    let path = file.to_str().unwrap();
    assert!(
        bourse(&world, &["decisions", "export", "--out", path])
            .status
            .success()
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count() as u64, decisions);
    let replay = |text: &str| {
        std::fs::write(&file, text).unwrap();
        bourse(&world, &["policy", "replay", "--log", path])
    };
    assert_eq!(json(&replay(&text))["exact"], decisions);

    let lines: Vec<&str> = text.lines().collect();
    let mut third: Json = serde_json::from_str(lines[2]).unwrap();
    third["fuel"] = Json::from(third["fuel"].as_u64().unwrap() + 1);
    let changed = text.replace(lines[2], &third.to_string());
    let found = replay(&changed);
    assert_eq!(found.status.code(), Some(1));
    let report = json(&found);
    assert_eq!(report["different"], 1);
    let mismatch = &report["differences"][0];
    assert_eq!(
        (&mismatch["place"], &mismatch["fields"][0]["field"]),
        (&Json::from(3), &Json::from("fuel"))
    );
    let shown = bourse(&world, &["--output", "table", "policy", "replay", "--log", path]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("DIFFERENT: 1 decisions") && shown.contains("line 3 (surge"),
        "{shown}"
    );

    let garbage = replay("what?\n");
    assert_eq!(garbage.status.code(), Some(1));
    assert_eq!(json(&garbage)["bad"][0]["place"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_tried_on_what_a_running_market_sold() {
    let world = traded(12).await;
    let page = world.folder().join("report.html");
    let page_path = page.to_str().unwrap();
    // Demand over an hour was not asked for then: the ledger's own sales answer.
    let params = r#"{"window_ms": 3600000, "target_sales": 0, "step_bp": 1000}"#;
    let args = [
        "policy", "backtest", "surge", "--params", params, "--html", page_path,
    ];
    let output = bourse(&world, &args);
    assert!(output.status.success());
    let report = json(&output);
    let total = &report["revenue"]["total"];
    assert_eq!(total["sales"], 12);
    // 10 % of ten tokens more with each sale before it: 12 × 10 + (0 + 1 + … + 11).
    assert_eq!(total["new"], "186");
    assert!(Amount::parse_tokens(total["old"].as_str().unwrap()).unwrap() < tokens(186));
    assert_eq!(report["left_out"]["unanswerable"], 0);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));

    let same = bourse(&world, &["policy", "diff", "surge", "surge", "--check"]);
    assert_eq!(
        (same.status.code(), &json(&same)["changed"]),
        (Some(0), &Json::from(0))
    );
    let other = bourse(&world, &["policy", "diff", "surge", "dutch", "--check"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(json(&other)["changed"].as_u64().unwrap() >= 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_of_recorded_decisions_is_drawn() {
    let world = traded(3).await;
    let path = |name: &str| world.folder().join(name).to_str().unwrap().to_owned();
    let (svg, folded) = (path("surge.svg"), path("surge.folded"));
    let args = [
        "policy",
        "profile",
        "surge",
        "--samples",
        "200",
        "--svg",
        &svg,
        "--folded",
        &folded,
    ];
    let output = bourse(&world, &args);
    let report = json(&output);
    assert!(output.status.success(), "{report}");
    let samples = report["samples"].as_u64().unwrap();
    assert!((200..=210).contains(&samples), "{samples}");
    assert!(std::fs::read_to_string(svg).unwrap().contains("</svg>"));
    let counted: u64 = std::fs::read_to_string(folded)
        .unwrap()
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, samples);
}
