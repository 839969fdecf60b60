//! Work on every entry of a log, on all cores: one thread reads, the others decode and work.

use super::entry::{Entry, Raw, Unreadable};
use super::source::{Source, SourceError};
use core::ops::ControlFlow;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

/// Entries handed over at a time: some milliseconds of work.
const BATCH: usize = 64;

/// Bytes of lines handed over at a time, so that pages of a thousand offers do not pile up.
const BATCH_BYTES: u64 = 1 << 20;

/// Batches that wait for each worker at most.
const WAITING: usize = 2;

/// Threads that work where nobody says how many.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Shows `work` every entry of `source`, on `workers` threads with a state of their own each, and gives the states back
/// in the order of the workers. Which worker sees which entry, and in what order, is left to chance: states are to be
/// merged such that it does not matter.
///
/// `progress` hears how many bytes were done, of how many. The number that comes back with the states is that of damaged
/// places, which were skipped.
///
/// # Errors
///
/// [`SourceError`] if the log cannot be read to its end.
pub(crate) fn each<S: Send>(
    source: &Source,
    workers: usize,
    progress: &mut dyn FnMut(u64, u64),
    make: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Result<Entry, Unreadable>) + Sync,
) -> Result<(Vec<S>, u64), SourceError> {
    let workers = workers.max(1);
    let all = source.weight();
    let done = AtomicU64::new(0);
    let (give, take) = sync_channel::<Vec<Raw>>(workers.saturating_mul(WAITING));
    let take = Mutex::new(take);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let mut state = make();
                    while let Some(batch) = next(&take) {
                        for raw in batch {
                            let weight = raw.weight();
                            work(&mut state, raw.decode());
                            done.fetch_add(weight, Ordering::Relaxed);
                        }
                    }
                    state
                })
            })
            .collect();
        let mut batch = Vec::with_capacity(BATCH);
        let mut bytes = 0u64;
        let read = source.visit(&mut |raw| {
            bytes = bytes.saturating_add(raw.weight());
            batch.push(raw);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                bytes = 0;
                // Fails only if every worker is gone, by a panic that the join below passes on.
                if give.send(core::mem::take(&mut batch)).is_err() {
                    return ControlFlow::Break(());
                }
                progress(done.load(Ordering::Relaxed).min(all), all);
            }
            ControlFlow::Continue(())
        });
        let _ = give.send(batch);
        drop(give);
        let states = threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(state) => state,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect();
        progress(all, all);
        read.map(|damaged| (states, damaged))
    })
}

fn next(take: &Mutex<Receiver<Vec<Raw>>>) -> Option<Vec<Raw>> {
    // A worker that panicked while it waited took nothing with it.
    let take = take.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    take.recv().ok()
}
