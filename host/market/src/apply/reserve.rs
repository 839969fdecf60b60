//! RESERVE: the one place where a purchase is admitted.
//!
//! The order of the checks is the order in which a client can make sense of the answers: who it is, whether it was
//! answered before, whether it is being answered now, where the channel stands, what is on sale, what it costs, and
//! last whether the seller can be paid.

use super::{Decided, check_on_sale};
use crate::{
    Amount, Change, Channel, ChannelKind, ChannelState, Fault, Identity, Offer, Outcome, Price, PriceSource,
    Purchase, PurchaseState, Refusal, ReserveRequest, Seq, View,
};

/// Checks everything again inside the write, then reserves the price on both channels and one copy of the offer.
pub(super) fn reserve<V: View>(view: &V, request: &ReserveRequest) -> Decided<V> {
    let identity = &request.identity;
    let unknown = Refusal::ChannelUnknown {
        channel: identity.channel,
    };
    let payment = view.channel(&identity.channel).map_err(Fault::View)?;
    let mut payment = payment
        .filter(|channel| channel.kind == ChannelKind::Payment)
        .ok_or(unknown)?;
    check_signer(&payment, request)?;

    if let Some(posted) = find_replay(view, &payment, identity).map_err(Fault::View)? {
        return Ok((Vec::new(), Outcome::Replayed(Box::new(posted))));
    }
    if let Some(purchase) = payment.pending {
        let pending = view.purchase(&purchase).map_err(Fault::View)?;
        let same = pending.is_some_and(|pending| pending.identity == *identity);
        return Err(Refusal::PurchasePending { purchase, same }.into());
    }
    check_usable(&payment)?;
    let payment_seq = check_seq(&payment, request)?;

    let key = identity.key;
    let mut offer = view
        .offer_by_key(&key)
        .map_err(Fault::View)?
        .ok_or(Refusal::OfferUnknown { key })?;
    check_on_sale(&offer, request.at)?;
    let payment_balance = check_price(&payment, &offer, request)?;

    let mut paying = paying_channel(view, &offer, request)?;
    let credit = check_paying(&paying, request)?;

    // A second record under a used id would overwrite a receipt.
    if view.purchase(&request.id).map_err(Fault::View)?.is_some() {
        return Err(Refusal::NotPending { purchase: request.id }.into());
    }

    hold(&mut payment, request.price, request)?;
    hold(&mut paying, credit, request)?;
    let purchase = Box::new(Purchase {
        id: request.id,
        identity: *identity,
        offer: offer.id,
        api: offer.api,
        seller: offer.seller,
        buyer: request.buyer,
        at: request.at,
        price: request.price,
        fee: request.fee,
        source: request.source,
        payment_seq,
        payment_balance,
        callee: request.callee,
        paying_channel: paying.id,
        paying_seq: request.paying_seq,
        paying_balance: request.paying_balance,
        s1: request.s1,
        s2: request.s2,
        state: PurchaseState::Sent,
        recoveries: Vec::new(),
    });
    let mut changes = vec![
        Change::Channel(Box::new(payment)),
        Change::Channel(Box::new(paying)),
        Change::Purchase(purchase.clone()),
    ];
    if let Some(left) = offer.remaining {
        offer.remaining = Some(left.checked_sub(1).ok_or(Refusal::SoldOut { key })?);
        changes.push(Change::Offer(Box::new(offer)));
    }
    Ok((changes, Outcome::Reserved(purchase)))
}

/// Signed by the channel's delegate, and asked for in its name.
fn check_signer(payment: &Channel, request: &ReserveRequest) -> Result<(), Refusal> {
    let signer = request.signer;
    if signer != payment.delegate {
        return Err(Refusal::WrongSigner {
            signer,
            expected: payment.delegate,
        });
    }
    if signer != request.buyer {
        return Err(Refusal::WrongSigner {
            signer,
            expected: request.buyer,
        });
    }
    Ok(())
}

/// The posted purchase with the same identity, whose receipt answers a request to buy that comes again. It was posted at
/// the seq it names, or, if it was admitted leniently, at the one after; both are looked at even where leniency is off
/// by now, for its buyer has paid. Positions above the posted one hold nothing posted, so the common case reads nothing.
///
/// # Errors
///
/// Whatever keeps `view` from being read.
pub fn find_replay<V: View>(
    view: &V,
    payment: &Channel,
    identity: &Identity,
) -> Result<Option<Purchase>, V::Error> {
    for seq in [Some(identity.seq), identity.seq.next()].into_iter().flatten() {
        if seq > payment.seq {
            break;
        }
        let same = view.purchase_at(&payment.id, seq)?.filter(|found| {
            found.identity == *identity && matches!(found.state, PurchaseState::Posted { .. })
        });
        if same.is_some() {
            return Ok(same);
        }
    }
    Ok(None)
}

