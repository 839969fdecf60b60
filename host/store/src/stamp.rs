//! What a data folder is, so that it is never opened as another's.

use crate::codec;
use crate::env::LedgerEnv;
use crate::error::{OpenError, StoreError};
use crate::migrate::OLDEST;
use crate::tables::{self, Table};
use bourse_market::{Address, MarketId, Nanos};
use heed::RwTxn;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Layout of the tables and their records. A folder of a former schema is converted when it is opened for writing, see
/// `migrate`; one of a later schema is refused.
pub const SCHEMA: u32 = 5;

const TABLE: &str = "meta";
const STAMP: &[u8] = b"stamp";
const SCHEMA_KEY: &[u8] = b"schema";
/// Of a ledger on a chain: what its contracts said when a node was asked last.
const DEPLOYMENT: &[u8] = b"deployment";
/// In a backup: when it was taken.
const BACKUP: &[u8] = b"backup";

/// Identity of a data folder, written when it is made and compared at every opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// How channels settle: `local` or the name of a chain mode.
    pub mode: String,
    /// The EIP-155 chain id signed into every message.
    pub chain_id: u64,
    /// The verifying contract signed into every message.
    pub contract: Address,
    /// The market.
    pub market: MarketId,
    /// Its market maker.
    pub marketmaker: Address,
}

impl Stamp {
    /// Refuses if `self`, as stored in `path`, is not `given`.
    fn must_equal(&self, given: &Self, path: &Path) -> Result<(), OpenError> {
        let parts = [
            ("mode", self.mode.clone(), given.mode.clone()),
            ("chain id", self.chain_id.to_string(), given.chain_id.to_string()),
            ("contract", self.contract.to_string(), given.contract.to_string()),
            ("market", self.market.to_string(), given.market.to_string()),
            (
                "market maker",
                self.marketmaker.to_string(),
                given.marketmaker.to_string(),
            ),
        ];
        match parts.into_iter().find(|(_, stored, given)| stored != given) {
            Some((what, stored, given)) => Err(OpenError::StampMismatch {
                path: path.to_owned(),
                what,
                stored,
                given,
            }),
            None => Ok(()),
        }
    }
}

