//! Reading case files, good and broken.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use bourse_cases::{Case, Function, Input, MAX_BYTES};
use proptest::prelude::*;

#[track_caller]
fn says(text: &str, expected: &str) {
    let error = Case::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, expected, "{text}");
}

#[track_caller]
fn reads(text: &str) -> Case {
    Case::parse(text.as_bytes()).unwrap()
}

#[test]
fn the_least_a_case_says_is_its_hook_and_what_is_expected() {
    let case = reads(r#"{"hook": "pricing", "expect": {"price": "7.5"}}"#);
    assert_eq!(case.input.function(), Function::Pricing);
    assert_eq!(case.expect.outcome, "priced");
    for (hook, expect, outcome) in [
        ("admit", r#"{"outcome": "admitted"}"#, "admitted"),
        ("filter", r#"{"shown": [2, 0]}"#, "shown"),
        ("consent", r#"{"code": "no_consent"}"#, "refused"),
        ("consent", r#"{"outcome": "out_of_fuel"}"#, "out_of_fuel"),
    ] {
        let case = reads(&format!(r#"{{"hook": "{hook}", "expect": {expect}}}"#));
        assert_eq!(case.expect.outcome, outcome);
    }
}

#[test]
fn an_error_names_line_column_and_field_and_what_would_be_right() {
    says(
        "{\n  \"hook\": \"pricing\",\n  \"expect\": {\"price\": 7.5}\n}",
        "line 3, column 23: expect.price: invalid type: floating point `7.5`, expected an amount in tokens, in quotes, \
         such as \"7.5\"",
    );
    says(
        "{\n  \"hook\": \"pricing\",\n  \"request\": {\"floor\": \"a lot\"}\n}",
        "line 3, column 24: request.floor: invalid value: string \"a lot\", expected an amount in tokens, in quotes, such \
         as \"7.5\"",
    );
    says(
        "{\"hook\": \"pricing\", \"request\": {\"buyer\": \"0x12\"}}",
        "line 1, column 42: request.buyer: expected an address as 40 hex digits, got `0x12`",
    );
    says(
        "{\"hook\": \"prices\"}",
        "line 1, column 10: hook: unknown variant `prices`, expected one of `pricing`, `admit`, `filter`, `consent`",
    );
    says(
        "{\"hook\": \"pricing\", \"request\": {\"offer\": {\"labels\": {}}}}",
        "line 1, column 53: request.offer.labels: unknown field `labels`, expected one of `key`, `api`, `catalog`, `uri`, \
         `seller`, `provider`, `placed_at`, `valid_from`, `expires`, `price`, `copies`, `remaining`, `categories`",
    );
}

#[test]
fn what_does_not_go_together_is_named_where_it_stands() {
    says(
        "{\"expect\": {}}",
        "line 1, column 1: hook: missing: expected pricing, admit, filter or consent",
    );
    says(
        "{\"hook\": \"pricing\"}",
        "line 1, column 1: expect: missing: say what the policy should answer, such as {\"price\": \"7.5\"}",
    );
    says(
        "{\"hook\": \"pricing\",\n \"expect\": {\"max_fuel\": 1}}",
        "line 2, column 12: expect: it does not say what is expected: a `code` for a refusal, or {\"outcome\": \
         \"priced\"}",
    );
    says(
        "{\"hook\": \"pricing\", \"expect\": {\"price\": \"1\",\n\"code\": \"x\"}}",
        "line 2, column 9: expect.code: goes with the outcome `refused`, but the case expects `priced`",
    );
    says(
        "{\"hook\": \"filter\", \"expect\": {\"code\": \"x\"}}",
        "line 1, column 30: expect: `filter` never answers `refused`: expected shown or a failure's code",
    );
    says(
        "{\"hook\": \"admit\", \"request\": {\n\"cap\": \"1\"}, \"expect\": {\"outcome\": \"admitted\"}}",
        "line 2, column 8: request.cap: no part of a question to `admit`, but to pricing",
    );
    says(
        "{\"hook\": \"pricing\", \"request\": {\"offer\": null}, \"expect\": {\"price\": \"1\"}}",
        "line 1, column 42: request.offer: null: `pricing` is always asked about an offer",
    );
    reads("{\"hook\": \"consent\", \"request\": {\"offer\": null}, \"expect\": {\"outcome\": \"allowed\"}}");
}

#[test]
fn hostile_files_are_refused_before_they_cost_anything() {
    let error = Case::parse(&vec![b'['; MAX_BYTES + 1]).unwrap_err().to_string();
    assert_eq!(error, "1048577 bytes or more: expected at most 1048576");
    says(
        &"[".repeat(100_000),
        "line 1, column 33: brackets nest deeper than 32",
    );
    says("", "the file is empty: expected a JSON object");
    says(
        "[1]",
        "a list: expected one JSON object, for one file holds one case",
    );
    assert_eq!(
        Case::parse(b"{\n\xff}").unwrap_err().to_string(),
        "line 2, column 1: not text in UTF-8"
    );
    says(
        "{\"hook\": \"pricing\", \"expect\": {\"price\": \"1\"}}\n{}",
        "line 2, column 1: something follows the end of the case: one file holds one case",
    );
    says(
        "{\"hook\": \"pricing\", \"params\": {\"a\": 1, \"a\": 2}}",
        "line 1, column 31: params: `a` stands here twice",
    );
    let params = format!(
        "{{\"hook\": \"pricing\", \"params\": {{\"a\": \"{}\"}}, \"expect\": {{\"price\": \"1\"}}}}",
        "x".repeat(4096)
    );
    says(
        &params,
        "line 1, column 31: params: 4104 bytes: expected at most 4096",
    );
    let offers = vec!["{}"; 1001].join(",");
    let offers = format!(
        "{{\"hook\": \"filter\", \"request\": {{\"offers\": [{offers}]}}, \"expect\": {{\"shown\": []}}}}"
    );
    says(
        &offers,
        "line 1, column 42: request.offers: 1001 offers: expected at most 1000",
    );
}

#[test]
fn an_input_says_its_hook_or_its_caller_does() {
    let parse =
        |text: &str, function| Input::parse(text.as_bytes(), function).map_err(|error| error.to_string());
    assert_eq!(
        parse("{}", Some(Function::Admit)).unwrap().function(),
        Function::Admit
    );
    assert_eq!(
        parse("{\"hook\": \"filter\"}", None).unwrap().function(),
        Function::Filter
    );
    assert_eq!(
        parse("{}", None).unwrap_err(),
        "line 1, column 1: hook: missing: expected pricing, admit, filter or consent"
    );
    assert_eq!(
        parse("{\"hook\": \"filter\"}", Some(Function::Admit)).unwrap_err(),
        "line 1, column 10: hook: the file is for `filter`, but `admit` is asked for"
    );
}

/// A case with most fields, to be damaged.
const FULL: &str = r#"{"about": "x", "hook": "pricing", "params": {"base": "5", "deep": [[{"a": null}]]},
  "request": {"now": "2026-01-31T12:00:00Z", "buyer": "0x5555555555555555555555555555555555555555",
    "offer": {"copies": 3, "categories": {"a": "b"}}, "floor": "1", "cap": "20", "max_valid_ms": 10},
  "market": [{"subject": {"key": "0x22222222222222222222222222222222"}, "window_ms": 60000, "sales": 4, "volume": "3"}],
  "state": {"values": {"k": {"hex": "00"}}, "counters": {"n": -4}}, "grants": ["market"],
  "limits": {"fuel": 10}, "expect": {"price": "7.5", "state": {"values": {"k": null}}, "log": ["a"]}}"#;

proptest! {
    #[test]
    fn any_bytes_are_a_case_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Case::parse(&bytes);
    }

    #[test]
    fn a_damaged_case_is_a_case_or_an_error(at in 0..FULL.len(), to in any::<u8>(), cut in 0..FULL.len()) {
        let mut bytes = FULL.as_bytes().to_vec();
        let _ = Case::parse(&bytes).unwrap();
        bytes[at] = to;
        let _ = Case::parse(&bytes);
        bytes.truncate(cut);
        let _ = Case::parse(&bytes);
    }
}
