//! `geo-fence` for buyers and sellers from inside, outside and nowhere.

use super::*;
use bourse::testing::{BUYER, NOW, NoHost, consent_request, offer};
use bourse::{DelegateType, Offer};

const SELLER: Address = Address([0x44; 20]);

fn located(delegate: Address, delegate_type: DelegateType, countries: &[&str]) -> ConsentGrant {
    ConsentGrant {
        member: Address([0x66; 20]),
        delegate,
        delegate_type,
        granted: true,
        attributes: countries
            .iter()
            .map(|country| ("country".to_owned(), (*country).to_owned()))
            .collect(),
        ..ConsentGrant::default()
    }
}

fn fence(allow: &[&str], deny: &[&str]) -> Params {
    let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
    Params {
        allow: codes(allow),
        deny: codes(deny),
        ..Params::default()
    }
}

fn from(countries: &[&str], params: Params) -> ConsentRequest<Params> {
    ConsentRequest {
        now: NOW,
        buyer_grants: vec![located(BUYER, DelegateType::Consumer, countries)],
        ..consent_request(params)
    }
}

fn answer(request: &ConsentRequest<Params>) -> String {
    match GeoFence::authorize(request) {
        Ok(()) => "yes".to_owned(),
        Err(refusal) => refusal.code.into_owned(),
    }
}

#[test]
fn who_is_allowed_and_not_denied_is_let_in() {
    for (allow, deny, country, expected) in [
        (&["DE", "FR"][..], &[][..], "DE", "yes"),
        (&["DE", "FR"], &[], "de", "yes"),
        (&["DE", "FR"], &[], "US", "buyer_outside"),
        (&["US"], &[], "US-CA", "yes"),
        (&["US-CA"], &[], "US-NY", "buyer_outside"),
        (&["US-CA"], &[], "US", "buyer_outside"),
        (&["US"], &["US-CA"], "US-NY", "yes"),
        (&["US"], &["US-CA"], "US-CA", "buyer_outside"),
        (&[], &["RU"], "DE", "yes"),
        (&[], &["RU"], "RU", "buyer_outside"),
        (&["DE"], &["DE"], "DE", "buyer_outside"),
    ] {
        assert_eq!(
            answer(&from(&[country], fence(allow, deny))),
            expected,
            "{country} of {allow:?} without {deny:?}"
        );
    }
}

#[test]
fn who_may_be_in_a_part_that_is_denied_is_outside() {
    assert_eq!(answer(&from(&["US"], fence(&[], &["US-CA"]))), "buyer_outside");
}

#[test]
fn a_record_that_is_no_code_is_outside_even_where_little_is_denied() {
    for wrong in ["Germany", "", "D", "DE-", "-DE", "DE-FROM", "Ö1"] {
        assert_eq!(
            answer(&from(&[wrong], fence(&[], &["RU"]))),
            "buyer_outside",
            "{wrong}"
        );
        assert_eq!(
            answer(&from(&[wrong], fence(&["DE"], &[]))),
            "buyer_outside",
            "{wrong}"
        );
    }
}

#[test]
fn every_country_on_record_must_be_inside() {
    assert_eq!(answer(&from(&["DE", "FR"], fence(&["DE", "FR"], &[]))), "yes");
    assert_eq!(
        answer(&from(&["DE", "US"], fence(&["DE", "FR"], &[]))),
        "buyer_outside"
    );
}

#[test]
fn only_consents_that_stand_and_let_the_delegate_buy_say_where_it_is() {
    let params = fence(&["DE"], &[]);
    let with = |grants: Vec<ConsentGrant>| {
        answer(&ConsentRequest {
            buyer_grants: grants,
            ..from(&[], params.clone())
        })
    };
    assert_eq!(with(Vec::new()), "buyer_country_unknown");
    let inside = located(BUYER, DelegateType::Both, &["DE"]);
    assert_eq!(with(vec![inside.clone()]), "yes");
    let withdrawn = ConsentGrant {
        granted: false,
        ..inside.clone()
    };
    let sells = located(BUYER, DelegateType::Provider, &["DE"]);
    let stranger = located(Address([9; 20]), DelegateType::Both, &["DE"]);
    assert_eq!(with(vec![withdrawn, sells, stranger]), "buyer_country_unknown");
}

