//! The ledger on disk: typed tables in LMDB, one writer with group commit, indexes, backup and verification.
//!
//! What lives here: how records become bytes and keys, which indexes they have, when a commit is durable, what the
//! data folder is and who may open it. [`Store::submit`] runs [`bourse_market::apply`] inside the write, so every check
//! sees what it is about to change; [`Store::read`] gives snapshots to any number of threads.
//!
//! What never does: a rule of the market, a policy, WAMP, a chain. Records are kept without being understood, and no
//! other crate names LMDB.
//!
//! Architecture invariant: no answer before the commit it rests on is durable, and no `await` in a transaction: the
//! writer is a plain thread, and a [`Reader`] cannot leave the one it was made on.

mod backup;
mod browse;
mod change;
mod codec;
mod disk;
mod env;
mod error;
mod export;
mod folder;
mod index;
mod keys;
mod layout;
mod log;
mod migrate;
mod money;
mod query;
mod reader;
mod records;
mod registry;
mod room;
mod stamp;
mod stats;
mod store;
mod tables;
mod verify;
mod writer;

pub use backup::Restored;
pub use browse::{ChannelList, Listing, Posted};
pub use disk::{Disk, SystemDisk};
pub use error::{OpenError, StoreError, SubmitError};
#[doc(hidden)]
pub use export::read_entry;
pub use export::{Schema, TableInfo};
pub use layout::Layout;
pub use log::{DecisionLog, LogOptions, LogRead, LogStats, read_log, read_log_between};
pub use money::{Held, Money};
pub use query::{ConsentQuery, OfferQuery, Page, Place};
pub use reader::{Counts, Reader};
pub use room::Lack;
pub use stamp::{SCHEMA, Stamp};
pub use stats::{BATCH_BOUNDS, COMMIT_BOUNDS_US, Stats};
pub use store::{DEFAULT_MAP_SIZE, Options, Store};
pub use verify::{Glance, Report, Violation};
