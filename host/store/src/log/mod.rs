//! The decision log: what policies answered to quotes and queries, on disk beside the ledger.
//!
//! What lives here: segment files that are only ever appended to, the thread that writes them, retention by age and
//! size, and reading them back, also while they are being written. Nobody ever waits for this log: it takes what it can,
//! drops what it cannot and counts what it dropped.
//!
//! What never does: a decision that came to a posted purchase. Those are in the ledger, as durable as the purchase.
//!
//! How durable it is: a decision is handed to the system at once, or within some milliseconds under load, so that it
//! outlives this process however that ends. Files are synced a second after that at the latest, and at
//! [`DecisionLog::shutdown`]: a loss of power takes the last second, and what it leaves of a record is recognised.
//!
//! # Format
//!
//! A folder of segments, `SEQUENCE-FIRST.decisions`: 10 digits that count them, 20 digits for the time of the first
//! decision in nanoseconds. Each begins with the line `bourse decisions 1`, then frames follow back to back, numbers in
//! little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `B0 75 5E D1` |
//! | 4 | length of the body |
//! | 4 | CRC-32 of the body |
//! | 4 | CRC-32 of the 12 bytes before, then sequence and offset of the frame, 8 bytes each |
//! | … | body: the decision, encoded as records of the ledger are |
//!
//! After a damaged frame the next sound one is looked for. The last checksum ties a frame to its place, so that nothing
//! inside a body, which policies and strangers had a hand in, can pass for a frame.

mod frame;
mod read;
mod segment;
mod write;

pub use read::{LogRead, read_log, read_log_between};

use crate::disk::{Disk, SystemDisk};
use crate::error::OpenError;
use crate::folder::{self, Held};
use bourse_market::{Decision, Nanos};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use write::{Message, Writer};

/// Bytes that a decision in the queue is taken for, beside its body.
const OVERHEAD: u64 = 256;

/// How the decision log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of a segment: from 4 KiB to 256 MiB, and never more than a quarter of `max_bytes`. A reader holds one in
    /// memory, and retention removes one at a time.
    pub segment: u64,
    /// Bytes of all segments: the oldest go first.
    pub max_bytes: u64,
    /// How old decisions may grow, exact to a sixteenth of itself. Age is counted against the newest decision and the
    /// times given to [`DecisionLog::retain`].
    pub max_age: Duration,
    /// Decisions that may wait to be written.
    pub queue: usize,
    /// Bytes of their bodies.
    pub queue_bytes: u64,
    /// Bytes of the disk that this log leaves free. Far more than the ledger wants for new business, so that quotes
    /// never cost a purchase.
    pub keep_free: u64,
}

impl Default for LogOptions {
    /// Segments of 16 MiB, 1 GiB in all, 30 days; 8192 decisions and 64 MiB in the queue; 256 MiB of the disk left free.
    fn default() -> Self {
        Self {
            segment: 16 << 20,
            max_bytes: 1 << 30,
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            queue: 8192,
            queue_bytes: 64 << 20,
            keep_free: 256 << 20,
        }
    }
}

/// What a log has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Decisions written.
    pub written: u64,
    /// Decisions dropped: the queue was full, the disk was, or a write failed.
    pub dropped: u64,
    /// Bytes of all segments there are.
    pub bytes: u64,
    /// Segments there are.
    pub segments: u64,
    /// The last attempt to write failed.
    pub failing: bool,
}

/// A decision log that is being written. Clones are the same log; the last one to go ends its writer.
#[derive(Clone)]
pub struct DecisionLog {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    queue: SyncSender<Message>,
    queue_bytes: u64,
    shared: Arc<Shared>,
    writer: Mutex<Option<Writing>>,
}

/// The writer's thread, and the folder that nobody else may write to while it runs.
struct Writing {
    thread: JoinHandle<()>,
    _held: Held,
}

/// What the handle and the thread both know.
#[derive(Debug, Default)]
struct Shared {
    written: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
    segments: AtomicU64,
    failing: AtomicBool,
    queued_bytes: AtomicU64,
}

