//! `status()`: deprecated, still answered.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, dict, int, reply, text};
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

/// The status by name. The accounts are those a node manages for others: none, here.
pub(super) async fn status(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    Ok(reply(Value::Map(dict([
        ("status", text(market.status().name())),
        ("current_block_no", int(market.settlement.head_block().number)),
        ("accounts", Value::Map(Dict::new())),
    ]))))
}
