//! What holds for any rule and any offers.

use super::*;
use bourse::Offer;
use bourse::testing::{TestBatch, admit_request, filter_request, offer};
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", "[0-9]{1,2}", "[0-9]{1,2}[.][0-9]", Just(String::new())]
}

fn any_offer() -> impl Strategy<Value = Offer> {
    prop::collection::btree_map("[x-z]", any_value(), 0..3).prop_map(|labels| Offer {
        categories: labels.into_iter().collect(),
        ..offer()
    })
}

fn any_label() -> impl Strategy<Value = Label> {
    let bound = || {
        prop::option::of((0u32..50).prop_map(|number| Number::read(number.to_string().as_bytes()).unwrap()))
    };
    (
        "[x-z]",
        prop::collection::vec(any_value(), 0..3),
        bound(),
        bound(),
    )
        .prop_map(|(name, any_of, at_least, at_most)| Label {
            name,
            any_of,
            at_least,
            at_most,
        })
}

proptest! {
    /// What a seller is told and what a buyer sees is the same thing.
    #[test]
    fn an_offer_is_shown_exactly_if_it_would_be_admitted(
        labels in prop::collection::vec(any_label(), 0..4),
        offers in prop::collection::vec(any_offer(), 0..40),
        best_by in prop::option::of("[x-z]"),
    ) {
        let params = Params { labels, best_by, ..Params::default() };
        let verdict = QualityFilter::filter(&filter_request(params.clone()), &TestBatch::of(&offers).view());
        for (index, offer) in offers.iter().enumerate() {
            let request = AdmitRequest { offer: offer.clone(), ..admit_request(params.clone()) };
            prop_assert_eq!(verdict.keeps(index), QualityFilter::admit(&request).is_ok());
        }
        prop_assert_eq!(verdict.shown().len(), verdict.kept());
    }

    #[test]
    fn asking_for_more_never_shows_more(
        labels in prop::collection::vec(any_label(), 1..5),
        offers in prop::collection::vec(any_offer(), 0..40),
    ) {
        let batch = TestBatch::of(&offers);
        let shown = |count: usize| {
            let params = Params { labels: labels[..count].to_vec(), ..Params::default() };
            QualityFilter::filter(&filter_request(params), &batch.view()).kept()
        };
        let counts: Vec<usize> = (0..=labels.len()).map(shown).collect();
        prop_assert!(counts.iter().rev().is_sorted(), "{:?}", counts);
    }
}
