//! Settlement vouchers: what makes a buyer's spending a claim that the contract pays.
//!
//! The states of purchases name a block that the contract takes no more. A voucher is the same state over a recent block, and
//! final: with the market maker's signature beside it, the contract pays out by it, for so many blocks. So it is worth
//! something only as long as it is asked for again, and the ledger keeps the newest alone, which is always that of the posted state.

use crate::Amount;
use crate::ids::{Address, BlockNumber, ChannelId, Nanos, Seq, Signature};
use serde::{Deserialize, Serialize};

/// A payment channel's posted state, signed as its final one by its delegate, over a recent block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// The channel.
    pub channel: ChannelId,
    /// Its position.
    pub seq: Seq,
    /// What is left in it.
    pub balance: Amount,
    /// The block that was signed.
    pub close_at: BlockNumber,
    /// By its delegate.
    pub signature: Signature,
    /// When it came.
    pub at: Nanos,
}

/// A voucher as it came. The signature is already recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedVoucher {
    /// The position it is for, as signed.
    pub seq: Seq,
    /// What is left then, as signed.
    pub balance: Amount,
    /// The block, as signed. Whether it is recent is for the caller to know.
    pub close_at: BlockNumber,
    /// The signature.
    pub signature: Signature,
    /// Whom it recovers to.
    pub signer: Address,
}

impl SignedVoucher {
    /// It as a record.
    pub(crate) fn kept(&self, channel: ChannelId, at: Nanos) -> Voucher {
        Voucher {
            channel,
            seq: self.seq,
            balance: self.balance,
            close_at: self.close_at,
            signature: self.signature,
            at,
        }
    }
}

/// How far a buyer may spend on its word alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// What may be spent over a channel without a voucher.
    pub most: Amount,
    /// The earliest block that the voucher on record may name, where there is one: an older one is about to be used, and
    /// nothing is to come between.
    pub not_before: BlockNumber,
    /// The voucher that came with the order, over the state it leads to.
    pub voucher: Option<SignedVoucher>,
}

/// A voucher over the posted state, for one that is about to lapse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewRequest {
    /// The channel.
    pub channel: ChannelId,
    /// The new one.
    pub voucher: SignedVoucher,
    /// When.
    pub at: Nanos,
}
