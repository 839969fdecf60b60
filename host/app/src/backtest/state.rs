//! The state that a policy would have had, were it in force since the log began: empty at first, then what the policy
//! itself would have written with the purchases of the log.

use super::change::is_good;
use super::entry::Entry;
use bourse_market::Nanos;
use bourse_policy::{Args, Record};
use std::collections::BTreeMap;

/// A policy's values and counters, at the moment of the log that has been reached.
#[derive(Debug, Default)]
pub(super) struct State {
    values: BTreeMap<String, Vec<u8>>,
    counters: BTreeMap<String, i64>,
    /// Changes of purchases that are not posted yet, with the time when they are.
    pending: Vec<(Nanos, Vec<Args>)>,
}

impl State {
    /// Goes on to `now`: what was posted until then is seen.
    pub(super) fn reach(&mut self, now: Nanos) {
        let (mut due, later): (Vec<_>, Vec<_>) = core::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.pending = later;
        due.sort_by_key(|(at, _)| *at);
        for (_, changes) in due {
            changes.into_iter().for_each(|change| self.apply(change));
        }
    }

    /// Notes what `decided` changes, if the purchase of `entry` is made on it. As with a host, nothing else is kept.
    pub(super) fn note(&mut self, entry: &Entry, decided: &Record) {
        let Some(sale) = &entry.sale else { return };
        if !is_good(&decided.output) {
            return;
        }
        let changes: Vec<Args> = decided
            .imports
            .iter()
            .map(|call| &call.args)
            .filter(|args| matches!(args, Args::Set { .. } | Args::Add { .. }))
            .cloned()
            .collect();
        if !changes.is_empty() {
            self.pending.push((sale.at_ns, changes));
        }
    }

    fn apply(&mut self, change: Args) {
        match change {
            Args::Set {
                key,
                value: Some(value),
            } => {
                self.values.insert(key, value.0.to_vec());
            }
            Args::Set { key, value: None } => {
                self.values.remove(&key);
            }
            Args::Add { key, delta } => {
                let counter = self.counters.entry(key).or_default();
                *counter = counter.saturating_add(delta);
            }
            _ => {}
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).cloned()
    }

    pub(super) fn counter(&self, key: &str) -> i64 {
        self.counters.get(key).copied().unwrap_or(0)
    }
}
