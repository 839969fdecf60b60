//! Asking real components, and comparing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use bourse_cases::{Case, Verdict};
use bourse_policy::{Engine, EngineOptions, Revision};

const SURGE: &[u8] = include_bytes!("../../../policies/dist/surge.wasm");

fn surge() -> Revision {
    Engine::new(EngineOptions::default())
        .unwrap()
        .load("surge", SURGE)
        .unwrap()
}

fn verdict(text: &str) -> Verdict {
    let case = Case::parse(text.as_bytes()).unwrap();
    case.expect.compare(&case.input.ask(&surge()))
}

/// What does not hold, as `name: expected, got`.
fn wrong(verdict: &Verdict) -> Vec<String> {
    verdict
        .lines
        .iter()
        .filter(|line| !line.holds)
        .map(|line| {
            let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            format!("{}: {}, {}", line.name, word(&line.expected), word(&line.got))
        })
        .collect()
}

const BUSY: &str = r#"{"hook": "pricing", "params": {"base": "10"},
  "market": [{"subject": "key", "sales": 1000}, {"subject": "api", "window_ms": 60000, "sales": 15}], "expect": "#;

#[test]
fn a_policy_sees_the_market_that_the_case_writes_down() {
    let quiet = verdict(
        r#"{"hook": "pricing", "params": {"base": "10"}, "expect": {"price": "10", "valid_ms": 5000}}"#,
    );
    assert!(quiet.holds(), "{quiet:?}");
    let busy = verdict(&format!(
        "{BUSY}{{\"price\": \"12\", \"bounded\": \"none\", \"max_fuel\": 100000}}}}"
    ));
    assert!(busy.holds(), "{busy:?}");
}

#[test]
fn what_differs_is_shown_beside_what_was_expected_and_nothing_else() {
    let price = verdict(&format!(
        "{BUSY}{{\"price\": \"12.5\", \"valid_ms\": 5000, \"max_fuel\": 1}}}}"
    ));
    let wrong_lines = wrong(&price);
    assert_eq!(wrong_lines[0], "price: 12.5, 12");
    assert!(wrong_lines[1].starts_with("fuel: at most 1, "), "{wrong_lines:?}");
    assert_eq!(wrong_lines.len(), 2);
    let refused = verdict(&format!("{BUSY}{{\"code\": \"closed\"}}}}"));
    assert_eq!(wrong(&refused), ["outcome: refused, priced", "code: closed, -"]);
}

#[test]
fn bounds_refusals_and_failures_are_outcomes_like_others() {
    let floor = r#"{"hook": "pricing", "request": {"floor": "20", "cap": "30", "max_valid_ms": 7}, "expect": {"price": "20", "valid_ms": 7}}"#;
    assert!(verdict(floor).holds());
    let refused = r#"{"hook": "pricing", "params": {"max_bp": 1}, "expect": {"code": "params"}}"#;
    let refused = verdict(refused);
    assert!(
        refused.lines.iter().any(|line| line.name == "text"),
        "{refused:?}"
    );
    let starved = r#"{"hook": "pricing", "limits": {"fuel": 10}, "expect": {"outcome": "out_of_fuel"}}"#;
    assert!(verdict(starved).holds());
    let denied = r#"{"hook": "pricing", "grants": [], "expect": {"outcome": "not_granted"}}"#;
    assert_eq!(wrong(&verdict(denied)), Vec::<String>::new());
    let missing = r#"{"hook": "consent", "expect": {"outcome": "missing_hook"}}"#;
    assert_eq!(wrong(&verdict(missing)), Vec::<String>::new());
}
