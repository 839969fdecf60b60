//! `purpose-consent` for records that cover a deal, and for each way in which they do not.

use super::*;
use bourse::testing::{BUYER, NOW, NoHost, consent_request, offer};
use bourse::{Address, CatalogId, ConsentGrant, DelegateType, Offer};

const CATALOG: CatalogId = CatalogId([0xca; 16]);
const SELLER: Address = Address([0x44; 20]);

fn grant(delegate: Address, delegate_type: DelegateType) -> ConsentGrant {
    ConsentGrant {
        member: Address([0x66; 20]),
        delegate,
        delegate_type,
        catalog: CATALOG,
        api_prefix: "io.crossbar.".to_owned(),
        updated: 7,
        granted: true,
        attributes: vec![("purpose".to_owned(), "research, billing".to_owned())],
    }
}

fn buyers() -> ConsentGrant {
    grant(BUYER, DelegateType::Consumer)
}

fn sellers() -> ConsentGrant {
    grant(SELLER, DelegateType::Provider)
}

fn research() -> Params {
    Params {
        purpose: Some("research".to_owned()),
        ..Params::default()
    }
}

fn listed() -> Offer {
    Offer {
        catalog: Some(CATALOG),
        ..offer()
    }
}

fn deal(params: Params, buyer: &[ConsentGrant], seller: &[ConsentGrant]) -> ConsentRequest<Params> {
    ConsentRequest {
        now: NOW,
        offer: Some(listed()),
        buyer_grants: buyer.to_vec(),
        seller_grants: seller.to_vec(),
        ..consent_request(params)
    }
}

fn answer(request: &ConsentRequest<Params>) -> String {
    match PurposeConsent::authorize(request) {
        Ok(()) => "yes".to_owned(),
        Err(refusal) => refusal.code.into_owned(),
    }
}

#[test]
fn both_parties_records_must_cover_the_deal() {
    for action in [Action::Quote, Action::Buy] {
        let ask = |buyer: &[ConsentGrant], seller: &[ConsentGrant]| {
            answer(&ConsentRequest {
                action,
                ..deal(research(), buyer, seller)
            })
        };
        assert_eq!(ask(&[buyers()], &[sellers()]), "yes");
        assert_eq!(ask(&[], &[sellers()]), "buyer_consent_missing");
        assert_eq!(ask(&[buyers()], &[]), "seller_consent_missing");
    }
}

#[test]
fn each_field_of_a_record_must_match() {
    type Edit = fn(&mut ConsentGrant);
    let edits: [(Edit, &str); 8] = [
        (|grant| grant.granted = false, "consent_withdrawn"),
        (|grant| grant.catalog = CatalogId([1; 16]), "consent_missing"),
        (|grant| grant.delegate = Address([1; 20]), "consent_missing"),
        (
            |grant| grant.api_prefix = "io.cross".to_owned(),
            "consent_missing",
        ),
        (
            |grant| grant.delegate_type = DelegateType::Other(4),
            "consent_other_role",
        ),
        (|grant| grant.attributes.clear(), "consent_other_purpose"),
        (
            |grant| grant.attributes[0].0 = "purposes".to_owned(),
            "consent_other_purpose",
        ),
        (
            |grant| grant.attributes[0].1 = "researching".to_owned(),
            "consent_other_purpose",
        ),
    ];
    for (edit, code) in edits {
        let (mut buyer, mut seller) = (buyers(), sellers());
        edit(&mut buyer);
        edit(&mut seller);
        assert_eq!(
            answer(&deal(research(), &[buyer], &[sellers()])),
            format!("buyer_{code}")
        );
        assert_eq!(
            answer(&deal(research(), &[buyers()], &[seller])),
            format!("seller_{code}")
        );
    }
}

#[test]
fn a_delegate_for_both_parts_buys_and_sells_and_one_for_the_other_part_does_not() {
    let both = |delegate| grant(delegate, DelegateType::Both);
    assert_eq!(answer(&deal(research(), &[both(BUYER)], &[both(SELLER)])), "yes");
    let swapped = deal(research(), &[grant(BUYER, DelegateType::Provider)], &[sellers()]);
    assert_eq!(answer(&swapped), "buyer_consent_other_role");
}

#[test]
fn names_are_covered_in_whole_components() {
    let covered = |prefix: &str| {
        let with = |grant: ConsentGrant| ConsentGrant {
            api_prefix: prefix.to_owned(),
            ..grant
        };
        answer(&deal(research(), &[with(buyers())], &[with(sellers())])) == "yes"
    };
    for prefix in [
        "",
        "io",
        "io.",
        "io.crossbar",
        "io.crossbar.",
        "io.crossbar.example",
    ] {
        assert!(covered(prefix), "{prefix}");
    }
    for prefix in [
        "i",
        "io.cross",
        "io.crossbar.example.",
        "io.crossbar.examples",
        "com",
    ] {
        assert!(!covered(prefix), "{prefix}");
    }
}

