//! DELIVER: a sale of an escrowed key, from its first check to its receipt in one write.
//!
//! No seller is asked, so nothing can come between reserving and posting. The buyer's channel moves as in any other
//! purchase; no paying channel does: what the seller earned is added to what it is owed.

use super::order::{Admitted, find_delivered, take_copy};
use super::resolve::{check_decision, own};
use super::voucher::moved;
use super::{Decided, state};
use crate::{
    Address, Amount, Change, Channel, ChannelId, ChannelKind, Debt, DeliverRequest, EscrowPayment,
    EscrowSale, Fault, Nanos, Offer, Outcome, PriceSource, Refusal, View,
};

/// Checks everything inside the write, then moves the buyer's channel and owes the seller its part.
pub(super) fn deliver<V: View>(view: &V, request: &DeliverRequest) -> Decided<V> {
    let order = &request.order;
    let mut payment = order.channel(view)?;
    if let Some(sale) = find_delivered(view, &payment, &order.identity).map_err(Fault::View)? {
        return Ok((Vec::new(), delivered(sale, payment, true, Vec::new())));
    }
    let Admitted {
        mut offer,
        payment_seq,
        payment_balance,
    } = order.admit(view, &payment)?;
    order.check_fresh(view)?;
    check_key(view, &offer, request)?;
    if order.source == PriceSource::Seller {
        return Err(Refusal::Escrowed { key: offer.key }.into());
    }
    check_decision(order.id, order.source, request.decision.as_ref())?;
    if request.payment_seq != payment_seq {
        // `s4` is worth nothing for any other state.
        return Err(Refusal::OutOfOrder {
            expected: payment_seq,
            got: request.payment_seq,
            remaining: payment.posted_remaining(),
        }
        .into());
    }

    pay(&mut payment, order.price)?;
    payment.seq = payment_seq;
    let sale = EscrowSale {
        id: order.id,
        identity: order.identity,
        offer: offer.id,
        api: offer.api,
        seller: offer.seller,
        buyer: order.buyer,
        at: order.at,
        price: order.price,
        fee: order.fee,
        source: order.source,
        payment_seq,
        payment_balance,
        s1: order.s1,
        s4: request.s4,
        sealed_key: request.sealed_key,
    };
    let mut debt = view.debt(&offer.seller).map_err(Fault::View)?.unwrap_or_default();
    let credit = sale.credit().ok_or(Refusal::Overflow)?;
    debt.owed = debt.owed.checked_add(credit).ok_or(Refusal::Overflow)?;
    debt.sales = debt.sales.checked_add(1).ok_or(Refusal::Overflow)?;

    let mut changes = vec![
        Change::Channel(Box::new(payment.clone())),
        Change::EscrowSale(Box::new(sale.clone())),
        Change::Debt(offer.seller, debt),
    ];
    let voucher = order.cover.as_ref().and_then(|cover| cover.voucher.as_ref());
    changes.extend(moved(view, payment.id, voucher, order.at)?);
    if take_copy(&mut offer)? {
        changes.push(Change::Offer(Box::new(offer)));
    }
    for decision in request.decision.iter().chain(&request.also) {
        changes.extend(own(view, &changes, decision, sale.id)?);
    }
    let (written, dropped) = state::resolve(view, &request.state_writes)?;
    changes.extend(written);
    Ok((changes, delivered(sale, payment, false, dropped)))
}

fn delivered(sale: EscrowSale, payment: Channel, again: bool, dropped: Vec<crate::DroppedWrites>) -> Outcome {
    Outcome::Delivered {
        sale: Box::new(sale),
        payment: Box::new(payment),
        again,
        dropped,
    }
}

/// Whether an offer is sold here rather than by its seller. No other than a signed one is, so most are not looked up.
pub(super) fn is_escrowed<V: View>(view: &V, offer: &Offer) -> Result<bool, Fault<V::Error>> {
    Ok(offer.signature_verified && view.escrowed_key(&offer.key).map_err(Fault::View)?.is_some())
}

/// What was sealed is what the ledger keeps.
fn check_key<V: View>(view: &V, offer: &Offer, request: &DeliverRequest) -> Result<(), Fault<V::Error>> {
    let kept = view.escrowed_key(&offer.key).map_err(Fault::View)?;
    match offer.signature_verified && kept == Some(request.escrowed) {
        true => Ok(()),
        false => Err(Refusal::NotEscrowed { key: offer.key }.into()),
    }
}

/// What is left becomes spent.
fn pay(channel: &mut Channel, amount: Amount) -> Result<(), Refusal> {
    channel.remaining = channel.remaining.checked_sub(amount).ok_or(Refusal::Overflow)?;
    channel.spent = channel.spent.checked_add(amount).ok_or(Refusal::Overflow)?;
    Ok(())
}

/// A debt that the final state of a channel may settle, and as much of it as the channel holds.
pub(super) struct Due {
    delegate: Address,
    debt: Debt,
    /// What would be paid; zero if nothing is owed.
    pub(super) amount: Amount,
    /// The channel of the delegate that holds it back, if one does: a restored ledger does not know whether a newer copy of
    /// it closed that one, and paid the debt over it.
    pub(super) held_by: Option<ChannelId>,
}

impl Due {
    /// What is due over `channel`: over a paying channel alone, and only if it pays the delegate's own actor. Whoever opens
    /// a channel in the name of another's delegate is not to be paid for that one's sales.
    pub(super) fn over<V: View>(view: &V, channel: &Channel) -> Result<Self, Fault<V::Error>> {
        let delegate = channel.delegate;
        let debt = match channel.kind {
            ChannelKind::Paying if channel.bound => view.debt(&delegate).map_err(Fault::View)?,
            ChannelKind::Paying | ChannelKind::Payment => None,
        };
        let debt = debt.unwrap_or_default();
        let held_by = match debt.owed.is_zero() {
            true => None,
            false => view.quarantined_of(&delegate).map_err(Fault::View)?,
        };
        Ok(Self {
            held_by,
            delegate,
            debt,
            amount: debt.owed.min(channel.posted_remaining()),
        })
    }

    /// Moves it from what is left to what is spent.
    pub(super) fn settle(mut self, channel: &mut Channel, at: Nanos) -> Result<[Change; 2], Refusal> {
        pay(channel, self.amount)?;
        let Self { delegate, amount, .. } = self;
        let debt = &mut self.debt;
        debt.owed = debt.owed.checked_sub(amount).ok_or(Refusal::Overflow)?;
        debt.settled = debt.settled.checked_add(amount).ok_or(Refusal::Overflow)?;
        let id: ChannelId = channel.id;
        let payment = EscrowPayment { delegate, amount, at };
        Ok([
            Change::Debt(delegate, self.debt),
            Change::EscrowPayment(id, payment),
        ])
    }
}
