//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::testing::{MockMarket, NOW, offer, request};
use plot::{Axis, Line, lines, milli, stands};
use std::time::Duration;
use surge::{Params, Surge};

fn by_sales(step_bp: u64) -> impl Iterator<Item = (i64, i64)> {
    (0..=160u32).map(move |sales| {
        let market = MockMarket::busy(NOW, &offer(), sales, Duration::from_millis(100));
        let params = Params {
            step_bp,
            ..Params::default()
        };
        let price = Surge::quote(&request(params), &market).unwrap();
        (i64::from(sales), milli(price.amount))
    })
}

#[test]
fn the_plot_shows_what_the_policy_does() {
    let picture = lines(
        "surge: the price rises with the sales of the window",
        &Axis::new("sales within the window", 0..160),
        &Axis::new("price in tokens", 0..42_000).scaled(1_000),
        &[
            Line::new("step_bp = 200, the default", by_sales(200)),
            Line::new("step_bp = 400", by_sales(400)),
            Line::new("step_bp = 100", by_sales(100)),
        ],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
