//! A purchase from the buyer's request to the receipt.
//!
//! What lives here: the order of steps, whose turn it is, deadlines, what a seller's answer proves. What never does:
//! whether a purchase may happen. That is decided by `bourse_market::apply`, inside the one write that reserves it;
//! the same function is asked once before, on a snapshot, so that what cannot succeed waits for nothing.
//!
//! From RESERVE on a purchase runs in a task of its own and ends in POST or VOID, whatever becomes of its buyer.

mod carry;
mod pending;
mod recover;
mod sell;
mod turns;

pub(crate) use pending::Pending;
pub(crate) use recover::recover;
pub(crate) use sell::{RoutedSellers, Sellers};
pub(crate) use turns::Turns;

use crate::market::{Market, Status};
use crate::wire::{fault, invalid, of_refusal, uri};
use bourse_chain::{ChannelClose, OFF_CHAIN_CLOSE_AT};
use bourse_market::{
    Address, Amount, BuyerPubkey, ChannelId, ChannelKind, Identity, Purchase, PurchaseState, Refusal, Seq,
    Signature,
};
use bourse_wamp::WampError;
use pending::Entry;
use std::sync::Arc;
use tokio::time::Instant;

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
}

impl Market {
    /// Buys a key, or finds the receipt of the same purchase.
    pub(crate) async fn buy(self: &Arc<Self>, request: BuyRequest) -> Result<Arc<Purchase>, WampError> {
        let deadline = Instant::now() + self.terms.sell_deadline;
        if self.status() != Status::Running {
            return Err(fault(uri::NOT_READY, "the market is not trading now"));
        }
        self.verify(&request).await?;
        if let Some(purchase) = self.replayed(&request)? {
            return Ok(Arc::new(purchase));
        }
        let waiting = match self.pending.enter(request.identity) {
            Entry::Taken => {
                return Err(fault(
                    uri::OUT_OF_ORDER,
                    "another purchase is under way on this channel",
                ));
            }
            Entry::Joined(waiting) => waiting,
            Entry::Mine(ticket, waiting) => {
                let market = Arc::clone(self);
                tokio::spawn(async move {
                    let answer = carry::carry(&market, request, deadline).await;
                    ticket.answer(answer);
                });
                waiting
            }
        };
        pending::joined(waiting).await
    }

    /// Who asks: the signature must be the delegate's whose channel it is, and the key worth sealing to.
    async fn verify(&self, request: &BuyRequest) -> Result<(), WampError> {
        let Identity {
            channel,
            seq,
            balance,
            buyer_pubkey,
            ..
        } = request.identity;
        let (digest, s1) = (self.state_digest(channel, seq, balance), request.s1);
        let (low_order, signer) = self
            .workers
            .run(move || (is_low_order(&buyer_pubkey), bourse_chain::recover(&digest, &s1)))
            .await?;
        if low_order {
            return Err(invalid(
                "buyer_pubkey",
                "a point of low order: anybody could open what is sealed to it",
            ));
        }
        let signer = signer.map_err(|error| fault(uri::INVALID_SIGNATURE, error.to_string()))?;
        let record = self
            .read(|ledger| bourse_market::View::channel(ledger, &channel))?
            .filter(|record| record.kind == ChannelKind::Payment)
            .ok_or_else(|| of_refusal(&Refusal::ChannelUnknown { channel }))?;
        for expected in [request.buyer, record.delegate] {
            if signer != expected {
                return Err(of_refusal(&Refusal::WrongSigner { signer, expected }));
            }
        }
        self.buyer_proved(request.session, signer);
        Ok(())
    }

    /// The posted purchase with this very identity, if there is one.
    fn replayed(&self, request: &BuyRequest) -> Result<Option<Purchase>, WampError> {
        let Identity { channel, seq, .. } = request.identity;
        let lenient = seq.next().filter(|_| self.terms.lenient_seq);
        self.read(|ledger| {
            for seq in [Some(seq), lenient].into_iter().flatten() {
                if let Some(purchase) = bourse_market::View::purchase_at(ledger, &channel, seq)?
                    && purchase.identity == request.identity
                    && matches!(purchase.state, PurchaseState::Posted { .. })
                {
                    return Ok(Some(purchase));
                }
            }
            Ok(None)
        })
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

/// Whether X25519 with this public key gives zero whatever the secret: a point of small order.
///
/// A seller would advance its channel, then fail to seal.
fn is_low_order(pubkey: &BuyerPubkey) -> bool {
    let point = curve25519_dalek::MontgomeryPoint(pubkey.0);
    // Clamped scalars are multiples of 8, the cofactor: any one of them sends exactly the small subgroup to zero.
    point.mul_clamped([1; 32]).0 == [0; 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_low_order_are_known_in_every_spelling() {
        let low = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ];
        for point in low {
            let bytes: [u8; 32] = hex::decode(point).unwrap().try_into().unwrap();
            assert!(is_low_order(&BuyerPubkey(bytes)), "{point}");
        }
        assert!(!is_low_order(&BuyerPubkey([9; 32])));
    }
}
