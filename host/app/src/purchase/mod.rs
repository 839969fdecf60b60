//! A purchase from the buyer's request to the receipt.
//!
//! What lives here: the order of steps, whose turn it is, deadlines, what a seller's answer proves. What never does:
//! whether a purchase may happen. That is decided by `bourse_market::apply`, inside the one write that reserves it;
//! the same function is asked once before, on a snapshot, so that what cannot succeed waits for nothing.
//!
//! From RESERVE on a purchase runs in a task of its own and ends in POST or VOID, whatever becomes of its buyer. The sale of
//! an escrowed key is one write.

mod carry;
mod deliver;
mod exchange;
mod finish;
mod pending;
mod recover;
mod sell;
mod sellers;
mod turns;

pub(crate) use pending::Pending;
pub(crate) use recover::recover;
pub(crate) use sell::asking;
pub(crate) use sellers::RoutedSellers;
pub use sellers::Sellers;
pub(crate) use turns::Turns;

use crate::market::{Market, Status};
use crate::vouchers;
use crate::wire::{fault, invalid, of_refusal, of_settlement, uri};
use bourse_chain::ChannelClose;
use bourse_market::voucher::SignedVoucher;
use bourse_market::{
    Address, Amount, BuyerPubkey, Channel, ChannelId, ChannelKind, Identity, OFF_CHAIN_CLOSE_AT, Receipt,
    Refusal, Seq, Signature, View, find_receipt,
};
use bourse_wamp::WampError;
use pending::Entry;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;

/// What stands where our signature will be: the core does not look at it.
pub(crate) const UNSIGNED: Signature = Signature([0; 65]);

/// A request to buy, parsed.
#[derive(Debug, Clone)]
pub(crate) struct BuyRequest {
    /// What makes it this purchase and no other.
    pub(crate) identity: Identity,
    /// The buyer's delegate as it names itself.
    pub(crate) buyer: Address,
    /// Its signature over the payment channel's next state.
    pub(crate) s1: Signature,
    /// The session that asks, whose quotes may be used.
    pub(crate) session: u64,
    /// Its voucher over the same state, as it came.
    pub(crate) voucher: Option<vouchers::Sent>,
}

impl Market {
    /// Buys a key, or finds the receipt of the same purchase.
    pub(crate) async fn buy(self: &Arc<Self>, request: BuyRequest) -> Result<Arc<Receipt>, WampError> {
        let deadline = Instant::now() + self.terms.sell_deadline;
        if self.status() != Status::Running {
            return Err(fault(uri::NOT_READY, "the market is not trading now"));
        }
        self.settlement.check_trading().map_err(of_settlement)?;
        let payment = tokio::time::timeout_at(deadline, self.verify(&request))
            .await
            .map_err(|_| fault(uri::OVERLOADED, "too many requests wait; nothing was charged"))??;
        if let Some(receipt) = self.replayed(&payment, &request.identity)? {
            return Ok(Arc::new(receipt));
        }
        let voucher = self.read_voucher(&request, &payment).await?;
        let waiting = match self.pending.enter(request.identity) {
            Entry::Taken => {
                return Err(fault(
                    uri::OUT_OF_ORDER,
                    "another purchase is under way on this channel",
                ));
            }
            Entry::Crowded => {
                return Err(fault(
                    uri::OVERLOADED,
                    "this purchase is under way, and too many wait for it",
                ));
            }
            Entry::Joined(waiting) => waiting,
            Entry::Mine(ticket, waiting) => {
                let market = Arc::clone(self);
                let carried = async move {
                    let answer = carry::carry(&market, request, voucher, deadline).await;
                    ticket.answer(answer);
                };
                // It goes on by itself, and is still the call's.
                tokio::spawn(carried.in_current_span());
                waiting
            }
        };
        pending::joined(waiting).await
    }

