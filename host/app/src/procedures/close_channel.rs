//! `close_channel(…)`: the last state of a channel, signed by its delegate and then by us, if it is the ledger's own.
//!
//! We sign what the ledger holds and nothing else: the request is compared on a snapshot before a signature of ours
//! exists, and again inside the write that records it, after which alone it leaves. With a chain the contract is shown it
//! next; one over the block of states that are exchanged, as plain clients sign it, ends the channel and waits for one over a
//! recent block.

use super::{Reply, while_wanted};
use crate::events::topic;
use crate::market::{Market, Status};
use crate::outbox::close::shown;
use crate::purchase::UNSIGNED;
use crate::vouchers::{settle, waits};
use crate::wire::{
    Arguments, closing_dict, fault, of_refusal, of_settlement, of_store, of_submit, reply, unexpected, uri,
};
use bourse_chain::CloseChannel;
use bourse_market::{
    Amount, ChannelKind, CloseRequest, Command, Fault, Outcome, Refusal, TransactionHash, View, apply,
};
use bourse_store::SubmitError;
use bourse_wamp::{Invocation, WampError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

const ARGUMENTS: &[&str] = &[
    "channel_oid",
    "verifying_chain_id",
    "current_block_number",
    "verifying_contract_adr",
    "closing_balance",
    "closing_seq",
    "closing_is_final",
    "delegate_signature",
];

/// Until a channel is looked at again whose purchase could not be waited for.
const PAUSE: Duration = Duration::from_millis(25);

pub(super) async fn close_channel(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, ARGUMENTS)?;
    let request = CloseChannel {
        channel: arguments.required("channel_oid")?,
        chain_id: arguments.required("verifying_chain_id")?,
        close_at: Amount::from_units(arguments.required::<u64>("current_block_number")?.into()),
        verifying_contract: arguments.required("verifying_contract_adr")?,
        balance: arguments.required("closing_balance")?,
        seq: arguments.required("closing_seq")?,
        is_final: arguments.required("closing_is_final")?,
        signature: arguments.required("delegate_signature")?,
    };
    tracing::Span::current().record("channel", tracing::field::display(request.channel));
    if market.status() != Status::Running {
        return Err(fault(uri::NOT_READY, "the market is not trading now"));
    }
    let until = Instant::now() + market.terms.sell_deadline;
    let demand = verified(&market, request).await?;
    let outcome = match demand.rehearse(&market) {
        // A purchase under way ends first; then it is decided anew.
        Ok(Outcome::Closed { again: false, .. }) | Err(Stopped::Refused(Refusal::PurchasePending { .. })) => {
            demand.settle(&market, invocation.cancelled, until).await
        }
        known => known,
    };
    let (channel, again) = match outcome.map_err(WampError::from)? {
        Outcome::Closed { channel, again } => (channel, again),
        other => return Err(unexpected(&other)),
    };
    let channel = match waits(&channel) {
        // Its buyer may have signed over a recent block before, so that it need not be waited for.
        true => settle(&market, channel.id)
            .await
            .ok()
            .flatten()
            .map_or(channel, Box::new),
        false => channel,
    };
    let transaction = match (market.outbox.as_ref(), channel.shown_at()) {
        // Nothing is lost if the ledger cannot be read now: what is to be shown is found again.
        (Some(outbox), Some(_)) => shown(&market, outbox, channel.id).await.unwrap_or_default(),
        _ => market
            .settlement
            .transaction_of_close(channel.id)
            .map(TransactionHash),
    };
    let answer = closing_dict(&channel, transaction);
    if !again {
        tracing::info!(channel = %channel.id, seq = %channel.seq, left = %channel.remaining, "a channel was closed");
        for topic in topic::channel_closing(&channel.delegate, channel.kind) {
            market.announce(topic, vec![answer.clone()]);
        }
    }
    Ok(reply(answer))
}

/// A request whose signature is the delegate's.
struct Demand {
    close: CloseRequest,
    kind: ChannelKind,
    /// What both sides sign.
    digest: [u8; 32],
}

/// Why a channel was not closed.
enum Stopped {
    /// The ledger says no.
    Refused(Refusal),
    /// Anything else.
    Failed(WampError),
}

