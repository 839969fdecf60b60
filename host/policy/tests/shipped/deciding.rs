//! Shipped policies that say yes or no.

use super::support::{admit_request, batch, consent_request, filter_request, grant, offer, offers};
use super::{granted, shipped};
use bourse_market::{Address, Offer};
use bourse_policy::{
    AdmitRequest, ConsentGrant, ConsentRequest, Decided, Declined, FilterRequest, Limits, NoImports, Shown,
};
use std::collections::BTreeMap;

fn code<T: core::fmt::Debug>(decided: Decided<T>) -> String {
    match decided.outcome {
        Err(Declined::Refused { code, .. }) => code,
        other => format!("{other:?}"),
    }
}

fn shown(policy: &str, offers: &[Offer], params: &str) -> Vec<u32> {
    let (revision, batch) = (shipped(policy), batch(offers));
    let request = FilterRequest {
        params,
        ..filter_request(&batch)
    };
    let limits = Limits::for_batch(offers.len());
    let decided = revision.filter(&request, &NoImports, granted(revision), &limits);
    assert!(revision.replay(&decided.record).unwrap().is_exact());
    let Shown { indices, .. } = decided.outcome.unwrap();
    indices
}

#[test]
fn fair_share_bounds_each_seller_and_lets_them_take_turns() {
    let by = |sellers: &[u8]| -> Vec<Offer> {
        let of = |(offer, seller): (Offer, &u8)| Offer {
            seller: Address([*seller; 20]),
            ..offer
        };
        offers(sellers.len()).into_iter().zip(sellers).map(of).collect()
    };
    let page = by(&[1, 1, 1, 1, 1, 2, 2, 3]);
    assert_eq!(shown("fair-share", &page, "{}"), [0, 5, 7, 1, 6]);
    assert_eq!(shown("fair-share", &page[..1], "{}"), [0]);
    let crowd: Vec<u8> = (0..1_000u32).map(|at| (at * at % 251) as u8).collect();
    assert_eq!(shown("fair-share", &by(&crowd), "{}").len(), 1_000);
}

#[test]
fn quality_filter_admits_what_it_shows_and_orders_it() {
    let labelled = |accuracy: &str| Offer {
        categories: [("accuracy".to_owned(), accuracy.to_owned())].into(),
        ..offer()
    };
    let params = r#"{"labels":[{"name":"accuracy","at_least":"97.5"}],"best_by":"accuracy"}"#;
    let page = ["97.5", "97.49", "99", "high", "98"].map(labelled);
    assert_eq!(shown("quality-filter", &page, params), [2, 4, 0]);
    let revision = shipped("quality-filter");
    let admit = |offer: &Offer| {
        let request = AdmitRequest {
            params,
            ..admit_request(offer)
        };
        revision.admit(&request, &NoImports, granted(revision), &Limits::default())
    };
    admit(&page[0]).outcome.unwrap();
    assert_eq!(code(admit(&page[1])), "label_out_of_range");
    assert_eq!(code(admit(&page[3])), "label_no_number");
}

/// Sellers choose how many labels an offer has and how long they are, so it is they who make a page dear: it must not
/// become so dear that nothing is shown.
#[test]
fn quality_filter_has_fuel_for_a_page_of_offers_with_as_many_labels_as_there_can_be() {
    let categories: BTreeMap<String, String> = (0..32)
        .map(|at| (format!("label-{at:02}"), "97.5".to_owned()))
        .collect();
    let page: Vec<Offer> = offers(1_000)
        .into_iter()
        .map(|offer| Offer {
            categories: categories.clone(),
            ..offer
        })
        .collect();
    let labels: Vec<String> = (24..32)
        .map(|at| format!(r#"{{"name":"label-{at:02}","at_least":1}}"#))
        .collect();
    let params = format!(r#"{{"labels":[{}],"best_by":"label-31"}}"#, labels.join(","));
    assert_eq!(shown("quality-filter", &page, &params).len(), 1_000);
}

fn authorize(
    policy: &str,
    params: &str,
    grants: &[ConsentGrant],
    edit: fn(&mut ConsentRequest<'_>),
) -> String {
    let (revision, offer) = (shipped(policy), offer());
    let mut request = ConsentRequest {
        params,
        buyer: Some(Address([22; 20])),
        ..consent_request(Some(&offer), grants)
    };
    edit(&mut request);
    let decided = revision.authorize(&request, &NoImports, granted(revision), &Limits::default());
    assert!(revision.replay(&decided.record).unwrap().is_exact());
    code(decided)
}

#[test]
fn purpose_consent_wants_both_parties_on_record() {
    let party = |delegate| ConsentGrant {
        delegate,
        catalog: offer().catalog.unwrap(),
        ..grant()
    };
    let (buyer, seller) = (party(Address([22; 20])), party(offer().seller));
    let ask = |purpose: &str, grants: &[ConsentGrant]| {
        authorize(
            "purpose-consent",
            &format!(r#"{{"purpose":"{purpose}"}}"#),
            grants,
            |_| {},
        )
    };
    assert_eq!(ask("research", &[buyer.clone(), seller.clone()]), "Ok(())");
    assert_eq!(
        ask("advertising", &[buyer.clone(), seller.clone()]),
        "seller_consent_other_purpose"
    );
    assert_eq!(ask("research", &[buyer]), "seller_consent_missing");
    assert_eq!(ask("research", &[seller]), "buyer_consent_missing");
}

#[test]
fn geo_fence_lets_in_whom_the_rule_allows() {
    let from = |country: &str| ConsentGrant {
        attributes: vec![("country".to_owned(), country.to_owned())],
        ..grant()
    };
    let ask = |country: &str| {
        authorize(
            "geo-fence",
            r#"{"allow":["DE","US"],"deny":["US-CA"]}"#,
            &[from(country)],
            |_| {},
        )
    };
    assert_eq!(ask("DE"), "Ok(())");
    assert_eq!(ask("us-ny"), "Ok(())");
    assert_eq!(ask("US-CA"), "buyer_outside");
    assert_eq!(ask("Germany"), "buyer_outside");
    let unknown = authorize("geo-fence", r#"{"allow":["DE"]}"#, &[], |request| {
        request.buyer = None
    });
    assert_eq!(unknown, "buyer_unknown");
}
