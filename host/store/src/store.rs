//! The store as the rest of the host sees it: open, submit, read.

use crate::disk::{Disk, SystemDisk};
use crate::env::{self, LedgerEnv};
use crate::error::{OpenError, StoreError, SubmitError};
use crate::folder::{self, Held};
use crate::migrate;
use crate::money::Money;
use crate::reader::Reader;
use crate::room::{Lack, Room};
use crate::stamp::{self, SCHEMA, Stamp};
use crate::stats::{Counters, Stats, count};
use crate::tables::Tables;
use crate::writer::{Answer, Job, Message, QUEUE, Writer};
use bourse_market::{Command, Outcome};
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Span;

/// Bytes of address space for the ledger where nothing else is said: 64 GiB, far more than any market has used. It
/// costs nothing until it is filled, and growing it under live readers would not be safe.
pub const DEFAULT_MAP_SIZE: usize = 64 << 30;

/// Smallest map: below this the first commands already find it full.
const MIN_MAP_SIZE: usize = 1 << 20;

/// Map sizes are rounded up to this: a multiple of every page size in use.
pub(crate) const MAP_STEP: usize = 1 << 16;

/// How to open a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The data folder. Made if missing, for its owner only.
    pub path: PathBuf,
    /// Bytes of address space, see [`DEFAULT_MAP_SIZE`]. Raise it (between two runs) when the map runs full.
    pub map_size: usize,
    /// How long the writer waits for company for a lone command. Zero, the default, already groups what arrives while
    /// a commit is under way; a few milliseconds gain throughput at moderate load and cost each command that long.
    pub linger: Duration,
    /// Refused by [`Store::open`]: a store without a writer comes from [`Store::open_read_only`].
    pub read_only: bool,
    /// Each command is decided and committed on the thread that submits it, one at a time, before
    /// [`Store::submit`] returns. For a simulator, which wants the same order in every run; a host would block on the
    /// disk where it should not.
    pub inline: bool,
}

impl Options {
    /// The usual options for a ledger in `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            map_size: DEFAULT_MAP_SIZE,
            linger: Duration::ZERO,
            read_only: false,
            inline: false,
        }
    }
}

/// A ledger on disk. Clones are the same store; the last one to go ends the writer and frees the folder.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    tables: Tables,
    env: LedgerEnv,
    disk: Arc<dyn Disk>,
    stamp: Option<Stamp>,
    counters: Arc<Counters>,
    hand: Hand,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Last, so that the folder stays ours until the environment is closed.
    _held: Option<Held>,
}

/// Who writes.
enum Hand {
    /// Nobody: a store that only reads.
    Nobody,
    /// The writer's thread, at the other end of this queue.
    Thread(SyncSender<Message>),
    /// Whoever submits, one at a time; none once the store is shut down.
    Inline(Box<Mutex<Option<Writer>>>),
}

impl Store {
    /// Opens the ledger in `options.path`, or makes it and stamps it with `stamp`, and starts its writer. A ledger of a
    /// former schema is converted first, whole or not at all, which takes as long as reading and writing it.
    ///
    /// # Errors
    ///
    /// [`OpenError`], naming the folder: it is in use, on a network file system, stamped otherwise, of another schema,
    /// or cannot be read or written.
    pub fn open(options: Options, stamp: &Stamp) -> Result<Self, OpenError> {
        Self::open_on(options, stamp, Arc::new(SystemDisk))
    }

