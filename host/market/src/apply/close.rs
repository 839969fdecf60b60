//! Closing channels: the last state both sides sign is the one the ledger holds, or there is none.
//!
//! A channel closes once. What it comes to is decided here alone, on the record as it stands in the write: a purchase
//! that is under way must end first, and a state that is not the posted one, to the unit, leaves the channel open.

use super::escrow::Due;
use super::{Decided, genesis_of};
use crate::{
    Account, Address, Amount, Change, Changes, Channel, ChannelState, CloseRequest, Closing, Fault, Outcome,
    Refusal, View,
};

/// Records both signatures over the final state. In local mode the money leaves the channel in the same write: what
/// was spent goes to the recipient, the rest to whoever deposited it. With a chain that is the contract's to do.
pub(super) fn close<V: View>(view: &V, request: &CloseRequest) -> Decided<V> {
    let genesis = genesis_of(view)?;
    let id = request.id;
    let channel = view.channel(&id).map_err(Fault::View)?;
    let mut channel = channel.ok_or(Refusal::ChannelUnknown { channel: id })?;
    if request.signer != channel.delegate {
        return Err(Refusal::WrongSigner {
            signer: request.signer,
            expected: channel.delegate,
        }
        .into());
    }
    if let Some(closing) = &mut channel.closing {
        if !is_same(closing, request) || request.close_at < closing.close_at {
            return Err(Refusal::ChannelNotOpen { channel: id }.into());
        }
        let again = request.close_at == closing.close_at;
        // The contract takes a state for so many blocks only. Until it has, the one final state is signed anew.
        if !again && (genesis.local || channel.state != ChannelState::Closing) {
            return Err(Refusal::ChannelNotOpen { channel: id }.into());
        }
        let mut changes = Vec::new();
        if !again {
            closing.close_at = request.close_at;
            closing.delegate_signature = request.delegate_signature;
            closing.marketmaker_signature = request.marketmaker_signature;
            changes.push(Change::Channel(Box::new(channel.clone())));
        }
        let channel = Box::new(channel);
        return Ok((changes, Outcome::Closed { channel, again }));
    }
    // What was paid for no purchase yet is not its seller's to leave with.
    let returned = give_back(&mut channel)?;
    let due = Due::over(view, &channel)?;
    let settles = check_state(&channel, request, &due)?;

    // Whatever its seller was left with: by its own signature it stands where the ledger does.
    channel.suspended = None;
    channel.abandoned = None;
    channel.closing = Some(Box::new(Closing {
        at: request.at,
        close_at: request.close_at,
        seq: request.seq,
        balance: request.balance,
        returned,
        is_final: request.is_final,
        delegate_signature: request.delegate_signature,
        marketmaker_signature: request.marketmaker_signature,
    }));
    let mut changes = Vec::with_capacity(5);
    if settles {
        changes.extend(due.settle(&mut channel, request.at)?);
    }
    channel.state = if genesis.local {
        changes.extend(pay_out(view, &channel)?);
        ChannelState::Closed
    } else {
        ChannelState::Closing
    };
    changes.push(Change::Channel(Box::new(channel.clone())));
    let channel = Box::new(channel);
    Ok((
        changes,
        Outcome::Closed {
            channel,
            again: false,
        },
    ))
}

/// What was prepaid becomes what is left again. Yields how much it is.
fn give_back(channel: &mut Channel) -> Result<Amount, Refusal> {
    let prepaid = core::mem::take(&mut channel.prepaid);
    channel.spent = channel.spent.checked_sub(prepaid).ok_or(Refusal::Overflow)?;
    channel.remaining = channel.remaining.checked_add(prepaid).ok_or(Refusal::Overflow)?;
    Ok(prepaid)
}

/// Whether it is the state that was signed already, over whichever block. The signature is verified, and never part of
/// what makes two requests the same.
fn is_same(closing: &Closing, request: &CloseRequest) -> bool {
    closing.seq == request.seq && closing.balance == request.balance && closing.is_final == request.is_final
}

/// Open, nothing under way, and the state is the posted one, to the unit, what was prepaid given back, or that less all
/// that is due over it.
/// Yields whether it is the latter.
fn check_state(channel: &Channel, request: &CloseRequest, due: &Due) -> Result<bool, Refusal> {
    let id = channel.id;
    if channel.state != ChannelState::Open {
        return Err(Refusal::ChannelNotOpen { channel: id });
    }
    if channel.quarantined.is_some() {
        return Err(Refusal::ChannelQuarantined { channel: id });
    }
    if request.close_at.is_zero() {
        return Err(Refusal::ZeroBlock);
    }
    if let Some(purchase) = channel.pending {
        return Err(Refusal::PurchasePending {
            purchase,
            same: false,
        });
    }
    let (seq, remaining) = (channel.seq, channel.posted_remaining());
    if !request.is_final {
        return Err(Refusal::NotFinal {
            channel: id,
            seq,
            remaining,
        });
    }
    let settles = !due.amount.is_zero() && remaining.checked_sub(due.amount) == Some(request.balance);
    if let (true, Some(quarantined)) = (settles, due.held_by) {
        return Err(Refusal::DebtHeld {
            channel: id,
            remaining,
            due: Box::new(due.amount),
            quarantined,
        });
    }
    let payable = !due.amount.is_zero() && due.held_by.is_none();
    if request.seq != seq || !(request.balance == remaining || settles) {
        return Err(Refusal::NotPosted {
            channel: id,
            seq,
            remaining,
            due: payable.then(|| Box::new(due.amount)),
            got_seq: request.seq,
            got_balance: request.balance,
        });
    }
    Ok(settles)
}

/// What the channel holds, back in accounts. One account may get both parts.
fn pay_out<V: View>(view: &V, channel: &Channel) -> Result<Changes, Fault<V::Error>> {
    let (recipient, depositor) = (channel.recipient, channel.depositor());
    let (spent, rest) = (channel.spent, channel.posted_remaining());
    if recipient == depositor {
        let all = spent.checked_add(rest).ok_or(Refusal::Overflow)?;
        return Ok(vec![credit(view, recipient, all)?]);
    }
    let parts = [(recipient, spent), (depositor, rest)];
    parts
        .into_iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(address, amount)| credit(view, address, amount))
        .collect()
}

fn credit<V: View>(view: &V, address: Address, amount: Amount) -> Result<Change, Fault<V::Error>> {
    let account = view.account(&address).map_err(Fault::View)?.unwrap_or_default();
    let balance = account.balance.checked_add(amount).ok_or(Refusal::Overflow)?;
    Ok(Change::Account(address, Account { balance, ..account }))
}
