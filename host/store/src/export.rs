//! The ledger as records: each as the market knows it, table by table, and how they are laid out.

use crate::codec;
use crate::error::StoreError;
use crate::layout::{Book, Layout};
use crate::reader::Reader;
use crate::stamp::SCHEMA;
use crate::tables::Id;
use bourse_market::chain::{Anchor, AppliedBlock};
use bourse_market::login::UserKey;
use bourse_market::outbox::{Intent, NonceLine};
use bourse_market::registry::{Actor, Api, Catalog, Consent, Market, Member, Registration};
use bourse_market::voucher::Voucher;
use bourse_market::{
    Account, Binding, Change, Channel, Debt, Decision, EscrowPayment, EscrowSale, EscrowedKey, Genesis,
    IdError, Offer, Pair, PairKey, PolicySlot, Purchase, Reconciliation, Totals,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::ControlFlow;

/// How an entry of a table is read.
type Read = fn(&'static str, &[u8], &[u8]) -> Result<Change, StoreError>;

/// A table of records: how an entry is read, and what its value is made of.
struct Kind {
    id: Id,
    read: Read,
    rewrite: fn(&'static str, &[u8]) -> Result<Vec<u8>, StoreError>,
    trace: fn(&mut Book) -> String,
}

/// A table, the record in its values, and what key and record together are.
macro_rules! kinds {
    ($($id:ident: $record:ty = $wrap:expr;)*) => {
        [$(Kind {
            id: Id::$id,
            read: |table, key, bytes| {
                let wrap: fn(&[u8], $record) -> Result<Change, IdError> = $wrap;
                wrap(key, of(table, bytes)?).map_err(|error| misfiled(table, &error))
            },
            rewrite: rewrite::<$record>,
            trace: Book::trace::<$record>,
        }),*]
    };
}

/// Every table that holds records, whose order is that of an export: what a record refers to comes before it.
const KINDS: [Kind; 29] = kinds! {
    genesis: Genesis = |_, record| Ok(Change::Genesis(record));
    totals: Totals = |_, record| Ok(Change::Totals(record));
    accounts: Account = |key, record| Ok(Change::Account(key.try_into()?, record));
    bindings: Binding = |key, record| Ok(Change::Binding(key.try_into()?, record));
    channels: Box<Channel> = |_, record| Ok(Change::Channel(record));
    reconciliations: Box<Reconciliation> = |_, record| Ok(Change::Reconciliation(record));
    offers: Box<Offer> = |_, record| Ok(Change::Offer(record));
    purchases: Box<Purchase> = |_, record| Ok(Change::Purchase(record));
    escrowed_keys: EscrowedKey = |key, record| Ok(Change::EscrowedKey(key.try_into()?, Some(record)));
    escrow_sales: Box<EscrowSale> = |_, record| Ok(Change::EscrowSale(record));
    debts: Debt = |key, record| Ok(Change::Debt(key.try_into()?, record));
    escrow_payments: EscrowPayment = |key, record| Ok(Change::EscrowPayment(key.try_into()?, record));
    pairs: (PairKey, Pair) = |_, (key, pair)| Ok(Change::Pair(key, pair));
    decisions: Box<Decision> = |_, record| Ok(Change::Decision(record));
    policy_values: (PolicySlot, Vec<u8>) = |_, (slot, value)| Ok(Change::PolicyValue(slot, Some(value)));
    policy_counters: (PolicySlot, i64) = |_, (slot, count)| Ok(Change::PolicyCounter(slot, count));
    policy_sizes: (String, u64) = |_, (policy, size)| Ok(Change::PolicySize(policy, size));
    members: Member = |_, record| Ok(registered(Registration::Member(record)));
    markets: Market = |_, record| Ok(registered(Registration::Market(record)));
    actors: Actor = |_, record| Ok(registered(Registration::Actor(record)));
    catalogs: Catalog = |_, record| Ok(registered(Registration::Catalog(record)));
    apis: Api = |_, record| Ok(registered(Registration::Api(record)));
    consents: Consent = |_, record| Ok(registered(Registration::Consent(record)));
    user_keys: Box<UserKey> = |_, record| Ok(Change::UserKey(record.key, Some(record)));
    chain_blocks: Box<AppliedBlock> = |_, record| Ok(Change::Block(record.block.number, Some(record)));
    anchors: Box<Anchor> = |key, record| Ok(Change::Anchor(key.try_into()?, record));
    vouchers: Box<Voucher> = |_, record| Ok(Change::Voucher(record.channel, Some(record)));
    nonce_line: NonceLine = |_, record| Ok(Change::NonceLine(record));
    intents: Box<Intent> = |_, record| Ok(Change::Intent(record));
};

fn registered(registration: Registration) -> Change {
    Change::Registered(Box::new(registration))
}

fn of<R: DeserializeOwned>(table: &'static str, bytes: &[u8]) -> Result<R, StoreError> {
    codec::decode(table, bytes)
}

/// The bytes that this program would have written for the record in `bytes`.
fn rewrite<R: Serialize + DeserializeOwned>(
    table: &'static str,
    bytes: &[u8],
) -> Result<Vec<u8>, StoreError> {
    codec::encode(table, &of::<R>(table, bytes)?)
}

fn misfiled(table: &'static str, error: &IdError) -> StoreError {
    StoreError::Decode {
        table,
        why: error.to_string(),
    }
}

/// What an entry of `table` says, and the bytes that its value would be written as today; none if there is no such table
/// of records. For fuzzing.
///
/// # Errors
///
/// [`StoreError`] if it cannot be read.
#[doc(hidden)]
pub fn read_entry(table: &str, key: &[u8], bytes: &[u8]) -> Result<Option<(Change, Vec<u8>)>, StoreError> {
    let Some(kind) = KINDS.iter().find(|kind| kind.id.name() == table) else {
        return Ok(None);
    };
    let name = kind.id.name();
    Ok(Some((
        (kind.read)(name, key, bytes)?,
        (kind.rewrite)(name, bytes)?,
    )))
}

/// How a ledger is laid out, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// Its number: of the tables and of their records.
    pub number: u32,
    /// A record's first byte; the rest is postcard.
    pub encoding: u8,
    /// Every table.
    pub tables: Vec<TableInfo>,
    /// What records are made of, by name.
    pub types: Vec<Layout>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableInfo {
    /// Its name.
    pub name: &'static str,
    /// What its keys are, and what they lead to. `‖` joins the parts of a key, numbers in which are big-endian.
    pub about: &'static str,
    /// The layout of its values, by name; none where it follows from other tables alone.
    pub record: Option<String>,
    /// Entries.
    pub entries: u64,
    /// Bytes of its pages.
    pub bytes: u64,
}

impl Reader<'_> {
    /// The tables that can be exported, in the order in which a whole ledger is.
    pub fn exported() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.id.name())
    }

    /// Shows every record of the table `table` to `visit`, in the order of their keys, as what would write it. An unknown
    /// table has none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] at the first record that cannot be read.
    pub fn export(
        &self,
        table: &str,
        visit: &mut dyn FnMut(Change) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(kind) = KINDS.iter().find(|kind| kind.id.name() == table) else {
            return Ok(());
        };
        let table = self.tables.table(kind.id);
        for entry in table.iter(&self.txn)? {
            let (key, bytes) = entry?;
            if visit((kind.read)(table.name, key, bytes)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Shows every entry of the table `table` to `visit` as it is stored. For fuzzing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot be read.
    #[doc(hidden)]
    pub fn entries(&self, table: &str, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let Some(kind) = KINDS.iter().find(|kind| kind.id.name() == table) else {
            return Ok(());
        };
        for entry in self.tables.table(kind.id).iter(&self.txn)? {
            let (key, bytes) = entry?;
            visit(key, bytes);
        }
        Ok(())
    }

    /// How the ledger is laid out: its tables with their sizes, and the layouts of its records as this program reads them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be read.
    pub fn schema(&self) -> Result<Schema, StoreError> {
        let mut book = Book::default();
        let mut tables = Vec::with_capacity(Id::ALL.len());
        for id in Id::ALL {
            let table = self.tables.table(id);
            let kind = KINDS.iter().find(|kind| kind.id == id);
            tables.push(TableInfo {
                name: table.name,
                about: id.about(),
                record: kind.map(|kind| (kind.trace)(&mut book)),
                entries: table.len(&self.txn)?,
                bytes: table.bytes(&self.txn)?,
            });
        }
        Ok(Schema {
            number: SCHEMA,
            encoding: codec::VERSION,
            tables,
            types: book.layouts(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::INDEXES;

    #[test]
    fn every_table_is_exported_or_follows_from_those_that_are() {
        for id in Id::ALL {
            let exported = KINDS.iter().any(|kind| kind.id == id);
            let follows = INDEXES.contains(&id) || id == Id::meta;
            assert!(exported != follows, "{id:?}");
            assert!(!id.about().is_empty(), "{id:?}");
        }
    }

    #[test]
    fn layouts_are_read_off_the_records_themselves() {
        let mut book = Book::default();
        assert_eq!(book.trace::<Purchase>(), "Purchase");
        assert_eq!(book.trace::<(PairKey, Pair)>(), "(PairKey, Pair)");
        let layouts = book.layouts();
        let of = |name: &str| {
            let found = layouts.iter().find(|layout| layout.name == name).unwrap();
            found.parts.join("; ")
        };
        assert_eq!(
            of("PurchaseState"),
            "Sent; Posted { at: u64, s3: 65 bytes, s4: 65 bytes, sealed_key: 80 bytes, recovered: u32 }; \
             Voided { at: u64, reason: VoidReason }"
        );
        assert_eq!(of("PriceSource"), "Fixed; Policy(16 bytes); Seller");
        assert_eq!(of("Pair"), "sessions: [u64]; suspended: Suspension?");
        assert!(of("Purchase").contains("recoveries: [Recovery]"));
    }
}
