//! The table of answers of the README.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

use bourse::testing::{BUYER, consent_request, offer};
use bourse::{Action, Address, CatalogId, ConsentGrant, ConsentRequest, DelegateType, Offer};
use plot::{Cell, stands, table};
use purpose_consent::{Params, PurposeConsent};

const CATALOG: CatalogId = CatalogId([0xca; 16]);

fn grants(state: &str, delegate: Address, part: DelegateType, other: DelegateType) -> Vec<ConsentGrant> {
    let mut grant = ConsentGrant {
        delegate,
        delegate_type: part,
        catalog: CATALOG,
        api_prefix: "io.crossbar.".to_owned(),
        granted: true,
        attributes: vec![("purpose".to_owned(), "research".to_owned())],
        ..ConsentGrant::default()
    };
    match state {
        "nothing" => return Vec::new(),
        "withdrawn" => grant.granted = false,
        "other purpose" => grant.attributes[0].1 = "billing".to_owned(),
        "other part" => grant.delegate_type = other,
        "other catalog" => grant.catalog = CatalogId([1; 16]),
        _ => {}
    }
    vec![grant]
}

#[test]
fn the_table_shows_what_the_policy_does() {
    let states = [
        "given",
        "withdrawn",
        "other purpose",
        "other part",
        "other catalog",
        "nothing",
    ];
    let rows = states.map(|buyer| {
        let cells = states.map(|seller| {
            let (buys, sells) = (DelegateType::Consumer, DelegateType::Provider);
            let request = ConsentRequest {
                action: Action::Buy,
                offer: Some(Offer {
                    catalog: Some(CATALOG),
                    ..offer()
                }),
                buyer_grants: grants(buyer, BUYER, buys, sells),
                seller_grants: grants(seller, offer().seller, sells, buys),
                ..consent_request(Params {
                    purpose: Some("research".to_owned()),
                    ..Params::default()
                })
            };
            match PurposeConsent::authorize(&request) {
                Ok(()) => Cell::Yes,
                Err(refusal) => Cell::No(refusal.code.replace("_consent_", ": ").replace('_', " ")),
            }
        });
        (buyer, cells.to_vec())
    });
    let picture = table(
        "purpose-consent: the records of both parties, and the answer to buy_key",
        "the buyer's",
        "the seller's",
        &states,
        &rows,
    );
    stands(env!("CARGO_MANIFEST_DIR"), "behaviour.svg", &picture);
}
