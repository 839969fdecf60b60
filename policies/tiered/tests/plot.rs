//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::PriceRequest;
use bourse::testing::{BUYER, MockHost, request};
use plot::{Axis, Line, lines, milli, stands};
use tiered::{Measure, Params, Tier, Tiered};

#[test]
fn the_plot_shows_what_the_policy_does() {
    let tier = |from, off_bp| Tier { from, off_bp };
    let asked = PriceRequest {
        buyer: Some(BUYER),
        ..request(Params {
            measure: Measure::Keys,
            tiers: vec![tier(10, 1_000), tier(25, 2_500), tier(50, 4_000)],
            ..Params::default()
        })
    };
    let mut host = MockHost::default();
    let mut paid = 0;
    let (prices, averages): (Vec<_>, Vec<_>) = (1..=80i64)
        .map(|key| {
            let price = milli(Tiered::quote(&asked, &host).unwrap().amount);
            host.post();
            paid += price;
            ((key, price), (key, paid / key))
        })
        .unzip();
    let picture = lines(
        "tiered: 10 % off from 10 keys, 25 % from 25, 40 % from 50",
        &Axis::new("keys bought of the seller", 0..80),
        &Axis::new("tokens", 0..12_000).scaled(1_000),
        &[
            Line::steps("price of the next key", prices),
            Line::new("average of all so far", averages),
        ],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
