//! `get_status()`: the clock, the chain and whether the market trades.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, dict, int, opt, reply, text};
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;

pub(super) async fn get_status(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    let head = market.settlement.head_block();
    let block = dict([
        ("number", int(head.number)),
        ("hash", bytes(head.hash)),
        ("gas_limit", int(head.gas_limit)),
    ]);
    let progress = market.course.progress();
    Ok(reply(Value::Map(dict([
        ("now", int(market.now().0)),
        ("chain", int(market.network.network_id)),
        ("block", Value::Map(block)),
        ("status", int(market.status() as u8)),
        ("followed", opt(progress.followed, int)),
        (
            "caught_up",
            opt(market.network.contracts.map(|_| progress.caught_up), Value::Bool),
        ),
        ("degraded", opt(progress.trouble.as_deref(), text)),
    ]))))
}
