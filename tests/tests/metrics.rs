//! The page of figures: complete, as documented, and true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Rule;
use bourse_app::figures::{Kind, METRICS, Of};
use bourse_market::Amount;
use bourse_tests::{Absent, Buyer, Chain, Seller, World, get, refused, tokens, until};
use std::collections::{BTreeMap, BTreeSet};

/// A series of the page.
#[derive(Debug)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Series {
    fn has(&self, labels: &[(&str, &str)]) -> bool {
        let own = |label: &(&str, &str)| {
            self.labels
                .iter()
                .any(|(name, value)| (&**name, &**value) == *label)
        };
        labels.iter().all(own)
    }
}

/// What the page has: its types, and its series.
struct Page {
    types: BTreeMap<String, String>,
    series: Vec<Series>,
}

impl Page {
    fn of(world: &World) -> Self {
        let answer = get(world.http(), "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        let (mut types, mut series) = (BTreeMap::new(), Vec::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').unwrap();
                assert!(
                    types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{name} twice"
                );
            } else if !line.starts_with('#') {
                series.push(read(line));
            }
        }
        Self { types, series }
    }

    /// The sum of the series of `name` that have these labels; there is one at least.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found: Vec<_> = self
            .series
            .iter()
            .filter(|series| series.name == name && series.has(labels))
            .collect();
        assert!(!found.is_empty(), "no {name} {labels:?}");
        found.iter().map(|series| series.value).sum()
    }

    /// Every metric of the table that such a market has is there, and no other; each series has the labels that the table says.
    fn assert_as_documented(&self, of: &[Of]) {
        let known: BTreeMap<_, _> = METRICS
            .iter()
            .filter(|metric| of.contains(&metric.of))
            .map(|metric| (metric.name.to_owned(), metric.kind.as_str().to_owned()))
            .collect();
        assert_eq!(self.types, known);
        let mut seen = BTreeSet::new();
        for series in &self.series {
            let metric = METRICS
                .iter()
                .find(|metric| belongs(&series.name, metric.name, metric.kind));
            let metric = metric.unwrap_or_else(|| panic!("{} is documented nowhere", series.name));
            seen.insert(metric.name);
            let labels: Vec<_> = series.labels.iter().map(|(label, _)| label.as_str()).collect();
            let mut expected = metric.labels.to_vec();
            if series.name.ends_with("_bucket") {
                expected.push("le");
            }
            assert_eq!(labels, expected, "{}", series.name);
        }
        let named: BTreeSet<_> = known.keys().map(String::as_str).collect();
        assert_eq!(seen, named, "a type without a series");
    }
}

fn belongs(series: &str, metric: &str, kind: Kind) -> bool {
    let rest = series.strip_prefix(metric);
    match kind {
        Kind::Histogram => matches!(rest, Some("_bucket" | "_sum" | "_count")),
        Kind::Counter | Kind::Gauge => rest == Some(""),
    }
}

fn read(line: &str) -> Series {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}')),
        None => (series, ""),
    };
    let label = |pair: &str| {
        let (label, value) = pair.split_once('=').unwrap();
        (label.to_owned(), value.trim_matches('"').to_owned())
    };
    Series {
        name: name.to_owned(),
        labels: labels
            .split(',')
            .filter(|pair| !pair.is_empty())
            .map(label)
            .collect(),
        value: value.parse().unwrap(),
    }
}

