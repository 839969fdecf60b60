//! Everything that can keep a delegate from its work.

use crate::reply::in_short;
use crate::{CryptoError, ReceiptError};
use bourse_chain::KeyFileError;
use bourse_market::{Address, Amount, ChannelId, ChannelKind, Seq};
use bourse_wamp::{CallError, Dict, Value};

/// Why a delegate could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    /// No session with the router.
    #[error("cannot join {realm} at {url}: {reason}")]
    Join {
        /// Where.
        url: String,
        /// The realm.
        realm: String,
        /// What went wrong.
        reason: String,
    },
    /// The market, or a seller behind it, said no.
    #[error("{procedure} was refused with {uri}: {text}")]
    Refused {
        /// What was called.
        procedure: String,
        /// The error's URI.
        uri: String,
        /// The error in words, cut where they go on for long.
        text: String,
        /// What else came with it.
        details: Box<Dict>,
    },
    /// Nobody knows whether the call took effect.
    #[error("{procedure} was not answered: {reason}")]
    NoAnswer {
        /// What was called.
        procedure: String,
        /// Timeout, or the connection closed.
        reason: String,
        /// The session is gone: join anew.
        closed: bool,
    },
    /// The answer is not what the protocol says.
    #[error("{procedure} answered {what} that is {got}, expected {expected}")]
    Malformed {
        /// What was called.
        procedure: String,
        /// Which part of the answer.
        what: String,
        /// What it was.
        got: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Another market maker than the one this delegate trusts.
    #[error("the market maker is {got}, expected {expected}")]
    WrongMarketMaker {
        /// The trusted one.
        expected: Address,
        /// As the market says.
        got: Address,
    },
    /// There is no open channel to trade on.
    #[error("delegate {delegate} has no open {kind:?} channel with something left in it")]
    NoChannel {
        /// Payment for buyers, paying for sellers.
        kind: ChannelKind,
        /// The delegate.
        delegate: Address,
    },
    /// More than the buyer wants to pay.
    #[error("the price is {price} tokens, at most {max} are allowed")]
    TooExpensive {
        /// As quoted.
        price: Amount,
        /// The buyer's limit.
        max: Amount,
    },
    /// More than the channel holds.
    #[error("the price is {price} tokens, channel {channel} holds {remaining}")]
    Exhausted {
        /// The channel to replace.
        channel: ChannelId,
        /// As quoted.
        price: Amount,
        /// What is left.
        remaining: Amount,
    },
    /// The channel has used all its positions.
    #[error("channel {channel} has used its last seq")]
    SeqExhausted {
        /// The channel to replace.
        channel: ChannelId,
    },
    /// The market names a state that this buyer never signed.
    #[error(
        "the market says that channel {channel} is at seq {claimed_seq} with {claimed}, this buyer signed no more than \
         seq {seq} with {remaining}: if another program pays from it with the same key, stop one of them and start anew"
    )]
    ForeignState {
        /// The channel.
        channel: ChannelId,
        /// The position the market names.
        claimed_seq: Seq,
        /// The balance the market names.
        claimed: Amount,
        /// The position this buyer signed last.
        seq: Seq,
        /// The balance this buyer signed last.
        remaining: Amount,
    },
    /// The market's receipt does not prove the purchase.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// A payload or a key does not open.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

impl DelegateError {
    /// An error keeps the market's own words.
    pub(crate) fn from_call(procedure: &str, error: CallError) -> Self {
        let procedure = procedure.to_owned();
        match error {
            CallError::Wamp(refusal) => Self::Refused {
                procedure,
                uri: refusal.uri,
                text: in_short(
                    refusal
                        .args
                        .first()
                        .and_then(Value::as_str)
                        .unwrap_or("no reason given"),
                )
                .into_owned(),
                details: Box::new(refusal.kwargs),
            },
            other => {
                let closed = matches!(other, CallError::Closed);
                Self::NoAnswer {
                    procedure,
                    reason: other.to_string(),
                    closed,
                }
            }
        }
    }

    /// Whether the market refused with this URI.
    pub fn is(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { uri, .. } if uri == expected)
    }

    /// Whether the session is gone, and with it everything that was built on it.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::NoAnswer { closed: true, .. })
    }
}
