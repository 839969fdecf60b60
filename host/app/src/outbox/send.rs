//! The task that brings the market maker's transactions to the chain, in the order of their nonces.
//!
//! Each step looks at the ledger and at the node anew. What is on record and not on the chain is sent; what is sent again
//! is the same transaction, by the same nonce, whatever crashed in between.

use super::{Outbox, Sending, close, fees};
use crate::events::topic;
use crate::keep::keep;
use crate::market::Market;
use crate::wire::{bytes, dict, int, opt, text};
use bourse_chain::{Header, NodeError, SignedTransaction, Transaction};
use bourse_market::chain::Mined;
use bourse_market::outbox::{
    Attempt, AttemptRequest, ConcludeRequest, FinalState, GasPrice, Intent, IntentKey, Nonce, Progress,
    SignedConsent, Verdict, Wanted,
};
use bourse_market::{
    BlockHash, BlockNumber, ChannelId, ChannelState, Command, Outcome, TransactionHash, View,
};
use bourse_store::{Reader, StoreError};
use bourse_wamp::Value;
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

/// The longest wait after a failure, and the first.
const MAX_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Transactions behind the chain's nonce that are looked at in one step, where a chain went back.
const MOST_REOPENED: u64 = 256;

/// Sends until `stop`; nothing, where there is no chain.
pub(crate) fn start(market: &Arc<Market>, poll: Duration, stop: CancellationToken) -> Option<JoinHandle<()>> {
    let outbox = Arc::clone(market.outbox.as_ref()?);
    let (market, halt) = (Arc::downgrade(market), stop.clone());
    let told = Weak::clone(&market);
    Some(keep(
        "the task that sends transactions",
        stop,
        move || send(Weak::clone(&market), Arc::clone(&outbox), poll, halt.clone()),
        move |why| {
            if let Some(market) = told.upgrade() {
                market.course.fell(why);
            }
        },
    ))
}

async fn send(market: Weak<Market>, outbox: Arc<Outbox>, poll: Duration, stop: CancellationToken) {
    // Nothing is sent to a chain that nobody has looked at.
    let Some(opening) = market.upgrade().map(|market| market.course.opening()) else {
        return;
    };
    if stop.run_until_cancelled(opening).await.is_none() {
        return;
    }
    let mut courier = Courier::default();
    let mut pause = Duration::ZERO;
    loop {
        let woken = async {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = outbox.wake.notified() => {}
            }
        };
        if stop.run_until_cancelled(woken).await.is_none() {
            return;
        }
        let Some(market) = market.upgrade() else { return };
        let Some(stepped) = stop.run_until_cancelled(courier.step(&market, &outbox)).await else {
            return;
        };
        let complaint = courier.complaint.take();
        let trouble;
        (trouble, pause) = match stepped {
            Ok(()) => (complaint, poll),
            Err(trouble) => (Some(trouble), (pause * 2).clamp(FIRST_PAUSE, MAX_PAUSE)),
        };
        market.course.sends(trouble);
    }
}

/// What the contract says, without what nodes put before it.
pub(super) fn reason(message: &str) -> String {
    let said = message
        .split_once("execution reverted")
        .map_or(message, |(_, said)| said);
    let said = said.trim_start_matches([':', ' ']).trim();
    match said.is_empty() {
        true => "it gives no reason".to_owned(),
        false => said.to_owned(),
    }
}

/// What is remembered from step to step, to spare the node questions.
#[derive(Debug, Default)]
struct Courier {
    /// The newest block, the last that counted, and whether there was no more to follow, at the last step that found nothing to do.
    idle_at: Option<(BlockHash, Option<BlockNumber>, bool)>,
    /// What the node took since that block.
    sent: HashSet<TransactionHash>,
    /// Channels whose final state the contract would not take over that block.
    refused: HashSet<ChannelId>,
    sent_at: Option<BlockHash>,
    /// What is wrong although the step could be done.
    complaint: Option<String>,
}