impl From<Stopped> for WampError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(refusal @ Refusal::ChannelUnknown { .. }) => {
                fault(uri::INVALID_CHANNEL, refusal.to_string())
            }
            Stopped::Refused(refusal @ Refusal::ChannelNotOpen { .. }) => {
                fault(uri::CHANNEL_NOT_OPEN, refusal.to_string())
            }
            Stopped::Refused(refusal) => of_refusal(&refusal),
            Stopped::Failed(error) => error,
        }
    }
}

/// Looks the channel up before anything is computed, then asks whose signature it is.
async fn verified(market: &Arc<Market>, request: CloseChannel) -> Result<Demand, WampError> {
    let channel = request.channel;
    let record = market
        .read(|ledger| ledger.channel(&channel))?
        .ok_or(Stopped::Refused(Refusal::ChannelUnknown { channel }))?;
    let close = CloseRequest {
        id: channel,
        seq: request.seq,
        balance: request.balance,
        is_final: request.is_final,
        close_at: request.close_at,
        delegate_signature: request.signature,
        signer: record.delegate,
        marketmaker_signature: UNSIGNED,
        at: market.now(),
    };
    let desk = Arc::clone(market);
    let signed = market
        .workers
        .run(move || desk.settlement.close_channel(&request))
        .await?
        .map_err(of_settlement)?;
    if signed.signer != record.delegate {
        return Err(of_refusal(&Refusal::WrongSigner {
            signer: signed.signer,
            expected: record.delegate,
        }));
    }
    Ok(Demand {
        close,
        kind: record.kind,
        digest: signed.digest,
    })
}

impl Demand {
    /// Asks the core on a snapshot.
    fn rehearse(&self, market: &Market) -> Result<Outcome, Stopped> {
        let failed = |error| Stopped::Failed(of_store(error));
        let ledger = market.store.read().map_err(failed)?;
        match apply(&ledger, &Command::Close(Box::new(self.close.clone()))) {
            Ok((_, outcome)) => Ok(outcome),
            Err(Fault::Refused(refusal)) => Err(Stopped::Refused(refusal)),
            Err(Fault::View(error)) => Err(failed(error)),
        }
    }

    /// Waits for what is under way, then closes. A paying channel sells nothing meanwhile: its turn is ours.
    async fn settle(
        &self,
        market: &Arc<Market>,
        cancelled: CancellationToken,
        until: Instant,
    ) -> Result<Outcome, Stopped> {
        let id = self.close.id;
        loop {
            let idle = async {
                if self.kind == ChannelKind::Paying {
                    return market.turns.next(id, until).await.map(Some).ok_or_else(busy);
                }
                let settled = timeout_at(until, market.pending.settled(&id)).await;
                settled.map(|()| None).map_err(|_| busy())
            };
            let turn = while_wanted(cancelled.clone(), idle)
                .await
                .map_err(Stopped::Failed)?;
            let outcome = self.sign_and_submit(market).await;
            drop(turn);
            let pending = matches!(outcome, Err(Stopped::Refused(Refusal::PurchasePending { .. })));
            if !pending || Instant::now() + PAUSE >= until {
                return outcome;
            }
            sleep(PAUSE).await;
        }
    }

    /// Signs what the ledger holds now, and records it. If the ledger moved in between, the signature goes nowhere.
    async fn sign_and_submit(&self, market: &Arc<Market>) -> Result<Outcome, Stopped> {
        if let closed @ Outcome::Closed { again: true, .. } = self.rehearse(market)? {
            return Ok(closed);
        }
        let (signer, digest) = (Arc::clone(&market.signer), self.digest);
        let signature = market.workers.run(move || signer.sign(&digest)).await;
        let close = CloseRequest {
            marketmaker_signature: signature.map_err(Stopped::Failed)?,
            ..self.close.clone()
        };
        let submitted = market.store.submit(Command::Close(Box::new(close))).await;
        submitted.map_err(|error| match error {
            SubmitError::Refused(refusal) => Stopped::Refused(refusal),
            error => Stopped::Failed(of_submit(error)),
        })
    }
}

fn busy() -> WampError {
    fault(
        uri::OUT_OF_ORDER,
        "a purchase is under way on this channel and did not end in time; it stays open",
    )
}
