//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::PriceRequest;
use bourse::testing::{BUYER, MockHost, NOW, request};
use plot::{Axis, Line, lines, milli, stands};
use std::time::Duration;
use subscription::{Params, Subscription};

fn tenths_of_days(hours: u32) -> i64 {
    i64::from(hours) * 10 / 24
}

#[test]
fn the_plot_shows_what_the_policy_does() {
    let hour = Duration::from_secs(3_600);
    let mut host = MockHost::default();
    let mut paid = 0;
    // A key an hour, but for a pause from day 40 to day 55.
    let hours = (0..100 * 24u32).filter(|hour| !(40 * 24..55 * 24).contains(hour));
    let spent: Vec<(i64, i64)> = hours
        .clone()
        .map(|at| {
            let asked = PriceRequest {
                now: NOW.after(hour * at),
                buyer: Some(BUYER),
                ..request(Params::default())
            };
            paid += milli(Subscription::quote(&asked, &host).unwrap().amount);
            host.post();
            (tenths_of_days(at), paid)
        })
        .collect();
    let singly = hours
        .zip(1i64..)
        .map(|(at, keys)| (tenths_of_days(at), keys * 25));
    let picture = lines(
        "subscription: a key an hour, with a pause from day 40 to day 55",
        &Axis::new("days", 0..1_000).scaled(10),
        &Axis::new("tokens paid in all", 0..70_000).scaled(1_000),
        &[
            Line::steps("10 tokens for 30 days", spent),
            Line::new("each key for 0.025", singly),
        ],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