    /// Who asks: the signature must be the delegate's whose channel it is, and the key worth sealing to. Yields the channel.
    async fn verify(&self, request: &BuyRequest) -> Result<Channel, WampError> {
        let Identity {
            channel,
            seq,
            balance,
            buyer_pubkey,
            ..
        } = request.identity;
        let (digest, s1) = (self.state_digest(channel, seq, balance), request.s1);
        if is_low_order(&buyer_pubkey) {
            return Err(invalid(
                "buyer_pubkey",
                "a point of low order: anybody could open what is sealed to it",
            ));
        }
        let (known, expected) = (Arc::clone(&self.known_signers), request.buyer);
        let signer = self
            .workers
            .run_bought(move || known.recover(&digest, &s1, expected))
            .await?;
        let signer = signer.map_err(|error| fault(uri::INVALID_SIGNATURE, error.to_string()))?;
        let record = self
            .read(|ledger| ledger.channel(&channel))?
            .filter(|record| record.kind == ChannelKind::Payment)
            .ok_or_else(|| of_refusal(&Refusal::ChannelUnknown { channel }))?;
        for expected in [request.buyer, record.delegate] {
            if signer != expected {
                return Err(of_refusal(&Refusal::WrongSigner { signer, expected }));
            }
        }
        self.buyer_proved(request.session, signer);
        Ok(record)
    }

    /// Its voucher, where one is worth anything.
    async fn read_voucher(
        self: &Arc<Self>,
        request: &BuyRequest,
        payment: &Channel,
    ) -> Result<Option<SignedVoucher>, WampError> {
        let Some((sent, most)) = request.voucher.zip(self.terms.max_unsettled) else {
            return Ok(None);
        };
        let Identity {
            channel,
            seq,
            balance,
            amount,
            ..
        } = request.identity;
        let trusted = payment.spent.checked_add(amount).is_some_and(|all| all <= most);
        match vouchers::read(self, channel, (seq, balance), sent).await {
            // Nobody knows what it is worth, and nothing depends on it so far.
            Err(error) if error.uri == uri::NOT_READY && trusted => Ok(None),
            voucher => voucher.map(Some),
        }
    }

    /// The receipt of the posted purchase with this very identity, if there is one. A channel in quarantine makes no other.
    fn replayed(&self, payment: &Channel, identity: &Identity) -> Result<Option<Receipt>, WampError> {
        let found = self.read(|ledger| find_receipt(ledger, payment, identity))?;
        if found.is_none() && payment.quarantined.is_some() {
            return Err(of_refusal(&Refusal::ChannelQuarantined { channel: payment.id }));
        }
        Ok(found)
    }

    /// What both sides sign for a state of a channel off the chain.
    pub(crate) fn state_digest(&self, channel: ChannelId, seq: Seq, balance: Amount) -> [u8; 32] {
        let state = ChannelClose {
            close_at: OFF_CHAIN_CLOSE_AT,
            market: self.network.market,
            channel,
            seq,
            balance,
            is_final: false,
        };
        state.digest(&self.network.domain)
    }
}

/// The encodings of the points of order 1, 2, 4 and 8 of Curve25519 and its twist, the highest bit left out: X25519
/// with any of them gives zero whatever the secret. The last two are not reduced modulo 2^255 − 19.
const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    ends(0x01, 0x00, 0x00),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
];

/// Equal bytes but for the first and the last.
const fn ends(first: u8, rest: u8, last: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    let [head, .., tail] = &mut bytes;
    (*head, *tail) = (first, last);
    bytes
}

/// Whether a key sealed to this public key could be opened by anybody. A seller would advance its channel for it, then
/// fail to seal.
fn is_low_order(pubkey: &BuyerPubkey) -> bool {
    let mut bytes = pubkey.0;
    let [.., last] = &mut bytes;
    *last &= 0x7f;
    LOW_ORDER.contains(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::MontgomeryPoint;

    /// What the list stands for: clamped scalars are multiples of 8, the cofactor, so any one of them sends exactly
    /// the points of low order to zero.
    fn vanishes(bytes: [u8; 32]) -> bool {
        MontgomeryPoint(bytes).mul_clamped([1; 32]).0 == [0; 32]
    }

    #[test]
    fn points_of_low_order_are_known_with_and_without_their_highest_bit() {
        for mut bytes in LOW_ORDER {
            for _ in 0..2 {
                assert!(
                    vanishes(bytes) && is_low_order(&BuyerPubkey(bytes)),
                    "{bytes:02x?}"
                );
                bytes[31] ^= 0x80;
            }
        }
    }

    #[test]
    fn every_other_encoding_near_them_is_a_usable_key() {
        for base in LOW_ORDER {
            for first in 0..=255 {
                let mut bytes = base;
                bytes[0] = first;
                assert_eq!(is_low_order(&BuyerPubkey(bytes)), vanishes(bytes), "{bytes:02x?}");
            }
        }
    }
}