#[test]
fn the_offers_label_narrows_the_rule_and_never_widens_it() {
    let with_label = |label: &str, country: &str, params: Params| {
        let mut request = from(&[country], params);
        request.offer.as_mut().unwrap().categories = vec![("countries".to_owned(), label.to_owned())];
        answer(&request)
    };
    let europe = || fence(&["DE", "FR"], &[]);
    assert_eq!(with_label("FR, IT", "FR", europe()), "yes");
    assert_eq!(with_label("FR, IT", "DE", europe()), "buyer_outside");
    assert_eq!(with_label("FR, IT", "IT", europe()), "buyer_outside");
    assert_eq!(with_label("it", "IT", Params::default()), "yes");
    assert_eq!(with_label("", "DE", Params::default()), "buyer_outside");
}

#[test]
fn without_a_fence_nobody_needs_a_country() {
    let nobody = ConsentRequest {
        buyer: None,
        ..consent_request(Params::default())
    };
    assert_eq!(answer(&nobody), "yes");
    assert_eq!(answer(&consent_request(Params::default())), "yes");
}

#[test]
fn sellers_are_asked_where_the_rule_says_so_and_by_the_rule_alone() {
    let params = Params {
        sellers: true,
        ..fence(&["DE"], &[])
    };
    for (country, expected) in [
        (Some("DE"), "yes"),
        (Some("US"), "seller_outside"),
        (None, "seller_country_unknown"),
    ] {
        let mut request = from(&["DE"], params.clone());
        let countries: Vec<&str> = country.into_iter().collect();
        request.seller_grants = vec![located(SELLER, DelegateType::Provider, &countries)];
        for action in [Action::Place, Action::Quote, Action::Buy] {
            request.action = action;
            assert_eq!(answer(&request), expected, "{country:?} {action:?}");
        }
    }
    let mut elsewhere = from(&["DE"], params);
    elsewhere.seller_grants = vec![located(SELLER, DelegateType::Provider, &["DE"])];
    elsewhere.offer.as_mut().unwrap().categories = vec![("countries".to_owned(), "DE-BY,DE".to_owned())];
    assert_eq!(answer(&elsewhere), "yes");
}

#[test]
fn placing_asks_nothing_of_buyers_and_reads_the_label() {
    let placing = |label: &str| ConsentRequest {
        action: Action::Place,
        buyer: None,
        offer: Some(Offer {
            categories: vec![("countries".to_owned(), label.to_owned())],
            ..offer()
        }),
        ..consent_request(fence(&["DE"], &[]))
    };
    assert_eq!(answer(&placing("DE, US-CA")), "yes");
    for wrong in ["DE, Germany", "", "DE,"] {
        assert_eq!(answer(&placing(wrong)), "bad_label", "{wrong}");
    }
}

#[test]
fn an_unproven_buyer_is_refused_unless_asking_is_open_and_never_buys() {
    let unknown = |unproven, action| {
        let params = Params {
            unproven,
            ..fence(&["DE"], &[])
        };
        answer(&ConsentRequest {
            buyer: None,
            action,
            ..consent_request(params)
        })
    };
    for action in [Action::Query, Action::Quote, Action::Buy] {
        assert_eq!(unknown(Unproven::Refuse, action), "buyer_unknown");
    }
    assert_eq!(unknown(Unproven::Ask, Action::Query), "yes");
    assert_eq!(unknown(Unproven::Ask, Action::Quote), "yes");
    assert_eq!(unknown(Unproven::Ask, Action::Buy), "buyer_unknown");
}

#[test]
fn a_query_is_asked_about_the_rule_alone() {
    let listing = |country: &str| {
        answer(&ConsentRequest {
            action: Action::Query,
            offer: None,
            ..from(&[country], fence(&["DE"], &[]))
        })
    };
    assert_eq!(listing("DE"), "yes");
    assert_eq!(listing("US"), "buyer_outside");
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    trial::refused_by_name(
        &[
            (r#"{"allow":["Germany"]}"#, "allow has `Germany`"),
            (r#"{"deny":["RU",""]}"#, "deny has ``"),
            (r#"{"allow":"DE"}"#, "allow"),
            (r#"{"unproven":"buy"}"#, "buy"),
            (r#"{"country":"DE"}"#, "country"),
        ],
        |params| bourse::authorize::<GeoFence>(consent_request(params.to_owned()), &NoHost),
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(6);
}
