//! The end of a purchase: POST or VOID, whatever the disk does.

use super::carry::{Plan, Price};
use super::exchange::Sale as Sold;
use super::pending::Answer;
use super::sell::unclear;
use crate::events::topic;
use crate::figures::Ended;
use crate::market::Market;
use crate::wire::{bytes, fault, of_submit, uri};
use bourse_market::{
    Ask, Channel, Command, DroppedWrites, Outcome, PostRequest, PriceSource, Purchase, PurchaseId,
    PurchaseState, Refusal, Sale, Signature, View, VoidReason, VoidRequest,
};
use bourse_store::SubmitError;
use bourse_wamp::WampError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Tries to write a purchase's end while its buyer waits. What the disk refuses this often stands still until it takes it.
const RESOLVE_TRIES: u32 = 5;
/// Until the second try.
const RESOLVE_PAUSE: Duration = Duration::from_millis(20);
/// Between two tries once nobody waits any more.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Posts a purchase whose seller's answer was found good.
pub(super) async fn settle(
    market: &Arc<Market>,
    purchase: &Arc<Purchase>,
    plan: &Plan,
    price: &Price,
    sale: Sold,
) -> Answer {
    let decision = match purchase.source {
        PriceSource::Policy(_) => price.quote.decision.clone(),
        PriceSource::Fixed | PriceSource::Seller => None,
    };
    let post = PostRequest {
        id: purchase.id,
        at: market.now(),
        s3: sale.s3,
        recovered: sale.recovered,
        signer: plan.paying.delegate,
        sealed_key: sale.sealed_key,
        s4: sale.s4,
        voucher: price.voucher.clone(),
        decision,
        also: price.cleared.decisions.clone(),
        state_writes: [&price.cleared.state_writes[..], &price.quote.state_writes[..]].concat(),
    };
    if let Some(posted) = crate::crash::early_reply(market, &post) {
        return receipt(&posted);
    }
    crate::crash::point("post-unwritten");
    match resolve(market, purchase.id, Command::Post(Box::new(post))).await {
        Ok(Some(posted)) => {
            tell(market, &posted);
            receipt(&posted.2)
        }
        Ok(None) => Err(fault(uri::RUNTIME, "the purchase could not be completed")),
        Err(error) => Err(error),
    }
}

/// What follows from a sale outside the ledger, and what its operator should know of it.
fn tell(market: &Market, (payment, paying, posted): &Posted) {
    crate::crash::point("post-committed");
    market.figures.ended(Ended::Sold);
    if let Some(sale) = posted.sold() {
        announce(market, &sale, [payment, paying]);
    }
    let paid_beyond = |answered: Ask| answered.balance < posted.paying_balance;
    if posted.answered().is_some_and(paid_beyond) {
        tracing::warn!(purchase = %posted.id, channel = %paying.id, prepaid = %paying.prepaid,
            "a seller was paid for a purchase that its buyer was not charged for; it is netted from its next sales");
    }
}

fn receipt(purchase: &Purchase) -> Answer {
    let unposted = || fault(uri::RUNTIME, "the purchase was not completed");
    purchase.receipt().map(Arc::new).ok_or_else(unposted)
}

/// What a seller's signature is worth.
pub(super) enum Verdict {
    /// It is the delegate's. This is our own over the buyer's state, made in the same go.
    Good(Signature),
    /// Nobody knows.
    Unverified(VoidReason),
    /// It is not the delegate's.
    Forged(VoidReason),
}

/// Whether s3 is the seller's delegate's, over the state of the paying channel that it was asked for.
pub(super) async fn verify(
    market: &Market,
    purchase: &Purchase,
    plan: &Plan,
    ask: Ask,
    s3: Signature,
) -> Verdict {
    let theirs = market.state_digest(purchase.paying_channel, ask.seq, ask.balance);
    let ours = market.state_digest(
        purchase.identity.channel,
        purchase.payment_seq,
        purchase.payment_balance,
    );
    let (signer, known) = (Arc::clone(&market.signer), Arc::clone(&market.known_signers));
    let delegate = plan.paying.delegate;
    let checked = market
        .workers
        .run_owed(move || (known.recover(&theirs, &s3, delegate), signer.sign(&ours)))
        .await;
    let Ok((s3_signer, s4)) = checked else {
        // The answer stands unverified, and that is unclear, not false.
        return Verdict::Unverified(unclear(uri::RUNTIME, "the seller's answer could not be verified"));
    };
    Verdict::Forged(unclear(
        uri::INVALID_SIGNATURE,
        match s3_signer {
            Ok(s3_signer) if s3_signer == delegate => return Verdict::Good(s4),
            Ok(other) => format!("the seller's answer is signed by {other}, not by its delegate"),
            Err(error) => format!("the seller's answer carries a bad signature: {error}"),
        },
    ))
}

/// Undoes a purchase, durably, and returns the error its buyer gets.
pub(super) async fn void(market: &Arc<Market>, purchase: &Purchase, reason: VoidReason) -> WampError {
    let (id, channel) = (purchase.id, purchase.paying_channel);
    let error = fault(&reason.error, format!("{}; nothing was charged", reason.text));
    if reason.ambiguous {
        tracing::warn!(purchase = %id, %channel, reason = reason.text, "a seller's answer was unclear; it is suspended");
    }
    match resolve(
        market,
        id,
        Command::Void(VoidRequest {
            id,
            at: market.now(),
            reason,
        }),
    )
    .await
    {
        Ok(_) => error,
        Err(error) => error,
    }
}