const REALM: (&str, &str) = ("realm", "realm1");

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_every_documented_metric_and_no_other_and_says_what_happened() {
    let world = World::with(|config| {
        config.policies.rule = vec![Rule {
            shadow: Some("dutch".to_owned()),
            ..Rule::default_pricing()
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let fixed = seller.offer(Some(tokens(3))).await;
    let dynamic = seller.offer(None).await;
    let left = Absent::new().leave(&world, tokens(2)).await;
    buyer.quote(fixed).await.unwrap();
    buyer.quote(dynamic).await.unwrap();
    for key in [fixed, dynamic, left.key()] {
        buyer.buy(key).await.unwrap();
    }
    refused(
        buyer.send(&buyer.order(fixed, Amount::ZERO)).await,
        "xbr.error.insufficient_amount",
    );
    let shadows = || {
        Page::of(&world)
            .series
            .iter()
            .any(|it| it.name == "bourse_policy_shadow_total")
    };
    until("the shadow's answer", async || shadows()).await;

    let page = Page::of(&world);
    page.assert_as_documented(&[Of::Every, Of::Router]);
    assert_eq!(page.sum("bourse_ready", &[REALM]), 1.0);
    let quotes = |source| page.sum("bourse_quotes_total", &[REALM, ("source", source)]);
    // One each, and one more before each is bought.
    assert_eq!(
        (quotes("fixed"), quotes("policy"), quotes("seller")),
        (3.0, 2.0, 0.0)
    );
    let ended = |outcome| page.sum("bourse_purchases_total", &[REALM, ("outcome", outcome)]);
    assert_eq!(
        (ended("sold"), ended("sold_escrow"), ended("voided")),
        (2.0, 1.0, 0.0)
    );
    let buys = [REALM, ("procedure", "xbr.marketmaker.buy_key")];
    assert_eq!(page.sum("bourse_call_seconds_count", &buys), 4.0);
    assert_eq!(page.sum("bourse_call_refusals_total", &buys), 1.0);
    let reason = [REALM, ("reason", "insufficient_amount")];
    assert_eq!(page.sum("bourse_call_refusals_total", &reason), 1.0);
    let surge = [
        REALM,
        ("policy", "surge"),
        ("hook", "pricing"),
        ("outcome", "priced"),
    ];
    assert_eq!(
        page.sum("bourse_policy_calls_total", &surge),
        page.sum("bourse_policy_call_seconds_count", &surge)
    );

    let spent: f64 = buyer.paid().to_string().parse().unwrap();
    let money =
        |what: &str, kind| page.sum(&format!("bourse_channel_{what}_tokens"), &[REALM, ("kind", kind)]);
    let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
    assert_eq!(
        (money("deposited", "payment"), money("deposited", "paying")),
        (100.0, 50.0)
    );
    assert!(close(money("spent", "payment"), spent), "{spent}");
    assert!(close(money("unsettled", "payment"), spent));
    assert!(close(money("remaining", "payment"), 100.0 - spent));
    assert_eq!(money("inflight", "payment"), 0.0);
    // The key in escrow is owed, and paid by no channel yet.
    assert!(close(money("spent", "paying"), spent - 2.0));
    let commits = page.sum("bourse_ledger_commits_total", &[REALM]);
    assert_eq!(page.sum("bourse_ledger_commit_seconds_count", &[REALM]), commits);
    assert_eq!(
        page.sum("bourse_ledger_records", &[REALM, ("table", "offers")]),
        3.0
    );
    assert!(page.sum("bourse_wamp_sessions", &[REALM]) >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_told_as_it_is_after_a_restart_too() {
    let mut world = World::start().await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(3))).await;
    buyer.buy(key).await.unwrap();
    let money = |world: &World| {
        let mut page = Page::of(world);
        page.series.retain(|series| series.name.ends_with("_tokens"));
        page.series
            .into_iter()
            .map(|series| (series.name, series.labels, series.value.to_string()))
            .collect::<Vec<_>>()
    };
    let before = money(&world);
    world.restart().await;
    assert_eq!(money(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_on_a_chain_tells_of_the_chain_too() {
    const DEPTH: u64 = 3;
    let Some(chain) = Chain::start().await else { return };
    let world = chain
        .world(DEPTH, |config| {
            config.policies.rule = vec![Rule {
                shadow: Some("dutch".to_owned()),
                ..Rule::default_pricing()
            }];
        })
        .await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(None).await;
    buyer.buy(key).await.unwrap();
    refused(
        buyer.send(&buyer.order(key, Amount::ZERO)).await,
        "xbr.error.insufficient_amount",
    );
    let shadows = || {
        Page::of(&world)
            .series
            .iter()
            .any(|it| it.name == "bourse_policy_shadow_total")
    };
    until("the shadow's answer", async || shadows()).await;
    let page = Page::of(&world);
    page.assert_as_documented(&[Of::Every, Of::Router, Of::OnChain]);
    let head = chain.head().await;
    let told = |name: &str| page.sum(name, &[REALM]);
    assert_eq!(told("bourse_chain_followed_block"), (head - DEPTH) as f64);
    assert_eq!(told("bourse_chain_lag_blocks"), 0.0);
    assert_eq!(
        (told("bourse_chain_trouble"), told("bourse_chain_caught_up")),
        (0.0, 1.0)
    );
    assert_eq!(
        (
            told("bourse_outbox_transactions"),
            told("bourse_outbox_oldest_seconds")
        ),
        (0.0, 0.0)
    );

    // The newest blocks do not count yet; those that do are followed at once.
    chain.mine(DEPTH + 2).await;
    until("the ledger follows", async || {
        let page = Page::of(&world);
        page.sum("bourse_chain_followed_block", &[REALM]) == (head + 2) as f64
            && page.sum("bourse_chain_lag_blocks", &[REALM]) == 0.0
    })
    .await;
}
