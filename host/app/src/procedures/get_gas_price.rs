//! `get_gas_price()`: what the market maker would pay for gas.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, int, reply};
use bourse_wamp::Invocation;
use std::sync::Arc;

/// 10 gwei, in wei.
const GAS_PRICE: u64 = 10_000_000_000;

pub(super) async fn get_gas_price(_market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    Ok(reply(int(GAS_PRICE)))
}
