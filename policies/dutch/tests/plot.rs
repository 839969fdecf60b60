//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::PriceRequest;
use bourse::testing::{NOW, request};
use dutch::{Dutch, Params};
use plot::{Axis, Line, lines, milli, stands};
use std::time::Duration;

fn by_age(half_life_ms: Option<u64>) -> impl Iterator<Item = (i64, i64)> {
    (0..=90u64).map(move |minutes| {
        let params = Params {
            half_life_ms,
            ..Params::default()
        };
        let asked = PriceRequest {
            now: NOW.after(Duration::from_secs(60 * minutes)),
            ..request(params)
        };
        let price = Dutch::quote(&asked).unwrap();
        (minutes.try_into().unwrap(), milli(price.amount))
    })
}

#[test]
fn the_plot_shows_what_the_policy_does() {
    let picture = lines(
        "dutch: the price falls with the age of the offer",
        &Axis::new("age in minutes", 0..90),
        &Axis::new("price in tokens", 0..22_000).scaled(1_000),
        &[
            Line::new("in a straight line over an hour, the default", by_age(None)),
            Line::new("half_life_ms = 900000", by_age(Some(900_000))),
        ],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
