//! `status()`: deprecated, still answered.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, int, reply, text};
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

/// The status by name. The accounts are those a node manages for others: none, here.
pub(super) async fn status(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    Ok(reply(Value::Map(Dict::from([
        ("status".to_owned(), text(market.status().name())),
        (
            "current_block_no".to_owned(),
            int(market.settlement.head_block().number),
        ),
        ("accounts".to_owned(), Value::Map(Dict::new())),
    ]))))
}
