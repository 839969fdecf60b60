//! A count that starts over with each period, kept in a policy's state so that overlapping purchases lose nothing.
//!
//! Several policies count something per buyer and period: keys, tokens, paid subscriptions. Purchases overlap, so two
//! calls may read the same state before either is posted; then of two `set`s the last stands, while every `add` counts.
//! Hence a count here is a counter that only ever grows, and a *begin*: a value that says when the period began, how
//! long it is, and what the counter was then. The count of the period is the counter now less the counter then.
//!
//! - Purchases within a period only add: nothing can be lost.
//! - Purchases that overlap at the start of a period each write a begin, all with the counter as it was before any of
//!   them, and each adds to the counter: whichever begin stands, every one of them counts.
//!
//! What never lives here: what is counted, and what follows from it. That is each policy's own.

mod key;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use key::{MAX_KEY, key, millis};

use bourse::State;

/// The shortest period, in milliseconds: longer than a quote can hold and a purchase can take, so that what overlaps
/// belongs to one period or to two that follow each other.
pub const MIN_PERIOD_MS: u64 = 60_000;

/// The longest period, in milliseconds: ten years of 365 days.
pub const MAX_PERIOD_MS: u64 = 315_360_000_000;

/// Tallies that a policy's state of 1 MiB can hold beside each other: each is a value and a counter with a key of at
/// most [`key::MAX_KEY`] bytes, 160 bytes together.
pub const MAX_TALLIES: u32 = 6_500;

/// The counter of all tallies that were ever begun.
const BEGUN: &str = "tallies";

/// Bytes of a begin.
const BEGIN_BYTES: usize = 24;

/// When a period began, and from which counter on it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Begin {
    /// Milliseconds since the Unix epoch.
    at_ms: u64,
    /// How long the period is. Kept, so that a change of parameters does not move a period under way.
    span_ms: u64,
    /// The counter then.
    counter: i64,
}

impl Begin {
    fn encode(self) -> [u8; BEGIN_BYTES] {
        let mut bytes = [0; BEGIN_BYTES];
        let fields = [self.at_ms, self.span_ms, self.counter.cast_unsigned()];
        for (slot, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *slot = field.to_le_bytes();
        }
        bytes
    }

    /// None for bytes that are no begin.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([at_ms, span_ms, counter], []) = bytes.as_chunks::<8>() else {
            return None;
        };
        Some(Self {
            at_ms: u64::from_le_bytes(*at_ms),
            span_ms: u64::from_le_bytes(*span_ms),
            counter: i64::from_le_bytes(*counter),
        })
    }
}

/// A count as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    begin: Option<Begin>,
    counter: i64,
}

impl Tally {
    /// Reads the tally under `key`, of a state that the rule must grant.
    pub fn read(state: &impl State, key: &str) -> Self {
        Self {
            begin: state.get(key).as_deref().and_then(Begin::decode),
            counter: state.counter(key),
        }
    }

    /// What was added since the period began; 0 before the first.
    pub fn count(&self) -> u64 {
        let Some(begin) = self.begin else { return 0 };
        let since = i128::from(self.counter) - i128::from(begin.counter);
        u64::try_from(since.max(0)).unwrap_or(u64::MAX)
    }

    /// When `periods` of them in a row are over, in milliseconds since the Unix epoch; none before the first.
    pub fn end_ms(&self, periods: u64) -> Option<u64> {
        let Begin { at_ms, span_ms, .. } = self.begin?;
        Some(at_ms.saturating_add(span_ms.saturating_mul(periods)))
    }

    /// The milliseconds that are left of the period and, for `periods` above 1, of those right after it; none if it is
    /// over, or there was none.
    pub fn left_ms(&self, now_ms: u64, periods: u64) -> Option<u64> {
        self.end_ms(periods)?.checked_sub(now_ms).filter(|left| *left > 0)
    }

    /// The count of the period at `now_ms`: 0 where it is over.
    pub fn count_at(&self, now_ms: u64) -> u64 {
        match self.left_ms(now_ms, 1) {
            Some(_) => self.count(),
            None => 0,
        }
    }

    /// Whether there never was a period, so that the first [`Tally::add`] takes up room in the state.
    pub const fn is_new(&self) -> bool {
        self.begin.is_none()
    }

    /// Whether the state has no room for this tally: it is new, and `max` others are there.
    ///
    /// A write that the host has no room for is dropped while its purchase is posted, and a policy never hears of it.
    /// So one that must not forget has to stop before.
    pub fn is_crowded_out(&self, state: &impl State, max: u32) -> bool {
        self.is_new() && state.counter(BEGUN) >= i64::from(max)
    }

    /// Adds `amount` to the running period.
    pub fn add(&self, state: &impl State, key: &str, amount: u64) {
        state.add(key, i64::try_from(amount).unwrap_or(i64::MAX));
    }

    /// Begins a period of `span_ms` at `now_ms`, and adds `amount` to it.
    pub fn begin(&self, state: &impl State, key: &str, amount: u64, now_ms: u64, span_ms: u64) {
        if self.is_new() {
            state.add(BEGUN, 1);
        }
        let begin = Begin {
            at_ms: now_ms,
            span_ms,
            counter: self.counter,
        };
        state.set(key, Some(&begin.encode()));
        self.add(state, key, amount);
    }

    /// Adds `amount` to the period that runs at `now_ms`, or begins one of `span_ms`.
    pub fn add_at(&self, state: &impl State, key: &str, amount: u64, now_ms: u64, span_ms: u64) {
        match self.left_ms(now_ms, 1) {
            Some(_) => self.add(state, key, amount),
            None => self.begin(state, key, amount, now_ms, span_ms),
        }
    }
}

#[cfg(test)]
mod tests;
