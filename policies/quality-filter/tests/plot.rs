//! The plot of the README.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bourse::Offer;
use bourse::testing::{TestBatch, filter_request, offer};
use plot::{Axis, Line, lines, stands};
use quality_filter::{Label, Number, Params, QualityFilter};

#[test]
fn the_plot_shows_what_the_policy_does() {
    // Two hundred offers: accuracies that bunch towards the top, and a licence on two of three.
    let offers: Vec<Offer> = (0..200u64)
        .map(|at| {
            let spread = at * 37 % 200;
            let accuracy = 100 - spread * spread / 400;
            let mut categories = vec![("accuracy".to_owned(), accuracy.to_string())];
            if at % 3 > 0 {
                categories.push(("license".to_owned(), "odc-by".to_owned()));
            }
            Offer {
                categories,
                ..offer()
            }
        })
        .collect();
    let batch = TestBatch::of(&offers);
    let shown = |least: i64, licensed: bool| {
        let label = |name: &str, at_least| Label {
            name: name.to_owned(),
            any_of: Vec::new(),
            at_least,
            at_most: None,
        };
        let mut labels = vec![label("accuracy", Number::read(least.to_string().as_bytes()))];
        if licensed {
            labels.push(label("license", None));
        }
        let params = Params {
            labels,
            ..Params::default()
        };
        let kept = QualityFilter::filter(&filter_request(params), &batch.view()).kept();
        (least, i64::try_from(kept).unwrap())
    };
    let picture = lines(
        "quality-filter: what is left of 200 offers",
        &Axis::new("least accuracy that the rule asks for", 0..100),
        &Axis::new("offers that are shown", 0..240),
        &[
            Line::steps("accuracy alone", (0..=100).map(|least| shown(least, false))),
            Line::steps(
                "accuracy and a license",
                (0..=100).map(|least| shown(least, true)),
            ),
        ],
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
