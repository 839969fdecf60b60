//! `subscription` over its periods, and where two purchases begin one at once.

use super::*;
use bourse::testing::{BUYER, MockHost, NOW, request};
use bourse::{ApiId, Nanos};
use std::time::Duration;
use tally::testing::post;
use trial::tokens;

const HOUR: u64 = 3_600_000;

fn hourly() -> Params {
    Params {
        price: tokens("50"),
        period_ms: HOUR,
        ..Params::default()
    }
}

fn later(ms: u64) -> Nanos {
    NOW.after(Duration::from_millis(ms))
}

fn asked(params: &Params, ms: u64) -> PriceRequest<Params> {
    PriceRequest {
        now: later(ms),
        buyer: Some(BUYER),
        ..request(params.clone())
    }
}

fn price(host: &MockHost, request: &PriceRequest<Params>) -> Price {
    Subscription::quote(request, &host.clone()).unwrap()
}

fn buy(host: &mut MockHost, request: &PriceRequest<Params>) -> Amount {
    let price = Subscription::quote(request, host).unwrap();
    host.post();
    price.amount
}

/// A purchase that is quoted and not posted yet.
fn quoted(host: &MockHost, request: &PriceRequest<Params>) -> MockHost {
    let call = host.clone();
    assert!(!Subscription::quote(request, &call).unwrap().amount.is_zero());
    call
}

#[test]
fn the_first_key_costs_the_period_and_the_others_within_it_nothing() {
    let mut host = MockHost::default();
    let costs: Vec<Amount> = [0, 1, HOUR / 2, HOUR - 1, HOUR, HOUR + 1, 2 * HOUR]
        .map(|ms| buy(&mut host, &asked(&hourly(), ms)))
        .to_vec();
    let (flat, free) = (tokens("50"), Amount::ZERO);
    assert_eq!(costs, [flat, free, free, free, flat, free, flat]);
}

#[test]
fn a_quote_that_is_not_bought_subscribes_nobody() {
    let mut host = MockHost::default();
    for ms in 0..5 {
        assert_eq!(
            Subscription::quote(&asked(&hourly(), ms), &host).unwrap().amount,
            tokens("50")
        );
        host.forget();
    }
}

#[test]
fn a_free_key_is_promised_no_longer_than_its_period() {
    let mut host = MockHost::default();
    buy(&mut host, &asked(&hourly(), 0));
    assert_eq!(price(&host, &asked(&hourly(), 1)).valid_ms, 5_000);
    assert_eq!(price(&host, &asked(&hourly(), HOUR - 300)).valid_ms, 300);
}

#[test]
fn a_subscription_that_is_paid_twice_in_overlap_lasts_twice_as_long() {
    let mut host = MockHost::default();
    let (first, second) = (
        quoted(&host, &asked(&hourly(), 0)),
        quoted(&host, &asked(&hourly(), 10)),
    );
    post(&mut host, &second);
    post(&mut host, &first);
    for (ms, free) in [
        (20, true),
        (HOUR, true),
        (2 * HOUR - 1, true),
        (2 * HOUR + 10, false),
    ] {
        assert_eq!(price(&host, &asked(&hourly(), ms)).amount.is_zero(), free, "{ms}");
    }
}

#[test]
fn a_second_live_quote_that_is_bought_later_buys_a_second_period() {
    let mut host = MockHost::default();
    let two = [0, 0].map(|_| quoted(&host, &asked(&hourly(), 0)));
    post(&mut host, &two[0]);
    assert!(price(&host, &asked(&hourly(), 5)).amount.is_zero());
    post(&mut host, &two[1]);
    assert!(price(&host, &asked(&hourly(), HOUR + 5)).amount.is_zero());
}