impl Courier {
    async fn step(&mut self, market: &Arc<Market>, outbox: &Outbox) -> Result<(), String> {
        let newest = market.settlement.head_block();
        let head = (
            BlockHash(newest.hash),
            followed(market)?,
            market.course.progress().caught_up,
        );
        let waits = |ledger: &Reader<'_>| {
            let closings = close::waiting(ledger, close::not_before(newest.number))?;
            let closes = closings.iter().any(|channel| !self.refused.contains(&channel.id));
            Ok(closes || !ledger.unfinished_intents()?.is_empty())
        };
        if self.idle_at == Some(head) && !read(market, waits)? {
            return Ok(());
        }
        let node = &outbox.sending.node;
        let latest = node.latest().await.map_err(said)?;
        let next = Nonce(node.nonce(market.network.marketmaker).await.map_err(said)?);
        self.keep_line(market, outbox, next).await?;
        let latest_hash = BlockHash(latest.hash.0);
        if self.sent_at != Some(latest_hash) {
            // What it took may be lost with the block it was in, and what was refused may be taken.
            self.sent.clear();
            self.refused.clear();
            self.sent_at = Some(latest_hash);
        }
        // What is under way first: only its end makes place for more.
        let mut moved = self.move_on(market, outbox, next, &latest).await;
        // Behind nonces that somebody else used nothing new is put in the line.
        let line = read(market, |ledger| ledger.nonce_line())?;
        if line.is_some_and(|line| next <= line.next) {
            let shown = close::show(market, outbox, latest.number.to(), &mut self.refused).await;
            match (moved.is_ok(), shown) {
                (true, Ok(true)) => moved = self.move_on(market, outbox, next, &latest).await,
                (true, Err(trouble)) => moved = Err(trouble),
                _ => {}
            }
        }
        moved?;
        if read(market, |ledger| ledger.unfinished_intents())?.is_empty() {
            self.idle_at = Some(head);
        }
        Ok(())
    }

    /// Takes each unfinished transaction a step further. The end of one that cannot be asked for now keeps no other back; one
    /// that cannot be sent keeps those behind it.
    async fn move_on(
        &mut self,
        market: &Arc<Market>,
        outbox: &Outbox,
        next: Nonce,
        latest: &Header,
    ) -> Result<(), String> {
        let mut trouble = Ok(());
        let mut first = true;
        for intent in read(market, |ledger| ledger.unfinished_intents())? {
            let span = span(&intent);
            if intent.nonce < next {
                let concluded = conclude(market, outbox, &intent).instrument(span).await;
                trouble = trouble.and(concluded);
                continue;
            }
            let intent = sign(market, outbox, intent, latest, first);
            let intent = intent.instrument(span.clone()).await?;
            self.deliver(market, outbox, &intent).instrument(span).await?;
            first = false;
        }
        trouble
    }

    /// Holds the ledger's line of nonces against the chain, whose next is `next`.
    async fn keep_line(&mut self, market: &Market, outbox: &Outbox, next: Nonce) -> Result<(), String> {
        let Some(line) = read(market, |ledger| ledger.nonce_line())? else {
            submit(market, Command::MoveLine(next)).await?;
            tracing::info!(%next, "the market maker's transactions begin with this nonce");
            return Ok(());
        };
        let unfinished = read(market, |ledger| ledger.unfinished_intents())?;
        let lowest = unfinished.first().map_or(line.next, |intent| intent.nonce);
        if next > line.next && unfinished.is_empty() {
            // Few nodes know the states of blocks that lie far back, and none is asked for them while there are more to come.
            if !market.course.progress().caught_up {
                return Ok(());
            }
            let Some(counts) = followed(market)? else {
                return Ok(());
            };
            let us = market.network.marketmaker;
            let counted = outbox.sending.node.nonce_at(us, counts.0).await.map_err(said)?;
            if counted > line.next.0 {
                tracing::warn!(
                    ledger = line.next.0,
                    chain = counted,
                    "transactions of the market maker are on the chain that this ledger knows nothing of: it is older than \
                     they are, or somebody else sends with the market maker's key. The next is sent behind them"
                );
                submit(market, Command::MoveLine(Nonce(counted))).await?;
            }
        } else if next < line.next && unfinished.is_empty() {
            // Of those in between the ledger gave none out, or it sends them again below.
            submit(market, Command::MoveLine(next)).await?;
        } else if next > line.next {
            self.complaint = Some(format!(
                "the chain has transactions of the market maker up to nonce {next}, this ledger none from {} on: somebody \
                 else sends with the market maker's key",
                line.next
            ));
        }
        let end = lowest.0.min(next.0.saturating_add(MOST_REOPENED));
        for nonce in (next.0.max(line.first.0)..end).map(Nonce) {
            if read(market, |ledger| ledger.intent_at(nonce))?.is_some() {
                tracing::warn!(%nonce, "the chain dropped the block of a transaction that counted: it is sent again");
                submit(market, Command::Reopen(nonce)).await?;
            }
        }
        Ok(())
    }

    /// Sends a signed transaction, unless the node has it.
    async fn deliver(
        &mut self,
        market: &Arc<Market>,
        outbox: &Outbox,
        intent: &Intent,
    ) -> Result<(), String> {
        let Some(attempt) = intent.attempts.last() else {
            return Ok(());
        };
        let node = &outbox.sending.node;
        if self.sent.contains(&attempt.hash) || node.knows(attempt.hash).await.map_err(said)? {
            self.sent.insert(attempt.hash);
            return Ok(());
        }
        let signed = signed(market, outbox, intent, attempt.price).await?;
        if signed.hash != attempt.hash {
            return Err(format!(
                "the transaction of nonce {} is on record as {}, and is {} now: it is not sent. The market maker's key or \
                 the contracts are not those it was signed for",
                intent.nonce, attempt.hash, signed.hash
            ));
        }
        match node.send_raw(&signed.bytes).await {
            Ok(_) => {}
            // It was mined or taken between the two questions: the next step sees it.
            Err(NodeError::Refused { message, .. }) if is_there(&message) => {}
            Err(error) => return Err(error.to_string()),
        }
        crate::crash::point("transaction-sent");
        self.sent.insert(attempt.hash);
        Ok(())
    }
}

