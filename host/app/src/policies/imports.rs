//! What a policy may ask the host, answered from memory and from the ledger as it stands committed.

use bourse_market::{Demand, Figures, Nanos, StateEdit, StateWrite, Subject, View};
use bourse_policy::{Failure, Imports, Level};
use bourse_store::{Reader, Store, StoreError};
use parking_lot::{Mutex, RwLock};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of all policies together in one second, and likewise lines about their failures; the rest is counted.
const LINES: u64 = 200;

/// Where answers come from.
pub(super) struct Ground {
    demand: Arc<Mutex<Demand>>,
    /// None once the market has stopped: nothing may keep its ledger open then.
    store: RwLock<Option<Store>>,
    lines: LineGate,
    /// Apart from the others: what a policy writes must not hide that another fails.
    failures: LineGate,
}

impl Ground {
    pub(super) fn new(demand: Arc<Mutex<Demand>>, store: Store) -> Self {
        Self {
            demand,
            store: RwLock::new(Some(store)),
            lines: LineGate::of("lines of policies"),
            failures: LineGate::of("failures of policies"),
        }
    }

    /// Whether one more failure may be told of in this second.
    pub(super) fn admits_failure(&self, now: Nanos) -> bool {
        self.failures.admit(now)
    }

    /// Reads the ledger as it stands committed, or says why it cannot.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        match &*self.store.read() {
            Some(store) => store
                .read()
                .and_then(|ledger| read(&ledger))
                .map_err(|error| error.to_string()),
            None => Err("the market has stopped".to_owned()),
        }
    }

    /// Lets go of the ledger, once nobody reads it any more.
    pub(super) fn close(&self) {
        *self.store.write() = None;
    }
}

/// The imports of one call.
pub(super) struct Live<'a> {
    ground: &'a Ground,
    policy: &'a str,
    now: Nanos,
    /// Why an answer could not be given: the call must not count then.
    failed: RefCell<Option<String>>,
}

impl<'a> Live<'a> {
    pub(super) fn new(ground: &'a Ground, policy: &'a str, now: Nanos) -> Self {
        Self {
            ground,
            policy,
            now,
            failed: RefCell::new(None),
        }
    }

    /// Whether the host failed the policy: its state could not be read, or has no room for `writes`. A policy that
    /// counts must not go on as if it had counted.
    pub(super) fn failure(&self, writes: &[StateWrite]) -> Option<Failure> {
        let unread = self.failed.borrow_mut().take();
        unread
            .or_else(|| self.overflow(writes))
            .map(|reason| Failure::Host { reason })
    }

    /// Whether these writes do not fit as the ledger stands. What they take the place of is taken off: once strangers
    /// have filled a policy's space, it must go on for those whom it knows already.
    fn overflow(&self, writes: &[StateWrite]) -> Option<String> {
        if writes.is_empty() {
            return None;
        }
        let size = self.read(|ledger| ledger.policy_size(self.policy));
        let taken: u64 = writes.iter().map(taken_by).sum();
        let fits = |grown: u64| grown <= StateWrite::QUOTA || grown <= size;
        // Far from full, which is nearly always, what was there need not be looked up.
        let grown = match fits(size.saturating_add(taken)) {
            true => size,
            false => self.read(|ledger| {
                let (mut seen, mut grown) = (BTreeSet::new(), size);
                // Of several writes to one place the last stands.
                for write in writes.iter().rev() {
                    let sets = matches!(write.edit, StateEdit::Set(_));
                    if seen.insert((sets, &write.key)) {
                        let freed = freed(ledger, write)?;
                        grown = grown.saturating_sub(freed).saturating_add(taken_by(write));
                    }
                }
                Ok(grown)
            }),
        };
        if let Some(unread) = self.failed.borrow_mut().take() {
            return Some(unread);
        }
        (!fits(grown)).then(|| {
            format!(
                "its state takes {size} of {} bytes, and this call would make that {grown}: let it remove what it no \
                 longer needs",
                StateWrite::QUOTA
            )
        })
    }

