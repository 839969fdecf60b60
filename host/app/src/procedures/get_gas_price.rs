//! `get_gas_price()`: what the market maker would pay for gas.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, int, reply};
use bourse_wamp::Invocation;
use std::sync::Arc;

/// Without a chain nothing is paid, and clients are told what they always were: 10 gwei, in wei. So it is until the node has
/// said what it would pay.
const GAS_PRICE: u64 = 10_000_000_000;

pub(super) async fn get_gas_price(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    let price = market.course.progress().gas_price;
    let price = price.and_then(|price| u64::try_from(price).ok());
    Ok(reply(int(price.unwrap_or(GAS_PRICE))))
}
