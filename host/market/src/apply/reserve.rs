//! RESERVE: the one place where a purchase that a seller is asked for is admitted. What the buyer's side must hold is in
//! [`super::order`]; here it is whether the seller can be paid.

use super::Decided;
use super::escrow::is_escrowed;
use super::order::{Admitted, check_usable, find_replay, take_copy};
use crate::{
    Amount, Change, Channel, ChannelKind, Fault, Offer, Outcome, Purchase, PurchaseId, PurchaseState,
    Refusal, ReserveRequest, View,
};

/// Checks everything again inside the write, then reserves the price on both channels and one copy of the offer.
pub(super) fn reserve<V: View>(view: &V, request: &ReserveRequest) -> Decided<V> {
    let order = &request.order;
    let identity = &order.identity;
    let mut payment = order.channel(view)?;
    if let Some(posted) = find_replay(view, &payment, identity).map_err(Fault::View)? {
        return Ok((Vec::new(), Outcome::Replayed(Box::new(posted))));
    }
    let Admitted {
        mut offer,
        payment_seq,
        payment_balance,
    } = order.admit(view, &payment)?;
    let key = identity.key;
    if is_escrowed(view, &offer)? {
        return Err(Refusal::Escrowed { key }.into());
    }

    let mut paying = paying_channel(view, &offer, request)?;
    let (payable, prepaid) = check_paying(&paying, request)?;

    order.check_fresh(view)?;
    hold(&mut payment, order.price, order.id)?;
    hold(&mut paying, payable, order.id)?;
    let purchase = Box::new(Purchase {
        id: order.id,
        identity: *identity,
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
        callee: request.callee,
        paying_channel: paying.id,
        paying_seq: request.paying_seq,
        paying_balance: request.paying_balance,
        prepaid,
        s1: order.s1,
        s2: request.s2,
        state: PurchaseState::Sent,
        recoveries: Vec::new(),
    });
    let mut changes = vec![
        Change::Channel(Box::new(payment)),
        Change::Channel(Box::new(paying)),
        Change::Purchase(purchase.clone()),
    ];
    if take_copy(&mut offer)? {
        changes.push(Change::Offer(Box::new(offer)));
    }
    Ok((changes, Outcome::Reserved(purchase)))
}

/// The seller's channel, if neither it nor the seller's provider is suspended.
fn paying_channel<V: View>(
    view: &V,
    offer: &Offer,
    request: &ReserveRequest,
) -> Result<Channel, Fault<V::Error>> {
    let channel = request.paying_channel;
    let paying = view.channel(&channel).map_err(Fault::View)?;
    let paying = paying
        .filter(|paying| paying.kind == ChannelKind::Paying && paying.delegate == offer.seller)
        .ok_or(Refusal::ChannelUnknown { channel })?;
    check_usable(&paying)?;
    if let Some(suspension) = &paying.suspended {
        return Err(Refusal::ChannelSuspended {
            channel,
            why: suspension.why.clone(),
        }
        .into());
    }
    let pair = view.pair(&offer.pair()).map_err(Fault::View)?.unwrap_or_default();
    if !offer.may_be_sold_by(request.callee, &pair) {
        return Err(Refusal::PlacerUnproven { key: offer.key }.into());
    }
    if let Some(suspension) = pair.suspended {
        return Err(Refusal::PairSuspended { why: suspension.why }.into());
    }
    Ok(paying)
}

/// What `s2` says must be what the channel comes to. Yields what the seller is still to be paid, and what it was paid
/// before.
fn check_paying(paying: &Channel, request: &ReserveRequest) -> Result<(Amount, Amount), Refusal> {
    let channel = paying.id;
    if paying.pending.is_some() {
        return Err(Refusal::PayingMoved { channel });
    }
    let seq = paying.seq.next().ok_or(Refusal::SeqExhausted { channel })?;
    let (price, fee) = (request.order.price, request.order.fee);
    let credit = price
        .checked_sub(fee)
        .ok_or(Refusal::FeeAbovePrice { fee, price })?;
    let (payable, prepaid) = paying.net(credit);
    let remaining = paying.posted_remaining();
    let balance = remaining
        .checked_sub(payable)
        .ok_or(Refusal::InsufficientPayingBalance {
            credit: payable,
            remaining,
        })?;
    if request.paying_seq != seq || request.paying_balance != balance {
        return Err(Refusal::PayingMoved { channel });
    }
    Ok((payable, prepaid))
}

/// Moves an amount from what is left to what is in flight.
fn hold(channel: &mut Channel, amount: Amount, purchase: PurchaseId) -> Result<(), Refusal> {
    channel.remaining = channel.remaining.checked_sub(amount).ok_or(Refusal::Overflow)?;
    channel.inflight = channel.inflight.checked_add(amount).ok_or(Refusal::Overflow)?;
    channel.pending = Some(purchase);
    Ok(())
}
