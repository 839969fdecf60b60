//! What holds for any tiers, any base and any purchases.

use super::*;
use bourse::testing::{BUYER, MockHost, request};
use proptest::prelude::*;

/// Tiers that rise, as the parameters must.
fn any_tiers() -> impl Strategy<Value = Vec<Tier>> {
    prop::collection::vec((1u64..50, 1u64..600), 0..=MAX_TIERS).prop_map(|steps| {
        let (mut from, mut off_bp) = (0, 0);
        let rise = |(more, bp)| {
            from += more;
            off_bp += bp;
            Tier { from, off_bp }
        };
        steps.into_iter().map(rise).collect()
    })
}

fn any_measure() -> impl Strategy<Value = Measure> {
    prop_oneof![Just(Measure::Tokens), Just(Measure::Keys)]
}

proptest! {
    #[test]
    fn the_next_key_never_costs_more_than_the_one_before(
        tiers in any_tiers(),
        measure in any_measure(),
        base in 1u128..=u128::MAX,
    ) {
        let asked = PriceRequest {
            buyer: Some(BUYER),
            ..request(Params { base: Amount::from_units(base), tiers: tiers.clone(), measure, ..Params::default() })
        };
        let mut host = MockHost::default();
        let mut last = Amount::from_units(base);
        let lowest = WHOLE_BP - tiers.last().map_or(0, |tier| tier.off_bp);
        for _ in 0..60 {
            let price = Tiered::quote(&asked, &host).unwrap().amount;
            host.post();
            prop_assert!(price <= last, "{price} after {last}");
            prop_assert!(price >= Amount::from_units(base).saturating_mul_bp(lowest));
            last = price;
        }
    }

    /// Who buys as several buyers pays at least what it would have paid as one.
    #[test]
    fn splitting_a_buyer_never_pays(
        tiers in any_tiers(),
        measure in any_measure(),
        buyers in prop::collection::vec(0u8..4, 1..60),
    ) {
        let params = Params { tiers, measure, ..Params::default() };
        let total = |who: &dyn Fn(u8) -> u8| {
            let mut host = MockHost::default();
            buyers.iter().fold(Amount::ZERO, |sum, buyer| {
                let asked = PriceRequest { buyer: Some(Address([who(*buyer); 20])), ..request(params.clone()) };
                let price = Tiered::quote(&asked, &host).unwrap().amount;
                host.post();
                sum.saturating_add(price)
            })
        };
        prop_assert!(total(&|buyer| buyer) >= total(&|_| 0));
    }

    #[test]
    fn a_call_never_makes_more_than_three_changes(measure in any_measure()) {
        let asked = PriceRequest {
            buyer: Some(BUYER),
            ..request(Params { measure, ..Params::default() })
        };
        let host = MockHost::default();
        Tiered::quote(&asked, &host).unwrap();
        prop_assert!(host.changes().len() <= 3);
    }
}
