//! What the writer has done, counted for the metrics and for tests of group commit.

use crate::error::SubmitError;
use crate::money::Money;
use crate::writer::Answer;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Bounds of the batch histogram: batches of at most so many commands. The last bucket has no bound.
pub const BATCH_BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// Bounds of the histogram of commits, in microseconds. The last bucket has no bound.
pub const COMMIT_BOUNDS_US: [u64; 13] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000,
];

/// Counters since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Durable commits.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Commands answered, whatever the answer.
    pub commands: u64,
    /// Commands that the rules refused.
    pub refused: u64,
    /// Commands refused for want of room.
    pub full: u64,
    /// Commands that never got into the queue.
    pub overloaded: u64,
    /// Transactions that were done again one command at a time.
    pub split: u64,
    /// Transactions by the number of their commands, see [`BATCH_BOUNDS`].
    pub batches: [u64; BATCH_BOUNDS.len() + 1],
    /// The commands of all these.
    pub batched: u64,
    /// Commits, also those that failed, by what they took until the disk had them, see [`COMMIT_BOUNDS_US`].
    pub commit_times: [u64; COMMIT_BOUNDS_US.len() + 1],
    /// Nanoseconds that all these took.
    pub commit_ns: u64,
}

/// The living counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) failed_commits: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) split: AtomicU64,
    batches: [AtomicU64; BATCH_BOUNDS.len() + 1],
    batched: AtomicU64,
    commit_times: [AtomicU64; COMMIT_BOUNDS_US.len() + 1],
    commit_ns: AtomicU64,
    /// What is in the channels as they stand committed.
    pub(crate) money: Mutex<Money>,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    pub(crate) fn count_batch(&self, commands: usize) {
        let bucket = BATCH_BOUNDS.partition_point(|bound| *bound < commands as u64);
        if let Some(counter) = self.batches.get(bucket) {
            count(counter);
        }
        self.batched.fetch_add(commands as u64, Relaxed);
    }

    pub(crate) fn count_commit(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = COMMIT_BOUNDS_US.partition_point(|bound| *bound < micros);
        if let Some(counter) = self.commit_times.get(bucket) {
            count(counter);
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.commit_ns.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn count_answer(&self, answer: &Answer) {
        count(&self.commands);
        match answer {
            Err(SubmitError::Refused(_)) => count(&self.refused),
            Err(SubmitError::Full { .. }) => count(&self.full),
            _ => {}
        }
    }

    pub(crate) fn read(&self) -> Stats {
        let batches = read_all(&self.batches);
        Stats {
            commits: self.commits.load(Relaxed),
            failed_commits: self.failed_commits.load(Relaxed),
            commands: self.commands.load(Relaxed),
            refused: self.refused.load(Relaxed),
            full: self.full.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            split: self.split.load(Relaxed),
            batches,
            batched: self.batched.load(Relaxed),
            commit_times: read_all(&self.commit_times),
            commit_ns: self.commit_ns.load(Relaxed),
        }
    }
}

fn read_all<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    counters.each_ref().map(|counter| counter.load(Relaxed))
}