    /// As [`Store::open`], over a given disk.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open_on(options: Options, stamp: &Stamp, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        if options.read_only {
            return Err(OpenError::ReadOnly);
        }
        let path = &options.path;
        let held = folder::hold(path)?;
        let failed = |error: heed::Error| opening(path, error);
        let map_size = options.map_size.max(MIN_MAP_SIZE).next_multiple_of(MAP_STEP);
        let env = env::open(path, map_size).map_err(failed)?;
        // Slots of readers that were killed would pin their pages for ever.
        env.clear_stale_readers().map_err(failed)?;
        let schema = stamp::check_or_write(&env, path, stamp)?;
        let tables = Tables::create(&env).map_err(failed)?;
        if schema < SCHEMA {
            convert(&env, &tables, &*disk, schema)?;
        }
        folder::sync(path).map_err(|source| OpenError::Folder {
            what: "cannot sync",
            path: path.clone(),
            source,
        })?;

        let counters = Arc::new(Counters::default());
        let txn = env.read_txn().map_err(failed)?;
        let money = Money::count(&tables, &txn).map_err(|source| {
            let path = path.clone();
            OpenError::Database { path, source }
        })?;
        drop(txn);
        *counters.money.lock() = money;
        let writer = Writer {
            env: env.clone(),
            tables,
            disk: Arc::clone(&disk),
            counters: Arc::clone(&counters),
            linger: options.linger,
            told_full: Cell::new(None),
        };
        let (hand, thread) = match options.inline {
            true => (Hand::Inline(Box::new(Mutex::new(Some(writer)))), None),
            false => {
                let (sender, thread) = start(writer, path)?;
                (Hand::Thread(sender), Some(thread))
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                tables,
                env,
                disk,
                stamp: Some(stamp.clone()),
                counters,
                hand,
                writer: Mutex::new(thread),
                _held: Some(held),
            }),
        })
    }

    /// Opens the ledger in `path` for reading, beside the process that may be writing it. A `map_size` of 0 takes the
    /// size the writer gave it, which is what one wants.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: there is no ledger, it is open in this very process, of another schema, also a former one, or cannot
    /// be read.
    pub fn open_read_only(path: &Path, map_size: usize) -> Result<Self, OpenError> {
        let env = open_existing(path, map_size)?.ok_or_else(|| OpenError::NoLedger {
            path: path.to_owned(),
        })?;
        let stamp = stamp::read(&env, path)?;
        stamp::must_be_converted(&env, path)?;
        let tables = Tables::open(&env).map_err(|error| opening(path, error))?;
        let tables = tables.ok_or_else(|| OpenError::NoLedger {
            path: path.to_owned(),
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                tables,
                env,
                disk: Arc::new(SystemDisk),
                stamp,
                counters: Arc::new(Counters::default()),
                hand: Hand::Nobody,
                writer: Mutex::new(None),
                _held: None,
            }),
        })
    }

    /// The stamp of the folder `path`, none if there is no ledger in it. Not for a folder that this process has open.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: it is open in this very process, of a schema that this program neither reads nor converts, or cannot
    /// be read.
    pub fn stamp(path: &Path) -> Result<Option<Stamp>, OpenError> {
        match open_existing(path, 0)? {
            Some(env) => stamp::read(&env, path),
            None => Ok(None),
        }
    }

    /// What [`Store::keep_deployment`] kept in the folder `path`, none if it never did. Not for a folder that this process has
    /// open.
    ///
    /// # Errors
    ///
    /// [`OpenError`], as [`Store::stamp`].
    pub fn deployment(path: &Path) -> Result<Option<Vec<u8>>, OpenError> {
        match open_existing(path, 0)? {
            Some(env) => stamp::deployment(&env, path),
            None => Ok(None),
        }
    }

    /// Keeps what the contracts of the ledger's chain say of the market, in a form of the caller's, in the place of what was
    /// kept before. Durable once this returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if it cannot be written.
    pub fn keep_deployment(&self, deployment: &[u8]) -> Result<(), StoreError> {
        let mut txn = self.env().write_txn()?;
        stamp::put_deployment(&self.tables().meta, &mut txn, deployment)?;
        Ok(txn.commit()?)
    }

    /// The stamp of this store's folder; none only in a folder whose making was interrupted, opened read-only.
    pub fn stamped(&self) -> Option<&Stamp> {
        self.inner.stamp.as_ref()
    }

    /// Applies `command`. When this returns `Ok`, what it did is durable. Dropping the future does not take the command
    /// back.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; nothing was changed then, but see [`SubmitError::Storage`].
    pub async fn submit(&self, command: Command) -> Answer {
        // A dropped answer means that the writer ended before it came to this command.
        self.enqueue(command)?.await.unwrap_or(Err(SubmitError::Stopped))
    }

    /// As [`Store::submit`], for threads that may block. Panics on a thread of an async runtime.
    ///
    /// # Errors
    ///
    /// As [`Store::submit`].
    pub fn submit_blocking(&self, command: Command) -> Result<Outcome, SubmitError> {
        let mut answered = self.enqueue(command)?;
        let answer = match self.inner.hand {
            // It is there already.
            Hand::Inline(_) => answered.try_recv().ok(),
            Hand::Nobody | Hand::Thread(_) => answered.blocking_recv().ok(),
        };
        answer.unwrap_or(Err(SubmitError::Stopped))
    }

    fn enqueue(&self, command: Command) -> Result<oneshot::Receiver<Answer>, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            span: tracing::debug_span!("ledger", command = command.name()),
            asked_in: Span::current(),
            command,
            answer,
        };
        let queue = match &self.inner.hand {
            Hand::Nobody => return Err(SubmitError::Stopped),
            Hand::Inline(writer) => {
                let writer = writer.lock();
                let writer = writer.as_ref().ok_or(SubmitError::Stopped)?;
                writer.write(&mut VecDeque::from([job]));
                return Ok(answered);
            }
            Hand::Thread(queue) => queue,
        };
        match queue.try_send(Message::Job(Box::new(job))) {
            Ok(()) => Ok(answered),
            Err(TrySendError::Full(_)) => {
                count(&self.inner.counters.overloaded);
                Err(SubmitError::Overloaded)
            }
            Err(TrySendError::Disconnected(_)) => Err(SubmitError::Stopped),
        }
    }

    /// A look at the ledger as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if no read transaction can be had.
    pub fn read(&self) -> Result<Reader<'_>, StoreError> {
        Ok(Reader::new(&self.inner.tables, self.inner.env.read_txn()?))
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> Stats {
        self.inner.counters.read()
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        self.inner.env.path()
    }

    /// What is in the channels as they stand committed. Of a store that only reads, nothing.
    pub fn money(&self) -> Money {
        *self.inner.counters.money.lock()
    }

    /// What new business would lack now of map and disk, none if there is room.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the tables cannot be read.
    pub fn lack(&self) -> Result<Option<Lack>, StoreError> {
        let Inner {
            tables, env, disk, ..
        } = &*self.inner;
        let txn = env.read_txn()?;
        Ok(Room::measure(env, tables, &txn, &**disk)?.lack())
    }

    /// Bytes of the map in use up to its last page, and of the whole map.
    pub fn map_use(&self) -> (u64, u64) {
        let info = self.inner.env.info();
        let page = u64::from(self.inner.env.unnamed_database_stat().page_size);
        (
            (info.last_page_number as u64)
                .saturating_add(1)
                .saturating_mul(page),
            info.map_size as u64,
        )
    }

    /// Answers every command that is in the queue, then ends the writer. Commands that come later are refused with
    /// [`SubmitError::Stopped`]; reading goes on. Blocks meanwhile.
    pub fn shutdown(&self) {
        self.inner.stop();
    }

    pub(crate) fn env(&self) -> &LedgerEnv {
        &self.inner.env
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.inner.tables
    }
}

