//! POST and VOID: a sent purchase ends in exactly one of them.

use super::voucher::{check_fits, moved};
use super::{Decided, state};
use crate::plant::{self, Bug};
use crate::{
    Amount, Ask, Change, Channel, ChannelId, Decision, Doubt, Fault, Offer, Outcome, Pair, PostRequest,
    PriceSource, Purchase, PurchaseId, PurchaseState, Recovery, Refusal, Suspension, View, VoidRequest,
};

/// The seller's answer is clean: both channels move to what was signed, and the receipt is kept with them.
pub(super) fn post<V: View>(view: &V, request: &PostRequest) -> Decided<V> {
    let mut purchase = sent(view, &request.id)?;
    let mut payment = pending_on(view, &purchase.identity.channel, &purchase)?;
    let mut paying = pending_on(view, &purchase.paying_channel, &purchase)?;
    if request.signer != paying.delegate {
        return Err(Refusal::WrongSigner {
            signer: request.signer,
            expected: paying.delegate,
        }
        .into());
    }
    check_decision(purchase.id, purchase.source, request.decision.as_ref())?;
    let answered = purchase.ask(request.recovered).ok_or(Refusal::NoRecovery {
        purchase: purchase.id,
        why: "the seller answers a step that is not on record",
    })?;

    spend(&mut payment, purchase.price)?;
    payment.seq = purchase.payment_seq;
    pay(&mut paying, &purchase, answered)?;
    purchase.state = PurchaseState::Posted {
        at: request.at,
        s3: request.s3,
        s4: request.s4,
        sealed_key: request.sealed_key,
        recovered: request.recovered,
    };

    let mut changes = vec![
        Change::Channel(Box::new(payment.clone())),
        Change::Channel(Box::new(paying.clone())),
        Change::Purchase(Box::new(purchase.clone())),
    ];
    if let Some(voucher) = &request.voucher {
        check_fits(&payment, (payment.seq, payment.posted_remaining()), voucher)?;
    }
    changes.extend(moved(view, payment.id, request.voucher.as_ref(), request.at)?);
    changes.extend(prove_pair(view, &purchase)?);
    for decision in request.decision.iter().chain(&request.also) {
        changes.extend(own(view, &changes, decision, purchase.id)?);
    }
    let (written, dropped) = state::resolve(view, &request.state_writes)?;
    changes.extend(written);
    let (purchase, payment, paying) = (Box::new(purchase), Box::new(payment), Box::new(paying));
    Ok((
        changes,
        Outcome::Posted {
            purchase,
            payment,
            paying,
            dropped,
        },
    ))
}

/// Nobody pays: both balances, the seq and the copy are as they were. If the seller may hold a state of ours, it
/// stops selling until it comes back.
pub(super) fn void<V: View>(view: &V, request: &VoidRequest) -> Decided<V> {
    let mut purchase = sent(view, &request.id)?;
    let held = purchase.held().ok_or(Refusal::Overflow)?;
    let mut payment = pending_on(view, &purchase.identity.channel, &purchase)?;
    let mut paying = pending_on(view, &purchase.paying_channel, &purchase)?;
    give_back(&mut payment, purchase.price)?;
    if plant::on(Bug::W20) {
        payment.remaining = payment.remaining.saturating_add(held);
        paying.pending = None;
    } else {
        give_back(&mut paying, held)?;
    }
    purchase.state = PurchaseState::Voided {
        at: request.at,
        reason: request.reason.clone(),
    };

    let mut offer = offer_of(view, &purchase)?;
    let mut changes = Vec::with_capacity(5);
    let (mut channel_suspended, mut pair_suspended) = (None, None);
    // Whoever was asked to confirm had given an unclear answer, whatever it said last.
    let unclear = |step: &Recovery| step.doubt == Doubt::Unclear;
    if request.reason.ambiguous || purchase.recoveries.iter().any(unclear) {
        let suspension = Suspension {
            at: request.at,
            purchase: purchase.id,
            why: request.reason.text.clone(),
        };
        let known = match offer.as_ref().map(Offer::pair) {
            Some(key) => Some((view.pair(&key).map_err(Fault::View)?.unwrap_or_default(), key)),
            None => None,
        };
        // Only its delegate can go on from a state that it adopted: whoever was asked in its place gains nothing by it.
        // Nor does it make what the delegate's own session may have adopted be forgotten.
        let answered = |pair: &Pair| pair.sessions.contains(&purchase.callee);
        if known
            .as_ref()
            .is_none_or(|(pair, _)| pair.is_proven() && (answered(pair) || paying.abandoned.is_none()))
        {
            paying.abandoned = Some(purchase.id);
        }
        match known {
            // Anybody can place an offer in a seller's name and answer badly, or take the place of a seller that is
            // away: that must not freeze the seller, nor count against it. Only where an unclear answer counts already
            // does one by a new session of a proven pair count as the second.
            Some((mut pair, key))
                if !pair.sessions.contains(&purchase.callee)
                    && (!pair.is_proven() || paying.unresolved == 0) =>
            {
                pair.suspended = Some(suspension.clone());
                pair_suspended = Some(suspension);
                changes.push(Change::Pair(key, pair));
            }
            _ => {
                paying.unresolved = paying.unresolved.saturating_add(1);
                paying.suspended = Some(suspension.clone());
                channel_suspended = Some(suspension);
            }
        }
    }
    if let Some(offer) = &mut offer
        && let (Some(left), Some(copies)) = (offer.remaining, offer.copies)
    {
        offer.remaining = Some(left.saturating_add(1).min(copies));
        changes.push(Change::Offer(Box::new(offer.clone())));
    }
    changes.push(Change::Channel(Box::new(payment)));
    changes.push(Change::Channel(Box::new(paying)));
    changes.push(Change::Purchase(Box::new(purchase.clone())));
    Ok((
        changes,
        Outcome::Voided {
            purchase: Box::new(purchase),
            channel_suspended,
            pair_suspended,
        },
    ))
}

