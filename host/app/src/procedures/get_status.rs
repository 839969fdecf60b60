//! `get_status()`: the clock, the chain, whether the market trades, and what is wrong.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, dict, int, opt, reply, text};
use bourse_market::View;
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
    let waiting = match market.outbox {
        None => None,
        Some(_) => {
            let unfinished = market.read(|ledger| ledger.unfinished_intents())?;
            Some(u64::try_from(unfinished.len()).unwrap_or(u64::MAX))
        }
    };
    let link = market.reach.trouble();
    let degraded = link
        .as_ref()
        .map(|trouble| &trouble.why)
        .or(progress.trouble.as_ref())
        .or(progress.fallen.as_ref());
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
        ("degraded", opt(degraded, text)),
        (
            "degraded_since",
            opt(link.as_ref(), |trouble| int(trouble.since.0)),
        ),
        ("outbox_waiting", opt(waiting, int)),
        (
            "outbox_trouble",
            opt(progress.sending.as_ref().or(progress.fallen.as_ref()), text),
        ),
    ]))))
}
