//! `get_status()`: the clock, the chain and whether the market trades.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, int, reply};
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

pub(super) async fn get_status(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    let head = market.settlement.head_block();
    let block = Dict::from([
        ("number".to_owned(), int(head.number)),
        ("hash".to_owned(), bytes(head.hash)),
        ("gas_limit".to_owned(), int(head.gas_limit)),
    ]);
    Ok(reply(Value::Map(Dict::from([
        ("now".to_owned(), int(market.now().0)),
        ("chain".to_owned(), int(market.network.network_id)),
        ("block".to_owned(), Value::Map(block)),
        ("status".to_owned(), int(market.status() as u8)),
    ]))))
}
