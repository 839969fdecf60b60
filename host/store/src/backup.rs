//! Copies of a ledger: taken while it is in use, and made ledgers again.
//!
//! A backup is marked, so that no market opens it for the ledger it once was: what both sides of a channel signed after
//! it was taken is not in it. Restoring takes the mark away and shuts every channel instead.

use crate::change;
use crate::codec;
use crate::disk::SystemDisk;
use crate::env::{self, LedgerEnv};
use crate::error::{OpenError, StoreError};
use crate::folder;
use crate::keys;
use crate::records::Records;
use crate::stamp::{self, Stamp};
use crate::store::{MAP_STEP, Options, Store, open_existing};
use crate::tables::CHUNK;
use crate::verify::Report;
use bourse_market::chain::{AppliedBlock, UNKNOWN_BLOCK};
use bourse_market::{Change, ChannelId, Command, Fault, Nanos, apply};
use heed::{CompactionOption, RwTxn};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What the copy is called until it is whole.
const PARTIAL: &str = "data.mdb.partial";

/// The folder, in the data folder, in which a ledger is restored until it is whole.
const RESTORING: &str = "restoring";

/// Bytes of a copy's map beyond its file: for the pages in which its mark is written.
const MARK_ROOM: u64 = 1 << 20;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Whose ledger it is.
    pub stamp: Stamp,
    /// When the backup was taken; none of a plain copy of a folder, which bears no mark.
    pub taken: Option<Nanos>,
    /// What it holds, and that every invariant does.
    pub report: Report,
}

impl Store {
    /// Copies the ledger, as it is now and without the pages that are free, into the folder `target`, which must not
    /// hold a ledger yet and is made if missing. `at` is kept in the copy, which [`Store::open`] refuses: it is for
    /// [`Store::restore`] and [`Store::open_read_only`]. Durable when this returns. The writer goes on meanwhile, but takes
    /// no free pages again until the copy is done, so the file grows with what is written. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the target holds a ledger, or cannot be written; no file that could be taken for a ledger is
    /// left then.
    pub fn backup(&self, target: &Path, at: Nanos) -> Result<(), StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(target)
            .map_err(failed("cannot make", target))?;
        let (partial, data) = (target.join(PARTIAL), target.join(folder::DATA));
        let is_free = || match data.exists() {
            true => Err(io::Error::other("a ledger is there already")),
            false => Ok(()),
        };
        is_free().map_err(failed("cannot write a backup to", &data))?;
        // Nobody else writes a backup there until this one has its name; and then another's may have got it.
        let mut file = alone_in(&partial)?;
        is_free().map_err(failed("cannot write a backup to", &data))?;
        let whole = copy(self.env(), &mut file, &partial)
            .and_then(|()| in_file(&partial, |copy| stamp::mark_backup(copy, at)));
        if let Err(error) = whole {
            // Nobody takes it for a ledger under that name; removing it is a courtesy.
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
        fs::rename(&partial, &data).map_err(failed("cannot name", &data))?;
        folder::sync(target).map_err(failed("cannot sync", target))
    }

    /// Makes the data folder `options.path`, which must not hold a ledger yet, of the backup in `backup`, or of any other
    /// copy of a data folder. It is converted to this version's schema, and verified; every channel that is not settled is
    /// in quarantine since `at`. Either all of it happens or no ledger is in the folder. `progress` is told how many
    /// records are verified, of how many. Blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: there is no ledger in `backup` or one in the folder, a violation, or whatever keeps either from being
    /// read or written.
    pub fn restore(
        backup: &Path,
        options: &Options,
        at: Nanos,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Restored, OpenError> {
        let path = &options.path;
        let held = folder::hold(path)?;
        let (data, work) = (path.join(folder::DATA), path.join(RESTORING));
        if data.exists() {
            return Err(OpenError::Occupied { path: path.clone() });
        }
        let on_file = |what, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { what, path, source }
        };
        match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(on_file("cannot empty", &work)(error));
            }
            _ => {}
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&work)
            .map_err(on_file("cannot make", &work))?;
        let restored = restore_in(&work, backup, options, at, progress);
        if restored.is_ok() {
            let copy = work.join(folder::DATA);
            fs::rename(&copy, &data).map_err(on_file("cannot name", &data))?;
            folder::sync(path).map_err(on_file("cannot sync", path))?;
        }
        // What is left is of no use to anybody; the next attempt empties it.
        let _ = fs::remove_dir_all(&work);
        drop(held);
        restored
    }
}

