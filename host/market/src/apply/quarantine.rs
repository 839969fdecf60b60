//! After a ledger was restored from a backup: what stands still, and what lets it go on.
//!
//! A backup knows what it was told until it was taken. What both sides of a channel signed later is with them alone, so
//! no channel moves before its delegate has shown the latest state, or the operator bears that nobody does.

use super::Decided;
use crate::chain::Anchor;
use crate::{
    Amount, Change, Channel, ChannelId, ChannelKind, ChannelState, Fault, Outcome, ReconcileRequest,
    Reconciliation, Refusal, Shown, View,
};

/// Shuts a channel that is not settled. Twice is once.
pub(super) fn shut<V: View>(view: &V, id: &ChannelId, at: crate::Nanos) -> Decided<V> {
    let mut channel = known(view, id)?;
    let settled = matches!(channel.state, ChannelState::Closed | ChannelState::Failed);
    if settled || channel.quarantined.is_some() {
        return Ok((Vec::new(), Outcome::Done));
    }
    channel.quarantined = Some(at);
    Ok((vec![Change::Channel(Box::new(channel))], Outcome::Done))
}

/// Lets a channel go on: from where it stands, or from the later state its delegate shows, if the operator accepts that
/// the sales in between are lost.
pub(super) fn reconcile<V: View>(view: &V, request: &ReconcileRequest) -> Decided<V> {
    let id = request.channel;
    let mut channel = known(view, &id)?;
    let quarantined = channel
        .quarantined
        .take()
        .ok_or(Refusal::NotQuarantined { channel: id })?;
    let anchor = view.anchor(&id).map_err(Fault::View)?;
    let gone =
        |anchor: &Anchor| anchor.orphaned.is_some() || anchor.closing.is_some() || anchor.closed.is_some();
    if anchor.as_ref().is_some_and(gone) {
        return Err(Refusal::NotBacked { channel: id }.into());
    }
    if let Some(purchase) = channel.pending {
        return Err(Refusal::PurchasePending {
            purchase,
            same: false,
        }
        .into());
    }
    let reconciliation = Reconciliation {
        channel: id,
        kind: channel.kind,
        at: request.at,
        quarantined,
        seq: channel.seq,
        remaining: channel.posted_remaining(),
        shown: request.shown.map(|shown| shown.state),
    };
    match request.shown {
        None if !request.accept_loss => return Err(Refusal::NothingShown { channel: id }.into()),
        None => {}
        Some(shown) if shown.signer != channel.delegate => {
            return Err(Refusal::WrongSigner {
                signer: shown.signer,
                expected: channel.delegate,
            }
            .into());
        }
        Some(shown) => go_to(&mut channel, &shown, request.accept_loss)?,
    }
    set_prepaid(&mut channel, &reconciliation, request.prepaid)?;
    let mut changes = Vec::with_capacity(3);
    if (channel.seq, channel.posted_remaining()) != (reconciliation.seq, reconciliation.remaining) {
        changes.extend(super::voucher::moved(view, id, None, request.at)?);
    }
    let reconciliation = Box::new(reconciliation);
    changes.push(Change::Channel(Box::new(channel)));
    changes.push(Change::Reconciliation(reconciliation.clone()));
    Ok((changes, Outcome::Reconciled(reconciliation)))
}

/// Moves an idle channel to the state shown. It only ever goes on, and what is left in it only ever falls.
///
/// A buyer's signature alone proves what it paid. A seller's proves nothing of what it is to be paid: only a state that
/// the market maker signed as well does.
fn go_to(channel: &mut Channel, shown: &Shown, accept_loss: bool) -> Result<(), Refusal> {
    let (id, seq, remaining) = (channel.id, channel.seq, channel.posted_remaining());
    let (got_seq, got_balance) = (shown.state.seq, shown.state.balance);
    if (got_seq, got_balance) == (seq, remaining) {
        return Ok(());
    }
    let gap = remaining.checked_sub(got_balance).filter(|_| got_seq > seq);
    let Some(gap) = gap else {
        return Err(Refusal::NotLatest {
            channel: id,
            seq,
            remaining,
            got_seq,
            got_balance,
        });
    };
    if !channel.bound || channel.state != ChannelState::Open {
        return Err(Refusal::ChannelNotOpen { channel: id });
    }
    if channel.kind == ChannelKind::Paying && shown.countersigner != Some(channel.marketmaker) {
        return Err(Refusal::NotCountersigned {
            channel: id,
            got_seq,
            got_balance,
        });
    }
    if !accept_loss {
        return Err(Refusal::RecordsMissing {
            channel: id,
            seq,
            remaining,
            got_seq,
            got_balance,
        });
    }
    channel.seq = got_seq;
    channel.remaining = got_balance;
    // Whatever its seller may have adopted before followed from the state that was posted then.
    channel.abandoned = None;
    channel.spent = channel.spent.checked_add(gap).ok_or(Refusal::Overflow)?;
    Ok(())
}

/// What its seller was paid for no purchase, once the channel stands where it was shown to.
///
/// A seller shows what the market maker signed for, be it of a sale that the ledger lost or of one that was void: the two
/// look the same, and there is one of the latter at most. So the seller has earned it unless the operator knows better.
/// Whatever the channel paid in between, it paid after all that was prepaid had been netted.
fn set_prepaid(channel: &mut Channel, moved: &Reconciliation, said: Option<Amount>) -> Result<(), Refusal> {
    let (before, paid) = (channel.prepaid, moved.amount());
    let least = if moved.positions() == 0 {
        before
    } else {
        Amount::ZERO
    };
    let most = match channel.kind {
        ChannelKind::Paying => before.checked_add(paid).ok_or(Refusal::Overflow)?,
        ChannelKind::Payment => Amount::ZERO,
    };
    let earned = if paid.is_zero() { before } else { Amount::ZERO };
    let prepaid = said.unwrap_or(earned);
    if !(least..=most).contains(&prepaid) {
        return Err(Refusal::PrepaidBeyond {
            channel: channel.id,
            least,
            most,
            got: prepaid,
        });
    }
    channel.prepaid = prepaid;
    if !prepaid.is_zero() {
        // It stays open until it is netted, so that its seller takes no second purchase in advance.
        channel.unresolved = channel.unresolved.max(1);
    }
    Ok(())
}

fn known<V: View>(view: &V, id: &ChannelId) -> Result<Channel, Fault<V::Error>> {
    let channel = view.channel(id).map_err(Fault::View)?;
    channel.ok_or(Fault::Refused(Refusal::ChannelUnknown { channel: *id }))
}