/// Whether a node refuses a transaction because it has it, or one of its nonce.
fn is_there(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "already known",
        "already imported",
        "known transaction",
        "nonce too low",
    ]
    .iter()
    .any(|known| message.contains(known))
}

/// Signs a transaction that never was, or was so long ago that it must pay more. Yields it as it is on record.
async fn sign(
    market: &Arc<Market>,
    outbox: &Outbox,
    mut intent: Intent,
    latest: &Header,
    first: bool,
) -> Result<Intent, String> {
    let sending = &outbox.sending;
    let head = BlockNumber(latest.number.to());
    // To pay more helps none that waits for those before it.
    let waits = !first && !intent.attempts.is_empty();
    if waits || intent.attempts.len() >= Intent::MAX_ATTEMPTS || !wants_more(sending, &intent, latest).await?
    {
        return Ok(intent);
    }
    let last = intent.attempts.last();
    let offer = fees::now(&sending.node, latest, sending.max_fee)
        .await
        .map_err(said)?;
    let price = match last {
        None => offer,
        Some(last) => match fees::raised(last.price, offer, sending.max_fee) {
            Some(price) => price,
            None => {
                tracing::debug!(nonce = %intent.nonce, "a transaction waits for a lower base fee than chain.max_fee_gwei");
                return Ok(intent);
            }
        },
    };
    let signed = signed(market, outbox, &intent, price).await?;
    let attempt = Attempt {
        hash: signed.hash,
        price,
        head,
        at: market.now(),
    };
    let request = AttemptRequest {
        nonce: intent.nonce,
        attempt: attempt.clone(),
    };
    if last.is_some() {
        tracing::info!(nonce = %intent.nonce, most = price.most(), "a transaction is in no block yet: it is sent again for more");
    }
    submit(market, Command::Attempt(request)).await?;
    crate::crash::point("attempt-committed");
    intent.attempts.push(attempt);
    outbox.has_signed();
    Ok(intent)
}

/// What all lines about one transaction have in common: what it is for leads to the calls that wanted it.
fn span(intent: &Intent) -> Span {
    let channel = intent.key.channel().map(tracing::field::display);
    tracing::info_span!("transaction", nonce = %intent.nonce, what = intent.key.name(), channel)
}