/// The channels and the purchase as they stand after POST.
type Posted = (Channel, Channel, Arc<Purchase>);

/// Writes the end of a purchase, and tries again where the disk hesitates: until then it stands reserved.
async fn resolve(
    market: &Arc<Market>,
    id: PurchaseId,
    command: Command,
) -> Result<Option<Posted>, WampError> {
    let mut pause = RESOLVE_PAUSE;
    let mut failures = 0;
    loop {
        match market.store.submit(command.clone()).await {
            Ok(outcome) => return Ok(ended(market, id, outcome)),
            // A crowd before the writer passes. Were the purchase left reserved for it, both its channels would stand
            // still until the next start, and a flood of offers could do that to anybody.
            Err(SubmitError::Overloaded) => tokio::time::sleep(RESOLVE_PAUSE).await,
            Err(SubmitError::Storage(_) | SubmitError::Full { .. }) if failures + 1 < RESOLVE_TRIES => {
                failures += 1;
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            // A commit that failed may yet have reached the disk: then it is resolved already.
            Err(SubmitError::Refused(Refusal::NotPending { .. })) if failures > 0 => {
                return posted_before(market, id);
            }
            Err(error) => {
                tracing::error!(purchase = %id, %error, "a purchase could not be resolved; it is tried until the disk takes it");
                resolve_later(market, id, command);
                return Err(of_submit(error));
            }
        }
    }
}

/// What the end of a purchase came to: the sale, or none if it is void.
fn ended(market: &Market, id: PurchaseId, outcome: Outcome) -> Option<Posted> {
    match outcome {
        Outcome::Posted {
            purchase,
            payment,
            paying,
            dropped,
        } => {
            warn_of_dropped(market, id, &dropped);
            Some((*payment, *paying, Arc::new(*purchase)))
        }
        outcome => {
            crate::crash::point("void-committed");
            market.figures.ended(match outcome {
                Outcome::Voided {
                    channel_suspended: None,
                    pair_suspended: None,
                    ..
                } => Ended::Voided,
                _ => Ended::Unclear,
            });
            None
        }
    }
}

/// Goes on trying, for as long as the market runs: until then both channels of the purchase stand still.
fn resolve_later(market: &Arc<Market>, id: PurchaseId, command: Command) {
    market.unresolved.fetch_add(1, Ordering::Relaxed);
    let market = Arc::downgrade(market);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(RETRY_PAUSE).await;
            let Some(market) = market.upgrade() else { return };
            let posted = match market.store.submit(command.clone()).await {
                Ok(outcome) => ended(&market, id, outcome),
                // An earlier try reached the disk after all.
                Err(SubmitError::Refused(Refusal::NotPending { .. })) => {
                    posted_before(&market, id).unwrap_or_default()
                }
                Err(SubmitError::Refused(refusal)) => {
                    tracing::error!(purchase = %id, %refusal, "a purchase cannot be resolved; it waits for the next start");
                    return;
                }
                // The next start resolves it.
                Err(SubmitError::Stopped) => return,
                Err(_) => continue,
            };
            if let Some(posted) = posted {
                tell(&market, &posted);
            }
            market.unresolved.fetch_sub(1, Ordering::Relaxed);
            tracing::info!(purchase = %id, "a purchase that the disk had refused is resolved");
            return;
        }
    });
}

fn posted_before(market: &Market, id: PurchaseId) -> Result<Option<Posted>, WampError> {
    market.read(|ledger| {
        let Some(purchase) = ledger.purchase(&id)? else {
            return Ok(None);
        };
        if !matches!(purchase.state, PurchaseState::Posted { .. }) {
            return Ok(None);
        }
        let payment = ledger.channel(&purchase.identity.channel)?;
        let paying = ledger.channel(&purchase.paying_channel)?;
        Ok(payment
            .zip(paying)
            .map(|(payment, paying)| (payment, paying, Arc::new(purchase))))
    })
}

/// Tells the operator which writes of policies a sale was made without.
pub(super) fn warn_of_dropped(market: &Market, purchase: PurchaseId, dropped: &[DroppedWrites]) {
    for lost in dropped {
        tracing::warn!(%purchase, policy = lost.policy, writes = lost.writes, why = %lost.why,
            "what a policy wrote was not kept");
        market.figures.state_dropped(&lost.policy);
    }
}

/// What a sale changes outside the ledger: what policies may know of demand, and news of each channel that it emptied,
/// under its topics.
pub(super) fn announce<const N: usize>(market: &Market, sale: &Sale, channels: [&Channel; N]) {
    market.demand.lock().record_sale(sale);
    let empty = channels
        .into_iter()
        .filter(|channel| channel.posted_remaining().is_zero());
    for channel in empty {
        for topic in topic::channel_empty(&channel.delegate, channel.kind) {
            market.announce(topic, vec![bytes(channel.id.0)]);
        }
    }
}