#[test]
fn the_most_exact_record_of_a_member_counts_and_then_the_latest() {
    let record = |prefix: &str, updated, granted| ConsentGrant {
        api_prefix: prefix.to_owned(),
        updated,
        granted,
        ..buyers()
    };
    for (records, expected) in [
        (
            [record("io.", 1, true), record("io.crossbar.", 2, false)],
            "buyer_consent_withdrawn",
        ),
        (
            [record("io.", 9, true), record("io.crossbar.", 2, false)],
            "buyer_consent_withdrawn",
        ),
        ([record("io.", 9, false), record("io.crossbar.", 2, true)], "yes"),
        ([record("io.", 3, false), record("io.", 4, true)], "yes"),
        (
            [record("io.", 4, false), record("io.", 3, true)],
            "buyer_consent_withdrawn",
        ),
        (
            [record("io.", 4, true), record("io.", 4, false)],
            "buyer_consent_withdrawn",
        ),
    ] {
        assert_eq!(
            answer(&deal(research(), &records, &[sellers()])),
            expected,
            "{records:?}"
        );
        let [first, second] = records;
        assert_eq!(
            answer(&deal(research(), &[second, first], &[sellers()])),
            expected
        );
    }
}

#[test]
fn a_no_of_one_member_is_not_outvoted_by_another() {
    let other = ConsentGrant {
        member: Address([0x67; 20]),
        granted: false,
        ..buyers()
    };
    assert_eq!(
        answer(&deal(research(), &[buyers(), other], &[sellers()])),
        "buyer_consent_withdrawn"
    );
}

#[test]
fn the_purpose_can_be_the_offers_own() {
    let mut request = deal(Params::default(), &[buyers()], &[sellers()]);
    assert_eq!(answer(&request), "no_purpose");
    for (purpose, expected) in [
        ("billing", "yes"),
        (" research ", "yes"),
        ("", "no_purpose"),
        ("research, billing", "seller_consent_other_purpose"),
        ("advertising", "seller_consent_other_purpose"),
    ] {
        request.offer.as_mut().unwrap().categories = vec![("purpose".to_owned(), purpose.to_owned())];
        assert_eq!(answer(&request), expected, "{purpose}");
    }
}

#[test]
fn an_offer_of_no_catalog_is_covered_by_no_consent() {
    let mut request = deal(research(), &[buyers()], &[sellers()]);
    request.offer.as_mut().unwrap().catalog = None;
    assert_eq!(answer(&request), "no_catalog");
}

#[test]
fn placing_asks_for_the_sellers_records_alone() {
    let placing = |seller: &[ConsentGrant]| ConsentRequest {
        action: Action::Place,
        buyer: None,
        ..deal(research(), &[], seller)
    };
    assert_eq!(answer(&placing(&[sellers()])), "yes");
    assert_eq!(answer(&placing(&[])), "seller_consent_missing");
}

#[test]
fn a_query_needs_a_consent_to_buy_anything_for_the_purpose() {
    let listing = |params: Params, grants: &[ConsentGrant]| {
        answer(&ConsentRequest {
            action: Action::Query,
            offer: None,
            ..deal(params, grants, &[])
        })
    };
    assert_eq!(listing(research(), &[buyers()]), "yes");
    assert_eq!(listing(Params::default(), &[buyers()]), "yes");
    assert_eq!(listing(research(), &[]), "buyer_consent_missing");
    let advertising = Params {
        purpose: Some("advertising".to_owned()),
        ..Params::default()
    };
    assert_eq!(listing(advertising, &[buyers()]), "buyer_consent_missing");
    let withdrawn = ConsentGrant {
        granted: false,
        ..buyers()
    };
    assert_eq!(listing(research(), &[withdrawn]), "buyer_consent_missing");
    assert_eq!(listing(research(), &[sellers()]), "buyer_consent_missing");
}

#[test]
fn an_unproven_buyer_is_refused_unless_asking_is_open_and_never_buys() {
    let unknown = |unproven, action| {
        let params = Params {
            unproven,
            ..research()
        };
        answer(&ConsentRequest {
            buyer: None,
            action,
            ..deal(params, &[], &[sellers()])
        })
    };
    for action in [Action::Quote, Action::Query, Action::Buy] {
        assert_eq!(unknown(Unproven::Refuse, action), "buyer_unknown");
    }
    assert_eq!(unknown(Unproven::Ask, Action::Quote), "yes");
    assert_eq!(unknown(Unproven::Ask, Action::Query), "yes");
    assert_eq!(unknown(Unproven::Ask, Action::Buy), "buyer_unknown");
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    trial::refused_by_name(
        &[
            (r#"{"purpose":""}"#, "purpose is ``"),
            (
                r#"{"purpose":"research,billing"}"#,
                "purpose is `research,billing`",
            ),
            (r#"{"label":" "}"#, "label is ` `"),
            (r#"{"attribute":""}"#, "attribute is ``"),
            (r#"{"unproven":"buy"}"#, "buy"),
            (r#"{"purposes":["research"]}"#, "purposes"),
        ],
        |params| bourse::authorize::<PurposeConsent>(consent_request(params.to_owned()), &NoHost),
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(4);
}
