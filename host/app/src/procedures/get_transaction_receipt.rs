//! `get_transaction_receipt(transaction)`: what became of a transaction, as the node says it.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, dict, fault, int, opt, reply, text, uri};
use bourse_chain::checksum;
use bourse_market::{Address, TransactionHash};
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;

pub(super) async fn get_transaction_receipt(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["transaction"])?;
    let transaction: TransactionHash = arguments.required("transaction")?;
    let outbox = market.outbox.as_ref().ok_or_else(|| {
        fault(
            uri::RUNTIME,
            "this market settles without a chain: there are no transactions",
        )
    })?;
    let receipt = super::while_wanted(invocation.cancelled, async {
        let receipt = outbox.sending.node.receipt(transaction).await;
        receipt.map_err(|error| fault(uri::NOT_READY, error.to_string()))
    })
    .await?;
    let receipt = receipt.ok_or_else(|| {
        fault(
            uri::RUNTIME,
            format!("transaction {transaction} is in no block that the node knows of"),
        )
    })?;
    let address = |address: &[u8]| {
        let address = Address::try_from(address).ok();
        opt(address, |address| text(checksum(address)))
    };
    Ok(reply(Value::Map(dict([
        ("transactionHash", bytes(receipt.transaction_hash)),
        ("transactionIndex", int(receipt.transaction_index.to::<u64>())),
        ("blockNumber", int(receipt.block_number.to::<u64>())),
        ("from", address(receipt.from.as_slice())),
        ("to", opt(receipt.to, |to| address(to.as_slice()))),
        ("gasUsed", int(receipt.gas_used.to::<u64>())),
        ("cumulativeGasUsed", int(receipt.cumulative_gas_used.to::<u64>())),
        (
            "contractAddress",
            opt(receipt.contract_address, |made| address(made.as_slice())),
        ),
        ("status", opt(receipt.status, |status| int(status.to::<u64>()))),
    ]))))
}
