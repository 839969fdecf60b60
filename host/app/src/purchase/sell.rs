//! Asking a seller for its key, and what its answer proves.

use super::Sellers;
use crate::providers::sell_uri;
use crate::wire::{bytes, fault, fields, int, uri, words};
use bourse_market::{Address, Ask, Purchase, SealedKey, SessionId, Signature, VoidReason};
use bourse_wamp::{CallError, CallResult, Value, WampError};
use std::time::Duration;
use tracing::{Instrument, Span};

/// What came of asking once.
#[derive(Debug)]
pub(super) enum Answer {
    /// A sealed key and a signature, not yet verified.
    Sold(Signature, SealedKey),
    /// The seller only said that it expects another seq: one that has not finished its start says so too.
    OtherSeq(VoidReason),
    /// The router could not hand it over: whoever has the seller's session busy with calls of his own is not to decide
    /// what becomes of its channel.
    NotReached,
    /// No sale.
    Not(VoidReason),
}

/// A state of the paying channel that the seller is asked to sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) ask: Ask,
    /// Our signature over it.
    pub(super) s2: Signature,
}

/// Asks the provider of a reserved purchase, once, and waits at most `timeout`.
pub(super) async fn ask(
    sellers: &dyn Sellers,
    marketmaker: Address,
    purchase: &Purchase,
    question: Question,
    provider_id: &str,
    timeout: Duration,
) -> Answer {
    let args = vec![
        bytes(marketmaker.0),
        bytes(purchase.identity.buyer_pubkey.0),
        bytes(purchase.identity.key.0),
        bytes(purchase.paying_channel.0),
        int(question.ask.seq.0),
        bytes(question.ask.amount.to_be_bytes()),
        bytes(question.ask.balance.to_be_bytes()),
        bytes(question.s2.0),
    ];
    let procedure = sell_uri(provider_id);
    let span = asking(&procedure, purchase.callee);
    match sellers
        .call(purchase.callee, procedure, args, timeout)
        .instrument(span)
        .await
    {
        Ok(result) => read(result),
        Err(CallError::Wamp(error)) if error.uri == uri::UNEXPECTED_CHANNEL_SEQ => Answer::OtherSeq(unclear(
            uri::UNEXPECTED_CHANNEL_SEQ,
            "the seller expects another seq",
        )),
        Err(CallError::Wamp(error)) if error.uri == uri::OVERLOADED => Answer::NotReached,
        Err(error) => Answer::Not(classify(error)),
    }
}

/// What is measured of a question to a seller, until it is answered or given up.
pub(crate) fn asking(procedure: &str, seller: SessionId) -> Span {
    tracing::debug_span!("seller", procedure, session = seller.0)
}

/// What a purchase comes to whose seller nobody reached: it has not advanced.
pub(super) fn not_asked() -> VoidReason {
    no_sale(
        uri::SELLER_UNAVAILABLE,
        "the seller could not be asked in time",
        false,
    )
}

fn no_sale(error: &str, text: impl Into<String>, ambiguous: bool) -> VoidReason {
    VoidReason {
        error: error.to_owned(),
        text: text.into(),
        ambiguous,
    }
}

pub(super) fn unclear(error: &str, text: impl Into<String>) -> VoidReason {
    no_sale(error, text, true)
}

/// Whether an error proves that the seller did not advance its side of the channel.
fn classify(error: CallError) -> VoidReason {
    /// Refused by a seller before it touched its state.
    const NOT_ADVANCED: [&str; 4] = [
        uri::UNEXPECTED_MARKETMAKER,
        uri::NO_SUCH_OBJECT,
        uri::UNEXPECTED_CHANNEL_OID,
        uri::UNEXPECTED_CHANNEL_BALANCE,
    ];
    match error {
        CallError::Wamp(error) if error.uri == uri::NO_SUCH_PROCEDURE => {
            no_sale(uri::SELLER_UNAVAILABLE, "the seller is not connected", false)
        }
        CallError::Wamp(error) if NOT_ADVANCED.contains(&error.uri.as_str()) => no_sale(
            &error.uri,
            format!("the seller refused: {}", words(&error)),
            false,
        ),
        CallError::Wamp(error) => unclear(
            uri::TRANSACTION_FAILED,
            format!("the seller failed with {}: {}", error.uri, words(&error)),
        ),
        CallError::Timeout => unclear(uri::SELLER_UNAVAILABLE, "the seller did not answer in time"),
        error => unclear(uri::SELLER_UNAVAILABLE, format!("the seller was lost: {error}")),
    }
}

/// Reads `signature` and `sealed_key` out of the answer; the rest of it is the seller's own affair.
fn read(result: CallResult) -> Answer {
    let mut fields = fields(result);
    let mut field = |name: &str| match fields.remove(name) {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    };
    let signature = field("signature").and_then(|bytes| Signature::try_from(bytes.as_slice()).ok());
    let sealed_key = field("sealed_key").and_then(|bytes| SealedKey::try_from(bytes.as_slice()).ok());
    match (signature, sealed_key) {
        (Some(signature), Some(sealed_key)) => Answer::Sold(signature, sealed_key),
        (None, _) => Answer::Not(unclear(
            uri::TRANSACTION_FAILED,
            "the seller's answer has no 65-byte signature",
        )),
        (_, None) => Answer::Not(unclear(
            uri::TRANSACTION_FAILED,
            "the seller's answer has no 80-byte sealed key",
        )),
    }
}

/// The refusal of a purchase whose seller cannot be asked now; nothing is reserved.
pub(crate) fn unavailable(text: impl Into<String>) -> WampError {
    fault(uri::SELLER_UNAVAILABLE, text)
}

/// The refusal where a seller has nothing to be paid over.
pub(crate) fn unpayable() -> WampError {
    fault(
        uri::INSUFFICIENT_PAYING_BALANCE,
        "the seller has no open paying channel with anything left that it registered to be paid over: if one was opened \
         since, it must register again",
    )
}
