//! What holds for any parameters at any age.

use super::*;
use bourse::testing::{NOW, request};
use proptest::prelude::*;
use std::time::Duration;

fn any_params() -> impl Strategy<Value = Params> {
    let amount = || prop::option::of(any::<u128>().prop_map(Amount::from_units));
    let length = || prop_oneof![1u64..100_000, 1u64..];
    (amount(), amount(), length(), prop::option::of(length()), length()).prop_map(
        |(start, floor, duration_ms, half_life_ms, step_ms)| Params {
            start,
            floor,
            duration_ms,
            half_life_ms,
            step_ms,
            ..Params::default()
        },
    )
}

fn at(age_ms: u64, params: &Params) -> Amount {
    let now = NOW.after(Duration::from_millis(age_ms));
    Dutch::quote(&PriceRequest {
        now,
        ..request(params.clone())
    })
    .unwrap()
    .amount
}

proptest! {
    #[test]
    fn the_price_never_rises_with_age(params in any_params(), age_ms in 0u64..1_000_000, later_ms in 0u64..1_000_000) {
        prop_assert!(at(age_ms + later_ms, &params) <= at(age_ms, &params));
    }

    #[test]
    fn the_price_stays_between_start_and_floor(params in any_params(), age_ms in 0u64..1_000_000) {
        let floor = params.floor.unwrap_or(Amount::from_tokens(5));
        let start = params.start.unwrap_or(Amount::from_tokens(20)).max(floor);
        let price = at(age_ms, &params);
        prop_assert!(price >= floor && price <= start);
        prop_assert_eq!(at(0, &params), start);
    }

    #[test]
    fn floor_and_cap_hold(params in any_params(), age_ms in 0u64..1_000_000, one in any::<u128>(), other in any::<u128>()) {
        let asked = PriceRequest {
            now: NOW.after(Duration::from_millis(age_ms)),
            floor: Amount::from_units(one.min(other)),
            cap: Amount::from_units(one.max(other)),
            ..request(params)
        };
        let price = Dutch::quote(&asked).unwrap().amount;
        prop_assert!(price >= asked.floor && price <= asked.cap);
    }
}
