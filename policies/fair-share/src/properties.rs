//! What holds for any page and any share.

use super::*;
use bourse::Offer;
use bourse::testing::{TestBatch, filter_request, offer};
use proptest::prelude::*;

fn pack(sellers: &[u8]) -> TestBatch {
    let of = |seller: &u8| Offer {
        seller: Address([*seller; 20]),
        ..offer()
    };
    TestBatch::of(&sellers.iter().map(of).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn no_seller_exceeds_its_share_and_no_seller_vanishes(
        sellers in prop::collection::vec(0u8..6, 0..200),
        share_bp in 1u64..=WHOLE_BP,
        page in prop::option::of(1u32..=1_000),
        turns in any::<bool>(),
    ) {
        let params = Params { share_bp, page, turns };
        let verdict = FairShare::filter(&filter_request(params), &pack(&sellers).view());
        let shown = verdict.shown();
        let rows = page.map_or(sellers.len() as u64, u64::from);
        for seller in 0..6 {
            let had = sellers.iter().filter(|one| **one == seller).count();
            let has = shown.iter().filter(|index| sellers[**index] == seller).count();
            let limit = (rows * share_bp / WHOLE_BP).max(1) as usize;
            prop_assert_eq!(has, had.min(limit), "seller {}", seller);
        }
    }

    /// In turns, the sellers stand as evenly on the first rows as on all of them, however few the buyer looks at.
    #[test]
    fn in_turns_the_first_rows_are_shared_as_well(
        sellers in prop::collection::vec(0u8..6, 1..200),
        rows in 1usize..50,
    ) {
        let params = Params { share_bp: WHOLE_BP, ..Params::default() };
        let verdict = FairShare::filter(&filter_request(params), &pack(&sellers).view());
        let shown = verdict.shown();
        let first = &shown[..rows.min(shown.len())];
        let on = |seller: u8| first.iter().filter(|index| sellers[**index] == seller).count();
        let most = (0..6).map(on).max().unwrap();
        for seller in 0..6 {
            let all = sellers.iter().filter(|one| **one == seller).count();
            prop_assert!(on(seller) + 1 >= most.min(all), "seller {} has {} of {}", seller, on(seller), most);
        }
    }

    #[test]
    fn what_a_seller_shows_is_what_the_host_put_first(
        sellers in prop::collection::vec(0u8..6, 0..200),
        share_bp in 1u64..=WHOLE_BP,
    ) {
        let params = Params { share_bp, ..Params::default() };
        let verdict = FairShare::filter(&filter_request(params), &pack(&sellers).view());
        for seller in 0..6 {
            let own: Vec<usize> = (0..sellers.len()).filter(|index| sellers[*index] == seller).collect();
            let kept: Vec<bool> = own.iter().map(|index| verdict.keeps(*index)).collect();
            prop_assert!(kept.iter().rev().is_sorted(), "{:?}", kept);
        }
    }
}
