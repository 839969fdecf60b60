//! Keys that were left with the market maker, the sales of them, and what it owes for these.
//!
//! Such a sale asks no seller, so none of it lies in a paying channel: whoever sells live over that channel would find
//! it at a position that it never signed. What was earned is a debt to the seller's delegate instead, which a final
//! state of one of its paying channels settles.

use crate::Amount;
use crate::demand::Sale;
use crate::ids::{
    Address, ApiId, BuyerPubkey, ChannelId, KeyId, Nanos, OfferId, PurchaseId, SealedKey, Seq, Signature,
};
use crate::record::{Identity, PriceSource, Purchase, PurchaseState};
use serde::{Deserialize, Serialize};

/// A posted sale of an escrowed key. It is never anything else than posted: nothing comes between its check and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowSale {
    /// Its identifier, one of those of purchases.
    pub id: PurchaseId,
    /// What the buyer asked for.
    pub identity: Identity,
    /// The offer.
    pub offer: OfferId,
    /// The API of the offer.
    pub api: ApiId,
    /// The seller's delegate, to whom the credit is owed.
    pub seller: Address,
    /// The buyer's delegate.
    pub buyer: Address,
    /// When it was posted.
    pub at: Nanos,
    /// What the buyer pays: the seller's credit and the market's fee.
    pub price: Amount,
    /// The market's part of the price.
    pub fee: Amount,
    /// How the price came about.
    pub source: PriceSource,
    /// Position of the payment channel.
    pub payment_seq: Seq,
    /// Balance of the payment channel.
    pub payment_balance: Amount,
    /// The buyer's signature over the payment channel's new state.
    pub s1: Signature,
    /// Ours over the same state.
    pub s4: Signature,
    /// The data key, sealed to the buyer.
    pub sealed_key: SealedKey,
}

impl EscrowSale {
    /// What the seller is owed for it.
    pub fn credit(&self) -> Option<Amount> {
        self.price.checked_sub(self.fee)
    }

    /// What others may know of it.
    pub fn sold(&self) -> Sale {
        Sale {
            at: self.at,
            key: self.identity.key,
            api: self.api,
            seller: self.seller,
            buyer: self.buyer,
            price: self.price,
        }
    }

    /// What its buyer is told.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            key: self.identity.key,
            buyer: self.buyer,
            buyer_pubkey: self.identity.buyer_pubkey,
            sealed_key: self.sealed_key,
            offer: self.offer,
            amount: self.identity.amount,
            price: self.price,
            channel: self.identity.channel,
            seq: self.payment_seq,
            balance: self.payment_balance,
            s4: self.s4,
        }
    }
}

/// What the market maker owes a delegate for sales of its escrowed keys.
///
/// `owed + settled` is what all of them came to, in every committed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Debt {
    /// Earned, and not paid yet.
    pub owed: Amount,
    /// Paid over paying channels.
    pub settled: Amount,
    /// How many sales there were, free ones included.
    pub sales: u64,
}

/// What the final state of a paying channel paid beyond the sales that were made over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowPayment {
    /// Whose debt it settles.
    pub delegate: Address,
    /// How much of it.
    pub amount: Amount,
    /// When.
    pub at: Nanos,
}

/// What a buyer is told of a posted purchase: the values of that purchase, whatever happened since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The key it bought.
    pub key: KeyId,
    /// The buyer's delegate.
    pub buyer: Address,
    /// Whom the key is sealed to.
    pub buyer_pubkey: BuyerPubkey,
    /// The data key, sealed.
    pub sealed_key: SealedKey,
    /// The offer.
    pub offer: OfferId,
    /// The most the buyer would have paid.
    pub amount: Amount,
    /// What it paid.
    pub price: Amount,
    /// The payment channel.
    pub channel: ChannelId,
    /// Its position.
    pub seq: Seq,
    /// Its balance.
    pub balance: Amount,
    /// Our signature over both.
    pub s4: Signature,
}

impl Purchase {
    /// What others may know of it, once it is posted.
    pub fn sold(&self) -> Option<Sale> {
        let PurchaseState::Posted { at, .. } = self.state else {
            return None;
        };
        Some(Sale {
            at,
            key: self.identity.key,
            api: self.api,
            seller: self.seller,
            buyer: self.buyer,
            price: self.price,
        })
    }

    /// What its buyer is told, once it is posted.
    pub fn receipt(&self) -> Option<Receipt> {
        let PurchaseState::Posted { s4, sealed_key, .. } = self.state else {
            return None;
        };
        Some(Receipt {
            key: self.identity.key,
            buyer: self.buyer,
            buyer_pubkey: self.identity.buyer_pubkey,
            sealed_key,
            offer: self.offer,
            amount: self.identity.amount,
            price: self.price,
            channel: self.identity.channel,
            seq: self.payment_seq,
            balance: self.payment_balance,
            s4,
        })
    }
}