    fn read<T: Default>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> T {
        self.ground.read(read).unwrap_or_else(|error| {
            *self.failed.borrow_mut() = Some(format!("its state could not be read: {error}"));
            T::default()
        })
    }
}

/// What a write takes of its policy's quota.
fn taken_by(write: &StateWrite) -> u64 {
    /// What may be there, for a counter that may be at zero.
    const SOME: i64 = 1;
    match &write.edit {
        StateEdit::Set(None) => 0,
        StateEdit::Set(Some(value)) => write.slot().size_of_value(value.len()),
        StateEdit::Add(_) => write.slot().size_of_counter(SOME),
    }
}

/// What stands in the place of a write.
fn freed(ledger: &Reader<'_>, write: &StateWrite) -> Result<u64, StoreError> {
    let (policy, key, slot) = (&write.policy, &write.key, write.slot());
    Ok(match &write.edit {
        StateEdit::Set(_) => ledger
            .policy_value(policy, key)?
            .map_or(0, |value| slot.size_of_value(value.len())),
        StateEdit::Add(_) => slot.size_of_counter(ledger.policy_counter(policy, key)?),
    })
}

impl Imports for Live<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.ground.demand.lock().figures(subject, self.now, window_ms)
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.read(|ledger| ledger.policy_value(self.policy, key))
    }

    fn counter(&self, key: &str) -> i64 {
        self.read(|ledger| ledger.policy_counter(self.policy, key))
    }

    fn log(&self, level: Level, text: &str) {
        if !self.ground.lines.admit(self.now) {
            return;
        }
        let policy = self.policy;
        match level {
            Level::Debug => tracing::debug!(policy, "{text}"),
            Level::Info => tracing::info!(policy, "{text}"),
            Level::Warn => tracing::warn!(policy, "{text}"),
        }
    }
}

/// Keeps policies, and strangers with what they choke on, from flooding the log.
struct LineGate {
    what: &'static str,
    second: AtomicU64,
    lines: AtomicU64,
}

impl LineGate {
    const fn of(what: &'static str) -> Self {
        Self {
            what,
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
        }
    }

    /// Whether one more line fits into this second. The count is exact enough: it is about floods.
    fn admit(&self, now: Nanos) -> bool {
        /// Seconds that a moment may lie behind without the clock having been set back: shadows lag, and requests wait.
        const LAG: u64 = 60;
        let second = now.0 / 1_000_000_000;
        let current = self.second.load(Ordering::Relaxed);
        // Were every other moment a new second, calls that are answered late would undo the gate.
        let turned = second > current || current - second > LAG;
        if turned && self.second.swap(second, Ordering::Relaxed) == current {
            let lost = self.lines.swap(0, Ordering::Relaxed).saturating_sub(LINES);
            if lost > 0 {
                tracing::warn!(
                    "{lost} {} were left out, more than {LINES} in a second",
                    self.what
                );
            }
        }
        self.lines.fetch_add(1, Ordering::Relaxed) < LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_until_the_next_second() {
        let gate = LineGate::of("lines");
        let now = Nanos(5_000_000_000);
        let admitted = (0..2 * LINES).filter(|_| gate.admit(now)).count();
        assert_eq!(admitted as u64, LINES);
        assert!(gate.admit(Nanos(6_000_000_000)));
    }

    #[test]
    fn calls_that_are_answered_late_do_not_open_the_gate_again() {
        let gate = LineGate::of("lines");
        let moments = [5_000_000_000, 4_000_000_000].map(Nanos).into_iter().cycle();
        let admitted = moments
            .take(4 * LINES as usize)
            .filter(|now| gate.admit(*now))
            .count();
        assert_eq!(admitted as u64, LINES);
        // A clock that was set back by an hour is a clock all the same.
        let gate = LineGate::of("lines");
        let hours = [7_200_000_000_000, 3_600_000_000_000].map(Nanos);
        for now in hours {
            assert_eq!((0..2 * LINES).filter(|_| gate.admit(now)).count() as u64, LINES);
        }
    }
}
