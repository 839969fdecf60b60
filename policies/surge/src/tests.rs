//! `surge` against a market whose sales are written down.

use super::*;
use bourse::testing::{MockHost, MockMarket, NOW, offer, request};
use std::time::Duration;
use trial::tokens;

fn price_after(sales: u32, params: Params) -> Amount {
    let market = MockMarket::busy(NOW, &offer(), sales, Duration::from_millis(100));
    Surge::quote(&request(params), &market).unwrap().amount
}

#[test]
fn without_sales_the_price_is_the_base() {
    assert_eq!(price_after(0, Params::default()), tokens("10"));
    assert_eq!(
        price_after(
            0,
            Params {
                base: Some(tokens("2.5")),
                ..Params::default()
            }
        ),
        tokens("2.5")
    );
}

#[test]
fn thirty_quick_sales_add_half_of_the_base() {
    assert_eq!(price_after(30, Params::default()), tokens("15"));
}

#[test]
fn more_sales_never_make_a_lower_price_and_the_maximum_holds() {
    let prices: Vec<Amount> = (0..400)
        .map(|sales| price_after(sales, Params::default()))
        .collect();
    assert!(prices.is_sorted());
    assert_eq!(prices.last(), Some(&tokens("30")), "three times the base");
}

#[test]
fn the_price_falls_back_as_sales_leave_the_window() {
    let mut market = MockMarket::busy(NOW, &offer(), 30, Duration::from_millis(100));
    let prices: Vec<Amount> = (0..=60)
        .map(|seconds| {
            market.now = NOW.after(Duration::from_secs(seconds));
            Surge::quote(&request(Params::default()), &market).unwrap().amount
        })
        .collect();
    assert!(prices.iter().rev().is_sorted());
    assert_eq!(
        (prices.first(), prices.last()),
        (Some(&tokens("15")), Some(&tokens("10")))
    );
}

#[test]
fn sales_of_the_scope_count_and_others_do_not() {
    let mut market = MockMarket::busy(NOW, &offer(), 30, Duration::from_millis(100));
    for sale in &mut market.sales {
        sale.key.0 = [0xee; 16];
    }
    let amount = |scope| {
        Surge::quote(
            &request(Params {
                scope,
                ..Params::default()
            }),
            &market,
        )
        .unwrap()
        .amount
    };
    assert_eq!(amount(Scope::Key), tokens("10"));
    assert_eq!(amount(Scope::Api), tokens("15"));
    assert_eq!(amount(Scope::Seller), tokens("15"));
}

#[test]
fn a_repriced_offer_starts_from_its_fixed_price() {
    let market = MockMarket::busy(NOW, &offer(), 30, Duration::from_millis(100));
    let fixed = Some(tokens("35"));
    let params = Params {
        base: Some(tokens("1")),
        ..Params::default()
    };
    let repriced = PriceRequest {
        base: fixed,
        floor: tokens("35"),
        ..request(params)
    };
    assert_eq!(Surge::quote(&repriced, &market).unwrap().amount, tokens("52.5"));
    assert_eq!(
        Surge::quote(&repriced, &MockMarket::default()).unwrap().amount,
        tokens("35")
    );
    let free = PriceRequest {
        base: Some(Amount::ZERO),
        ..request(Params::default())
    };
    assert_eq!(
        Surge::quote(&free, &market).unwrap().amount,
        Amount::ZERO,
        "what is free stays free"
    );
}

#[test]
fn a_floor_above_the_base_lifts_it_so_that_demand_still_shows() {
    let market = MockMarket::busy(NOW, &offer(), 30, Duration::from_millis(100));
    let lifted = PriceRequest {
        floor: tokens("100"),
        ..request(Params::default())
    };
    assert_eq!(Surge::quote(&lifted, &market).unwrap().amount, tokens("150"));
}

#[test]
fn the_cap_holds_against_any_demand_and_any_parameters() {
    let greedy = Params {
        base: Some(Amount::MAX),
        step_bp: u64::MAX,
        max_bp: u64::MAX,
        ..Params::default()
    };
    let capped = PriceRequest {
        cap: tokens("12"),
        ..request(greedy)
    };
    let market = MockMarket::busy(NOW, &offer(), 30, Duration::from_millis(100));
    assert_eq!(Surge::quote(&capped, &market).unwrap().amount, tokens("12"));
}

#[test]
fn a_price_holds_five_seconds_or_less_if_the_host_says_so() {
    let short = PriceRequest {
        max_valid_ms: 700,
        ..request(Params::default())
    };
    let valid =
        |request: &PriceRequest<Params>| Surge::quote(request, &MockMarket::default()).unwrap().valid_ms;
    assert_eq!(valid(&request(Params::default())), 5_000);
    assert_eq!(valid(&short), 700);
}

#[test]
fn parameters_come_as_json_and_senseless_ones_are_refused_by_name() {
    let ask = |params: &str| bourse::quote::<Surge>(request(params.to_owned()), &MockHost::default());
    assert_eq!(
        ask(r#"{"base":"0.5","scope":"key"}"#).unwrap().amount,
        tokens("0.5")
    );
    trial::refused_by_name(
        &[
            (r#"{"window_ms":0}"#, "window_ms is 0"),
            (r#"{"window_ms":86400001}"#, "window_ms is 86400001"),
            (r#"{"max_bp":9999}"#, "max_bp is 9999"),
            (r#"{"windows":5}"#, "windows"),
            (
                r#"{"base":0.5}"#,
                "base: found the number 0.5, expected an amount of tokens",
            ),
            (r#"{"scope":"world"}"#, "world"),
            ("[", "found a list"),
        ],
        ask,
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(7);
}
