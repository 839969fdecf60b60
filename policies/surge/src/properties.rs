//! What holds for any sales and any parameters.

use super::*;
use bourse::testing::{MockMarket, NOW, offer, request};
use proptest::prelude::*;
use std::time::Duration;

fn any_params() -> impl Strategy<Value = Params> {
    (any::<u128>(), 0u64..50, any::<u64>(), WHOLE_BP..).prop_map(|(base, target_sales, step_bp, max_bp)| {
        Params {
            base: Some(Amount::from_units(base)),
            target_sales,
            step_bp,
            max_bp,
            ..Params::default()
        }
    })
}

fn after(sales: u32, params: &Params) -> Amount {
    let market = MockMarket::busy(NOW, &offer(), sales, Duration::from_millis(1));
    Surge::quote(&request(params.clone()), &market).unwrap().amount
}

proptest! {
    #[test]
    fn more_sales_never_make_a_lower_price(params in any_params(), sales in 0u32..200, more in 0u32..200) {
        prop_assert!(after(sales + more, &params) >= after(sales, &params));
    }

    #[test]
    fn the_price_stays_between_the_base_and_its_multiple(params in any_params(), sales in 0u32..200) {
        let base = params.base.unwrap();
        let price = after(sales, &params);
        prop_assert!(price >= base && price <= base.saturating_mul_bp(params.max_bp));
        prop_assert!(u64::from(sales) > params.target_sales || price == base);
    }

    #[test]
    fn floor_and_cap_hold(params in any_params(), sales in 0u32..200, one in any::<u128>(), other in any::<u128>()) {
        let (floor, cap) = (Amount::from_units(one.min(other)), Amount::from_units(one.max(other)));
        let market = MockMarket::busy(NOW, &offer(), sales, Duration::from_millis(1));
        let price = Surge::quote(&PriceRequest { floor, cap, ..request(params) }, &market).unwrap();
        prop_assert!(price.amount >= floor && price.amount <= cap);
    }
}
