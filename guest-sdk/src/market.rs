//! The import `market`: what a policy may ask about demand.

use crate::{Address, Amount, ApiId, KeyId, Nanos};

/// Whose demand is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One key.
    Key(KeyId),
    /// All keys of an API.
    Api(ApiId),
    /// All keys of a seller's delegate.
    Seller(Address),
    /// All purchases of a buyer's delegate.
    Buyer(Address),
}

/// What happened within a window that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Purchases that were posted.
    pub sales: u64,
    /// What they paid together.
    pub volume: Amount,
    /// Quotes that were answered. Kept in memory only, so zero after a start, and free to ask for: a price that
    /// follows them can be pushed by anyone.
    pub quotes: u64,
    /// Price of the last sale, whenever it was.
    pub last_price: Option<Amount>,
    /// Time of the last sale, whenever it was.
    pub last_at: Option<Nanos>,
}

impl Figures {
    /// What a sale of the window paid on average, rounded down; none without sales.
    pub fn average_price(&self) -> Option<Amount> {
        self.volume.checked_div(self.sales)
    }
}

/// Longest window that can be asked for: one day, in milliseconds.
pub const MAX_WINDOW_MS: u32 = 86_400_000;

/// Demand, read-only. In a component it is the host's; in tests it is [`crate::testing::MockMarket`].
///
/// The operator must grant it by the name `market` in the policy's rule. A policy that asks without the grant fails,
/// and the rule's `on_failure` decides; a policy that never asks needs no grant.
pub trait Market {
    /// The figures of `subject` over the last `window_ms` milliseconds, at most [`MAX_WINDOW_MS`]. The host counts in
    /// buckets and rounds the window up to whole ones.
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures;
}
