//! What must be true of every committed ledger.
//!
//! What lives here: the [`Violation`]s, the checks one record allows by itself, and the [`Auditor`], a fold that
//! is fed every record once, in any order, and finds what only all of them together show. `MONEY.md`'s invariants
//! are checked here and nowhere else, for a ledger in memory and for one on disk alike.
//!
//! What never does: reading. Whoever owns the records feeds them.

mod auditor;
mod escrow;
mod line;
mod logins;
mod outbox;
mod step;
mod violation;

pub use auditor::{Auditor, Sums};
pub use step::{check_in_place, check_sale_in_place};
pub use violation::{Side, Violation};

use crate::{
    Amount, Channel, ChannelKind, ChannelState, Doubt, EscrowSale, Identity, Purchase, Recovery, Seq, Totals,
};

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
        let parts = channel.posted_remaining().saturating_add(channel.spent);
        return Err(Violation::ChannelSum {
            channel: id,
            parts,
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
    if let Some(what) = misclosed(channel) {
        return Err(Violation::ChannelShape { channel: id, what });
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
    if channel.quarantined.is_some() && matches!(channel.state, ChannelState::Closed | ChannelState::Failed) {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "it is settled and yet in quarantine",
        });
    }
    let paying_only = channel.suspended.is_some()
        || channel.unresolved > 0
        || channel.abandoned.is_some()
        || !channel.prepaid.is_zero();
    if channel.kind == ChannelKind::Payment && paying_only {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "a payment channel is never suspended, and owes nothing",
        });
    }
    if channel.prepaid > channel.spent {
        return Err(Violation::ChannelShape {
            channel: id,
            what: "more was prepaid on it than was spent",
        });
    }
    Ok(())
}

/// Why a channel's final state does not go with the rest of its record, if it does not.
fn misclosed(channel: &Channel) -> Option<&'static str> {
    let open = channel.state == ChannelState::Open;
    let Some(closing) = &channel.closing else {
        return (!open).then_some("it is not open and yet has no final state");
    };
    if open {
        Some("it is open and yet has a final state")
    } else if closing.seq != channel.seq || closing.balance != channel.posted_remaining() {
        Some("its final state is not its posted one")
    } else if channel.suspended.is_some() {
        Some("it is closed and yet waits for its seller")
    } else {
        None
    }
}

/// What one purchase record shows by itself.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_purchase(purchase: &Purchase) -> Result<(), Violation> {
    let bought = Bought {
        identity: &purchase.identity,
        price: purchase.price,
        fee: purchase.fee,
        seq: purchase.payment_seq,
        balance: purchase.payment_balance,
    };
    let what = if let Some(what) = bought.misshape() {
        what
    } else if purchase.paying_seq <= Seq::FIRST {
        BELOW_FIRST
    } else if purchase.held().is_none() {
        "its seller was paid more before than it is owed, or is asked to take less"
    } else if is_asked_too_often(purchase) {
        "its seller was asked again more often than may be"
    } else if !do_follow(purchase) {
        "its further questions do not follow from the ones before"
    } else if purchase.answered().is_none() {
        "it was posted by a step of recovery that is not on record"
    } else {
        return Ok(());
    };
    Err(Violation::PurchaseShape {
        purchase: purchase.id,
        what,
    })
}

/// What one sale of an escrowed key shows by itself.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_escrow_sale(sale: &EscrowSale) -> Result<(), Violation> {
    let bought = Bought {
        identity: &sale.identity,
        price: sale.price,
        fee: sale.fee,
        seq: sale.payment_seq,
        balance: sale.payment_balance,
    };
    let purchase = sale.id;
    bought
        .misshape()
        .map_or(Ok(()), |what| Err(Violation::PurchaseShape { purchase, what }))
}

/// The buyer's side of a purchase, whoever sold.
struct Bought<'p> {
    identity: &'p Identity,
    price: Amount,
    fee: Amount,
    seq: Seq,
    balance: Amount,
}

const BELOW_FIRST: &str = "it takes a channel to seq 1 or below, where a channel starts";

impl Bought<'_> {
    /// Which of its fields exclude each other, in words.
    fn misshape(&self) -> Option<&'static str> {
        let identity = self.identity;
        if self.fee > self.price {
            Some("its fee is above its price")
        } else if self.price > identity.amount {
            Some("its price is above what its buyer offered")
        } else if self.balance != identity.balance {
            Some("its payment balance is not what its buyer signed")
        } else if identity.seq != self.seq && identity.seq.next() != Some(self.seq) {
            Some("its payment seq is neither what its buyer signed nor the one after")
        } else if self.seq <= Seq::FIRST {
            Some(BELOW_FIRST)
        } else {
            None
        }
    }
}

fn is_asked_too_often(purchase: &Purchase) -> bool {
    let unclear = |step: &&Recovery| step.doubt == Doubt::Unclear;
    purchase.recoveries.len() > Purchase::QUESTIONS
        || purchase.recoveries.iter().filter(unclear).count() > Purchase::RECOVERIES
}

/// Each question confirms one before it, or goes on from a state of an abandoned purchase, which are all ahead of the
/// posted one. None leaves more than the first.
fn do_follow(purchase: &Purchase) -> bool {
    purchase.recoveries.iter().enumerate().all(|(at, step)| {
        let follows = match step.doubt {
            Doubt::Unclear => purchase
                .asks()
                .take(at + 1)
                .any(|ask| ask.confirmed() == Some(step.ask)),
            Doubt::Elsewhere => step.ask.seq > purchase.paying_seq,
        };
        follows && step.ask.balance <= purchase.paying_balance
    })
}

/// Accounts and channels against the endowment (local mode).
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_totals(totals: &Totals, accounts: Amount, channels: Amount) -> Result<(), Violation> {
    let (held, endowed) = (
        accounts.checked_add(channels),
        totals.float.checked_add(totals.granted),
    );
    if held.is_none() || held != endowed {
        let all = |sum: Option<Amount>| sum.unwrap_or(Amount::MAX);
        return Err(Violation::Conservation {
            held: all(held),
            endowed: all(endowed),
        });
    }
    Ok(())
}
