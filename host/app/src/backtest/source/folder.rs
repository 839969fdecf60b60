//! The data folder of a market: decisions that belong to purchases lie in the ledger, all others in the decision log.

use super::SourceError;
use crate::backtest::entry::{Raw, Sale};
use crate::backtest::sales::Sold;
use bourse_market::{Decision, Nanos, PurchaseId};
use bourse_policy::MAX_WINDOW_MS;
use bourse_store::{Reader, Store, StoreError, read_log_between};
use core::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

/// The decision log within a data folder.
const LOG: &str = "decisions";

/// The ledger within a data folder.
const LEDGER: &str = "data.mdb";

/// The extension of the decision log's segments.
const SEGMENT: &str = "decisions";

/// Decisions of the log that wait for those of the ledger.
const WAITING: usize = 256;

/// Bytes that a decision of the ledger counts for, where only their number is known.
const TYPICAL: u64 = 400;

/// A data folder. The ledger is opened read-only, which may be done beside a running host.
pub(crate) struct Folder {
    path: PathBuf,
    store: Option<Store>,
    log: Option<PathBuf>,
    weight: u64,
    from: Nanos,
    to: Nanos,
    /// Set once nobody wants to see more.
    given_up: Arc<AtomicBool>,
}

impl core::fmt::Debug for Folder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Folder {
    /// Opens a data folder, or the folder of a decision log alone.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if there is neither, or if the ledger does not open.
    pub(crate) fn open(path: &Path, map_size: usize) -> Result<Self, SourceError> {
        let store = path
            .join(LEDGER)
            .is_file()
            .then(|| Store::open_read_only(path, map_size))
            .transpose()?;
        let inner = path.join(LOG);
        let log = if inner.is_dir() {
            Some(inner)
        } else {
            (store.is_none() && holds_segments(path)).then(|| path.to_owned())
        };
        if store.is_none() && log.is_none() {
            return Err(SourceError::NothingThere {
                path: path.to_owned(),
            });
        }
        let stored = match &store {
            Some(store) => store.read()?.counts()?.decisions.saturating_mul(TYPICAL),
            None => 0,
        };
        let logged = log.as_deref().map_or(0, bytes_in);
        Ok(Self {
            path: path.to_owned(),
            store,
            log,
            weight: stored.saturating_add(logged),
            from: Nanos(0),
            to: Nanos(u64::MAX),
            given_up: Arc::default(),
        })
    }

    /// What a market that runs in this process has decided: LMDB opens a ledger once in a process. What the log still has
    /// in its queue is not there yet. The reading ends at the next decision once `given_up` is set.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if the ledger cannot be read.
    pub(crate) fn of_market(
        store: Store,
        log: Option<&Path>,
        given_up: Arc<AtomicBool>,
    ) -> Result<Self, SourceError> {
        let stored = store.read()?.counts()?.decisions.saturating_mul(TYPICAL);
        Ok(Self {
            path: PathBuf::from("this market"),
            store: Some(store),
            weight: stored.saturating_add(log.map_or(0, bytes_in)),
            log: log.map(Path::to_owned),
            from: Nanos(0),
            to: Nanos(u64::MAX),
            given_up,
        })
    }