/// An error on the way to a stamp, before the folder is put beside it.
enum Failure {
    Store(StoreError),
    Open(OpenError),
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Compares the stamp of the folder with `given`, and writes it if there is none yet. Yields the schema the folder has,
/// which this program reads or converts.
pub(crate) fn check_or_write(env: &LedgerEnv, path: &Path, given: &Stamp) -> Result<u32, OpenError> {
    let mut schema = SCHEMA;
    tables::with_meta::<Failure>(env, |meta, txn| {
        if meta.get(txn, BACKUP)?.is_some() {
            return Err(Failure::Open(OpenError::Backup {
                path: path.to_owned(),
            }));
        }
        if let Some(bytes) = meta.get(txn, SCHEMA_KEY)? {
            schema = codec::decode(TABLE, bytes)?;
            check_schema(schema, path).map_err(Failure::Open)?;
        }
        if let Some(bytes) = meta.get(txn, STAMP)? {
            let stored: Stamp = codec::decode(TABLE, bytes)?;
            return stored.must_equal(given, path).map_err(Failure::Open);
        }
        meta.put(txn, SCHEMA_KEY, &codec::encode(TABLE, &SCHEMA)?)?;
        Ok(meta.put(txn, STAMP, &codec::encode(TABLE, given)?)?)
    })
    .map_err(|failure| match failure {
        Failure::Open(error) => error,
        Failure::Store(source) => OpenError::Database {
            path: path.to_owned(),
            source,
        },
    })?;
    Ok(schema)
}

/// Notes the schema, in the transaction that makes it so.
pub(crate) fn put_schema(meta: &Table, txn: &mut RwTxn<'_>, schema: u32) -> Result<(), StoreError> {
    meta.put(txn, SCHEMA_KEY, &codec::encode(TABLE, &schema)?)
}

/// Marks a copy of a ledger as a backup, taken at `at`: it is not to be traded from as if nothing had happened since.
pub(crate) fn mark_backup(env: &LedgerEnv, at: Nanos) -> Result<(), StoreError> {
    tables::with_meta(env, |meta, txn| {
        Ok::<_, StoreError>(meta.put(txn, BACKUP, &codec::encode(TABLE, &at)?)?)
    })
}

/// Takes the mark away.
pub(crate) fn unmark_backup(env: &LedgerEnv) -> Result<(), StoreError> {
    tables::with_meta(env, |meta, txn| {
        meta.delete(txn, BACKUP)?;
        Ok::<_, StoreError>(())
    })
}

/// When a backup was taken; none of what is no backup.
pub(crate) fn backup_of(env: &LedgerEnv, path: &Path) -> Result<Option<Nanos>, OpenError> {
    meta(env, path, BACKUP)
}

/// The stamp of an open environment, none if it was never stamped. Also of one whose schema is still to be converted.
pub(crate) fn read(env: &LedgerEnv, path: &Path) -> Result<Option<Stamp>, OpenError> {
    if let Some(schema) = meta(env, path, SCHEMA_KEY)? {
        check_schema(schema, path)?;
    }
    meta(env, path, STAMP)
}

/// Keeps what the contracts of its chain say, in the place of what they said before.
pub(crate) fn put_deployment(meta: &Table, txn: &mut RwTxn<'_>, deployment: &[u8]) -> Result<(), StoreError> {
    meta.put(txn, DEPLOYMENT, deployment)
}

/// What the contracts said, none if it was never kept.
pub(crate) fn deployment(env: &LedgerEnv, path: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    tables::read_meta(env, DEPLOYMENT).map_err(|source| OpenError::Database {
        path: path.to_owned(),
        source: source.into(),
    })
}

/// Refuses an open environment that is still to be converted: its records cannot be read.
pub(crate) fn must_be_converted(env: &LedgerEnv, path: &Path) -> Result<(), OpenError> {
    match meta(env, path, SCHEMA_KEY)? {
        Some(stored) if stored < SCHEMA => Err(OpenError::Unconverted {
            path: path.to_owned(),
            stored,
            known: SCHEMA,
        }),
        _ => Ok(()),
    }
}

/// What `meta` holds under `key`.
fn meta<R: DeserializeOwned>(env: &LedgerEnv, path: &Path, key: &[u8]) -> Result<Option<R>, OpenError> {
    let failed = |source: StoreError| OpenError::Database {
        path: path.to_owned(),
        source,
    };
    let bytes = tables::read_meta(env, key)
        .map_err(StoreError::from)
        .map_err(failed)?;
    bytes
        .map(|bytes| codec::decode(TABLE, &bytes).map_err(failed))
        .transpose()
}

fn check_schema(stored: u32, path: &Path) -> Result<(), OpenError> {
    if (OLDEST..=SCHEMA).contains(&stored) {
        return Ok(());
    }
    Err(OpenError::Schema {
        path: path.to_owned(),
        stored,
        known: SCHEMA,
        oldest: OLDEST,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};

    fn stamp() -> Stamp {
        Stamp {
            mode: "local".to_owned(),
            chain_id: 1337,
            contract: Address([3; 20]),
            market: MarketId([1; 16]),
            marketmaker: Address([2; 20]),
        }
    }

    #[test]
    fn a_folder_of_a_schema_that_nobody_can_convert_is_refused_in_words_that_say_what_to_do_and_left_as_it_is()
     {
        for schema in [OLDEST - 1, SCHEMA + 1] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            let options = Options {
                map_size: 4 << 20,
                ..Options::at(path)
            };
            let store = Store::open(options.clone(), &stamp()).unwrap();
            let mut txn = store.env().write_txn().unwrap();
            let meta = store.tables().meta;
            meta.put(&mut txn, SCHEMA_KEY, &codec::encode(TABLE, &schema).unwrap())
                .unwrap();
            txn.commit().unwrap();
            drop(store);

            let expected = format!(
                "the data folder {} has schema {schema}, this program reads schema {SCHEMA} and converts those from {OLDEST} \
                 on: open it with the version that wrote it, or name another folder for a new ledger",
                path.display()
            );
            for _ in 0..2 {
                let error = Store::open(options.clone(), &stamp()).unwrap_err();
                assert_eq!(error.to_string(), expected);
            }
            let error = Store::open_read_only(path, 0).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(Store::stamp(path).unwrap_err().to_string(), expected);
        }
    }
}
