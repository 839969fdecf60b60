//! The policy of the README, with what stands around it in a project.

use bourse::testing::{MockHost, MockMarket, NOW, offer, request};
use bourse::{Amount, Market, Price, PriceRequest, Refusal, Subject};
use std::time::Duration;

#[derive(Debug, bourse::Params)]
struct Params {
    /// The price before the first sale.
    start: Option<Amount>,
}

struct Doubling;

/// The price doubles with every sale of the last minute.
#[bourse::policy]
impl Doubling {
    fn quote(request: &PriceRequest<Params>, market: &impl Market) -> Result<Price, Refusal> {
        let sales = market.demand(Subject::Key(request.offer.key), 60_000).sales;
        let start = request.base_price(request.params.start, Amount::from_tokens(1));
        let amount = (0..sales.min(64)).fold(start, |price, _| price.saturating_mul_bp(20_000));
        Ok(request.price(amount, 5_000))
    }
}

/// What it asks after so many sales of the last minute.
pub(crate) fn price_after(sales: u32) -> Amount {
    let market = MockMarket::busy(NOW, &offer(), sales, Duration::from_millis(10));
    Doubling::quote(&request(Params::default()), &MockHost::from(market))
        .unwrap()
        .amount
}
