//! What must be true of every committed ledger.
use crate::{Amount, Channel, ChannelId, Totals};

/// An invariant that does not hold, with the values that break it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// remaining + inflight + spent ≠ amount.
    #[error("channel {channel}: remaining + inflight + spent is not its amount")]
    ChannelSum {
        /// The channel.
        channel: ChannelId,
    },
}

/// What one channel record shows by itself.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_channel(_channel: &Channel) -> Result<(), Violation> {
    Ok(())
}

/// Accounts and channels against the endowment (local mode).
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_totals(_totals: &Totals, _accounts: Amount, _channels: Amount) -> Result<(), Violation> {
    Ok(())
}