#[test]
fn a_subscription_covers_one_api_of_one_seller_or_all_of_its_keys() {
    for (covers, other_api) in [(Covers::Api, false), (Covers::Seller, true)] {
        let params = Params { covers, ..hourly() };
        let mut host = MockHost::default();
        buy(&mut host, &asked(&params, 0));
        let mut elsewhere = asked(&params, 1);
        elsewhere.offer.api = ApiId([0x99; 16]);
        assert_eq!(price(&host, &elsewhere).amount.is_zero(), other_api, "{covers:?}");
        let mut rival = asked(&params, 1);
        rival.offer.seller = Address([0x99; 20]);
        assert!(
            !price(&host, &rival).amount.is_zero(),
            "{covers:?}: another seller was not paid"
        );
        let friend = PriceRequest {
            buyer: Some(Address([0x98; 20])),
            ..asked(&params, 1)
        };
        assert!(
            !price(&host, &friend).amount.is_zero(),
            "{covers:?}: another buyer has not paid"
        );
    }
}

#[test]
fn a_period_that_is_paid_keeps_its_length_whatever_the_seller_sets_then() {
    let mut host = MockHost::default();
    buy(&mut host, &asked(&hourly(), 0));
    let shortened = Params {
        period_ms: 60_000,
        ..hourly()
    };
    assert!(price(&host, &asked(&shortened, HOUR - 1)).amount.is_zero());
}

#[test]
fn a_buyer_who_is_not_proven_pays_for_the_single_key_or_is_refused() {
    let unproven = |params: &Params| PriceRequest {
        buyer: None,
        ..asked(params, 0)
    };
    let mut host = MockHost::default();
    let refusal = Subscription::quote(&unproven(&hourly()), &host).unwrap_err();
    assert_eq!(refusal.code, "buyer_unknown");
    let single = Params {
        single: Some(tokens("2")),
        ..hourly()
    };
    assert_eq!(buy(&mut host, &unproven(&single)), tokens("2"));
    assert_eq!(
        price(&host, &asked(&single, 0)).amount,
        tokens("50"),
        "that was no subscription"
    );
}

#[test]
fn who_finds_no_room_is_refused_before_paying() {
    let params = Params {
        max_subscribers: 1,
        ..hourly()
    };
    let mut host = MockHost::default();
    buy(&mut host, &asked(&params, 0));
    let late = PriceRequest {
        buyer: Some(Address([0x98; 20])),
        ..asked(&params, 1)
    };
    let refusal = Subscription::quote(&late, &host).unwrap_err();
    assert_eq!(refusal.code, "full");
    assert_eq!(
        buy(&mut host, &asked(&params, 2 * HOUR)),
        tokens("50"),
        "who is known may renew"
    );
}

#[test]
fn what_is_free_stays_free_and_floor_and_cap_hold() {
    let mut host = MockHost::default();
    let free = PriceRequest {
        base: Some(Amount::ZERO),
        buyer: None,
        ..asked(&hourly(), 0)
    };
    assert_eq!(buy(&mut host, &free), Amount::ZERO);
    let capped_to_nothing = PriceRequest {
        cap: Amount::ZERO,
        ..asked(&hourly(), 0)
    };
    assert_eq!(buy(&mut host, &capped_to_nothing), Amount::ZERO);
    assert_eq!(
        buy(&mut host, &asked(&hourly(), 1)),
        tokens("50"),
        "nothing was subscribed so far"
    );
    let floored = PriceRequest {
        floor: tokens("0.1"),
        ..asked(&hourly(), 2)
    };
    assert_eq!(
        buy(&mut host, &floored),
        tokens("0.1"),
        "a floor is a price for each key"
    );
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    trial::refused_by_name(
        &[
            (r#"{"price":0}"#, "price is 0"),
            (r#"{"period_ms":59999}"#, "period_ms is 59999"),
            (r#"{"period_ms":315360000001}"#, "period_ms is 315360000001"),
            (r#"{"covers":"world"}"#, "world"),
            (r#"{"valid_ms":0}"#, "valid_ms is 0"),
            (r#"{"prize":1}"#, "prize"),
        ],
        |params| bourse::quote::<Subscription>(request(params.to_owned()), &MockHost::default()),
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(6);
}
