//! Sales and quotes in sliding windows: what policies may know of demand.
//!
//! What lives here: counters in memory, fed with posted purchases and answered quotes, asked at every price. Windows
//! are buckets of four widths, so that a day costs no more to sum than two minutes, and nothing grows
//! without bound: neither with traffic nor with the number of keys somebody invents.
//!
//! What never does: a clock (moments are arguments), persistence (receipts rebuild it at start; quotes start at 0),
//! decisions.

mod window;

use crate::{Address, Amount, ApiId, KeyId, Nanos};
use std::collections::{BTreeMap, HashMap};
use window::Track;

/// Subjects with a sale that are kept.
const MAX_SOLD: usize = 32_768;
/// Subjects that were only ever quoted. Apart from the others, because asking is free: whoever invents keys and asks
/// for them drives out his like, never the record of a sale.
const MAX_QUOTED: usize = 8_192;
/// Buckets over all subjects, 48 bytes each: 24 MiB.
const MAX_CELLS: usize = 1 << 19;
/// A subject counts as busy for that long before its place among the idle is moved again: the ordered map of the
/// idle is then off the path of whoever is asked for all the time.
const TOUCH: u64 = 1_000_000_000;

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

/// The demand window: a record of what each subject sold and was asked for during the last day.
///
/// Recording touches at most 16 buckets, asking sums at most 121. When a bound is reached, the subject that was idle
/// longest is forgotten.
#[derive(Debug)]
pub struct Demand {
    bounds: Bounds,
    /// Never iterated, so its random order shows nowhere.
    subjects: HashMap<Subject, Track>,
    /// The subjects without and with sales, idlest first, by the number of their last touch.
    quoted: BTreeMap<u64, Subject>,
    sold: BTreeMap<u64, Subject>,
    touches: u64,
    cells: usize,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    sold: usize,
    quoted: usize,
    cells: usize,
}

impl Default for Demand {
    fn default() -> Self {
        Self::bounded(Bounds {
            sold: MAX_SOLD,
            quoted: MAX_QUOTED,
            cells: MAX_CELLS,
        })
    }
}

impl Demand {
    /// The longest window, in milliseconds: a day. A longer one is cut to it.
    pub const MAX_WINDOW_MS: u32 = 86_400_000;

    /// Nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn bounded(bounds: Bounds) -> Self {
        let (quoted, sold) = (BTreeMap::new(), BTreeMap::new());
        Self {
            bounds,
            subjects: HashMap::new(),
            quoted,
            sold,
            touches: 0,
            cells: 0,
        }
    }

    /// Counts a posted purchase under its key, API, seller and buyer. Fed in order of time, or nearly so: what comes
    /// two minutes late or more means that the clock was set back, and what lies that far ahead of it is forgotten.
    pub fn record_sale(&mut self, sale: &Sale) {
        let subjects = [
            Subject::Key(sale.key),
            Subject::Api(sale.api),
            Subject::Seller(sale.seller),
            Subject::Buyer(sale.buyer),
        ];
        subjects
            .into_iter()
            .for_each(|subject| self.record(subject, sale.at, Some(sale.price)));
    }

    /// Counts an answered quote; the buyer only if it is proven.
    pub fn record_quote(
        &mut self,
        at: Nanos,
        key: KeyId,
        api: ApiId,
        seller: Address,
        buyer: Option<Address>,
    ) {
        let subjects = [
            Some(Subject::Key(key)),
            Some(Subject::Api(api)),
            Some(Subject::Seller(seller)),
        ];
        let subjects = subjects.into_iter().chain([buyer.map(Subject::Buyer)]).flatten();
        subjects.for_each(|subject| self.record(subject, at, None));
    }

    /// The figures of `subject` over the last `window_ms` milliseconds before `now`, the window rounded up to whole
    /// buckets: of 1 s for windows up to 2 minutes, 10 s up to 20 minutes, 90 s up to 3 hours, 12 minutes up to a day.
    pub fn figures(&self, subject: Subject, now: Nanos, window_ms: u32) -> Figures {
        self.subjects
            .get(&subject)
            .map(|track| track.figures(now, window_ms))
            .unwrap_or_default()
    }

    /// The first moment that [`Demand::figures`] counts for a window of `window_ms` milliseconds before `now`: for who
    /// has a list of sales, and wants to know what the figures were.
    pub fn window_begins(now: Nanos, window_ms: u32) -> Nanos {
        window::begins(now, window_ms)
    }

    /// How many subjects are tracked, for metrics.
    pub fn subjects(&self) -> usize {
        self.subjects.len()
    }

    fn record(&mut self, subject: Subject, at: Nanos, sale: Option<Amount>) {
        let track = self.subjects.entry(subject).or_default();
        let before = track.cells();
        let was_sold = track.has_sold();
        track.record(at, sale);
        self.cells = self.cells.saturating_sub(before).saturating_add(track.cells());

        let settled = track.touched.is_some() && was_sold == track.has_sold();
        if settled && at.since(track.touched_at) < TOUCH {
            return self.evict();
        }
        if let Some(place) = track.touched {
            if was_sold {
                self.sold.remove(&place)
            } else {
                self.quoted.remove(&place)
            };
        }
        self.touches = self.touches.saturating_add(1);
        track.touched = Some(self.touches);
        track.touched_at = at;
        let idle = if track.has_sold() {
            &mut self.sold
        } else {
            &mut self.quoted
        };
        idle.insert(self.touches, subject);
        self.evict();
    }

    fn evict(&mut self) {
        while self.quoted.len() > self.bounds.quoted
            || (self.cells > self.bounds.cells && !self.quoted.is_empty())
        {
            let idlest = self.quoted.pop_first();
            self.forget(idlest);
        }
        while self.sold.len() > self.bounds.sold || (self.cells > self.bounds.cells && !self.sold.is_empty())
        {
            let idlest = self.sold.pop_first();
            self.forget(idlest);
        }
    }

    fn forget(&mut self, idlest: Option<(u64, Subject)>) {
        if let Some(track) = idlest.and_then(|(_, subject)| self.subjects.remove(&subject)) {
            self.cells = self.cells.saturating_sub(track.cells());
        }
    }
}

#[cfg(test)]
mod tests;