    /// Only decisions made at `from` or later and before `to`.
    #[must_use]
    pub(crate) fn between(mut self, from: Nanos, to: Nanos) -> Self {
        self.from = from;
        self.to = to;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Shows every decision once, in the order of time as far as the log keeps it.
    pub(crate) fn visit(&self, each: &mut dyn FnMut(Raw) -> ControlFlow<()>) -> Result<u64, SourceError> {
        let each = &mut |raw| match self.given_up.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => each(raw),
        };
        let Some(log) = &self.log else {
            return self.merge(Logged::none(), each).map(|()| 0);
        };
        // The log is read on a thread of its own, since neither reader lets go of the other's: a decision of the ledger
        // waits in the hands of its snapshot, which cannot leave this thread.
        let (give, take) = sync_channel(WAITING);
        let (from, to) = (self.from, self.to);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                read_log_between(log, from, to, &mut |decision| match give.send(decision) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                })
            });
            let merged = self.merge(Logged::of(take), each);
            let read = match reading.join() {
                Ok(read) => read,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            merged?;
            Ok(read?.damaged)
        })
    }

    /// Shows every posted purchase of the ledger that a policy could have asked about; false if there is no ledger.
    pub(crate) fn sales(&self, each: &mut dyn FnMut(PurchaseId, Sold)) -> Result<bool, SourceError> {
        let Some(store) = &self.store else {
            return Ok(false);
        };
        // No question looks further back than the longest window.
        let since = self.from.0.saturating_sub(u64::from(MAX_WINDOW_MS) * 1_000_000);
        store.read()?.sold_since(Nanos(since), &mut |id, sale| {
            let sold = Sold {
                at: sale.at,
                key: sale.key,
                api: sale.api,
                seller: sale.seller,
                buyer: sale.buyer,
                price: sale.price,
            };
            each(id, sold);
        })?;
        Ok(true)
    }

    /// Merges ledger and log by time. What the ledger has, with its purchase, the log need not say again.
    fn merge(
        &self,
        mut log: Logged,
        each: &mut dyn FnMut(Raw) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let reader = self.store.as_ref().map(Store::read).transpose()?;
        let mut go = |decision: Decision, sale: Option<Sale>, reader: Option<&Reader<'_>>| {
            let told = match reader {
                Some(reader) => reader.decision(&decision.id)?.is_some(),
                None => false,
            };
            Ok::<_, StoreError>(if told {
                ControlFlow::Continue(())
            } else {
                each(Raw::Stored {
                    decision: Box::new(decision),
                    sale,
                })
            })
        };
        let Some(reader) = &reader else {
            while let Some(decision) = log.next_before(Nanos(u64::MAX)) {
                if go(decision, None, None)?.is_break() {
                    break;
                }
            }
            return Ok(());
        };
        let mut stopped: Result<ControlFlow<()>, StoreError> = Ok(ControlFlow::Continue(()));
        reader.decisions(self.from, self.to, &mut |decision| {
            while let Some(earlier) = log.next_before(decision.header.at) {
                match go(earlier, None, Some(reader)) {
                    Ok(ControlFlow::Continue(())) => {}
                    other => {
                        stopped = other;
                        return ControlFlow::Break(());
                    }
                }
            }
            let sale = match sale(reader, &decision) {
                Ok(sale) => sale,
                Err(error) => {
                    stopped = Err(error);
                    return ControlFlow::Break(());
                }
            };
            match go(decision, sale, None) {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                other => {
                    stopped = other;
                    ControlFlow::Break(())
                }
            }
        })?;
        if stopped?.is_break() {
            return Ok(());
        }
        while let Some(decision) = log.next_before(Nanos(u64::MAX)) {
            if go(decision, None, Some(reader))?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What the purchase of a decision paid, once it is posted.
fn sale(reader: &Reader<'_>, decision: &Decision) -> Result<Option<Sale>, StoreError> {
    let Some(id) = decision.header.purchase else {
        return Ok(None);
    };
    let sold = reader.sale(&id)?;
    Ok(sold.map(|sold| Sale::new(sold.at, sold.price, sold.buyer)))
}

/// Decisions of the log, one ahead.
struct Logged {
    take: Option<Receiver<Decision>>,
    next: Option<Decision>,
}

impl Logged {
    fn none() -> Self {
        Self {
            take: None,
            next: None,
        }
    }

    fn of(take: Receiver<Decision>) -> Self {
        let next = take.recv().ok();
        Self {
            take: Some(take),
            next,
        }
    }

    /// The next one, if it was made before `at`.
    fn next_before(&mut self, at: Nanos) -> Option<Decision> {
        if self.next.as_ref()?.header.at >= at {
            return None;
        }
        let next = self.take.as_ref().and_then(|take| take.recv().ok());
        core::mem::replace(&mut self.next, next)
    }
}

/// Whether a folder is that of a decision log.
fn holds_segments(folder: &Path) -> bool {
    bytes_in(folder) > 0
}

/// Bytes of the segments in a folder.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == SEGMENT)
        })
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}
