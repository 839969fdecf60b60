//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::testing::{TestBatch, filter_request, offer};
use bourse::{Address, Offer};
use fair_share::{FairShare, Params};
use plot::{Axis, Group, bars, stands};

#[test]
fn the_plot_shows_what_the_policy_does() {
    let had = [('a', 22), ('b', 9), ('c', 5), ('d', 3), ('e', 1)];
    let sellers: Vec<u8> = had
        .iter()
        .flat_map(|&(seller, count)| vec![seller as u8; count])
        .collect();
    let offers: Vec<Offer> = sellers
        .iter()
        .map(|seller| Offer {
            seller: Address([*seller; 20]),
            ..offer()
        })
        .collect();
    let batch = TestBatch::of(&offers);
    let shown = |share_bp, rows: usize| {
        let params = Params {
            share_bp,
            ..Params::default()
        };
        let shown = FairShare::filter(&filter_request(params), &batch.view()).shown();
        shown.into_iter().take(rows).collect::<Vec<usize>>()
    };
    let of = |shown: &[usize], seller: char| {
        let count = shown
            .iter()
            .filter(|index| sellers[**index] == seller as u8)
            .count();
        i64::try_from(count).unwrap()
    };
    let groups = had.map(|(seller, count)| {
        let name = format!("seller {seller}");
        let heights = [
            i64::try_from(count).unwrap(),
            of(&shown(5_000, 40), seller),
            of(&shown(2_500, 40), seller),
            of(&shown(2_500, 10), seller),
        ];
        Group::new(&name, heights)
    });
    let picture = bars(
        "fair-share: 40 offers of five sellers",
        "",
        &Axis::new("offers", 0..24),
        &[
            "all",
            "share_bp = 5000",
            "share_bp = 2500",
            "the first ten rows of these",
        ],
        &groups,
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
