//! What a policy may ask the host, answered from memory and from the ledger as it stands committed.

use bourse_market::{Demand, Figures, Nanos, StateEdit, StateWrite, Subject, View};
use bourse_policy::{Failure, Imports, Level};
use bourse_store::Store;
use parking_lot::{Mutex, RwLock};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of all policies together in one second; the rest is counted.
const LINES: u64 = 200;

/// Where answers come from.
pub(super) struct Ground {
    demand: Arc<Mutex<Demand>>,
    /// None once the market has stopped: nothing may keep its ledger open then.
    store: RwLock<Option<Store>>,
    lines: LineGate,
}

impl Ground {
    pub(super) fn new(demand: Arc<Mutex<Demand>>, store: Store) -> Self {
        Self {
            demand,
            store: RwLock::new(Some(store)),
            lines: LineGate::default(),
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

    /// Whether these writes may not fit. What stood under their keys before is not taken off: near its quota a policy
    /// fails a little early rather than once too late.
    fn overflow(&self, writes: &[StateWrite]) -> Option<String> {
        /// What may be there, for a counter that may be at zero.
        const SOME: i64 = 1;
        if writes.is_empty() {
            return None;
        }
        let size = self.read(|ledger| ledger.policy_size(self.policy));
        if let Some(unread) = self.failed.borrow_mut().take() {
            return Some(unread);
        }
        let grows: u64 = writes
            .iter()
            .map(|write| match &write.edit {
                StateEdit::Set(None) => 0,
                StateEdit::Set(Some(value)) => write.slot().size_of_value(value.len()),
                StateEdit::Add(_) => write.slot().size_of_counter(SOME),
            })
            .sum();
        (grows > 0 && size.saturating_add(grows) > StateWrite::QUOTA).then(|| {
            format!(
                "its state takes {size} of {} bytes, and this call would add {grows}: let it remove what it no longer \
                 needs",
                StateWrite::QUOTA
            )
        })
    }

    fn read<T: Default>(
        &self,
        read: impl FnOnce(&bourse_store::Reader<'_>) -> Result<T, bourse_store::StoreError>,
    ) -> T {
        let store = self.ground.store.read();
        let read = match &*store {
            Some(store) => store
                .read()
                .and_then(|ledger| read(&ledger))
                .map_err(|error| error.to_string()),
            None => Err("the market has stopped".to_owned()),
        };
        read.unwrap_or_else(|error| {
            *self.failed.borrow_mut() = Some(format!("its state could not be read: {error}"));
            T::default()
        })
    }
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

/// Keeps policies from flooding the log.
#[derive(Default)]
pub(super) struct LineGate {
    second: AtomicU64,
    lines: AtomicU64,
}

impl LineGate {
    /// Whether one more line fits into this second. The count is exact enough: it is about floods.
    fn admit(&self, now: Nanos) -> bool {
        let second = now.0 / 1_000_000_000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            let lost = self.lines.swap(0, Ordering::Relaxed).saturating_sub(LINES);
            if lost > 0 {
                tracing::warn!("{lost} lines of policies were left out, more than {LINES} in a second");
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
        let gate = LineGate::default();
        let now = Nanos(5_000_000_000);
        let admitted = (0..2 * LINES).filter(|_| gate.admit(now)).count();
        assert_eq!(admitted as u64, LINES);
        assert!(gate.admit(Nanos(6_000_000_000)));
    }
}
