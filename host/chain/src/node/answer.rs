//! What a node answers, as far as it is looked at.

use crate::settlement::Block;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;

/// The head of a block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its number.
    pub number: U64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the one before it.
    pub parent_hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp: U64,
    /// The gas that fits in it.
    pub gas_limit: U64,
    /// Wei that a unit of gas costs at least; none before EIP-1559.
    pub base_fee_per_gas: Option<U256>,
}

impl From<&Header> for Block {
    fn from(header: &Header) -> Self {
        Self {
            number: header.number.to(),
            hash: header.hash.0,
            gas_limit: header.gas_limit.to(),
        }
    }
}

/// An event as it stands in the chain, not looked into.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawLog {
    /// The contract that emitted it.
    pub address: Address,
    /// Its signature's hash, then what is indexed.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Bytes,
    /// The block it is in; none while it is in none.
    pub block_number: Option<U64>,
    /// That block's hash.
    pub block_hash: Option<B256>,
    /// The transaction.
    pub transaction_hash: Option<B256>,
    /// That one's place in the block.
    pub transaction_index: Option<U64>,
    /// Its place among the events of the block.
    pub log_index: Option<U64>,
    /// It was in a block that is no part of the chain any more.
    #[serde(default)]
    pub removed: bool,
}

/// A transaction as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SentTransaction {
    /// Its hash.
    pub(crate) hash: B256,
    /// To whom; none if it made a contract.
    pub(crate) to: Option<Address>,
    /// What it calls there.
    pub(crate) input: Bytes,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionReceipt {
    /// Its hash.
    pub transaction_hash: B256,
    /// Its place in the block.
    pub transaction_index: U64,
    /// The block it is in.
    pub block_number: U64,
    /// That block's hash.
    pub block_hash: B256,
    /// Who sent it.
    pub from: Address,
    /// To whom; none if it made a contract.
    pub to: Option<Address>,
    /// The contract it made.
    pub contract_address: Option<Address>,
    /// Gas it took.
    pub gas_used: U64,
    /// Gas taken in the block up to it.
    pub cumulative_gas_used: U64,
    /// 1 if it did what it says, 0 if it was reverted; none before the Byzantium fork.
    pub status: Option<U64>,
    /// The events in it.
    #[serde(default)]
    pub logs: Vec<RawLog>,
}