/// Whether a transaction is to be signed: for the first time, or because it waits for too long for somebody to take it at its
/// price. One that the node does not have waits for something else, unless no block would take it any more.
async fn wants_more(sending: &Sending, intent: &Intent, latest: &Header) -> Result<bool, String> {
    let Some(last) = intent.attempts.last() else {
        return Ok(true);
    };
    let waited = latest.number.to::<u64>().saturating_sub(last.head.0);
    if waited < sending.patience {
        return Ok(false);
    }
    let base = latest.base_fee_per_gas.unwrap_or_default();
    if base > last.price.most() {
        return Ok(true);
    }
    sending.node.knows(last.hash).await.map_err(said)
}

async fn signed(
    market: &Arc<Market>,
    outbox: &Outbox,
    intent: &Intent,
    price: GasPrice,
) -> Result<SignedTransaction, String> {
    let call = outbox.sending.contracts.wanted(&intent.wanted);
    let transaction = Transaction {
        chain_id: outbox.sending.chain_id,
        nonce: intent.nonce.0,
        to: Some(call.to),
        input: call.input,
        gas_limit: intent.gas_limit,
        fees: price.into(),
    };
    let signer = Arc::clone(&market.signer);
    let signed = market.workers.run_owed(move || transaction.sign(&signer)).await;
    signed.map_err(|error| format!("a transaction could not be signed: {error:?}"))
}

/// Looks what became of a transaction whose nonce the chain has, in blocks that count.
async fn conclude(market: &Arc<Market>, outbox: &Outbox, intent: &Intent) -> Result<(), String> {
    let Some(counts) = followed(market)? else {
        return Ok(());
    };
    let Some(verdict) = verdict(market, outbox, intent, counts).await? else {
        return Ok(());
    };
    let request = ConcludeRequest {
        nonce: intent.nonce,
        verdict,
        at: market.now(),
    };
    let outcome = submit(market, Command::Conclude(request)).await?;
    crate::crash::point("end-committed");
    if let Outcome::Concluded(intent) = outcome {
        announce(market, &intent);
    }
    Ok(())
}

async fn verdict(
    market: &Arc<Market>,
    outbox: &Outbox,
    intent: &Intent,
    counts: BlockNumber,
) -> Result<Option<Verdict>, String> {
    let node = &outbox.sending.node;
    if let IntentKey::Open(channel) = intent.key {
        let anchor = read(market, |ledger| ledger.anchor(&channel))?;
        if let Some(anchor) = anchor.filter(|anchor| anchor.orphaned.is_none()) {
            return Ok(Some(Verdict::Mined(anchor.opened)));
        }
    }
    for attempt in intent.attempts.iter().rev() {
        let Some(receipt) = node.receipt(attempt.hash).await.map_err(said)? else {
            continue;
        };
        let mined = Mined {
            block: BlockNumber(receipt.block_number.to()),
            transaction: attempt.hash,
        };
        if mined.block > counts {
            return Ok(None);
        }
        let header = node.header(mined.block.0).await.map_err(said)?;
        if header.is_none_or(|header| header.hash != receipt.block_hash) {
            return Ok(None);
        }
        return Ok(Some(
            match receipt.status.is_some_and(|status| status.is_zero()) {
                false => Verdict::Mined(mined),
                true => Verdict::Reverted {
                    mined,
                    reason: replay(market, outbox, intent, mined.block).await?,
                },
            },
        ));
    }
    let us = market.network.marketmaker;
    let counted = node.nonce_at(us, counts.0).await.map_err(said)?;
    Ok((counted > intent.nonce.0).then_some(Verdict::Displaced))
}

/// Why a transaction was reverted: no receipt says. It is tried on the state before its block, then on that after it.
async fn replay(
    market: &Market,
    outbox: &Outbox,
    intent: &Intent,
    block: BlockNumber,
) -> Result<String, String> {
    let call = outbox.sending.contracts.wanted(&intent.wanted);
    let us = market.network.marketmaker;
    let mut why = "it would not be reverted now".to_owned();
    for block in [block.0.saturating_sub(1), block.0] {
        let tried = outbox
            .sending
            .node
            .rehearse(us, call.to, &call.input, Some(block))
            .await;
        match tried {
            Ok(()) => {}
            Err(NodeError::Refused { message, .. }) if message.contains("revert") => {
                return Ok(reason(&message));
            }
            // A node that does not know so old a state says something else.
            Err(NodeError::Refused { message, .. }) => why = message,
            Err(error @ (NodeError::Unreachable { .. } | NodeError::Busy { .. })) => {
                return Err(error.to_string());
            }
            Err(error) => why = error.to_string(),
        }
    }
    Ok(format!("the reason is not known any more: {why}"))
}

