//! `fair-share` on pages that one seller crowds, and on single keys.

use super::*;
use bourse::testing::{NoHost, TestBatch, filter_request, offer};
use bourse::{KeyId, Offer};

/// Offers whose sellers are the letters of `sellers`.
fn page(sellers: &str) -> TestBatch {
    let offers: Vec<Offer> = sellers
        .bytes()
        .enumerate()
        .map(|(index, seller)| Offer {
            key: KeyId((index as u128).to_be_bytes()),
            seller: Address([seller; 20]),
            ..offer()
        })
        .collect();
    TestBatch::of(&offers)
}

/// The sellers of what is shown, in order.
fn shown(sellers: &str, params: Params) -> String {
    let verdict = FairShare::filter(&filter_request(params), &page(sellers).view());
    let all: Vec<char> = sellers.chars().collect();
    verdict.shown().into_iter().map(|index| all[index]).collect()
}

fn share(share_bp: u64) -> Params {
    Params {
        share_bp,
        ..Params::default()
    }
}

#[test]
fn a_seller_keeps_its_first_offers_up_to_its_share_and_the_sellers_take_turns() {
    assert_eq!(shown("aaaaaaaabbcd", share(2_500)), "abcdaba");
    assert_eq!(shown("aaaaaaaabbcd", share(5_000)), "abcdabaaaa");
    assert_eq!(shown("aaaaaaaabbcd", share(10_000)), "abcdabaaaaaa");
}

#[test]
fn without_turns_the_order_stays_the_hosts() {
    let params = Params {
        turns: false,
        ..share(2_500)
    };
    assert_eq!(shown("abaacabadbaa", params), "abaacbdb");
}

#[test]
fn one_offer_is_always_allowed_so_a_single_key_is_never_hidden() {
    assert_eq!(shown("a", share(1)), "a");
    assert_eq!(shown("aaabbb", share(1)), "ab");
    assert_eq!(shown("", share(1)), "");
}

#[test]
fn a_page_that_is_set_goes_before_the_number_of_offers() {
    let params = Params {
        page: Some(4),
        ..share(5_000)
    };
    assert_eq!(shown("aaaaaaaaaabbbbb", params), "abab");
}

#[test]
fn a_thousand_offers_are_one_page_like_any_other() {
    let verdict = FairShare::filter(&filter_request(share(1_000)), &page(&"abc".repeat(333)).view());
    assert_eq!(verdict.kept(), 297);
}

#[test]
fn senseless_parameters_are_refused_by_name() {
    let batch = page("a");
    trial::refused_by_name(
        &[
            (r#"{"share_bp":0}"#, "share_bp is 0"),
            (r#"{"share_bp":10001}"#, "share_bp is 10001"),
            (r#"{"page":0}"#, "page is 0"),
            (r#"{"page":1001}"#, "page is 1001"),
            (r#"{"shares":1}"#, "shares"),
        ],
        |params| bourse::filter::<FairShare>(filter_request(params.to_owned()), &batch.view(), &NoHost),
    );
}

#[test]
fn the_schema_names_every_parameter_with_its_default() {
    trial::described_with_defaults::<Params>(3);
}