/// All of a restoration but the naming.
fn restore_in(
    work: &Path,
    backup: &Path,
    options: &Options,
    at: Nanos,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, OpenError> {
    let no_ledger = || OpenError::NoLedger {
        path: backup.to_owned(),
    };
    let of_copy = |source| OpenError::Database {
        path: work.to_owned(),
        source,
    };
    let source = open_existing(backup, 0)?.ok_or_else(no_ledger)?;
    let stamp = stamp::read(&source, backup)?.ok_or_else(no_ledger)?;
    let taken = stamp::backup_of(&source, backup)?;
    let file = work.join(folder::DATA);
    alone_in(&file)
        .and_then(|mut copied| copy(&source, &mut copied, &file))
        .and_then(|()| in_file(&file, stamp::unmark_backup))
        .map_err(of_copy)?;
    drop(source);

    let options = Options {
        path: work.to_owned(),
        inline: true,
        ..options.clone()
    };
    let store = Store::open_on(options, &stamp, Arc::new(SystemDisk))?;
    shut_channels(&store, at).map_err(of_copy)?;
    let report = store
        .read()
        .and_then(|ledger| ledger.verify(progress))
        .map_err(of_copy)?;
    store.shutdown();
    if !report.is_sound() {
        return Err(OpenError::Unsound {
            path: backup.to_owned(),
            report: Box::new(report),
        });
    }
    Ok(Restored { stamp, taken, report })
}

/// Puts every channel that is not settled into quarantine, in one transaction.
fn shut_channels(store: &Store, at: Nanos) -> Result<(), StoreError> {
    let mut txn = store.env().write_txn()?;
    let channels = &store.tables().channels;
    let mut from = keys::LEAST.to_vec();
    loop {
        let keys = channels.from(&txn, &from)?.take(CHUNK);
        let keys = keys
            .map(|entry| entry.map(|(key, _)| key.to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(last) = keys.last() else { break };
        from = keys::behind(last);
        for key in &keys {
            shut(store, &mut txn, key, at)?;
        }
    }
    distrust_openings(store, &mut txn)?;
    Ok(txn.commit()?)
}

/// Notes with every block of the chain on record that channels opened since may have been traded over.
fn distrust_openings(store: &Store, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
    let table = &store.tables().chain_blocks;
    let blocks = table
        .iter(&*txn)?
        .map(|entry| codec::decode::<AppliedBlock>(table.name, entry?.1))
        .collect::<Result<Vec<_>, _>>()?;
    for mut applied in blocks {
        applied.untrusted = Some(UNKNOWN_BLOCK);
        let change = Change::Block(applied.block.number, Some(Box::new(applied)));
        change::write(store.tables(), txn, &change)?;
    }
    Ok(())
}

fn shut(store: &Store, txn: &mut RwTxn<'_>, key: &[u8], at: Nanos) -> Result<(), StoreError> {
    let tables = store.tables();
    let failed = |why: String| StoreError::Decode {
        table: tables.channels.name,
        why,
    };
    let channel = ChannelId::try_from(key).map_err(|error| failed(error.to_string()))?;
    let command = Command::Quarantine { channel, at };
    let (changes, _) = apply(&Records { tables, txn: &*txn }, &command).map_err(|fault| match fault {
        Fault::Refused(refusal) => failed(refusal.to_string()),
        Fault::View(error) => error,
    })?;
    changes
        .iter()
        .try_for_each(|change| change::write(tables, txn, change).map(drop))
}

/// Opens a file to write a copy to, and keeps others from doing so as long as it is open.
fn alone_in(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed("cannot make", path))?;
    file.try_lock()
        .map_err(io::Error::from)
        .map_err(failed("another backup is written to", path))?;
    Ok(file)
}

/// Copies what an environment holds now into `file`, without the pages that are free.
fn copy(env: &LedgerEnv, file: &mut File, path: &Path) -> Result<(), StoreError> {
    file.set_len(0).map_err(failed("cannot empty", path))?;
    env.copy_to_file(file, CompactionOption::Enabled)?;
    file.sync_all().map_err(failed("cannot sync", path))
}

/// Changes a copy that nobody else has open.
fn in_file(file: &Path, change: impl FnOnce(&LedgerEnv) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let length = fs::metadata(file).map_err(failed("cannot inspect", file))?.len();
    let map_size = usize::try_from(length.saturating_add(MARK_ROOM))
        .ok()
        .and_then(|bytes| bytes.checked_next_multiple_of(MAP_STEP))
        .unwrap_or(usize::MAX);
    let env = env::open_file(file, map_size)?;
    change(&env)
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |error| StoreError::File {
        what,
        path,
        why: error.to_string(),
    }
}
