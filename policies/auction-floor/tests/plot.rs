//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

// The simulation of the unit tests, which names the crate as they do.
use auction_floor::{AuctionFloor, Params};

#[path = "../src/simulation.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod simulation;

use plot::{Axis, Line, lines, stands};
use simulation::{Micros, Simulation, elastic};

/// What a price is where the demand meets the target: 5 tokens, and √3 times as much for three times the demand.
const CALM: Micros = 5_000_000;
const CROWD: Micros = 8_660_000;

#[test]
fn the_plot_shows_what_the_policy_does() {
    let demand = |second: u64, price: Micros| {
        let second = second % 3_600;
        let calm = elastic(CALM, 2)(second, price);
        match second {
            1_200..1_800 => calm * 3,
            2_700..2_800 => 0,
            _ => calm,
        }
    };
    let course = |mut market: Simulation| {
        let prices = market.run(3_600, demand);
        let every_fifth = (0..).zip(prices).step_by(5);
        every_fifth
            .map(|(second, price)| (second, (price / 1_000).try_into().unwrap()))
            .collect::<Vec<(i64, i64)>>()
    };
    let params = Params::default();
    let milli = |micros: Micros| i64::try_from(micros / 1_000).unwrap();
    let picture = lines(
        "auction-floor: buyers triple from 1200 s to 1800 s, and stay away from 2700 s to 2800 s",
        &Axis::new("seconds", 0..3_600),
        &Axis::new("price in tokens", 0..12_000).scaled(1_000),
        &[
            Line::new(
                "buyers who come evenly",
                course(Simulation::new(params.clone(), 1_000)),
            ),
            Line::new(
                "buyers who come at random",
                course(Simulation::new(params, 1_000).random(7)),
            ),
            Line::level("where 60 a minute buy, calm", 0, 3_600, milli(CALM)),
            Line::level("where 60 a minute buy, crowded", 1_200, 1_800, milli(CROWD)),
        ],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
