//! `tiered` for buyers who have bought more and more.

use super::*;
use bourse::Nanos;
use bourse::testing::{BUYER, MockHost, NOW, request};
use std::time::Duration;
use tally::testing::post;
use trial::tokens;

fn tiers(measure: Measure, tiers: &[(u64, u64)]) -> Params {
    Params {
        measure,
        tiers: tiers
            .iter()
            .map(|&(from, off_bp)| Tier { from, off_bp })
            .collect(),
        ..Params::default()
    }
}

fn asked(params: &Params, now: Nanos) -> PriceRequest<Params> {
    PriceRequest {
        now,
        buyer: Some(BUYER),
        ..request(params.clone())
    }
}

fn price(host: &MockHost, request: &PriceRequest<Params>) -> Amount {
    Tiered::quote(request, &host.clone()).unwrap().amount
}

/// Buys a key and returns what it cost.
fn buy(host: &mut MockHost, request: &PriceRequest<Params>) -> Amount {
    let price = Tiered::quote(request, host).unwrap();
    host.post();
    price.amount
}

#[test]
fn each_tier_holds_from_the_purchase_after_the_one_that_reached_it() {
    let asked = asked(&tiers(Measure::Keys, &[(2, 1_000), (4, 2_500)]), NOW);
    let mut host = MockHost::default();
    let prices: Vec<String> = (0..6).map(|_| buy(&mut host, &asked).to_string()).collect();
    assert_eq!(prices, ["10", "10", "9", "9", "7.5", "7.5"]);
}

#[test]
fn tokens_count_as_they_were_paid() {
    let asked = asked(&tiers(Measure::Tokens, &[(15, 5_000), (25, 9_000)]), NOW);
    let mut host = MockHost::default();
    let prices: Vec<String> = (0..5).map(|_| buy(&mut host, &asked).to_string()).collect();
    // 10, 20, 25 tokens before the third, fourth and later ones.
    assert_eq!(prices, ["10", "10", "5", "1", "1"]);
}

#[test]
fn a_quote_that_is_not_bought_counts_nothing() {
    let asked = asked(&tiers(Measure::Keys, &[(1, 1_000)]), NOW);
    let mut host = MockHost::default();
    for _ in 0..10 {
        assert_eq!(Tiered::quote(&asked, &host).unwrap().amount, tokens("10"));
        host.forget();
    }
}

#[test]
fn what_a_buyer_bought_of_others_or_from_itself_earns_no_discount_here() {
    let params = tiers(Measure::Keys, &[(1, 1_000)]);
    let mut host = MockHost::default();
    let mut own = asked(&params, NOW);
    own.offer.seller = BUYER;
    buy(&mut host, &own);
    assert_eq!(price(&host, &asked(&params, NOW)), tokens("10"));
    assert_eq!(price(&host, &own), tokens("9"));
}

#[test]
fn a_buyer_who_is_not_proven_pays_the_base_and_counts_nothing() {
    let unproven = PriceRequest {
        buyer: None,
        ..asked(&tiers(Measure::Keys, &[(1, 1_000)]), NOW)
    };
    let mut host = MockHost::default();
    assert_eq!(buy(&mut host, &unproven), tokens("10"));
    assert_eq!(buy(&mut host, &unproven), tokens("10"));
}

#[test]
fn the_count_starts_over_with_the_period() {
    let params = tiers(Measure::Keys, &[(1, 1_000)]);
    let at = |ms| asked(&params, NOW.after(Duration::from_millis(ms)));
    let mut host = MockHost::default();
    buy(&mut host, &at(0));
    assert_eq!(price(&host, &at(params.period_ms - 1)), tokens("9"));
    assert_eq!(price(&host, &at(params.period_ms)), tokens("10"));
}

#[test]
fn purchases_that_overlap_all_count() {
    let asked = asked(&tiers(Measure::Keys, &[(3, 1_000)]), NOW);
    let mut host = MockHost::default();
    let calls = [0, 1, 2].map(|_| {
        let call = host.clone();
        Tiered::quote(&asked, &call).unwrap();
        call
    });
    for call in &calls {
        post(&mut host, call);
    }
    assert_eq!(price(&host, &asked), tokens("9"));
}

#[test]
fn a_fixed_price_is_the_base_and_what_is_free_stays_free_and_uncounted() {
    let params = tiers(Measure::Keys, &[(1, 1_000)]);
    let mut host = MockHost::default();
    let free = PriceRequest {
        base: Some(Amount::ZERO),
        ..asked(&params, NOW)
    };
    assert_eq!(buy(&mut host, &free), Amount::ZERO);
    let fixed = PriceRequest {
        base: Some(tokens("35")),
        ..asked(&params, NOW)
    };
    assert_eq!(buy(&mut host, &fixed), tokens("35"));
    assert_eq!(price(&host, &fixed), tokens("31.5"));
    let floored = PriceRequest {
        floor: tokens("35"),
        ..fixed
    };
    assert_eq!(
        price(&host, &floored),
        tokens("35"),
        "the floor goes before a discount"
    );
}

#[test]
fn a_state_without_room_leaves_new_buyers_at_the_base() {
    let params = Params {
        max_buyers: 1,
        ..tiers(Measure::Keys, &[(1, 1_000)])
    };
    let mut host = MockHost::default();
    let known = asked(&params, NOW);
    buy(&mut host, &known);
    let late = PriceRequest {
        buyer: Some(Address([0x77; 20])),
        ..known.clone()
    };
    assert_eq!(buy(&mut host, &late), tokens("10"));
    assert_eq!(buy(&mut host, &late), tokens("10"));
    assert_eq!(buy(&mut host, &known), tokens("9"));
}

#[test]
fn amounts_without_bound_stay_within_the_cap_and_the_counter() {
    let params = Params {
        base: Amount::MAX,
        ..tiers(Measure::Tokens, &[(u64::MAX, WHOLE_BP)])
    };
    let mut host = MockHost::default();
    for _ in 0..3 {
        assert_eq!(buy(&mut host, &asked(&params, NOW)), Amount::MAX);
    }
    let free = PriceRequest {
        cap: Amount::ZERO,
        ..asked(&params, NOW)
    };
    assert_eq!(buy(&mut host, &free), Amount::ZERO);
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    let ask = |params: &str| bourse::quote::<Tiered>(request(params.to_owned()), &MockHost::default());
    let many = format!(
        r#"{{"tiers":[{}]}}"#,
        (1..=17)
            .map(|at| format!(r#"{{"from":{at},"off_bp":{at}}}"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    trial::refused_by_name(
        &[
            (
                r#"{"tiers":[{"from":5,"off_bp":1},{"from":5,"off_bp":2}]}"#,
                "expected more off from more",
            ),
            (
                r#"{"tiers":[{"from":5,"off_bp":9},{"from":7,"off_bp":2}]}"#,
                "2 off from 7 after 9 off from 5",
            ),
            (r#"{"tiers":[{"from":5,"off_bp":10001}]}"#, "off_bp is 10001"),
            (r#"{"tiers":[{"from":5}]}"#, "off_bp is not set"),
            (many.as_str(), "tiers has 17"),
            (r#"{"period_ms":1}"#, "period_ms is 1"),
            (r#"{"max_buyers":7000}"#, "max_buyers is 7000"),
            (r#"{"measure":"kilograms"}"#, "kilograms"),
            (r#"{"bases":1}"#, "bases"),
        ],
        ask,
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(6);
}
