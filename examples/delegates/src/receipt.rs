//! What a market answers for a purchase, and what a buyer checks before it believes it.

use crate::DelegateError;
use crate::reply::Reply;
use bourse_chain::{ChannelClose, Domain, SignatureError, recover};
use bourse_market::{Address, Amount, ChannelId, KeyId, MarketId, SealedKey, Seq, Signature};

/// The answer of `buy_key`, the parts a buyer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The key that was bought.
    pub key: KeyId,
    /// What was paid.
    pub paid: Amount,
    /// Position of the payment channel now.
    pub seq: Seq,
    /// What is left in it.
    pub remaining: Amount,
    /// The data key, sealed to the buyer.
    pub sealed_key: SealedKey,
    /// The market maker's signature over the channel's new state.
    pub signature: Signature,
}

/// The state of its channel that a buyer signed, and so expects to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) domain: Domain,
    pub(crate) marketmaker: Address,
    pub(crate) market: MarketId,
    pub(crate) channel: ChannelId,
    pub(crate) key: KeyId,
    pub(crate) price: Amount,
    pub(crate) seq: Seq,
    pub(crate) remaining: Amount,
}

/// A receipt that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// For another key.
    #[error("the receipt is for key {got}, not {expected}")]
    WrongKey {
        /// As bought.
        expected: KeyId,
        /// As received.
        got: KeyId,
    },
    /// More or less than what was signed for.
    #[error("the receipt says {got} tokens were paid, {expected} were signed for")]
    WrongPrice {
        /// As signed.
        expected: Amount,
        /// As received.
        got: Amount,
    },
    /// Another state of the channel than the one that was signed.
    #[error(
        "the receipt leaves the channel at seq {seq} with {remaining}, signed were {expected_seq} and {expected}"
    )]
    WrongState {
        /// The signed position.
        expected_seq: Seq,
        /// The signed balance.
        expected: Amount,
        /// The receipt's position.
        seq: Seq,
        /// The receipt's balance.
        remaining: Amount,
    },
    /// The signature is malformed.
    #[error("the receipt's signature is no signature")]
    Signature(#[from] SignatureError),
    /// Signed by somebody else, or over something else.
    #[error("the receipt is signed by {got}, not by the market maker {expected}")]
    WrongSigner {
        /// The market maker.
        expected: Address,
        /// Whom the signature recovers to.
        got: Address,
    },
}

impl Receipt {
    /// The answer of `buy_key`.
    pub(crate) fn read(reply: &Reply) -> Result<Self, DelegateError> {
        Ok(Self {
            key: reply.bytes("key_id")?,
            paid: reply.amount("amount_paid")?,
            seq: reply.seq("channel_seq")?,
            remaining: reply.amount("remaining")?,
            sealed_key: reply.bytes("sealed_key")?,
            signature: reply.bytes("signature")?,
        })
    }

    /// Checks that the market maker confirms exactly what the buyer signed.
    pub(crate) fn verify(&self, expected: &Expected) -> Result<(), ReceiptError> {
        if self.key != expected.key {
            return Err(ReceiptError::WrongKey {
                expected: expected.key,
                got: self.key,
            });
        }
        if self.paid != expected.price {
            return Err(ReceiptError::WrongPrice {
                expected: expected.price,
                got: self.paid,
            });
        }
        if (self.seq, self.remaining) != (expected.seq, expected.remaining) {
            return Err(ReceiptError::WrongState {
                expected_seq: expected.seq,
                expected: expected.remaining,
                seq: self.seq,
                remaining: self.remaining,
            });
        }
        let state = ChannelClose::off_chain(expected.market, expected.channel, self.seq, self.remaining);
        let got = recover(&state.digest(&expected.domain), &self.signature)?;
        if got != expected.marketmaker {
            return Err(ReceiptError::WrongSigner {
                expected: expected.marketmaker,
                got,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_chain::Signer;

    fn deal() -> (Expected, Receipt, Signer) {
        let maker = Signer::from_bytes(&[1; 32]).unwrap();
        let expected = Expected {
            domain: Domain {
                chain_id: 1337,
                verifying_contract: Address([2; 20]),
            },
            marketmaker: maker.address(),
            market: MarketId([3; 16]),
            channel: ChannelId([4; 16]),
            key: KeyId([5; 16]),
            price: Amount::from_tokens(35),
            seq: Seq(2),
            remaining: Amount::from_tokens(465),
        };
        let state = ChannelClose::off_chain(
            expected.market,
            expected.channel,
            expected.seq,
            expected.remaining,
        );
        let receipt = Receipt {
            key: expected.key,
            paid: expected.price,
            seq: expected.seq,
            remaining: expected.remaining,
            sealed_key: SealedKey([0; 80]),
            signature: maker.sign(&state.digest(&expected.domain)),
        };
        (expected, receipt, maker)
    }

    fn check(change: impl FnOnce(&mut Receipt)) -> Result<(), ReceiptError> {
        let (expected, mut receipt, _) = deal();
        change(&mut receipt);
        receipt.verify(&expected)
    }

    #[test]
    fn a_receipt_over_what_was_signed_is_believed() {
        assert_eq!(check(|_| ()), Ok(()));
    }

    #[test]
    fn a_receipt_over_anything_else_is_not() {
        assert!(matches!(
            check(|receipt| receipt.key.0[0] = 0),
            Err(ReceiptError::WrongKey { .. })
        ));
        assert!(matches!(
            check(|receipt| receipt.paid = Amount::ZERO),
            Err(ReceiptError::WrongPrice { .. })
        ));
        assert!(matches!(
            check(|receipt| receipt.seq = Seq(3)),
            Err(ReceiptError::WrongState { .. })
        ));
        assert!(matches!(
            check(|receipt| receipt.remaining = Amount::ZERO),
            Err(ReceiptError::WrongState { .. })
        ));
        assert!(matches!(
            check(|receipt| receipt.signature.0[64] = 0),
            Err(ReceiptError::Signature(_))
        ));
        let (expected, mut receipt, _) = deal();
        receipt.signature = Signer::from_bytes(&[9; 32]).unwrap().sign(&[0; 32]);
        assert!(matches!(
            receipt.verify(&expected),
            Err(ReceiptError::WrongSigner { .. })
        ));
    }
}