impl Inner {
    fn stop(&self) {
        // Held while joining, so that a second caller returns only when the writer has ended.
        let mut writer = self.writer.lock();
        match &self.hand {
            Hand::Nobody => {}
            Hand::Inline(writer) => drop(writer.lock().take()),
            Hand::Thread(queue) => {
                let Some(thread) = writer.take() else { return };
                // Either fails only if the writer has ended already.
                let _ = queue.send(Message::Stop);
                if thread.join().is_err() {
                    tracing::error!("the ledger's writer ended in a panic");
                }
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.env.path())
            .finish_non_exhaustive()
    }
}

/// Converts a ledger of a former schema, and says so: there is no way back but a backup.
fn convert(env: &LedgerEnv, tables: &Tables, disk: &dyn Disk, stored: u32) -> Result<(), OpenError> {
    let path = env.path();
    let records = migrate::run(env, tables, disk, stored).map_err(|source| OpenError::Conversion {
        path: path.to_owned(),
        stored,
        known: SCHEMA,
        source,
    })?;
    tracing::warn!(
        folder = %path.display(), records, from = stored, to = SCHEMA,
        "the ledger is converted to this version's schema: earlier versions do not open it any more"
    );
    Ok(())
}

/// Starts the thread of `writer`.
fn start(writer: Writer, path: &Path) -> Result<(SyncSender<Message>, JoinHandle<()>), OpenError> {
    let (sender, queue) = sync_channel(QUEUE);
    let thread = thread::Builder::new()
        .name("bourse-writer".to_owned())
        .spawn(move || writer.run(&queue))
        .map_err(|source| OpenError::Folder {
            what: "cannot start a writer for",
            path: path.to_owned(),
            source,
        })?;
    Ok((sender, thread))
}

/// The environment in `path`, opened for reading; none if there is none.
pub(crate) fn open_existing(path: &Path, map_size: usize) -> Result<Option<LedgerEnv>, OpenError> {
    if !path.join(folder::DATA).exists() {
        return Ok(None);
    }
    folder::refuse_network(path)?;
    let map_size = map_size.next_multiple_of(MAP_STEP);
    env::open_read_only(path, map_size)
        .map(Some)
        .map_err(|error| opening(path, error))
}

fn opening(path: &Path, error: heed::Error) -> OpenError {
    let path = path.to_owned();
    match error {
        heed::Error::EnvAlreadyOpened => OpenError::InUse {
            path,
            holder: "this process".to_owned(),
        },
        error => OpenError::Database {
            path,
            source: error.into(),
        },
    }
}