/// A purchase that waits for its answer.
pub(super) fn sent<V: View>(view: &V, id: &PurchaseId) -> Result<Purchase, Fault<V::Error>> {
    let purchase = view.purchase(id).map_err(Fault::View)?;
    let sent = purchase.filter(|purchase| purchase.state == PurchaseState::Sent);
    sent.ok_or(Fault::Refused(Refusal::NotPending { purchase: *id }))
}

/// One of its channels, which waits for it.
pub(super) fn pending_on<V: View>(
    view: &V,
    id: &ChannelId,
    purchase: &Purchase,
) -> Result<Channel, Fault<V::Error>> {
    let channel = view.channel(id).map_err(Fault::View)?;
    let waiting = channel.filter(|channel| channel.pending == Some(purchase.id));
    waiting.ok_or(Fault::Refused(Refusal::NotPending {
        purchase: purchase.id,
    }))
}

pub(super) fn offer_of<V: View>(view: &V, purchase: &Purchase) -> Result<Option<Offer>, Fault<V::Error>> {
    let offer = view.offer_by_key(&purchase.identity.key).map_err(Fault::View)?;
    Ok(offer.filter(|offer| offer.id == purchase.offer))
}

/// A policy's price comes with the decision it names, any other price with none.
pub(super) fn check_decision(
    purchase: PurchaseId,
    source: PriceSource,
    decision: Option<&Decision>,
) -> Result<(), Refusal> {
    let named = match source {
        PriceSource::Fixed | PriceSource::Seller => None,
        PriceSource::Policy(id) => Some(id),
    };
    if decision.map(|decision| decision.id) == named {
        Ok(())
    } else {
        Err(Refusal::DecisionMismatch { purchase })
    }
}

/// The decision as this purchase's own. A quote that is bought twice keeps its first purchase: what was decided was
/// decided once, and no record is written twice.
pub(super) fn own<V: View>(
    view: &V,
    changes: &[Change],
    decision: &Decision,
    purchase: PurchaseId,
) -> Result<Option<Change>, Fault<V::Error>> {
    let written = |change: &Change| matches!(change, Change::Decision(other) if other.id == decision.id);
    if changes.iter().any(written) || view.has_decision(&decision.id).map_err(Fault::View)? {
        return Ok(None);
    }
    let mut decision = decision.clone();
    decision.header.purchase = Some(purchase);
    Ok(Some(Change::Decision(Box::new(decision))))
}

/// A valid answer proves that this session speaks for the delegate under its provider id. Later ones write nothing.
fn prove_pair<V: View>(view: &V, purchase: &Purchase) -> Result<Option<Change>, Fault<V::Error>> {
    let Some(offer) = offer_of(view, purchase)? else {
        return Ok(None);
    };
    let key = offer.pair();
    let mut pair = view.pair(&key).map_err(Fault::View)?.unwrap_or_default();
    let news = pair.prove(purchase.callee) | pair.suspended.take().is_some();
    Ok(news.then_some(Change::Pair(key, pair)))
}

/// The paying channel goes to the state that its seller signed. What that pays beyond this purchase was paid for an
/// abandoned one, and counts towards what the seller is owed next.
fn pay(paying: &mut Channel, purchase: &Purchase, answered: Ask) -> Result<(), Refusal> {
    let paid = paying
        .posted_remaining()
        .checked_sub(answered.balance)
        .ok_or(Refusal::Overflow)?;
    let beyond = purchase
        .payable()
        .and_then(|payable| paid.checked_sub(payable))
        .ok_or(Refusal::Overflow)?;
    paying.prepaid = paying
        .prepaid
        .checked_sub(purchase.prepaid)
        .and_then(|left| left.checked_add(beyond))
        .ok_or(Refusal::Overflow)?;
    paying.remaining = answered.balance;
    paying.inflight = Amount::ZERO;
    paying.spent = paying.spent.checked_add(paid).ok_or(Refusal::Overflow)?;
    paying.pending = None;
    paying.seq = answered.seq;
    // Its signature tells where the seller stands. What it was paid for nothing stays open until it is netted.
    paying.abandoned = None;
    paying.unresolved = u32::from(!paying.prepaid.is_zero());
    Ok(())
}

/// In flight becomes spent.
fn spend(channel: &mut Channel, amount: Amount) -> Result<(), Refusal> {
    channel.inflight = channel.inflight.checked_sub(amount).ok_or(Refusal::Overflow)?;
    channel.spent = channel.spent.checked_add(amount).ok_or(Refusal::Overflow)?;
    channel.pending = None;
    Ok(())
}

/// In flight becomes what is left.
fn give_back(channel: &mut Channel, amount: Amount) -> Result<(), Refusal> {
    channel.inflight = channel.inflight.checked_sub(amount).ok_or(Refusal::Overflow)?;
    channel.remaining = channel.remaining.checked_add(amount).ok_or(Refusal::Overflow)?;
    channel.pending = None;
    Ok(())
}
