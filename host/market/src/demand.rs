//! Sales and quotes in sliding windows: what policies may know of demand. Bounded memory, no clock.
use crate::{Address, Amount, ApiId, KeyId, Nanos};

/// Whose demand.
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

/// One posted purchase, as demand sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// When it was posted.
    pub at: Nanos,
    /// The key.
    pub key: KeyId,
    /// Its API.
    pub api: ApiId,
    /// Its seller's delegate.
    pub seller: Address,
    /// The buyer's delegate.
    pub buyer: Address,
    /// What was paid.
    pub price: Amount,
}

/// What happened in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Posted purchases.
    pub sales: u64,
    /// What they paid, saturating.
    pub volume: Amount,
    /// Answered get_quote calls; memory only.
    pub quotes: u64,
    /// Price of the last sale, whenever it was.
    pub last_price: Option<Amount>,
    /// Time of the last sale, whenever it was.
    pub last_at: Option<Nanos>,
}

/// The demand window.
#[derive(Debug, Default)]
pub struct Demand {}

impl Demand {
    /// Counts a posted purchase under its key, API, seller and buyer.
    pub fn record_sale(&mut self, _sale: &Sale) {}
    /// Counts an answered quote; the buyer only if it is proven.
    pub fn record_quote(
        &mut self,
        _at: Nanos,
        _key: KeyId,
        _api: ApiId,
        _seller: Address,
        _buyer: Option<Address>,
    ) {
    }
    /// The figures of `subject` over the last `window_ms` milliseconds before `now`.
    pub fn figures(&self, _subject: Subject, _now: Nanos, _window_ms: u32) -> Figures {
        Figures::default()
    }
}
