//! A further question to a seller: on record before the seller sees it.

use super::Decided;
use super::resolve::{offer_of, pending_on, sent};
use crate::{
    Ask, Change, Channel, Doubt, Fault, Outcome, Pair, Purchase, RecoverRequest, Recovery, Refusal, View,
};

/// Notes that the seller of a sent purchase is asked for another state, and keeps in flight what that would pay.
pub(super) fn recover<V: View>(view: &V, request: &RecoverRequest) -> Decided<V> {
    let mut purchase = sent(view, &request.id)?;
    let mut paying = pending_on(view, &purchase.paying_channel, &purchase)?;
    let refused = |why| Refusal::NoRecovery {
        purchase: request.id,
        why,
    };
    if purchase.recoveries.len() >= Purchase::QUESTIONS {
        return Err(refused("it was asked as many questions as may be").into());
    }
    if purchase.asks().any(|ask| ask == request.ask) {
        return Err(refused("it was asked that already").into());
    }
    let pair = match offer_of(view, &purchase)? {
        Some(offer) => view.pair(&offer.pair()).map_err(Fault::View)?.unwrap_or_default(),
        None => return Err(refused("its offer is gone").into()),
    };
    match request.doubt {
        Doubt::Unclear => check_unclear(&purchase, &pair, request.ask).map_err(refused)?,
        Doubt::Elsewhere => {
            let abandoned = match paying.abandoned {
                Some(id) => view.purchase(&id).map_err(Fault::View)?,
                None => None,
            };
            let nettings = abandoned
                .iter()
                .flat_map(|abandoned| nettings(&purchase, abandoned));
            check_elsewhere(nettings, &pair, request.ask).map_err(refused)?;
        }
    }
    let held = purchase.held();
    purchase.recoveries.push(Recovery {
        at: request.at,
        doubt: request.doubt,
        ask: request.ask,
        s2: request.s2,
    });
    let mut changes = Vec::with_capacity(2);
    if purchase.held() != held {
        hold_instead(&mut paying, &purchase)?;
        changes.push(Change::Channel(Box::new(paying)));
    }
    let purchase = Box::new(purchase);
    changes.push(Change::Purchase(purchase.clone()));
    Ok((changes, Outcome::Recovering(purchase)))
}

/// The questions to ask a seller of `purchase` that may have adopted a state of `abandoned`, the last state first: it
/// goes on from each, and no more is left than either purchase leaves.
pub fn nettings<'a>(purchase: &'a Purchase, abandoned: &'a Purchase) -> impl Iterator<Item = Ask> + 'a {
    abandoned
        .asks()
        .rev()
        .filter_map(|ask| ask.netted(purchase.paying_balance))
}

fn check_unclear(purchase: &Purchase, pair: &Pair, ask: Ask) -> Result<(), &'static str> {
    let unclear = |step: &&Recovery| step.doubt == Doubt::Unclear;
    if purchase.recoveries.iter().filter(unclear).count() >= Purchase::RECOVERIES {
        return Err("it was asked twice again already");
    }
    if !purchase.asks().any(|asked| asked.confirmed() == Some(ask)) {
        return Err("the step is not at the next position");
    }
    // Whoever never answered with the delegate's signature is not given more of ours.
    if !pair.sessions.contains(&purchase.callee) {
        return Err("the session that was asked never answered with its delegate's signature");
    }
    Ok(())
}

/// The session may be a new one: a seller that comes back with the state it adopted has not answered on it yet.
fn check_elsewhere(
    mut nettings: impl Iterator<Item = Ask>,
    pair: &Pair,
    ask: Ask,
) -> Result<(), &'static str> {
    if !nettings.any(|netting| netting == ask) {
        return Err("its seller was left at no such state");
    }
    if !pair.is_proven() {
        return Err("nobody ever answered with its delegate's signature");
    }
    Ok(())
}

/// Keeps in flight what `purchase` holds by now, whatever it held before.
fn hold_instead(paying: &mut Channel, purchase: &Purchase) -> Result<(), Refusal> {
    let posted = paying.posted_remaining();
    let held = purchase.held().ok_or(Refusal::Overflow)?;
    paying.remaining = posted
        .checked_sub(held)
        .ok_or(Refusal::InsufficientPayingBalance {
            credit: held,
            remaining: posted,
        })?;
    paying.inflight = held;
    Ok(())
}
