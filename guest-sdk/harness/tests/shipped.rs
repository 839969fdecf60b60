//! The harness with components that lie in the repository.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

use bourse::testing::{BUYER, MockHost, MockMarket, NOW, TestBatch, filter_request, offer, request};
use bourse::{Amount, Offer, PriceRequest};
use bourse_harness::{Declined, Hook, Import, Limits, OpenError, Sandbox};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../policies/dist")
        .join(format!("{name}.wasm"))
}

#[test]
fn a_component_is_asked_with_the_requests_and_the_market_of_plain_tests() {
    let surge = Sandbox::open(shipped("surge")).unwrap();
    assert_eq!(
        (surge.hooks(), surge.imports()),
        (&[Hook::Pricing][..], &[Import::Market][..])
    );
    let mut host = MockHost::from(MockMarket::busy(NOW, &offer(), 30, Duration::from_millis(100)));
    let capped = PriceRequest {
        cap: Amount::from_tokens(12),
        ..request("{}")
    };
    for (asked, tokens) in [(request("{}"), 15), (capped, 12)] {
        let answered = surge.quote(&asked, &mut host);
        assert!(surge.replays(&answered));
        assert!(answered.fuel < 10_000, "fuel {}", answered.fuel);
        assert_eq!(answered.outcome.unwrap().amount, Amount::from_tokens(tokens));
    }
}

#[test]
fn limits_of_the_caller_hold() {
    let surge = Sandbox::open(shipped("surge")).unwrap().limits(Limits {
        fuel: 100,
        ..Limits::default()
    });
    let answered = surge.quote(&request("{}"), &mut MockHost::default());
    match answered.outcome {
        Err(Declined::Failed(failure)) => assert!(failure.to_string().contains("fuel"), "{failure}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_is_filtered_as_its_functions_would_filter_it() {
    let fair = Sandbox::open(shipped("fair-share")).unwrap();
    let page: Vec<Offer> = (0..20).map(|_| offer()).collect();
    let answered = fair.filter(&filter_request("{}"), &page, &mut MockHost::default());
    assert!(fair.replays(&answered));
    let shown = answered.outcome.unwrap();
    assert!(shown.is_sorted() && shown.len() <= TestBatch::of(&page).view().len());
    assert_eq!(filter_request("{}").buyer, Some(BUYER));
}

#[test]
fn what_is_no_policy_is_refused_as_a_host_refuses_it() {
    let missing = Sandbox::open("no-such.wasm").unwrap_err();
    assert!(matches!(missing, OpenError::Read { .. }));
    assert!(
        missing.to_string().ends_with("`bourse policy build` makes it"),
        "{missing}"
    );
    let garbage = Sandbox::load("surge", b"#!/bin/sh").unwrap_err().to_string();
    assert!(
        garbage.starts_with("surge.wasm is not a policy that a host would load:"),
        "{garbage}"
    );
    let renamed = Sandbox::load("surge", &std::fs::read(shipped("dutch")).unwrap()).unwrap_err();
    assert!(
        renamed.to_string().contains("describes itself as `dutch`"),
        "{renamed}"
    );
}
