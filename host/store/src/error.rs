//! What can go wrong between the ledger and its disk.

use crate::verify::Report;
use bourse_market::Refusal;
use std::path::PathBuf;

/// Why the ledger could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// LMDB said no.
    #[error("the ledger's database failed: {why}")]
    Database {
        /// In its words.
        why: String,
        /// It was for want of room.
        full: bool,
    },
    /// A record cannot be written.
    #[error("a record of table `{table}` cannot be encoded: {why}")]
    Encode {
        /// The table.
        table: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A record is damaged.
    #[error("a record of table `{table}` cannot be read: {why}")]
    Decode {
        /// The table.
        table: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A record was written by another version of this program.
    #[error("a record of table `{table}` has version {found}, this program reads version {known}")]
    RecordVersion {
        /// The table.
        table: &'static str,
        /// Version of the record.
        found: u8,
        /// Version that is read here.
        known: u8,
    },
    /// An index names a record that is not there.
    #[error("table `{index}` names {record}, which does not exist")]
    Dangling {
        /// The index.
        index: &'static str,
        /// The record.
        record: String,
    },
    /// A file operation failed.
    #[error("{what} {}: {why}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's answer.
        why: String,
    },
}

impl StoreError {
    /// Whether it was for want of room: in the map, on the disk, or under a quota.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Database { full: true, .. })
    }
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let full = match &error {
            heed::Error::Mdb(heed::MdbError::MapFull) => true,
            heed::Error::Io(error) => matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge),
            _ => false,
        };
        Self::Database {
            why: error.to_string(),
            full,
        }
    }
}

/// Why a ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or used.
    #[error("{what} {}: {source}", path.display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// With which path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process, or this one, has it open.
    #[error(
        "the data folder {} is in use by {holder}: stop it first, or choose another folder",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds the lock, as far as is known.
        holder: String,
    },
    /// LMDB's locks do not work over a network.
    #[error(
        "the data folder {} lies on {kind}, which is no disk of this machine: the ledger needs a local one",
        path.display()
    )]
    NetworkFileSystem {
        /// The folder.
        path: PathBuf,
        /// Its file system.
        kind: &'static str,
    },
    /// There is nothing to open read-only.
    #[error("there is no ledger in {}: `bourse serve` makes one", path.display())]
    NoLedger {
        /// The folder.
        path: PathBuf,
    },
    /// The folder belongs to something else.
    #[error("the data folder {} was made for {what} {stored}, but {given} was asked for", path.display())]
    StampMismatch {
        /// The folder.
        path: PathBuf,
        /// Which part of the stamp.
        what: &'static str,
        /// As stamped.
        stored: String,
        /// As asked for.
        given: String,
    },
    /// The folder was written by a version of this program that is too new, or too old.
    #[error(
        "the data folder {} has schema {stored}, this program reads schema {known} and converts those from {oldest} on: \
         open it with the version that wrote it, or name another folder for a new ledger",
        path.display()
    )]
    Schema {
        /// The folder.
        path: PathBuf,
        /// As stamped.
        stored: u32,
        /// Of this program.
        known: u32,
        /// The oldest there is a way from.
        oldest: u32,
    },
    /// The folder has a former schema, and who only reads converts nothing.
    #[error(
        "the data folder {} has schema {stored}, this program reads schema {known}: let `bourse ledger upgrade` or \
         `bourse serve` open it once, which converts it",
        path.display()
    )]
    Unconverted {
        /// The folder.
        path: PathBuf,
        /// As stamped.
        stored: u32,
        /// Of this program.
        known: u32,
    },
    /// The ledger has a former schema, and could not be converted. It is as it was.
    #[error(
        "the ledger in {} has schema {stored} and cannot be converted to {known}: {source}; nothing was changed{}",
        path.display(),
        if source.is_full() { ". Raise store.map_size, or make room on the disk: it takes the ledger's size again" } else { "" }
    )]
    Conversion {
        /// The folder.
        path: PathBuf,
        /// As stamped.
        stored: u32,
        /// Of this program.
        known: u32,
        /// What failed.
        source: StoreError,
    },
    /// The folder is a backup.
    #[error(
        "{} is a backup, and what was signed since it was taken is not in it: make a data folder of it with `bourse ledger \
         restore`",
        path.display()
    )]
    Backup {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing is restored over a ledger.
    #[error(
        "there is a ledger in {} already: restore into another folder, or move this one away",
        path.display()
    )]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A backup breaks the rules of the ledger, and is not restored.
    #[error(
        "the backup {} is damaged, {} violations, the first: {}",
        path.display(),
        report.violations.len(),
        report.violations.first().map(ToString::to_string).unwrap_or_default()
    )]
    Unsound {
        /// The folder.
        path: PathBuf,
        /// What was found.
        report: Box<Report>,
    },
    /// The options open read-only where a writer was asked for.
    #[error("a ledger to be opened read-only is opened by `open_read_only`")]
    ReadOnly,
    /// The database failed.
    #[error("the ledger in {} cannot be opened: {source}", path.display())]
    Database {
        /// The folder.
        path: PathBuf,
        /// What failed.
        source: StoreError,
    },
}

/// What became of a command that was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no; nothing changed.
    #[error("{0}")]
    Refused(Refusal),
    /// No room for new business. What is pending can still be resolved.
    #[error("the {resource} is nearly full: {free} bytes are free, new business needs {needed}")]
    Full {
        /// `map` or `disk`.
        resource: &'static str,
        /// Bytes that are free and not promised to pending purchases; 0 if a write failed for want of room.
        free: u64,
        /// Bytes that must be free.
        needed: u64,
    },
    /// Reading or writing failed. Nothing changed, unless a commit reached the disk and failed all the same: whoever must
    /// not do a thing twice submits it under its own id again, or looks.
    #[error("the ledger failed: {0}")]
    Storage(String),
    /// The writer has ended, or never ran: the store was opened read-only.
    #[error("the ledger takes no commands any more")]
    Stopped,
    /// Too many commands wait; nothing changed. Try again later.
    #[error("too many commands wait for the ledger")]
    Overloaded,
}
