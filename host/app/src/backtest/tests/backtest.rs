//! Trials of policies on a history.

use super::history::{BEGINS, History, shipped, told};
use crate::backtest::ask::{Base, Params, params};
use crate::backtest::change::Change;
use crate::backtest::report::Report;
use crate::backtest::source::Source;
use crate::backtest::trial::{Trial, TrialError, run};
use bourse_market::Amount;
use bourse_policy::{Input, Output, Revision};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Try<'a> {
    pub(super) new: &'a str,
    pub(super) old: Option<&'a str>,
    pub(super) of: &'a [&'a str],
    pub(super) params: Params,
    pub(super) elasticity: Option<f64>,
}

impl Default for Try<'_> {
    fn default() -> Self {
        Self {
            new: "surge",
            old: None,
            of: &[],
            params: Params::default(),
            elasticity: None,
        }
    }
}

pub(super) fn tried(history: &History, source: &Source, what: Try<'_>) -> Result<Report, TrialError> {
    let new = shipped(&history.engine, what.new);
    let old: Option<Revision> = what.old.map(|old| shipped(&history.engine, old));
    let trial = Trial {
        source,
        new: &new,
        old: old.as_ref(),
        of: what.of.iter().map(|name| (*name).to_owned()).collect(),
        params: what.params,
        elasticity: what.elasticity,
        workers: 2,
    };
    run(&trial, &mut |_, _| {})
}

pub(super) fn over(text: &str) -> Params {
    Params {
        base: Base::Own,
        over: params(text).unwrap(),
    }
}

/// What surge asks with ten tokens as its base, within the history's bounds of 3 and 18 tokens.
fn surge_price(sales: u64, step_bp: u64) -> Amount {
    let factor = (10_000 + sales.saturating_sub(5) * step_bp).min(30_000);
    Amount::from_units(u128::from(factor) * 1_000_000_000_000_000).min(Amount::from_tokens(18))
}

fn recorded_price(output: &Output) -> Amount {
    match output {
        Output::Price { amount, .. } => amount.0,
        other => panic!("no price but {other:?}"),
    }
}

/// Decisions by change, for one function.
fn changes(report: &Report) -> BTreeMap<Change, u64> {
    report
        .changes
        .iter()
        .map(|change| (change.change, change.decisions))
        .collect()
}

#[test]
fn the_same_revision_with_the_same_parameters_changes_nothing() {
    let history = History::of(800);
    let report = tried(&history, &history.source(), Try::default()).unwrap();
    assert_eq!(report.compared, history.by("surge").count() as u64);
    assert_eq!(report.changed, 0);
    assert_eq!(report.answers.recorded, report.compared);
    assert_eq!((report.answers.modelled, report.left_out.unanswerable), (0, 0));
    let fuel = report.fuel.unwrap();
    assert_eq!(fuel.old, fuel.new);
    let revenue = report.revenue.unwrap();
    assert_eq!(revenue.total.old, revenue.total.new);
    let dutch = &report.left_out.others[0];
    assert_eq!(
        (dutch.policy.as_str(), dutch.decisions),
        ("dutch", history.by("dutch").count() as u64)
    );
}

