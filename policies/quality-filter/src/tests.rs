//! `quality-filter` against offers that lack something, and against rules that make no sense.

use super::*;
use bourse::testing::{NOW, NoHost, TestBatch, admit_request, filter_request, offer};
use bourse::{CatalogId, Nanos, Offer};
use std::time::Duration;

fn number(text: &str) -> Option<Number> {
    Some(Number::read(text.as_bytes()).unwrap())
}

fn label(name: &str) -> Label {
    Label {
        name: name.to_owned(),
        any_of: Vec::new(),
        at_least: None,
        at_most: None,
    }
}

/// A licence of two, an accuracy of 95 to 100, and any sensor.
fn strict() -> Params {
    Params {
        labels: vec![
            Label {
                any_of: vec!["cc-by-4.0".to_owned(), "odc-by".to_owned()],
                ..label("license")
            },
            Label {
                at_least: number("95"),
                at_most: number("100"),
                ..label("accuracy")
            },
            label("sensor"),
        ],
        ..Params::default()
    }
}

fn labelled(labels: &[(&str, &str)]) -> Offer {
    Offer {
        categories: labels
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..offer()
    }
}

const GOOD: [(&str, &str); 3] = [("accuracy", "97.5"), ("license", "odc-by"), ("sensor", "lidar")];

fn admit(params: &Params, offer: Offer) -> Result<(), Refusal> {
    QualityFilter::admit(&AdmitRequest {
        offer,
        ..admit_request(params.clone())
    })
}

fn shown(params: &Params, offers: &[Offer]) -> Vec<usize> {
    QualityFilter::filter(&filter_request(params.clone()), &TestBatch::of(offers).view()).shown()
}

#[test]
fn an_offer_with_all_labels_is_admitted_and_shown() {
    admit(&strict(), labelled(&GOOD)).unwrap();
    assert_eq!(shown(&strict(), &[labelled(&GOOD)]), [0]);
}

#[test]
fn what_is_wrong_is_said_when_it_is_placed_and_hidden_afterwards() {
    for (instead, code, text) in [
        (
            ("license", None),
            "label_missing",
            "the offer has no label license: this market asks for it",
        ),
        (
            ("license", Some("mine")),
            "label_not_accepted",
            "the label license is `mine`: expected one of cc-by-4.0, odc-by",
        ),
        (
            ("accuracy", Some("good")),
            "label_no_number",
            "the label accuracy is `good`: expected a number such as 97.5",
        ),
        (
            ("accuracy", Some("94.99")),
            "label_out_of_range",
            "the label accuracy is `94.99`: expected 95 to 100",
        ),
        (
            ("accuracy", Some("100.000000000000000001")),
            "label_out_of_range",
            "the label accuracy is `100.000000000000000001`: expected 95 to 100",
        ),
        (
            ("sensor", None),
            "label_missing",
            "the offer has no label sensor: this market asks for it",
        ),
    ] {
        let (name, value) = instead;
        let labels: Vec<(&str, &str)> = GOOD
            .into_iter()
            .filter_map(|(label, good)| {
                if label == name {
                    Some((label, value?))
                } else {
                    Some((label, good))
                }
            })
            .collect();
        let refusal = admit(&strict(), labelled(&labels)).unwrap_err();
        assert_eq!((refusal.code.as_ref(), refusal.text.as_ref()), (code, text));
        assert_eq!(
            shown(&strict(), &[labelled(&labels), labelled(&GOOD)]),
            [1],
            "{instead:?}"
        );
    }
}

#[test]
fn a_label_that_is_asked_for_twice_must_pass_both() {
    let params = Params {
        labels: vec![
            Label {
                at_least: number("5"),
                ..label("accuracy")
            },
            label("a"),
            Label {
                any_of: vec!["7".to_owned()],
                ..label("accuracy")
            },
        ],
        ..Params::default()
    };
    let with = |accuracy: &str| labelled(&[("a", ""), ("accuracy", accuracy), ("b", "")]);
    assert_eq!(shown(&params, &[with("6"), with("7"), with("4")]), [1]);
}

