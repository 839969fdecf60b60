//! What the writer has done, counted for the metrics and for tests of group commit.

use crate::error::SubmitError;
use crate::writer::Answer;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bounds of the batch histogram: batches of at most so many commands. The last bucket has no bound.
pub const BATCH_BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

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
        let mut batches = [0; BATCH_BOUNDS.len() + 1];
        for (value, counter) in batches.iter_mut().zip(&self.batches) {
            *value = counter.load(Relaxed);
        }
        Stats {
            commits: self.commits.load(Relaxed),
            failed_commits: self.failed_commits.load(Relaxed),
            commands: self.commands.load(Relaxed),
            refused: self.refused.load(Relaxed),
            full: self.full.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            split: self.split.load(Relaxed),
            batches,
        }
    }
}
