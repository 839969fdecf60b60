//! The buyer's side of a purchase: what must hold of it, whoever sells.
//!
//! The order of the checks is the order in which a client can make sense of the answers: who it is, whether it was
//! answered before, whether it is being answered now, where the channel stands, what is on sale, and what it costs.

use super::check_on_sale;
use super::voucher::check_cover;
use crate::{
    Amount, Channel, ChannelKind, ChannelState, EscrowSale, Fault, Identity, Offer, Order, Price,
    PriceSource, Purchase, PurchaseState, Receipt, Refusal, Seq, View,
};

/// An order that nothing stands against on its buyer's side.
pub(super) struct Admitted {
    /// The offer.
    pub(super) offer: Offer,
    /// Where it takes the payment channel.
    pub(super) payment_seq: Seq,
    /// What is left there.
    pub(super) payment_balance: Amount,
}

impl Order {
    /// The payment channel, if it is the signer's to spend from.
    pub(super) fn channel<V: View>(&self, view: &V) -> Result<Channel, Fault<V::Error>> {
        let channel = self.identity.channel;
        let payment = view.channel(&channel).map_err(Fault::View)?;
        let payment = payment
            .filter(|payment| payment.kind == ChannelKind::Payment)
            .ok_or(Refusal::ChannelUnknown { channel })?;
        check_signer(&payment, self)?;
        Ok(payment)
    }

    /// Whether it may be carried out now. It was not before: whoever calls has looked.
    pub(super) fn admit<V: View>(&self, view: &V, payment: &Channel) -> Result<Admitted, Fault<V::Error>> {
        if let Some(purchase) = payment.pending {
            let pending = view.purchase(&purchase).map_err(Fault::View)?;
            let same = pending.is_some_and(|pending| pending.identity == self.identity);
            return Err(Refusal::PurchasePending { purchase, same }.into());
        }
        check_usable(payment)?;
        let payment_seq = check_seq(payment, self)?;

        let key = self.identity.key;
        let offer = view
            .offer_by_key(&key)
            .map_err(Fault::View)?
            .ok_or(Refusal::OfferUnknown { key })?;
        check_on_sale(&offer, self.at)?;
        let payment_balance = check_price(payment, &offer, self)?;
        if let Some(cover) = &self.cover {
            check_cover(view, payment, (payment_seq, payment_balance), self.price, cover)?;
        }
        Ok(Admitted {
            offer,
            payment_seq,
            payment_balance,
        })
    }

    /// A second record under a used id would overwrite a receipt.
    pub(super) fn check_fresh<V: View>(&self, view: &V) -> Result<(), Fault<V::Error>> {
        let used = view.purchase(&self.id).map_err(Fault::View)?.is_some()
            || view.escrow_sale(&self.id).map_err(Fault::View)?.is_some();
        match used {
            true => Err(Refusal::NotPending { purchase: self.id }.into()),
            false => Ok(()),
        }
    }
}

/// Signed by the channel's delegate, and asked for in its name.
fn check_signer(payment: &Channel, request: &Order) -> Result<(), Refusal> {
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

pub(super) fn check_usable(channel: &Channel) -> Result<(), Refusal> {
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
fn check_seq(payment: &Channel, request: &Order) -> Result<Seq, Refusal> {
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
fn check_price(payment: &Channel, offer: &Offer, request: &Order) -> Result<Amount, Refusal> {
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

/// The posted purchase with the same identity, whose receipt answers a request to buy that comes again.
///
/// # Errors
///
/// Whatever keeps `view` from being read.
pub fn find_replay<V: View>(
    view: &V,
    payment: &Channel,
    identity: &Identity,
) -> Result<Option<Purchase>, V::Error> {
    for seq in places(payment, identity) {
        let same = view.purchase_at(&payment.id, seq)?.filter(|found| {
            found.identity == *identity && matches!(found.state, PurchaseState::Posted { .. })
        });
        if same.is_some() {
            return Ok(same);
        }
    }
    Ok(None)
}

/// The same among the sales of escrowed keys.
pub(super) fn find_delivered<V: View>(
    view: &V,
    payment: &Channel,
    identity: &Identity,
) -> Result<Option<EscrowSale>, V::Error> {
    for seq in places(payment, identity) {
        let same = view.escrow_sale_at(&payment.id, seq)?;
        if let Some(same) = same.filter(|found| found.identity == *identity) {
            return Ok(Some(same));
        }
    }
    Ok(None)
}

/// The receipt of a purchase that was made before, whoever sold.
///
/// # Errors
///
/// Whatever keeps `view` from being read.
pub fn find_receipt<V: View>(
    view: &V,
    payment: &Channel,
    identity: &Identity,
) -> Result<Option<Receipt>, V::Error> {
    if let Some(posted) = find_replay(view, payment, identity)? {
        return Ok(posted.receipt());
    }
    Ok(find_delivered(view, payment, identity)?.map(|sale| sale.receipt()))
}

/// Where a purchase with this identity would have been posted: at the seq it names, or, if it was admitted leniently, at
/// the one after; both are looked at even where leniency is off by now, for its buyer has paid. Positions above the
/// posted one hold nothing posted, so the common case reads nothing.
fn places(payment: &Channel, identity: &Identity) -> impl Iterator<Item = Seq> + use<> {
    let posted = payment.seq;
    [Some(identity.seq), identity.seq.next()]
        .into_iter()
        .flatten()
        .filter(move |seq| *seq <= posted)
}

/// Takes one of the copies of an offer, if they are counted. False if nothing changed.
pub(super) fn take_copy(offer: &mut Offer) -> Result<bool, Refusal> {
    let Some(left) = offer.remaining else {
        return Ok(false);
    };
    let key = offer.key;
    offer.remaining = Some(left.checked_sub(1).ok_or(Refusal::SoldOut { key })?);
    Ok(true)
}
