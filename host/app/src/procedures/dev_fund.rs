//! `bourse.dev.fund(address, amount)`: the faucet of local mode, on loopback alone.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, dict, invalid, reply, unexpected};
use bourse_market::{Address, Amount, Outcome};
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;

/// Hands out test tokens; answers what the account holds then.
pub(super) async fn dev_fund(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["address", "amount"])?;
    let address: Address = arguments.required("address")?;
    let amount: Amount = arguments.required("amount")?;
    let command = market
        .settlement
        .fund(address, amount, market.now())
        .map_err(|error| invalid("amount", error))?;
    let account = match market.submit(command).await? {
        Outcome::Funded(account) => account,
        other => return Err(unexpected(&other)),
    };
    crate::crash::point("grant-committed");
    Ok(reply(Value::Map(dict([
        ("address", bytes(address.0)),
        ("balance", bytes(account.balance.to_be_bytes())),
    ]))))
}