fn check_usable(channel: &Channel) -> Result<(), Refusal> {
    if !channel.bound {
        return Err(Refusal::ChannelUnbound { channel: channel.id });
    }
    if channel.state != ChannelState::Open {
        return Err(Refusal::ChannelNotOpen { channel: channel.id });
    }
    if channel.quarantined.is_some() {
        return Err(Refusal::ChannelQuarantined { channel: channel.id });
    }
    Ok(())
}

/// The seq this purchase takes the payment channel to.
fn check_seq(payment: &Channel, request: &ReserveRequest) -> Result<Seq, Refusal> {
    let expected = payment
        .seq
        .next()
        .ok_or(Refusal::SeqExhausted { channel: payment.id })?;
    let identity = &request.identity;
    if identity.seq == expected {
        return Ok(expected);
    }
    let remaining = payment.posted_remaining();
    // A buyer that signs the posted seq is admitted if its balance shows that it knows what is left; one that
    // starts from an old balance is told where the channel stands.
    let current = |cost: Amount| remaining.checked_sub(cost) == Some(identity.balance);
    if request.lenient_seq
        && identity.seq == payment.seq
        && (current(request.price) || current(identity.amount))
    {
        return Ok(expected);
    }
    Err(Refusal::OutOfOrder {
        expected,
        got: identity.seq,
        remaining,
    })
}

/// Never more nor less than what was signed. Yields the payment channel's balance once posted.
fn check_price(payment: &Channel, offer: &Offer, request: &ReserveRequest) -> Result<Amount, Refusal> {
    let (price, fee, identity) = (request.price, request.fee, &request.identity);
    // Over a fixed price stands the operator's policy alone, never a second thought of the seller's.
    if let (Price::Fixed(fixed), PriceSource::Fixed | PriceSource::Seller) = (offer.price, request.source)
        && fixed != price
    {
        return Err(Refusal::PriceChanged {
            price: fixed,
            amount: price,
        });
    }
    if fee > price {
        return Err(Refusal::FeeAbovePrice { fee, price });
    }
    if price > identity.amount {
        return Err(Refusal::InsufficientAmount {
            price,
            amount: identity.amount,
        });
    }
    let remaining = payment.posted_remaining();
    let expected = remaining
        .checked_sub(price)
        .ok_or(Refusal::InsufficientPaymentBalance { price, remaining })?;
    if identity.balance == expected {
        return Ok(expected);
    }
    if remaining.checked_sub(identity.amount) == Some(identity.balance) {
        return Err(Refusal::PriceChanged {
            price,
            amount: identity.amount,
        });
    }
    Err(Refusal::WrongBalance {
        expected,
        got: identity.balance,
    })
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

/// What `s2` says must be what the channel comes to. Yields the seller's credit.
fn check_paying(paying: &Channel, request: &ReserveRequest) -> Result<Amount, Refusal> {
    let channel = paying.id;
    if paying.pending.is_some() {
        return Err(Refusal::PayingMoved { channel });
    }
    let seq = paying.seq.next().ok_or(Refusal::SeqExhausted { channel })?;
    let (price, fee) = (request.price, request.fee);
    let credit = price
        .checked_sub(fee)
        .ok_or(Refusal::FeeAbovePrice { fee, price })?;
    let remaining = paying.posted_remaining();
    let balance = remaining
        .checked_sub(credit)
        .ok_or(Refusal::InsufficientPayingBalance { credit, remaining })?;
    if request.paying_seq != seq || request.paying_balance != balance {
        return Err(Refusal::PayingMoved { channel });
    }
    Ok(credit)
}

/// Moves an amount from what is left to what is in flight.
fn hold(channel: &mut Channel, amount: Amount, request: &ReserveRequest) -> Result<(), Refusal> {
    channel.remaining = channel.remaining.checked_sub(amount).ok_or(Refusal::Overflow)?;
    channel.inflight = channel.inflight.checked_add(amount).ok_or(Refusal::Overflow)?;
    channel.pending = Some(request.id);
    Ok(())
}
