//! Markets of the network.

use crate::Amount;
use crate::ids::{Address, BlockNumber, MarketId, Nanos, Signature, TransactionHash};
use serde::{Deserialize, Serialize};

/// A market of the network: this one or another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Market {
    /// Its identifier.
    pub id: MarketId,
    /// Block of its creation.
    pub created: BlockNumber,
    /// Block of the last change.
    pub updated: BlockNumber,
    /// Block in which it was closed; none while it is open.
    pub closed: Option<BlockNumber>,
    /// When the ledger recorded it.
    pub at: Nanos,
    /// Its number among all markets.
    pub seq: u32,
    /// Who owns it.
    pub owner: Address,
    /// The token it trades in.
    pub coin: Address,
    /// Its terms: an IPFS id, or empty.
    pub terms: String,
    /// More about it: an IPFS id, or empty.
    pub meta: String,
    /// Its market maker.
    pub maker: Address,
    /// Security that a provider deposits to join.
    pub provider_security: Amount,
    /// Security that a consumer deposits to join.
    pub consumer_security: Amount,
    /// Its part of what is earned, out of the coin's supply.
    pub fee: Amount,
    /// The transaction of the last change.
    pub transaction: Option<TransactionHash>,
    /// The owner's signature, where somebody else created it.
    pub signature: Option<Signature>,
}