/// Tells the delegate of a channel that was not opened, and the operator of whatever failed.
fn announce(market: &Market, intent: &Intent) {
    let Progress::Failed { reason, .. } = &intent.progress else {
        let hash = intent.transaction().map(|hash| hash.to_string());
        tracing::info!(nonce = %intent.nonce, what = ?intent.key, hash, "a transaction is on the chain");
        return;
    };
    tracing::warn!(nonce = %intent.nonce, what = ?intent.key, reason, "a transaction failed");
    if let Wanted::Close(state) = &intent.wanted {
        return announce_unclosed(market, intent, state, reason);
    }
    if let Some(said) = intent.carries() {
        market.announce(
            topic::consent_failed(&said.key.member),
            vec![consent_failed_dict(intent, said, reason)],
        );
    }
    let Some(terms) = intent.opens() else { return };
    market.announce(
        topic::channel_open_failed(&terms.delegate),
        vec![Value::Map(dict([
            ("market_oid", bytes(terms.market.0)),
            ("channel_oid", bytes(terms.channel.0)),
            ("channel_type", int(terms.kind as u8)),
            ("actor", bytes(terms.actor.0)),
            ("delegate", bytes(terms.delegate.0)),
            ("transaction", opt(intent.transaction(), |hash| bytes(hash.0))),
            ("reason", text(reason)),
        ]))],
    );
}

/// Tells the delegate of a channel that was not paid out: it may have to sign its final state anew.
fn announce_unclosed(market: &Market, intent: &Intent, state: &FinalState, reason: &str) {
    let id = state.channel;
    let Ok(Some(channel)) = read(market, |ledger| ledger.channel(&id)) else {
        return;
    };
    // Its delegate may have been quicker.
    if channel.state != ChannelState::Closing {
        return;
    }
    market.announce(
        topic::channel_close_failed(&channel.delegate),
        vec![Value::Map(dict([
            ("market_oid", bytes(state.market.0)),
            ("channel_oid", bytes(id.0)),
            ("channel_type", int(channel.kind as u8)),
            ("delegate", bytes(channel.delegate.0)),
            ("transaction", opt(intent.transaction(), |hash| bytes(hash.0))),
            ("reason", text(reason)),
        ]))],
    );
}

fn consent_failed_dict(intent: &Intent, said: &SignedConsent, reason: &str) -> Value {
    let key = &said.key;
    Value::Map(dict([
        ("market_oid", bytes(key.market.0)),
        ("member", bytes(key.member.0)),
        ("delegate", bytes(key.delegate.0)),
        ("delegate_type", int(key.delegate_type as u8)),
        ("catalog_oid", bytes(key.catalog.0)),
        ("consent", Value::Bool(said.granted)),
        ("transaction", opt(intent.transaction(), |hash| bytes(hash.0))),
        ("reason", text(reason)),
    ]))
}

/// The last block that counts.
fn followed(market: &Market) -> Result<Option<BlockNumber>, String> {
    let tip = read(market, |ledger| ledger.chain_tip())?;
    Ok(tip.map(|applied| applied.block.number))
}

pub(super) fn read<T>(
    market: &Market,
    read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
) -> Result<T, String> {
    let read = market.store.read().and_then(|ledger| read(&ledger));
    read.map_err(|error| error.to_string())
}

pub(super) async fn submit(market: &Market, command: Command) -> Result<Outcome, String> {
    let submitted = market.store.submit(command).await;
    submitted.map_err(|error| error.to_string())
}

pub(super) fn said(error: NodeError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_contracts_own_words() {
        for (message, says) in [
            (
                "execution reverted: INVALID_CHANNEL_AMOUNT",
                "INVALID_CHANNEL_AMOUNT",
            ),
            ("Error: VM: execution reverted: revert: NO", "revert: NO"),
            ("execution reverted", "it gives no reason"),
            ("out of gas", "out of gas"),
        ] {
            assert_eq!(reason(message), says);
        }
    }
}
