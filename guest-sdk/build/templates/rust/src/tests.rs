//! `cargo test`: the policy as a plain function. `bourse policy test` asks the component, with the files in `cases`.

use super::{Params, Policy};
use bourse::testing::{MockHost, MockMarket, NOW, offer, request};
use bourse::{Amount, PriceRequest};
use core::time::Duration;

fn price_after(sales: u32) -> Amount {
    let market = MockMarket::busy(NOW, &offer(), sales, Duration::from_millis(10));
    let host = MockHost::from(market);
    Policy::quote(&request(Params::default()), &host)
        .unwrap()
        .amount
}

#[test]
fn each_sale_adds_a_hundredth_of_the_base() {
    assert_eq!(price_after(0), Amount::from_tokens(10));
    assert_eq!(price_after(50), Amount::from_tokens(15));
}

#[test]
fn the_price_is_never_more_than_three_times_the_base() {
    assert_eq!(price_after(5_000), Amount::from_tokens(30));
}

#[test]
fn a_fixed_price_goes_before_the_base() {
    let repriced = PriceRequest {
        base: Some(Amount::from_tokens(2)),
        ..request(Params::default())
    };
    let price = Policy::quote(&repriced, &MockHost::default()).unwrap();
    assert_eq!(price.amount, Amount::from_tokens(2));
}
