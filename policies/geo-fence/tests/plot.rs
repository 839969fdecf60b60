//! The table of answers of the README.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

use bourse::testing::{BUYER, consent_request};
use bourse::{Action, ConsentGrant, ConsentRequest, DelegateType};
use geo_fence::{GeoFence, Params};
use plot::{Cell, stands, table};

/// A rule as its column names it, with what it allows, what it denies, and the offer's label.
type Rule = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    Option<&'static str>,
);

const RULES: [Rule; 6] = [
    ("allow DE, US", &["DE", "US"], &[], None),
    ("deny US", &[], &["US"], None),
    ("deny US-CA", &[], &["US-CA"], None),
    ("US, not US-CA", &["US"], &["US-CA"], None),
    ("label DE", &[], &[], Some("DE")),
    ("US, label DE", &["US"], &[], Some("DE")),
];

#[test]
fn the_table_shows_what_the_policy_does() {
    let rows = [
        "DE",
        "DE-BY",
        "US",
        "US-CA",
        "US-NY",
        "FR",
        "Germany",
        "not on record",
    ]
    .map(|country| {
        let cells = RULES.map(|(_, allow, deny, label)| {
            let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
            let mut request = ConsentRequest {
                action: Action::Buy,
                buyer_grants: vec![ConsentGrant {
                    delegate: BUYER,
                    delegate_type: DelegateType::Consumer,
                    granted: true,
                    ..ConsentGrant::default()
                }],
                ..consent_request(Params {
                    allow: codes(allow),
                    deny: codes(deny),
                    ..Params::default()
                })
            };
            if country != "not on record" {
                request.buyer_grants[0].attributes = vec![("country".to_owned(), country.to_owned())];
            }
            if let (Some(label), Some(offer)) = (label, &mut request.offer) {
                offer.categories = vec![("countries".to_owned(), label.to_owned())];
            }
            match GeoFence::authorize(&request) {
                Ok(()) => Cell::Yes,
                Err(refusal) => Cell::No(refusal.code.replace("buyer_", "").replace('_', " ")),
            }
        });
        (country, cells.to_vec())
    });
    let picture = table(
        "geo-fence: where the buyer is on record, and the answer to buy_key",
        "the buyer's record",
        "the rule, and the offer's label",
        &RULES.map(|(name, ..)| name),
        &rows,
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
