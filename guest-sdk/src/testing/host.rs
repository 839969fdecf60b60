//! A host for hooks under test.

use super::{MockMarket, NOW};
use crate::{Figures, Level, Log, MAX_CHANGES, MAX_KEY, MAX_VALUE, Market, State, Subject};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What a call did to its state, in the order in which it did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Set a value, or removed it.
    Set(String, Option<Vec<u8>>),
    /// Added to a counter.
    Add(String, i64),
}

/// A host that grants everything: the figures of a [`MockMarket`], values and counters, and a log.
///
/// A hook sees its own changes at once, as in the sandbox. Whether the next call sees them is up to the test:
/// [`post`](Self::post) keeps them, as a posted purchase does, and [`forget`](Self::forget) drops them, as a quote does.
#[derive(Debug, Clone)]
pub struct MockHost {
    /// The demand. Its clock is the end of every window.
    pub market: MockMarket,
    values: BTreeMap<String, Vec<u8>>,
    counters: BTreeMap<String, i64>,
    changes: RefCell<Vec<Change>>,
    lines: RefCell<Vec<(Level, String)>>,
}

impl Default for MockHost {
    fn default() -> Self {
        Self::from(MockMarket {
            now: NOW,
            ..MockMarket::default()
        })
    }
}

impl From<MockMarket> for MockHost {
    fn from(market: MockMarket) -> Self {
        Self {
            market,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            changes: RefCell::default(),
            lines: RefCell::default(),
        }
    }
}

impl MockHost {
    /// With a posted value.
    #[must_use]
    pub fn with_value(mut self, key: &str, value: &[u8]) -> Self {
        self.values.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With a posted counter.
    #[must_use]
    pub fn with_counter(mut self, key: &str, count: i64) -> Self {
        self.counters.insert(key.to_owned(), count);
        self
    }

    /// What was changed and not yet posted or forgotten.
    pub fn changes(&self) -> Vec<Change> {
        self.changes.borrow().clone()
    }

    /// The lines that were logged.
    pub fn lines(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }

    /// Makes the changes last, as the purchase does that they were made for.
    pub fn post(&mut self) {
        for change in self.changes.take() {
            match change {
                Change::Set(key, Some(value)) => {
                    self.values.insert(key, value);
                }
                Change::Set(key, None) => {
                    self.values.remove(&key);
                }
                Change::Add(key, delta) => {
                    let counter = self.counters.entry(key).or_default();
                    *counter = counter.saturating_add(delta);
                }
            }
        }
    }

    /// Drops the changes, as after a quote.
    pub fn forget(&mut self) {
        self.changes.take();
    }

    fn change(&self, change: Change) {
        let (key, len) = match &change {
            Change::Set(key, value) => (key, value.as_ref().map_or(0, Vec::len)),
            Change::Add(key, _) => (key, 0),
        };
        allowed(key);
        assert!(
            len <= MAX_VALUE,
            "a value of {len} bytes under `{key}`: expected at most {MAX_VALUE}"
        );
        let mut changes = self.changes.borrow_mut();
        changes.push(change);
        assert!(
            changes.len() <= MAX_CHANGES,
            "a call may make {MAX_CHANGES} changes: this one makes more"
        );
    }
}

/// Fails the test where the sandbox would fail the call.
fn allowed(key: &str) {
    assert!(
        key.len() <= MAX_KEY,
        "the key `{key}` has {} bytes: expected at most {MAX_KEY}",
        key.len()
    );
}

impl Market for MockHost {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.market.demand(subject, window_ms)
    }
}

impl State for MockHost {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        allowed(key);
        let changes = self.changes.borrow();
        let own = changes.iter().rev().find_map(|change| match change {
            Change::Set(changed, value) if changed == key => Some(value.clone()),
            _ => None,
        });
        own.unwrap_or_else(|| self.values.get(key).cloned())
    }

    fn set(&self, key: &str, value: Option<&[u8]>) {
        self.change(Change::Set(key.to_owned(), value.map(<[u8]>::to_owned)));
    }

    fn counter(&self, key: &str) -> i64 {
        allowed(key);
        let changes = self.changes.borrow();
        let own = changes.iter().filter_map(|change| match change {
            Change::Add(changed, delta) if changed == key => Some(*delta),
            _ => None,
        });
        own.fold(self.counters.get(key).copied().unwrap_or(0), i64::saturating_add)
    }

    fn add(&self, key: &str, delta: i64) {
        self.change(Change::Add(key.to_owned(), delta));
    }
}

impl Log for MockHost {
    fn line(&self, level: Level, text: &str) {
        self.lines.borrow_mut().push((level, text.to_owned()));
    }
}

/// A host that grants nothing, for policies that must not ask: every question fails the test.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

#[allow(
    clippy::panic,
    reason = "this is an assertion of a test bench; components never contain it"
)]
fn denied(what: &str) -> ! {
    panic!("the policy {what}, which this test does not grant")
}

impl Market for NoHost {
    fn demand(&self, subject: Subject, _window_ms: u32) -> Figures {
        denied(&format!("asked for the demand of {subject:?}"))
    }
}

impl State for NoHost {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        denied(&format!("read the value `{key}`"))
    }

    fn set(&self, key: &str, _value: Option<&[u8]>) {
        denied(&format!("set the value `{key}`"))
    }

    fn counter(&self, key: &str) -> i64 {
        denied(&format!("read the counter `{key}`"))
    }

    fn add(&self, key: &str, _delta: i64) {
        denied(&format!("added to the counter `{key}`"))
    }
}

impl Log for NoHost {
    fn line(&self, _level: Level, text: &str) {
        denied(&format!("logged `{text}`"))
    }
}
