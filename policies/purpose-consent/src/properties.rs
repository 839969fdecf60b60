//! What holds for any records.

use super::*;
use bourse::testing::{BUYER, consent_request, offer};
use bourse::{Address, CatalogId, ConsentGrant, DelegateType, Offer};
use proptest::prelude::*;

const SELLER: Address = Address([0x44; 20]);

fn any_grant() -> impl Strategy<Value = ConsentGrant> {
    let who = prop_oneof![Just(BUYER), Just(SELLER), Just(Address([9; 20]))];
    let prefix = prop_oneof![
        Just(""),
        Just("io."),
        Just("io.crossbar"),
        Just("io.cross"),
        Just("com.")
    ];
    let purpose = prop_oneof![
        Just("research"),
        Just("billing,research"),
        Just("billing"),
        Just("")
    ];
    (
        0u8..3,
        who,
        0u8..5,
        0u8..2,
        prefix,
        0u64..4,
        any::<bool>(),
        purpose,
    )
        .prop_map(
            |(member, delegate, number, catalog, api_prefix, updated, granted, purpose)| ConsentGrant {
                member: Address([member; 20]),
                delegate,
                delegate_type: DelegateType::from_number(number),
                catalog: CatalogId([catalog; 16]),
                api_prefix: api_prefix.to_owned(),
                updated,
                granted,
                attributes: vec![("purpose".to_owned(), purpose.to_owned())],
            },
        )
}

fn request(buyer: &[ConsentGrant], seller: &[ConsentGrant]) -> ConsentRequest<Params> {
    ConsentRequest {
        action: Action::Buy,
        offer: Some(Offer {
            catalog: Some(CatalogId([1; 16])),
            ..offer()
        }),
        buyer_grants: buyer.to_vec(),
        seller_grants: seller.to_vec(),
        ..consent_request(Params {
            purpose: Some("research".to_owned()),
            ..Params::default()
        })
    }
}

/// Whether a record says yes to the deal all by itself.
fn supports(grant: &ConsentGrant, delegate: Address, buys: bool) -> bool {
    grant.granted
        && grant.delegate == delegate
        && grant.catalog == CatalogId([1; 16])
        && ["", "io.", "io.crossbar"].contains(&grant.api_prefix.as_str())
        && grant.attributes[0].1.contains("research")
        && if buys {
            grant.delegate_type.buys()
        } else {
            grant.delegate_type.sells()
        }
}

proptest! {
    #[test]
    fn no_deal_goes_on_without_a_record_of_each_side_that_supports_it(
        buyer in prop::collection::vec(any_grant(), 0..6),
        seller in prop::collection::vec(any_grant(), 0..6),
    ) {
        if PurposeConsent::authorize(&request(&buyer, &seller)).is_ok() {
            prop_assert!(buyer.iter().any(|grant| supports(grant, BUYER, true)));
            prop_assert!(seller.iter().any(|grant| supports(grant, SELLER, false)));
        }
    }

    #[test]
    fn the_order_of_records_does_not_matter(
        buyer in prop::collection::vec(any_grant(), 0..6),
        seller in prop::collection::vec(any_grant(), 0..6),
    ) {
        let turned = |grants: &[ConsentGrant]| grants.iter().rev().cloned().collect::<Vec<_>>();
        prop_assert_eq!(
            PurposeConsent::authorize(&request(&buyer, &seller)).is_ok(),
            PurposeConsent::authorize(&request(&turned(&buyer), &turned(&seller))).is_ok()
        );
    }

    /// Whoever withdraws last, for exactly this API, ends the deal whatever else is on record.
    #[test]
    fn a_late_and_exact_withdrawal_always_ends_the_deal(
        buyer in prop::collection::vec(any_grant(), 0..6),
        seller in prop::collection::vec(any_grant(), 0..6),
        member in 0u8..3,
    ) {
        let withdrawal = ConsentGrant {
            member: Address([member; 20]),
            delegate: BUYER,
            delegate_type: DelegateType::Consumer,
            catalog: CatalogId([1; 16]),
            api_prefix: offer().uri,
            updated: 9,
            granted: false,
            attributes: Vec::new(),
        };
        let with: Vec<ConsentGrant> = buyer.into_iter().chain([withdrawal]).collect();
        prop_assert!(PurposeConsent::authorize(&request(&with, &seller)).is_err());
    }
}
