//! A step of recovery: on record before the seller sees it.

use super::Decided;
use super::resolve::{offer_of, pending_on, sent};
use crate::{Change, Fault, Outcome, Purchase, RecoverRequest, Recovery, Refusal, View};

/// Notes that the seller of a sent purchase is asked again, one position further on and for nothing more. Neither
/// channel moves: what is signed away stays the purchase's credit, however often the seller is asked.
pub(super) fn recover<V: View>(view: &V, request: &RecoverRequest) -> Decided<V> {
    let mut purchase = sent(view, &request.id)?;
    let paying = pending_on(view, &purchase.paying_channel, &purchase)?;
    let refused = |why| Refusal::NoRecovery {
        purchase: request.id,
        why,
    };
    if purchase.recoveries.len() >= Purchase::RECOVERIES {
        return Err(refused("it was asked twice again already").into());
    }
    let last = purchase
        .recoveries
        .last()
        .map_or(purchase.paying_seq, |last| last.seq);
    let next = last.next().ok_or(Refusal::SeqExhausted { channel: paying.id })?;
    if request.seq != next {
        return Err(refused("the step is not at the next position").into());
    }
    // Whoever never answered with the delegate's signature is not given more of ours.
    let pair = match offer_of(view, &purchase)? {
        Some(offer) => view.pair(&offer.pair()).map_err(Fault::View)?.unwrap_or_default(),
        None => return Err(refused("its offer is gone").into()),
    };
    if !pair.sessions.contains(&purchase.callee) {
        return Err(
            refused("the session that was asked never answered with its delegate's signature").into(),
        );
    }
    purchase.recoveries.push(Recovery {
        at: request.at,
        seq: request.seq,
        s2: request.s2,
    });
    let purchase = Box::new(purchase);
    Ok((
        vec![Change::Purchase(purchase.clone())],
        Outcome::Recovering(purchase),
    ))
}
