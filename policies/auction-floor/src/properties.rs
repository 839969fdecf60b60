//! What holds for any course of prices.

use super::course::{Course, Last};
use super::*;
use bourse::testing::{MockHost, NOW, request};
use proptest::prelude::*;
use std::time::Duration;
use tally::testing::post;

fn any_course() -> impl Strategy<Value = Course> {
    (
        1u64..=2_500,
        1u64..=1_000_000,
        1_000u64..=86_400_000,
        1u128..1_000_000,
        any::<u128>(),
    )
        .prop_map(|(step_bp, target_sales, period_ms, floor, cap)| Course {
            step_bp,
            target_sales,
            period_ms,
            floor: Amount::from_units(floor),
            cap: Amount::from_units(cap.max(floor)),
        })
}

proptest! {
    #[test]
    fn time_never_raises_a_price_and_sales_never_lower_it(
        course in any_course(),
        units in any::<u128>(),
        times in prop::collection::vec(0u64..10_000_000, 1..30),
        sales in prop::collection::vec(0u64..600, 1..10),
    ) {
        let price = Amount::from_units(units).max(course.floor);
        let mut times = times;
        times.sort_unstable();
        let falls: Vec<Amount> = times.iter().map(|ms| course.fallen(price, *ms)).collect();
        prop_assert!(falls.iter().rev().is_sorted(), "{:?}", falls);
        prop_assert!(falls.iter().all(|fallen| *fallen >= course.floor && *fallen <= price));
        let mut sales = sales;
        sales.sort_unstable();
        let rises: Vec<Amount> = sales.iter().map(|sales| course.raised(price, *sales)).collect();
        prop_assert!(rises.is_sorted(), "{:?}", rises);
        prop_assert!(rises.iter().all(|raised| *raised <= course.cap));
    }

    /// Up by the target's sales and down by its time is where the price was, to a thousandth.
    #[test]
    fn the_targets_sales_and_its_time_cancel_out(
        step_bp in 1u64..=2_500,
        sales in 1u64..100,
        period_ms in 1_000u64..=86_400_000,
        tokens in 1u64..1_000_000,
    ) {
        let course = Course {
            step_bp,
            target_sales: sales,
            period_ms,
            floor: Amount::from_units(1),
            cap: Amount::MAX,
        };
        let price = Amount::from_tokens(tokens);
        let last = Last { at_ms: 0, price };
        let back = course.after(last, sales, period_ms);
        prop_assert!(back.abs_diff(price) <= price.halved(10), "{} came back as {}", price, back);
    }

    /// However purchases overlap, all of them are in the price: it is the same as if they had come one by one at once.
    #[test]
    fn no_sale_is_lost(order in prop::collection::vec(0usize..8, 8)) {
        let asked = PriceRequest { now: NOW, ..request(Params::default()) };
        let mut host = MockHost::default();
        let mut calls: Vec<MockHost> = Vec::new();
        for at in order {
            if at < calls.len() {
                post(&mut host, &calls.remove(at));
            } else {
                let call = host.clone();
                AuctionFloor::quote(&asked, &call).unwrap();
                calls.push(call);
            }
        }
        let waiting = calls.len();
        for call in calls {
            post(&mut host, &call);
        }
        let mut one_by_one = MockHost::default();
        let sold = host.clone();
        AuctionFloor::quote(&asked, &sold).unwrap();
        let key = asked.params.key(&asked.offer);
        for _ in 0..bourse::State::counter(&host, &key) {
            AuctionFloor::quote(&asked, &one_by_one).unwrap();
            one_by_one.post();
        }
        let price = |host: &MockHost| AuctionFloor::quote(&asked, &host.clone()).unwrap().amount;
        prop_assert_eq!(price(&host), price(&one_by_one), "{} were waiting", waiting);
    }

    #[test]
    fn floor_and_cap_hold_and_a_price_always_holds_for_a_while(
        floor in any::<u128>(),
        cap in any::<u128>(),
        value in prop::collection::vec(any::<u8>(), 48),
        counter in any::<i64>(),
        wait in 0u64..10_000_000,
    ) {
        let params = Params::default();
        let key = params.key(&bourse::testing::offer());
        let host = MockHost::default().with_value(&key, &value).with_counter(&key, counter);
        let asked = PriceRequest {
            now: NOW.after(Duration::from_millis(wait)),
            floor: Amount::from_units(floor.min(cap)),
            cap: Amount::from_units(cap.max(floor)),
            ..request(params)
        };
        let price = AuctionFloor::quote(&asked, &host).unwrap();
        prop_assert!(price.amount >= asked.floor && price.amount <= asked.cap);
        prop_assert!(price.valid_ms > 0);
        prop_assert!(host.changes().len() <= 2);
    }
}
