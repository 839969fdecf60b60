//! What must be true of every committed ledger.
//!
//! What lives here: the [`Violation`]s, the checks one record allows by itself, and the [`Auditor`], a fold that
//! is fed every record once, in any order, and finds what only all of them together show. `MONEY.md`'s invariants
//! are checked here and nowhere else, for a ledger in memory and for one on disk alike.
//!
//! What never does: reading. Whoever owns the records feeds them.

mod auditor;
mod violation;

pub use auditor::{Auditor, Sums};
pub use violation::{Side, Violation};

use crate::{Amount, Channel, ChannelKind, ChannelState, Seq, Totals};

/// What one channel record shows by itself.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_channel(channel: &Channel) -> Result<(), Violation> {
    let id = channel.id;
    let sum = channel
        .remaining
        .checked_add(channel.inflight)
        .and_then(|held| held.checked_add(channel.spent));
    if sum != Some(channel.amount) {
        return Err(Violation::ChannelSum {
            channel: id,
            remaining: channel.remaining,
            inflight: channel.inflight,
            spent: channel.spent,
            amount: channel.amount,
        });
    }
    if channel.pending.is_none() && !channel.inflight.is_zero() {
        return Err(Violation::InflightWithoutPending {
            channel: id,
            inflight: channel.inflight,
        });
    }
    if channel.seq < Seq::FIRST {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "its seq is below 1",
        });
    }
    if channel.pending.is_some() && !matches!(channel.state, ChannelState::Open) {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "it is not open and yet has a pending purchase",
        });
    }
    if channel.pending.is_some() && channel.suspended.is_some() {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "it is suspended and yet has a pending purchase",
        });
    }
    let moved = channel.pending.is_some() || channel.seq != Seq::FIRST || !channel.spent.is_zero();
    if !channel.bound && moved {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "its delegate belongs to another and yet it moved",
        });
    }
    let paying_only = channel.suspended.is_some() || channel.unresolved > 0;
    if channel.kind == ChannelKind::Payment && paying_only {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "a payment channel is never suspended",
        });
    }
    Ok(())
}

/// Accounts and channels against the endowment (local mode).
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_totals(totals: &Totals, accounts: Amount, channels: Amount) -> Result<(), Violation> {
    let endowed = totals.float.checked_add(totals.granted);
    if endowed.is_none() || accounts.checked_add(channels) != endowed {
        let (float, granted) = (totals.float, totals.granted);
        return Err(Violation::Conservation {
            accounts,
            channels,
            float,
            granted,
        });
    }
    Ok(())
}
