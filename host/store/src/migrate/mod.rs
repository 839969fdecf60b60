//! Ledgers of former schemas, converted when they are opened for writing.
//!
//! What lives here: the ladder, one step from each former schema to the one after it, and for each a file with the
//! records as they were then. A ledger climbs all its steps in one transaction, the schema's number included: whatever
//! happens on the way, the folder holds the old ledger or the new one.
//!
//! What never does: anything but changing the form of what is there. A step decides nothing about money.
//!
//! Who changes a stored record after a release raises [`SCHEMA`](crate::stamp::SCHEMA), freezes the record as it was in
//! the file of the schema that ends, lets the step before it lead to the frozen one, and adds a step.

mod v3;

use crate::codec;
use crate::disk::Disk;
use crate::env::LedgerEnv;
use crate::error::StoreError;
use crate::keys;
use crate::stamp::{self, SCHEMA};
use crate::tables::{CHUNK, Table, Tables};
use heed::RwTxn;
use serde::{Serialize, de::DeserializeOwned};

/// The oldest schema there is a way from. Nothing older was ever released.
pub(crate) const OLDEST: u32 = 3;

/// What leads from one schema to the next. Yields how many records it looked at.
type Step = fn(&Tables, &mut RwTxn<'_>) -> Result<u64, StoreError>;

/// Each step, and the schema it starts from. Schema 5 added the tables of the chain, and changed no record.
const LADDER: [(u32, Step); 2] = [(3, v3::convert), (4, |_, _| Ok(0))];

/// Converts the ledger from schema `from`, which is [`OLDEST`] at least, to [`SCHEMA`]. Yields how many records it looked
/// at. After an error nothing has changed.
pub(crate) fn run(env: &LedgerEnv, tables: &Tables, disk: &dyn Disk, from: u32) -> Result<u64, StoreError> {
    let mut txn = env.write_txn()?;
    let mut records = 0u64;
    for (_, step) in LADDER.iter().filter(|(start, _)| *start >= from) {
        records = records.saturating_add(step(tables, &mut txn)?);
    }
    stamp::put_schema(&tables.meta, &mut txn, SCHEMA)?;
    disk.before_commit().map_err(heed::Error::Io)?;
    txn.commit()?;
    Ok(records)
}

/// Puts every record of `table` into its next form, under its key. Yields how many there are.
fn rewrite<Old, New>(
    table: &Table,
    txn: &mut RwTxn<'_>,
    convert: impl Fn(Old) -> New,
) -> Result<u64, StoreError>
where
    Old: DeserializeOwned,
    New: Serialize,
{
    let mut records = 0u64;
    let mut from = keys::LEAST.to_vec();
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        for entry in table.from(&*txn, &from)?.take(CHUNK) {
            let (key, bytes) = entry?;
            let new = codec::encode(table.name, &convert(codec::decode(table.name, bytes)?))?;
            chunk.push((key.to_vec(), (bytes != new.as_slice()).then_some(new)));
        }
        let Some((last, _)) = chunk.last() else {
            return Ok(records);
        };
        from = keys::behind(last);
        records = records.saturating_add(chunk.len() as u64);
        for (key, new) in chunk {
            if let Some(new) = new {
                table.put(txn, &key, &new)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Stamp, Store};
    use bourse_market::{Address, MarketId};

    #[test]
    fn every_record_of_a_long_table_is_converted_once() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp {
            mode: "local".to_owned(),
            chain_id: 1337,
            contract: Address([3; 20]),
            market: MarketId([1; 16]),
            marketmaker: Address([2; 20]),
        };
        let store = Store::open(Options::at(folder.path()), &stamp).unwrap();
        let table = &store.tables().accounts;
        let mut txn = store.env().write_txn().unwrap();
        let count = 2 * CHUNK as u32 + 7;
        for number in 0..count {
            let record = codec::encode(table.name, &number).unwrap();
            // Keys of several lengths, some of which begin others.
            let key = format!("{number:b}");
            table.put(&mut txn, key.as_bytes(), &record).unwrap();
        }
        let seen = rewrite(table, &mut txn, |old: u32| (old, u64::from(old) + 1)).unwrap();
        assert_eq!(seen, u64::from(count));
        let mut records: Vec<(u32, u64)> = table
            .iter(&txn)
            .unwrap()
            .map(|entry| codec::decode(table.name, entry.unwrap().1).unwrap())
            .collect();
        records.sort_unstable();
        let expected: Vec<_> = (0..count).map(|number| (number, u64::from(number) + 1)).collect();
        assert_eq!(records, expected);
    }
}
