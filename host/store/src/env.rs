//! Opening an LMDB environment: the one file of this crate with unsafe code.
#![allow(
    unsafe_code,
    reason = "LMDB maps a file that the compiler cannot know to be left alone"
)]

use crate::tables;
use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};
use std::path::Path;

/// Read transactions that may be open at once, over all threads and processes. A slot of the reader table costs 64
/// bytes; a runtime has at most some hundred threads, and `ledger verify` beside it a few.
const MAX_READERS: u32 = 2048;

/// The environment of this crate: read transactions are tied to themselves, not to threads, so that one thread may
/// hold two of them.
pub(crate) type LedgerEnv = Env<WithoutTls>;

/// Opens the environment in `folder` for writing, creating its files. The caller holds the folder's lock.
pub(crate) fn open(folder: &Path, map_size: usize) -> heed::Result<LedgerEnv> {
    let mut options = options();
    options.map_size(map_size);
    // SAFETY: the map is undefined behaviour only if somebody changes the file outside LMDB's own locking. The folder
    // is 0700 and ours by its lock, network file systems are refused before, no flag that weakens syncing or locking
    // is set, and `heed` refuses a second environment on the same path in this process.
    unsafe { options.open(folder) }
}

/// Opens the environment in `folder` for reading, beside a process that may be writing.
pub(crate) fn open_read_only(folder: &Path, map_size: usize) -> heed::Result<LedgerEnv> {
    let mut options = options();
    if map_size > 0 {
        options.map_size(map_size);
    }
    // SAFETY: `READ_ONLY` is none of the flags that weaken syncing or locking: readers still enter LMDB's reader
    // table, so that the writer keeps the pages they see.
    unsafe { options.flags(EnvFlags::READ_ONLY) };
    // SAFETY: as in `open`, and this environment cannot write.
    unsafe { options.open(folder) }
}

/// Opens the environment in one file that nobody else knows of yet, with room for a few more pages.
pub(crate) fn open_file(file: &Path, map_size: usize) -> heed::Result<LedgerEnv> {
    let mut options = options();
    options.map_size(map_size);
    // SAFETY: no locks and no folder of its own: the caller made this file under a name that no ledger has, and gives it
    // another only after the environment is closed. Nothing else may open it meanwhile, in this process or any other.
    unsafe { options.flags(EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK) };
    // SAFETY: as in `open`, with the caller's word for the folder's lock.
    unsafe { options.open(file) }
}

fn options() -> EnvOpenOptions<WithoutTls> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_readers(MAX_READERS).max_dbs(tables::COUNT);
    options
}
