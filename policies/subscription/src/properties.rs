//! What holds for any purchases, however they overlap.

use super::*;
use bourse::testing::{BUYER, MockHost, NOW, request};
use proptest::prelude::*;
use std::time::Duration;
use tally::testing::post;

const PERIOD: u64 = 60_000;

fn asked(ms: u64) -> PriceRequest<Params> {
    PriceRequest {
        now: NOW.after(Duration::from_millis(ms)),
        buyer: Some(BUYER),
        ..request(Params {
            period_ms: PERIOD,
            ..Params::default()
        })
    }
}

proptest! {
    /// Neither side loses what was paid: purchases that overlap within one moment buy exactly as many periods as were
    /// paid, one after the other.
    #[test]
    fn every_payment_buys_a_period(
        starts in prop::collection::vec(0u64..5_000, 1..8),
        order in any::<u64>(),
    ) {
        let mut host = MockHost::default();
        let mut calls: Vec<MockHost> = starts
            .iter()
            .map(|ms| {
                let call = host.clone();
                Subscription::quote(&asked(*ms), &call).unwrap();
                call
            })
            .collect();
        let mut order = order;
        while !calls.is_empty() {
            let next = (order % calls.len() as u64) as usize;
            order = order.rotate_right(7);
            post(&mut host, &calls.remove(next));
        }
        let paid = starts.len() as u64;
        let (earliest, latest) = (starts.iter().min().unwrap(), starts.iter().max().unwrap());
        let free = |ms: u64| Subscription::quote(&asked(ms), &host.clone()).unwrap().amount.is_zero();
        prop_assert!(free(earliest + paid * PERIOD - 1));
        prop_assert!(!free(latest + paid * PERIOD));
    }

    /// Over any history, the free time is no longer than what was paid for, and a free quote ends within it.
    #[test]
    fn free_keys_are_always_paid_for(moments in prop::collection::vec(0u64..600_000, 1..50)) {
        let mut moments = moments;
        moments.sort_unstable();
        let mut host = MockHost::default();
        let mut paid_until = None;
        for ms in moments {
            let price = Subscription::quote(&asked(ms), &host).unwrap();
            host.post();
            if price.amount.is_zero() {
                let until = paid_until.unwrap();
                prop_assert!(ms + u64::from(price.valid_ms) <= until, "{ms} is free until {until}");
            } else {
                prop_assert!(paid_until.is_none_or(|until| ms >= until));
                paid_until = Some(ms + PERIOD);
            }
        }
    }
}
