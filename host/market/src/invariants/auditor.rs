//! The fold over all records.

use super::Violation;
use crate::{Account, Address, Amount, Binding, Channel, DecisionId, Genesis, Offer, Purchase, Totals};

/// Sums over the records seen so far, for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Balances of all accounts.
    pub accounts: Amount,
    /// What all channels that are not settled hold or have spent.
    pub channels: Amount,
    /// Endowment and grants, as the ledger says.
    pub endowed: Amount,
    /// Prices of all posted purchases.
    pub debits: Amount,
    /// Sellers' parts of them.
    pub credits: Amount,
    /// The market's parts.
    pub fees: Amount,
}

/// Checks a whole ledger: feed it every record once, in any order, then [`Auditor::finish`].
///
/// What it keeps is a few words for each channel, offer and account, one bit for each posted purchase and channel,
/// and 16 bytes for each decision. Feeding decisions before purchases is cheapest.
#[derive(Debug, Default)]
pub struct Auditor {}

impl Auditor {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// The ledger's first record.
    pub fn genesis(&mut self, _genesis: &Genesis) {}
    /// What the ledger was endowed with.
    pub fn totals(&mut self, _totals: &Totals) {}
    /// One account.
    pub fn account(&mut self, _address: &Address, _account: &Account) {}
    /// One delegate's actor.
    pub fn binding(&mut self, _delegate: &Address, _binding: &Binding) {}
    /// One channel.
    pub fn channel(&mut self, _channel: &Channel) {}
    /// One offer.
    pub fn offer(&mut self, _offer: &Offer) {}
    /// One purchase, whatever became of it.
    pub fn purchase(&mut self, _purchase: &Purchase) {}
    /// One recorded decision.
    pub fn decision(&mut self, _id: &DecisionId) {}
    /// The sums so far.
    pub fn sums(&self) -> Sums {
        Sums::default()
    }
    /// Everything that does not hold, none for a sound ledger.
    pub fn finish(self) -> Vec<Violation> {
        Vec::new()
    }
}