#[test]
fn a_catalog_can_be_asked_for() {
    let params = Params {
        catalog: true,
        ..Params::default()
    };
    assert_eq!(admit(&params, offer()).unwrap_err().code, "no_catalog");
    let listed = Offer {
        catalog: Some(CatalogId([1; 16])),
        ..offer()
    };
    admit(&params, listed.clone()).unwrap();
    assert_eq!(shown(&params, &[offer(), listed]), [1]);
}

#[test]
fn an_offer_is_hidden_once_it_is_too_old() {
    let params = Params {
        max_age_ms: Some(1_000),
        ..Params::default()
    };
    let placed = |before_ms: u64| Offer {
        placed_at: Nanos(NOW.0 - Duration::from_millis(before_ms).as_nanos() as u64),
        ..offer()
    };
    assert_eq!(shown(&params, &[placed(1_001), placed(1_000), placed(0)]), [1, 2]);
    let later = Offer {
        placed_at: Nanos(u64::MAX),
        ..offer()
    };
    assert_eq!(shown(&params, &[later]), [0], "the future is not old");
}

#[test]
fn the_best_come_first_and_those_without_a_number_last() {
    let params = Params {
        best_by: Some("accuracy".to_owned()),
        ..Params::default()
    };
    let values = ["9", "97.5", "none", "97.50", "100"];
    let offers = values.map(|value| labelled(&[("accuracy", value)]));
    assert_eq!(shown(&params, &offers), [4, 1, 3, 0, 2]);
}

#[test]
fn without_parameters_everything_passes_in_the_hosts_order() {
    admit(&Params::default(), offer()).unwrap();
    assert_eq!(
        shown(&Params::default(), &[offer(), labelled(&GOOD), offer()]),
        [0, 1, 2]
    );
    assert!(shown(&Params::default(), &[]).is_empty());
}

#[test]
fn a_rule_that_makes_no_sense_admits_and_shows_nothing() {
    let contradictory = Params {
        labels: vec![Label {
            at_least: number("5"),
            at_most: number("4.9"),
            ..label("accuracy")
        }],
        ..Params::default()
    };
    let many = Params {
        labels: vec![label("sensor"); 9],
        ..Params::default()
    };
    for (params, named) in [(contradictory, "at_least above at_most"), (many, "labels has 9")] {
        let refusal = admit(&params, labelled(&GOOD)).unwrap_err();
        assert_eq!(refusal.code, "bad_params");
        assert!(refusal.text.contains(named), "{}", refusal.text);
        assert!(shown(&params, &[labelled(&GOOD)]).is_empty());
    }
}

#[test]
fn parameters_come_as_json_and_senseless_ones_are_refused_by_name() {
    let ask = |params: &str| {
        let request = AdmitRequest {
            offer: labelled(&GOOD),
            ..admit_request(params.to_owned())
        };
        bourse::admit::<QualityFilter>(request, &NoHost)
    };
    ask(r#"{"labels":[{"name":"accuracy","at_least":"97.5"},{"name":"sensor","any_of":["lidar"]}]}"#)
        .unwrap();
    ask(r#"{"labels":[{"name":"accuracy","at_least":97,"at_most":98}]}"#).unwrap();
    trial::refused_by_name(
        &[
            (r#"{"labels":[{}]}"#, "name is not set"),
            (
                r#"{"labels":[{"name":"a","at_least":97.5}]}"#,
                "expected a number such as 97",
            ),
            (r#"{"labels":[{"name":"a","at_least":-1}]}"#, "-1"),
            (r#"{"labels":[{"name":"a","minimum":1}]}"#, "minimum"),
            (r#"{"max_age_ms":0}"#, "max_age_ms is 0"),
            (r#"{"catalogue":true}"#, "catalogue"),
        ],
        ask,
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(4);
}
