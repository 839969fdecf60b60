//! Final states to be shown to the contract: found on record, rehearsed, made transactions of.
//!
//! A channel closes whether or not its state can be shown at once. What is to be shown is found in the ledger at each step, so
//! that nothing is forgotten, whatever crashed in between.

use super::send::{read, reason, said};
use super::{Outbox, record};
use crate::market::Market;
use bourse_chain::PRESIGNED_BLOCKS;
use bourse_market::outbox::{FinalState, Intent, Progress, ShowRequest, Wanted};
use bourse_market::{BlockNumber, Channel, ChannelId, Command, Refusal, TransactionHash, View, last_showing};
use bourse_store::{Reader, StoreError, SubmitError};
use bourse_wamp::WampError;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Gas for a closing: it takes some 275,000. What is left over is not paid.
const CLOSE_GAS: u64 = 600_000;
/// Blocks for which a state may be shown, from the one it names on: the contract takes it for some more, for a transaction to be
/// mined in.
pub(crate) const SHOWN_WITHIN: u64 = PRESIGNED_BLOCKS - 40;
/// How long a caller waits for the transaction to be signed. It is sent all the same, if later.
const SIGNED_WITHIN: Duration = Duration::from_secs(5);

/// The transaction that shows the final state of a channel, once it is signed; none if that takes too long.
///
/// # Errors
///
/// If the ledger cannot be read.
pub(crate) async fn shown(
    market: &Market,
    outbox: &Outbox,
    channel: ChannelId,
) -> Result<Option<TransactionHash>, WampError> {
    let mut signed = outbox.signed.subscribe();
    outbox.wake.notify_one();
    let wait = async {
        loop {
            let last = market.read(|ledger| last_showing(ledger, &channel))?;
            let under_way = last.filter(|(_, intent)| !has_failed(intent));
            let transaction = under_way.and_then(|(_, intent)| intent.transaction());
            if transaction.is_some() || signed.changed().await.is_err() {
                return Ok(transaction);
            }
        }
    };
    tokio::time::timeout(SIGNED_WITHIN, wait)
        .await
        .unwrap_or(Ok(None))
}

/// The earliest block that a state may name to be shown when `head` is the newest.
pub(super) fn not_before(head: u64) -> BlockNumber {
    BlockNumber(head.saturating_sub(SHOWN_WITHIN))
}

/// The channels whose final state is to be shown, and is neither under way nor taken.
pub(super) fn waiting(ledger: &Reader<'_>, not_before: BlockNumber) -> Result<Vec<Channel>, StoreError> {
    let mut waiting = Vec::new();
    for channel in ledger.closing_channels(not_before)? {
        let waits = match last_showing(ledger, &channel.id)? {
            None => true,
            Some((round, intent)) => has_failed(&intent) && round + 1 < Intent::MAX_ROUNDS,
        };
        if waits {
            waiting.push(channel);
        }
    }
    Ok(waiting)
}

fn has_failed(intent: &Intent) -> bool {
    matches!(intent.progress, Progress::Failed { .. })
}

/// Makes a transaction of each final state that waits and that the contract would take now. Those that it would not are
/// `refused`, and are looked at again over another block. True if there are new ones.
pub(super) async fn show(
    market: &Arc<Market>,
    outbox: &Outbox,
    head: u64,
    refused: &mut HashSet<ChannelId>,
) -> Result<bool, String> {
    let mut new = false;
    let not_before = not_before(head);
    if read(market, |ledger| ledger.unfinished_intents())?.len() >= Intent::MAX_UNFINISHED {
        return Ok(false);
    }
    for channel in read(market, |ledger| waiting(ledger, not_before))? {
        let id = channel.id;
        let Some(state) = FinalState::of(&channel).filter(|_| !refused.contains(&id)) else {
            continue;
        };
        let wanted = Wanted::Close(Box::new(state));
        match record::objection(market, outbox, &wanted).await {
            Ok(None) => {}
            Ok(Some(message)) => {
                let why = reason(&message);
                tracing::debug!(channel = %id, why, "the contract would not take the final state of a channel now");
                refused.insert(id);
                continue;
            }
            Err(error) => return Err(said(error)),
        }
        let request = ShowRequest {
            channel: id,
            not_before,
            gas: CLOSE_GAS,
            at: market.now(),
        };
        match market.store.submit(Command::Show(request)).await {
            Ok(_) => new = true,
            // There will be room once some are at their end.
            Err(SubmitError::Refused(Refusal::OutboxFull { .. })) => break,
            Err(SubmitError::Refused(refusal)) => {
                tracing::warn!(channel = %id, %refusal, "the final state of a channel is not shown now");
                refused.insert(id);
            }
            Err(error) => return Err(error.to_string()),
        }
        crate::crash::point("showing-committed");
    }
    Ok(new)
}
