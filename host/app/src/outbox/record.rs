//! What requests for transactions of the market maker have in common: whether they were made before, whether the ledger is
//! abreast of the chain, what the contract has against them, and the wait for a signature.

use super::Outbox;
use super::send::reason;
use crate::follow::Gate;
use crate::market::Market;
use crate::wire::{fault, of_refusal, of_store, unexpected, uri};
use bourse_chain::NodeError;
use bourse_market::outbox::{Intent, IntentKey, Progress, Wanted};
use bourse_market::{Command, Fault, Outcome, View, apply};
use bourse_wamp::WampError;
use std::sync::Arc;
use std::time::Duration;

/// How long a caller waits for its transaction to be signed. It is sent all the same, if later.
const SIGNED_WITHIN: Duration = Duration::from_secs(15);

/// Whether the very same was asked for before. What the ledger would refuse is refused before the node is asked anything.
pub(super) fn is_known(market: &Market, command: &Command) -> Result<bool, WampError> {
    let ledger = market.store.read().map_err(of_store)?;
    match apply(&ledger, command) {
        Ok((_, Outcome::Intended { again, .. } | Outcome::Carried { again, .. })) => Ok(again),
        Ok((_, other)) => Err(unexpected(&other)),
        Err(Fault::Refused(refusal)) => Err(of_refusal(&refusal)),
        Err(Fault::View(error)) => Err(of_store(error)),
    }
}

/// Refuses while the chain has transactions of the market maker that the ledger knows nothing of.
pub(super) async fn follows(market: &Market, outbox: &Outbox) -> Result<(), WampError> {
    if let Gate::Shut(why) | Gate::Broken(why) = market.course.gate() {
        return Err(fault(
            uri::NOT_READY,
            format!("transactions are sent again once every node answers: {why}"),
        ));
    }
    let next = outbox.sending.node.nonce(market.network.marketmaker).await;
    let next = next.map_err(|error| fault(uri::NOT_READY, error.to_string()))?;
    let line = market.read(|ledger| ledger.nonce_line())?;
    match line.filter(|line| next > line.next.0) {
        None => Ok(()),
        Some(line) => Err(fault(
            uri::NOT_READY,
            format!(
                "the chain has {next} transactions of the market maker, its ledger knows of {}: it must follow first",
                line.next
            ),
        )),
    }
}

/// What the contract has against a transaction of the market maker as things are, in the node's words; none if it would take it.
/// That may change before it is mined: here it only saves the gas for what surely fails.
pub(super) async fn objection(
    market: &Market,
    outbox: &Outbox,
    wanted: &Wanted,
) -> Result<Option<String>, NodeError> {
    let sending = &outbox.sending;
    let call = sending.contracts.wanted(wanted);
    let us = market.network.marketmaker;
    match sending.node.rehearse(us, call.to, &call.input, None).await {
        Ok(()) => Ok(None),
        Err(NodeError::Refused { message, .. }) => Ok(Some(message)),
        Err(error) => Err(error),
    }
}

/// The refusal of what the contract would not do.
pub(super) fn would_not(what: &str, message: &str) -> WampError {
    fault(
        uri::TRANSACTION_FAILED,
        format!("the contract would not {what}: {}", reason(message)),
    )
}

/// Wakes the task that sends, and waits until the transaction of `key` is signed and on record.
///
/// # Errors
///
/// [`uri::TRANSACTION_FAILED`] if it never will be, [`uri::NOT_READY`] if it is not in time.
pub(super) async fn until_signed(
    market: &Arc<Market>,
    outbox: &Outbox,
    key: &IntentKey,
) -> Result<Intent, WampError> {
    crate::crash::point("intent-committed");
    outbox.wake.notify_one();
    let mut signed = outbox.signed.subscribe();
    let wait = async {
        loop {
            let intent = market.read(|ledger| ledger.intent(key))?;
            match intent {
                Some(intent) if intent.transaction().is_some() => return Ok(intent),
                // It never came to be signed.
                Some(Intent {
                    progress: Progress::Failed { reason, .. },
                    ..
                }) => return Err(fault(uri::TRANSACTION_FAILED, reason)),
                _ => {}
            }
            if signed.changed().await.is_err() {
                return Err(late());
            }
        }
    };
    tokio::time::timeout(SIGNED_WITHIN, wait)
        .await
        .unwrap_or_else(|_| Err(late()))
}

fn late() -> WampError {
    fault(
        uri::NOT_READY,
        "the transaction is on record and will be sent once the node answers; the same request again tells its hash",
    )
}