impl DecisionLog {
    /// Opens the log in `folder`, or makes it, for its owner only, and starts its writer. What is there stays as it is
    /// but for retention; new decisions go to a new segment.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: another process writes this log, or the folder cannot be made, read or written.
    pub fn open(folder: impl Into<PathBuf>, options: LogOptions) -> Result<Self, OpenError> {
        Self::open_on(folder, options, Arc::new(SystemDisk))
    }

    /// As [`DecisionLog::open`], over a given disk.
    ///
    /// # Errors
    ///
    /// As [`DecisionLog::open`].
    pub fn open_on(
        folder: impl Into<PathBuf>,
        options: LogOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let folder = folder.into();
        let held = folder::hold(&folder)?;
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { what, path, source }
        };
        let shared = Arc::new(Shared::default());
        let (sender, queue) = sync_channel(options.queue.max(1));
        let queue_bytes = options.queue_bytes;
        let writer = Writer::new(folder.clone(), options, disk, Arc::clone(&shared), queue)
            .map_err(failed("cannot read", &folder))?;
        let thread = thread::Builder::new()
            .name("bourse-decisions".to_owned())
            .spawn(move || writer.run())
            .map_err(failed("cannot start a writer for", &folder))?;
        Ok(Self {
            inner: Arc::new(Inner {
                folder,
                queue: sender,
                queue_bytes,
                shared,
                writer: Mutex::new(Some(Writing { thread, _held: held })),
            }),
        })
    }

    /// Hands a decision to the writer. Never waits: false means that the decision was dropped, which is counted.
    pub fn append(&self, decision: Decision) -> bool {
        let shared = &self.inner.shared;
        let size = size_of(&decision);
        let waiting = shared.queued_bytes.fetch_add(size, Relaxed);
        let fits = waiting.saturating_add(size) <= self.inner.queue_bytes;
        if fits && self.inner.queue.try_send(Message::Append(decision)).is_ok() {
            return true;
        }
        shared.queued_bytes.fetch_sub(size, Relaxed);
        shared.dropped.fetch_add(1, Relaxed);
        false
    }

    /// Decisions dropped since the log was opened.
    pub fn dropped(&self) -> u64 {
        self.inner.shared.dropped.load(Relaxed)
    }

    /// Where its segments lie, for [`read_log`].
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// What the log has done so far.
    pub fn stats(&self) -> LogStats {
        let shared = &self.inner.shared;
        LogStats {
            written: shared.written.load(Relaxed),
            dropped: shared.dropped.load(Relaxed),
            bytes: shared.bytes.load(Relaxed),
            segments: shared.segments.load(Relaxed),
            failing: shared.failing.load(Relaxed),
        }
    }

    /// Tells the log what time it is, so that decisions grow old while no new ones come. To be called now and then; does
    /// not wait, and does nothing while the queue is full.
    pub fn retain(&self, now: Nanos) {
        // A later call does as well.
        let _ = self.inner.queue.try_send(Message::Retain(now));
    }

    /// Waits until everything appended before is written and synced, or dropped.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.inner.queue.send(Message::Flush(done)).is_ok() {
            // An error means that the writer has ended, and so has written what there was.
            let _ = wait.recv();
        }
    }

    /// Writes and syncs what is in the queue, then ends the writer and lets go of the folder, whoever still has a clone.
    /// What is appended later is dropped.
    pub fn shutdown(&self) {
        self.inner.stop();
    }
}

impl Inner {
    fn stop(&self) {
        // Held while joining, so that a second caller returns only when the writer has ended.
        let mut writer = self.writer.lock();
        if let Some(writing) = writer.take() {
            // Fails only if the writer has ended already.
            let _ = self.queue.send(Message::Stop);
            if writing.thread.join().is_err() {
                tracing::error!("the decision log's writer ended in a panic");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for DecisionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionLog")
            .field("folder", &self.inner.folder)
            .finish_non_exhaustive()
    }
}

/// What a decision is taken for while it waits.
fn size_of(decision: &Decision) -> u64 {
    (decision.body.len() as u64).saturating_add(OVERHEAD)
}
