//! `dutch` at different ages of an offer, against a market that nobody may ask.

use super::*;
use bourse::testing::{NOW, NoHost, request};
use std::time::Duration;
use trial::tokens;

fn price_at(age_ms: u64, request: PriceRequest<Params>) -> Amount {
    let now = NOW.after(Duration::from_millis(age_ms));
    Dutch::quote(&PriceRequest { now, ..request }).unwrap().amount
}

fn linear() -> Params {
    Params {
        start: Some(tokens("100")),
        floor: Some(tokens("20")),
        duration_ms: 80_000,
        ..Params::default()
    }
}

#[test]
fn a_straight_line_leads_from_the_start_to_the_floor_and_stays_there() {
    for (age_ms, expected) in [
        (0, "100"),
        (1_000, "99"),
        (40_000, "60"),
        (80_000, "20"),
        (u64::MAX / 2_000_000, "20"),
    ] {
        assert_eq!(price_at(age_ms, request(linear())), tokens(expected), "{age_ms}");
    }
}

#[test]
fn with_a_half_life_the_way_down_halves_each_time() {
    let halving = Params {
        half_life_ms: Some(10_000),
        ..linear()
    };
    for (age_ms, expected) in [
        (0, "100"),
        (5_000, "80"),
        (10_000, "60"),
        (20_000, "40"),
        (30_000, "30"),
    ] {
        assert_eq!(
            price_at(age_ms, request(halving.clone())),
            tokens(expected),
            "{age_ms}"
        );
    }
    assert_eq!(price_at(100_000_000, request(halving)), tokens("20"));
}

#[test]
fn the_price_never_rises_with_age() {
    for half_life_ms in [None, Some(7_777)] {
        let params = Params {
            half_life_ms,
            ..linear()
        };
        let prices: Vec<Amount> = (0..200)
            .map(|step| price_at(step * 531, request(params.clone())))
            .collect();
        assert!(prices.iter().rev().is_sorted(), "{half_life_ms:?}");
    }
}

#[test]
fn within_a_step_the_price_stands_still() {
    assert_eq!(
        price_at(1_000, request(linear())),
        price_at(1_999, request(linear()))
    );
    assert!(price_at(2_000, request(linear())) < price_at(1_999, request(linear())));
}

#[test]
fn unset_prices_are_twice_and_half_the_reference() {
    let unset = || request(Params::default());
    assert_eq!(
        (price_at(0, unset()), price_at(3_600_000, unset())),
        (tokens("20"), tokens("5"))
    );
    let lifted = || PriceRequest {
        floor: tokens("50"),
        ..unset()
    };
    assert_eq!(
        (price_at(0, lifted()), price_at(3_600_000, lifted())),
        (tokens("100"), tokens("50"))
    );
}

#[test]
fn a_repriced_offer_falls_to_its_fixed_price() {
    let repriced = || {
        let fixed = tokens("35");
        PriceRequest {
            base: Some(fixed),
            floor: fixed,
            ..request(Params::default())
        }
    };
    assert_eq!(
        (price_at(0, repriced()), price_at(3_600_000, repriced())),
        (tokens("70"), tokens("35"))
    );
}

#[test]
fn floor_and_cap_of_the_request_hold_whatever_the_parameters_say() {
    let bounded = |params| PriceRequest {
        floor: tokens("30"),
        cap: tokens("50"),
        ..request(params)
    };
    assert_eq!(price_at(0, bounded(linear())), tokens("50"));
    assert_eq!(price_at(80_000, bounded(linear())), tokens("30"));
    let upside_down = Params {
        start: Some(tokens("1")),
        floor: Some(tokens("40")),
        ..linear()
    };
    assert_eq!(
        price_at(0, bounded(upside_down)),
        tokens("40"),
        "a start below the floor is the floor"
    );
}

#[test]
fn age_counts_from_when_the_key_could_be_bought() {
    let mut later = request(linear());
    later.offer.valid_from = NOW.after(Duration::from_secs(10));
    assert_eq!(price_at(5_000, later.clone()), tokens("100"));
    assert_eq!(price_at(50_000, later), tokens("60"));
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    for name in ["duration_ms", "half_life_ms", "step_ms"] {
        let refusal = bourse::quote::<Dutch>(request(format!("{{\"{name}\":0}}")), &NoHost).unwrap_err();
        assert_eq!(
            (refusal.code.as_ref(), refusal.text),
            ("bad_params", format!("{name} is 0: expected at least 1").into())
        );
    }
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(6);
}
