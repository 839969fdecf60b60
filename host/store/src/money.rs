//! What is in the channels, kept up as they change: a figure must not cost a walk through the ledger each time it is read.

use crate::codec;
use crate::error::StoreError;
use crate::tables::Tables;
use bourse_market::{Amount, Channel, ChannelKind, ChannelState};
use heed::{AnyTls, RoTxn};
use serde::{Deserialize, Serialize};

/// The money of a ledger's channels, by their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Money {
    /// Of buyers, on its way to the market.
    pub payment: Held,
    /// Of the market, on its way to sellers.
    pub paying: Held,
}

/// Sums over the channels of one kind, in base units. All but [`Held::spent`] are of channels that are not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// How many there are.
    pub channels: u64,
    /// What was deposited into them.
    pub deposited: Amount,
    /// What of it is neither spent nor reserved.
    pub remaining: Amount,
    /// What is reserved by purchases under way.
    pub inflight: Amount,
    /// What was spent and is not settled yet.
    pub unsettled: Amount,
    /// What sellers were paid in advance, and is netted from their next sales.
    pub prepaid: Amount,
    /// What was spent over all channels that there ever were.
    pub spent: Amount,
}

impl Money {
    /// Adds up every channel of the ledger. One that cannot be read counts for nothing: whether a market may trade on such a
    /// ledger is for its checks to say.
    pub(crate) fn count(tables: &Tables, txn: &RoTxn<'_, AnyTls>) -> Result<Self, StoreError> {
        let mut money = Self::default();
        for entry in tables.channels.iter(txn)? {
            match codec::decode::<Channel>(tables.channels.name, entry?.1) {
                Ok(channel) => money.replace(None, &channel),
                Err(error) => tracing::error!(%error, "a channel is missing in the figures of money"),
            }
        }
        Ok(money)
    }

    /// A channel is written, in the place of `old`.
    pub(crate) fn replace(&mut self, old: Option<&Channel>, new: &Channel) {
        if let Some(old) = old {
            self.of(old.kind).change(old, less);
        }
        self.of(new.kind).change(new, Amount::saturating_add);
        if let Some(old) = old.filter(|old| is_unsettled(old)) {
            let held = self.of(old.kind);
            held.channels = held.channels.saturating_sub(1);
        }
        if is_unsettled(new) {
            let held = self.of(new.kind);
            held.channels = held.channels.saturating_add(1);
        }
    }

    fn of(&mut self, kind: ChannelKind) -> &mut Held {
        match kind {
            ChannelKind::Payment => &mut self.payment,
            ChannelKind::Paying => &mut self.paying,
        }
    }
}

impl Held {
    fn change(&mut self, channel: &Channel, by: fn(Amount, Amount) -> Amount) {
        self.spent = by(self.spent, channel.spent);
        if !is_unsettled(channel) {
            return;
        }
        for (sum, part) in [
            (&mut self.deposited, channel.amount),
            (&mut self.remaining, channel.remaining),
            (&mut self.inflight, channel.inflight),
            (&mut self.unsettled, channel.spent),
            (&mut self.prepaid, channel.prepaid),
        ] {
            *sum = by(*sum, part);
        }
    }
}

/// What is taken off was added before, so that nothing is ever cut off.
fn less(sum: Amount, part: Amount) -> Amount {
    sum.checked_sub(part).unwrap_or_default()
}

fn is_unsettled(channel: &Channel) -> bool {
    channel.state != ChannelState::Closed
}
