//! What holds for any fence and any records.

use super::*;
use bourse::DelegateType;
use bourse::testing::{BUYER, consent_request};
use proptest::prelude::*;

fn any_code() -> impl Strategy<Value = String> {
    prop_oneof!["[A-C][A-C]", "[a-c][a-c]", "[A-C][A-C]-[0-2]", ".{0,6}"]
}

fn valid_codes() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop_oneof!["[A-C][A-C]", "[A-C][A-C]-[0-2]"], 0..5)
}

fn request(params: &Params, countries: &[String]) -> ConsentRequest<Params> {
    ConsentRequest {
        action: Action::Buy,
        buyer_grants: vec![ConsentGrant {
            delegate: BUYER,
            delegate_type: DelegateType::Consumer,
            granted: true,
            attributes: countries
                .iter()
                .map(|code| ("country".to_owned(), code.clone()))
                .collect(),
            ..ConsentGrant::default()
        }],
        ..consent_request(params.clone())
    }
}

proptest! {
    #[test]
    fn more_to_deny_or_more_on_record_never_lets_in_who_was_outside(
        allow in valid_codes(),
        deny in prop::collection::vec("[A-C][A-C]", 1..5),
        countries in prop::collection::vec(any_code(), 1..4),
        more in any_code(),
    ) {
        let params = |deny: &[String]| Params { allow: allow.clone(), deny: deny.to_vec(), ..Params::default() };
        let lets_in = |params: &Params, countries: &[String]| GeoFence::authorize(&request(params, countries)).is_ok();
        let strict = params(&deny);
        if lets_in(&strict, &countries) {
            prop_assert!(lets_in(&params(&deny[..1]), &countries), "without the later denials");
        }
        let with_more: Vec<String> = countries.iter().cloned().chain([more]).collect();
        prop_assert!(!lets_in(&strict, &with_more) || lets_in(&strict, &countries));
    }

    /// Whoever is let in is, in each country on record, within something that is allowed and apart from all that is
    /// denied.
    #[test]
    fn who_is_let_in_is_inside(
        allow in valid_codes(),
        deny in valid_codes(),
        countries in prop::collection::vec(any_code(), 0..4),
    ) {
        let params = Params { allow: allow.clone(), deny: deny.clone(), ..Params::default() };
        let open = allow.is_empty() && deny.is_empty();
        if GeoFence::authorize(&request(&params, &countries)).is_ok() && !open {
            prop_assert!(!countries.is_empty());
            for country in countries {
                let country = country.trim().to_ascii_uppercase();
                let starts = |area: &String| country == *area || country.starts_with(&format!("{area}-"));
                prop_assert!(allow.is_empty() || allow.iter().any(starts));
                prop_assert!(!deny.iter().any(starts));
            }
        }
    }

    #[test]
    fn any_text_has_an_answer(place in ".{0,12}", area in ".{0,12}") {
        let _ = (within(&place, &area), overlaps(&place, &area), is_code(&place));
    }
}