#[test]
fn a_steeper_surge_changes_just_what_the_formula_says() {
    let history = History::of(2_000);
    let report = tried(
        &history,
        &history.source(),
        Try {
            params: over(r#"{"step_bp": 450}"#),
            ..Try::default()
        },
    )
    .unwrap();
    let mut dearer = 0;
    let (mut old, mut new, mut sales) = (Amount::ZERO, Amount::ZERO, 0);
    let mut sellers: BTreeMap<String, (u64, Amount)> = BTreeMap::new();
    let mut prices = Vec::new();
    for (_, entry) in history.by("surge") {
        let was = recorded_price(&entry.record.output);
        let demand = told(&entry.record).sales;
        assert_eq!(was, surge_price(demand, 200));
        let is = surge_price(demand, 450);
        dearer += u64::from(is > was);
        prices.push(is);
        if let Some(sale) = entry.sale {
            old = old.saturating_add(sale.price.0);
            new = new.saturating_add(is);
            sales += 1;
            let Input::Pricing(input) = &entry.record.input else {
                continue;
            };
            let seller = sellers.entry(input.offer.seller.to_string()).or_default();
            *seller = (seller.0 + 1, seller.1.saturating_add(is));
        }
    }
    assert!(dearer > 100, "the history has demand");
    assert_eq!(changes(&report)[&Change::Dearer], dearer);
    assert_eq!(report.changed, dearer);
    let revenue = report.revenue.as_ref().unwrap();
    let total = &revenue.total;
    assert_eq!(
        (total.sales, &total.old, &total.new),
        (sales, &old.to_string(), &new.to_string())
    );
    assert_eq!(revenue.sellers.len(), sellers.len());
    for row in &revenue.sellers {
        let (sales, new) = &sellers[&row.id];
        assert_eq!((row.sales, &row.new), (*sales, &new.to_string()));
    }
    assert_eq!(revenue.apis.len(), 3);
    prices.sort_unstable();
    let spread = report.prices.as_ref().unwrap().new.as_ref().unwrap();
    assert_eq!(spread.max, prices[prices.len() - 1].to_string());
    assert_eq!(spread.p50, prices[prices.len().div_ceil(2) - 1].to_string());
    assert_eq!(report.log.from_ns.unwrap(), history.entries[0].record.at_ns.0);
    assert!(report.log.from_ns.unwrap() > BEGINS);
}

#[test]
fn a_question_that_nobody_asked_then_is_answered_from_the_sales_of_the_log() {
    let history = History::of(2_000);
    let report = tried(
        &history,
        &history.source(),
        Try {
            params: over(r#"{"window_ms": 30000}"#),
            ..Try::default()
        },
    )
    .unwrap();
    let mut expected: BTreeMap<Change, u64> = BTreeMap::new();
    for (index, entry) in history.by("surge") {
        let was = recorded_price(&entry.record.output);
        // What the host itself would have said then.
        let is = surge_price(history.half_minute[index].sales, 200);
        let change = match is.cmp(&was) {
            std::cmp::Ordering::Less => Change::Cheaper,
            std::cmp::Ordering::Equal => Change::Same,
            std::cmp::Ordering::Greater => Change::Dearer,
        };
        *expected.entry(change).or_default() += 1;
    }
    assert!(expected[&Change::Cheaper] > 100);
    assert_eq!(changes(&report), expected);
    assert_eq!(
        (report.answers.recorded, report.answers.modelled),
        (0, report.compared)
    );
    assert!(
        report
            .assumptions
            .iter()
            .any(|text| text.contains("were not asked then"))
    );
}

#[test]
fn without_sales_in_the_log_a_new_question_has_no_answer_and_counts_for_nothing() {
    let mut history = History::of(200);
    for entry in &mut history.entries {
        (entry.purchase, entry.sale) = (None, None);
    }
    let report = tried(
        &history,
        &history.source(),
        Try {
            params: over(r#"{"window_ms": 30000}"#),
            ..Try::default()
        },
    )
    .unwrap();
    assert_eq!((report.compared, report.changed), (0, 0));
    assert_eq!(report.left_out.unanswerable, history.by("surge").count() as u64);
    assert_eq!(
        report.left_out.questions,
        BTreeMap::from([(
            "market.demand over 30000 ms".to_owned(),
            report.left_out.unanswerable
        )])
    );
}

#[test]
fn refusals_lose_their_sales_and_are_counted_by_code() {
    let history = History::of(600);
    let report = tried(
        &history,
        &history.source(),
        Try {
            params: over(r#"{"window_ms": 0}"#),
            ..Try::default()
        },
    )
    .unwrap();
    let all = history.by("surge").count() as u64;
    let sold = history
        .by("surge")
        .filter(|(_, entry)| entry.sale.is_some())
        .count() as u64;
    assert_eq!(changes(&report), BTreeMap::from([(Change::NowRefused, all)]));
    assert_eq!(report.refusals.len(), 1);
    let code = &report.refusals[0];
    assert_eq!((code.code.as_str(), code.old, code.new), ("bad_params", 0, all));
    let total = &report.revenue.as_ref().unwrap().total;
    assert_eq!((total.lost, total.new.as_str()), (sold, "0"));
    assert!(
        report
            .assumptions
            .iter()
            .any(|text| text.contains("count as lost"))
    );
    assert_eq!(report.examples[0].change, Change::NowRefused);
}

#[test]
fn another_policy_is_tried_on_the_decisions_that_are_named() {
    let history = History::of(600);
    let source = history.source();
    let report = tried(
        &history,
        &source,
        Try {
            new: "surge",
            of: &["dutch"],
            ..Try::default()
        },
    )
    .unwrap();
    assert_eq!(report.compared, history.by("dutch").count() as u64);
    let all = tried(
        &history,
        &source,
        Try {
            new: "dutch",
            of: &["all"],
            ..Try::default()
        },
    )
    .unwrap();
    assert_eq!(all.compared, 600);
    let revision = shipped(&history.engine, "surge").id().to_string();
    let of = tried(
        &history,
        &source,
        Try {
            new: "dutch",
            of: &[revision.get(..14).unwrap()],
            ..Try::default()
        },
    )
    .unwrap();
    assert_eq!(of.compared, history.by("surge").count() as u64);
    let error = tried(
        &history,
        &source,
        Try {
            of: &["nobody"],
            ..Try::default()
        },
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no decision of `nobody`")
            && text.contains("`dutch` (pricing")
            && text.contains("--of all")
    );
}

#[test]
fn two_policies_differ_where_their_answers_do() {
    let history = History::of(600);
    let source = history.source();
    let same = tried(
        &history,
        &source,
        Try {
            old: Some("surge"),
            of: &["all"],
            ..Try::default()
        },
    )
    .unwrap();
    assert_eq!((same.compared, same.changed), (600, 0));
    let other = tried(
        &history,
        &source,
        Try {
            new: "dutch",
            old: Some("surge"),
            ..Try::default()
        },
    )
    .unwrap();
    assert_eq!(other.compared, 600);
    assert!(other.changed > 300);
    assert_eq!(other.old.name.split(' ').next(), Some("surge"));
    let weights: Vec<f64> = other
        .examples
        .iter()
        .map(|example| {
            let number = |text: &str| text.split(' ').next().unwrap().parse::<f64>().unwrap();
            (number(&example.new) / number(&example.old)).ln().abs()
        })
        .collect();
    assert_eq!(weights.len(), 20);
    assert!(
        weights.windows(2).all(|pair| pair[0] >= pair[1] - 1e-5),
        "{weights:?}"
    );
}

#[test]
fn an_elasticity_weighs_purchases_by_their_change_of_price() {
    let history = History::of(600);
    let source = history.source();
    let with = |elasticity| {
        let report = tried(
            &history,
            &source,
            Try {
                params: over(r#"{"base": "20"}"#),
                elasticity: Some(elasticity),
                ..Try::default()
            },
        )
        .unwrap();
        let total = report.revenue.unwrap().total;
        (
            total.sales as f64,
            total.new.parse::<f64>().unwrap(),
            total.expected_sales.unwrap(),
            total.expected.unwrap(),
        )
    };
    let (sales, new, expected_sales, expected) = with(0.0);
    assert!((expected_sales - sales).abs() < 1e-6 && (expected - new).abs() < 1e-3);
    let mut weighed = 0.0;
    for (_, entry) in history.by("surge") {
        let Some(sale) = entry.sale else { continue };
        let before: f64 = sale.price.0.to_string().parse().unwrap();
        weighed += (18.0 / before).powi(-2);
    }
    let (_, _, expected_sales, expected) = with(2.0);
    assert!(
        (expected_sales - weighed).abs() < 1e-3,
        "{expected_sales} {weighed}"
    );
    assert!((expected - 18.0 * weighed).abs() < 1e-2);
}

#[test]
fn the_report_is_the_same_whichever_worker_did_what() {
    let history = History::of(900);
    let source = history.source();
    let mut json: Vec<String> = (0..3)
        .map(|_| {
            let mut report = tried(
                &history,
                &source,
                Try {
                    params: over(r#"{"step_bp": 450}"#),
                    elasticity: Some(1.3),
                    ..Try::default()
                },
            )
            .unwrap();
            report.seconds = 0.0;
            report.microseconds = None;
            serde_json::to_string(&report).unwrap()
        })
        .collect();
    json.dedup();
    assert_eq!(json.len(), 1);
}

#[test]
fn a_log_without_decisions_says_so_with_its_first_line() {
    let history = History::of(1);
    let error = tried(&history, &history.written(["nonsense"]), Try::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("there is no decision in") && error.contains("line 1"),
        "{error}"
    );
}

#[test]
fn a_policy_with_a_state_is_tried_as_if_it_had_been_there_from_the_beginning() {
    let history = History::of(1_500);
    let source = history.source();
    let subscription = include_bytes!("../../../../../policies/dist/subscription.wasm");
    let new = history.engine.load("subscription", subscription).unwrap();
    let trial = Trial {
        source: &source,
        new: &new,
        old: None,
        of: vec!["surge".to_owned()],
        params: Params::default(),
        elasticity: None,
        workers: 2,
    };
    let report = run(&trial, &mut |_, _| {}).unwrap();
    let mut subscribed = BTreeSet::new();
    let (mut revenue, mut free) = (Amount::ZERO, 0u64);
    for (_, entry) in history.by("surge") {
        let Input::Pricing(input) = &entry.record.input else {
            continue;
        };
        let whose = (input.buyer, input.offer.seller, input.offer.api);
        // The flat price once, and then the floor, for which no policy can sell below it.
        let first = !subscribed.contains(&whose);
        free += u64::from(!first);
        if entry.sale.is_some() {
            revenue = revenue.saturating_add(Amount::from_tokens(if first { 10 } else { 3 }));
            subscribed.insert(whose);
        }
    }
    assert!(free > 500, "{free}");
    assert_eq!(report.left_out.unanswerable, 0);
    assert!(report.answers.assumed >= report.compared);
    assert_eq!(report.revenue.as_ref().unwrap().total.new, revenue.to_string());
    let granted = report
        .assumptions
        .iter()
        .filter(|text| text.contains("was granted `state`"));
    assert_eq!(granted.count(), 1);
    assert!(
        report
            .assumptions
            .iter()
            .any(|text| text.contains("in force since the log began"))
    );
}

#[test]
fn a_policy_that_is_new_to_the_market_is_tried_in_place_of_the_only_one_with_its_own_parameters() {
    let history = History::of(300);
    let surge: Vec<String> = history.by("surge").map(|(_, entry)| entry.to_line()).collect();
    let source = history.written(&surge);
    let what = || Try {
        new: "dutch",
        ..Try::default()
    };
    let report = tried(&history, &source, what()).unwrap();
    assert_eq!(report.compared, surge.len() as u64);
    assert_eq!(report.log.of, ["surge"]);
    assert_eq!(report.new.params, "the policy's defaults");
    let recorded = Params {
        base: Base::Recorded,
        over: params(r#"{"scope":"key"}"#).unwrap(),
    };
    let report = tried(
        &history,
        &source,
        Try {
            params: recorded,
            ..what()
        },
    )
    .unwrap();
    // What surge takes, dutch does not know.
    assert_eq!(report.refusals[0].new, report.compared);
    assert_eq!(
        report.new.params,
        r#"as recorded, with {"scope":"key"} laid over them"#
    );
    // Among several it is for the user to choose.
    let several = tried(
        &history,
        &history.source(),
        Try {
            of: &["tiered"],
            ..Try::default()
        },
    );
    assert!(several.unwrap_err().to_string().contains("--of all"));
}
