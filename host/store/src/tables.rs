//! The named databases of the environment, and how they are opened or made.

use crate::env::LedgerEnv;
use crate::error::StoreError;
use heed::types::Bytes;
use heed::{AnyTls, CommitOrAbort, Database, RoTxn, RwTxn};
use std::ops::Bound;

/// Records that are held in memory at a time, where a table is changed while it is read through.
pub(crate) const CHUNK: usize = 1024;

/// One named database: bytes to bytes, in the order of its keys.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    db: Database<'static, Bytes, Bytes>,
}

impl Table {
    /// The value under `key`.
    pub(crate) fn get<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        key: &[u8],
    ) -> Result<Option<&'t [u8]>, StoreError> {
        Ok(self.db.get(txn, key)?)
    }

    /// Writes `value` under `key`, in the place of what was there.
    pub(crate) fn put(&self, txn: &mut RwTxn<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Ok(self.db.put(txn, key, value)?)
    }

    /// Removes `key`, if it is there.
    pub(crate) fn delete(&self, txn: &mut RwTxn<'_>, key: &[u8]) -> Result<(), StoreError> {
        self.db.delete(txn, key)?;
        Ok(())
    }

    /// The highest key.
    pub(crate) fn last_key<'t>(&self, txn: &'t RoTxn<'_, AnyTls>) -> Result<Option<&'t [u8]>, StoreError> {
        Ok(self.db.last(txn)?.map(|(key, _)| key))
    }

    /// Entries, without reading them.
    pub(crate) fn len(&self, txn: &RoTxn<'_, AnyTls>) -> Result<u64, StoreError> {
        Ok(self.db.len(txn)?)
    }

    /// Bytes of the pages the table holds.
    pub(crate) fn bytes(&self, txn: &RoTxn<'_, AnyTls>) -> Result<u64, StoreError> {
        let page = u64::from(self.db.stat(txn)?.page_size);
        Ok(self.pages(txn)?.saturating_mul(page))
    }

    /// Pages the table holds.
    pub(crate) fn pages(&self, txn: &RoTxn<'_, AnyTls>) -> Result<u64, StoreError> {
        let stat = self.db.stat(txn)?;
        Ok((stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64)
    }

    /// All entries, in order.
    pub(crate) fn iter<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
    ) -> Result<impl Iterator<Item = Entry<'t>> + use<'t>, StoreError> {
        Ok(self.db.iter(txn)?.map(entry))
    }

    /// Entries whose keys begin with `prefix`, which is not empty, the last first.
    pub(crate) fn prefix_backwards<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Entry<'t>> + use<'t>, StoreError> {
        Ok(self.db.rev_prefix_iter(txn, prefix)?.map(entry))
    }

    /// All entries, the last first.
    pub(crate) fn backwards<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
    ) -> Result<impl Iterator<Item = Entry<'t>> + use<'t>, StoreError> {
        Ok(self.db.rev_iter(txn)?.map(entry))
    }

    /// Entries before `key`, the last first.
    pub(crate) fn before<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        key: &[u8],
    ) -> Result<impl Iterator<Item = Entry<'t>> + use<'t>, StoreError> {
        let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Excluded(key));
        Ok(self.db.rev_range(txn, &range)?.map(entry))
    }

    /// Entries whose keys begin with `prefix`, which is not empty, in order.
    pub(crate) fn prefix<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Entry<'t>> + use<'t>, StoreError> {
        Ok(self.db.prefix_iter(txn, prefix)?.map(entry))
    }

    /// Entries from `key` on, in order.
    pub(crate) fn from<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        key: &[u8],
    ) -> Result<impl Iterator<Item = Entry<'t>> + use<'t>, StoreError> {
        let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(key), Bound::Unbounded);
        Ok(self.db.range(txn, &range)?.map(entry))
    }
}

/// A key and its value, or why they could not be read.
pub(crate) type Entry<'t> = Result<(&'t [u8], &'t [u8]), StoreError>;

fn entry<'t>(entry: heed::Result<(&'t [u8], &'t [u8])>) -> Entry<'t> {
    entry.map_err(StoreError::from)
}

macro_rules! tables {
    ($($(#[doc = $doc:literal])* $id:ident = $name:literal,)*) => {
        /// Which table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(non_camel_case_types, reason = "each is spelled like the field of `Tables` it names")]
        pub(crate) enum Id { $($(#[doc = $doc])* $id,)* }

        const NAMES: [&str; [$(Id::$id),*].len()] = [$($name),*];

        /// Every table of a ledger.
        #[derive(Clone, Copy)]
        pub(crate) struct Tables { $($(#[doc = $doc])* pub(crate) $id: Table,)* }

        impl Id {
            /// Every table, in the order of this file.
            pub(crate) const ALL: [Self; NAMES.len()] = [$(Self::$id),*];

            /// Its name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// What the table holds, in words.
            pub(crate) fn about(self) -> &'static str {
                match self { $(Self::$id => concat!($($doc),*).trim_ascii(),)* }
            }
        }

        impl Tables {
            fn named(databases: Databases<'static>) -> Self {
                let [$($id),*] = databases;
                Self { $($id: Table { name: $name, db: $id },)* }
            }

            /// The table behind `id`.
            pub(crate) fn table(&self, id: Id) -> &Table {
                match id { $(Id::$id => &self.$id,)* }
            }

            /// Every table.
            pub(crate) fn all(&self) -> [&Table; NAMES.len()] {
                [$(&self.$id),*]
            }
        }
    };
}

tables! {
    /// What the folder is: its stamp and schema.
    meta = "meta",
    /// Whose ledger it is: one record.
    genesis = "genesis",
    /// What it was endowed with: one record.
    totals = "totals",
    /// Address -> account.
    accounts = "accounts",
    /// Channel id -> channel.
    channels = "channels",
    /// Delegate -> binding.
    bindings = "bindings",
    /// Offer id -> offer.
    offers = "offers",
    /// Key id -> offer id.
    offer_by_key = "offer_by_key",
    /// API ‖ time of placing ‖ offer id, of offers that are listed; so are the next three.
    offers_by_api = "offers_by_api",
    /// API ‖ seller's delegate ‖ time of placing ‖ offer id.
    offers_by_seller = "offers_by_seller",
    /// API ‖ beginning of the URI, up to a dot ‖ time of placing ‖ offer id.
    offers_by_uri = "offers_by_uri",
    /// API ‖ label ‖ its value ‖ time of placing ‖ offer id.
    offers_by_category = "offers_by_category",
    /// Time at which it may leave those four, 0 if it is sold out ‖ offer id.
    offers_ending = "offers_ending",
    /// Purchase id -> purchase.
    purchases = "purchases",
    /// Payment channel ‖ payment seq -> purchase id, sent and posted ones only.
    purchase_at = "purchase_at",
    /// Purchase id of each sent purchase.
    sent = "sent",
    /// Time of posting ‖ purchase id -> nothing for a purchase, one byte for a sale of an escrowed key.
    posted_by_time = "posted_by_time",
    /// Purchase id -> sale of an escrowed key.
    escrow_sales = "escrow_sales",
    /// Payment channel ‖ payment seq -> id of the sale of an escrowed key.
    escrow_sale_at = "escrow_sale_at",
    /// Key id -> the key itself, encrypted, of offers that are not revoked.
    escrowed_keys = "escrowed_keys",
    /// Delegate -> what it is owed for escrowed keys.
    debts = "debts",
    /// Channel id -> what its final state paid of a debt.
    escrow_payments = "escrow_payments",
    /// Kind ‖ delegate ‖ time of opening ‖ channel id.
    channels_by_delegate = "channels_by_delegate",
    /// Kind ‖ delegate ‖ time of opening ‖ channel id, of live channels only.
    live_channels = "live_channels",
    /// Kind ‖ actor (paying channels: recipient) ‖ time of opening ‖ channel id.
    channels_by_actor = "channels_by_actor",
    /// Kind ‖ actor (paying channels: recipient) ‖ time of opening ‖ channel id, of live channels only.
    live_by_actor = "live_by_actor",
    /// Delegate ‖ channel id of each suspended channel.
    suspended_channels = "suspended_channels",
    /// Delegate ‖ channel id of each channel in quarantine.
    quarantined_channels = "quarantined_channels",
    /// Channel ‖ time of release -> how the channel came out of quarantine.
    reconciliations = "reconciliations",
    /// Delegate ‖ provider id -> pair with its key.
    pairs = "pairs",
    /// Delegate ‖ provider id of each suspended pair.
    suspended_pairs = "suspended_pairs",
    /// Provider id ‖ delegate of each suspended pair.
    suspended_providers = "suspended_providers",
    /// Decision id -> decision.
    decisions = "decisions",
    /// Time of deciding ‖ decision id.
    decisions_by_time = "decisions_by_time",
    /// Policy ‖ key -> the slot and a value.
    policy_values = "policy_values",
    /// Policy ‖ key -> the slot and a counter.
    policy_counters = "policy_counters",
    /// Policy -> its name and what its space takes.
    policy_sizes = "policy_sizes",
    /// Address -> member of the network.
    members = "members",
    /// Market id -> market of the network.
    markets = "markets",
    /// Market ‖ address ‖ type -> actor.
    actors = "actors",
    /// Catalog id -> catalog.
    catalogs = "catalogs",
    /// API id -> API.
    apis = "apis",
    /// List ‖ whom or what it is of ‖ block ‖ end of the record's key -> the record's key: markets by owner, by market
    /// maker and by actor, catalogs by owner, APIs by catalog.
    registry_by = "registry_by",
    /// Consent id -> consent.
    consents = "consents",
    /// Catalog ‖ member ‖ delegate ‖ type ‖ market -> consent id.
    consent_about = "consent_about",
    /// List ‖ whom or what it is of ‖ block of the last change ‖ consent id: all consents, and those by member, delegate,
    /// market, catalog, title, description and tag.
    consents_by = "consents_by",
    /// Key of a client -> for whom it logs in.
    user_keys = "user_keys",
    /// Member or delegate ‖ key of each client that logs in for it.
    user_keys_by_party = "user_keys_by_party",
    /// Block number -> a block of the chain that was followed, and how to take it back.
    chain_blocks = "chain_blocks",
    /// Channel id -> what the chain says of the channel.
    anchors = "anchors",
    /// Purpose ‖ what it is of -> a transaction of the market maker.
    intents = "intents",
    /// Nonce -> key of the transaction that has it.
    nonces = "nonces",
    /// Nonce of each transaction that is neither mined nor failed -> its key.
    outbox = "outbox",
    /// Provider ‖ channel of each opening that locks tokens of the market maker, or may come to.
    locking = "locking",
    /// Channel id -> a payment channel's voucher.
    vouchers = "vouchers",
    /// Block that it names ‖ channel of each voucher.
    vouchers_lapsing = "vouchers_lapsing",
    /// Block that it names ‖ channel of each final state that the contract is to be shown.
    closing = "closing",
    /// Actor ‖ time of asking ‖ channel of each channel that was to be opened, whatever became of it.
    openings_wanted = "openings_wanted",
    /// Time ‖ nonce of each transaction that carries a consent -> the consent's member.
    carried = "carried",
    /// Which nonces are given out: one record.
    nonce_line = "nonce_line",
}

/// Named databases in the environment.
pub(crate) const COUNT: u32 = NAMES.len() as u32;

/// Named databases before they are committed, or while a read transaction opens them.
type Databases<'e> = [Database<'e, Bytes, Bytes>; NAMES.len()];

/// Opens `meta` alone, making it if it is missing, and runs `check` on it before that is committed: if it fails, the
/// folder is as it was.
pub(crate) fn with_meta<E: From<heed::Error>>(
    env: &LedgerEnv,
    check: impl FnOnce(Database<'_, Bytes, Bytes>, &mut RwTxn<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let txn = env.write_txn()?;
    env.create_databases_and_commit(txn, |opener, txn| {
        let meta = opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?;
        check(meta, txn).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    Ok(())
}

/// The value under `key` in `meta`; none if the environment has no such table.
pub(crate) fn read_meta(env: &LedgerEnv, key: &[u8]) -> heed::Result<Option<Vec<u8>>> {
    let txn = env.read_txn()?;
    let meta = env.open_databases_and_commit(txn, |opener, txn| {
        opener
            .open_database::<Bytes, Bytes>(txn, Some("meta"))
            .map(CommitOrAbort::<_, ()>::Commit)
    })?;
    let Some(Some(meta)) = meta.commit() else {
        return Ok(None);
    };
    Ok(meta.get(&*env.read_txn()?, key)?.map(<[u8]>::to_vec))
}

impl Tables {
    /// Opens the tables and makes those that are missing.
    pub(crate) fn create(env: &LedgerEnv) -> heed::Result<Self> {
        let txn = env.write_txn()?;
        let databases = env.create_databases_and_commit(txn, |opener, txn| {
            let mut made = Vec::with_capacity(NAMES.len());
            for name in NAMES {
                made.push(opener.create_database::<Bytes, Bytes>(txn, Some(name))?);
            }
            all_of(made).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        databases
            .commit()
            .map(Self::named)
            .ok_or(heed::Error::Mdb(heed::MdbError::Problem))
    }

    /// Opens the tables for reading; none if one is missing.
    pub(crate) fn open(env: &LedgerEnv) -> heed::Result<Option<Self>> {
        let txn = env.read_txn()?;
        let databases = env.open_databases_and_commit(txn, |opener, txn| {
            let mut found = Vec::with_capacity(NAMES.len());
            for name in NAMES {
                match opener.open_database::<Bytes, Bytes>(txn, Some(name))? {
                    Some(database) => found.push(database),
                    None => return Ok(CommitOrAbort::Abort(())),
                }
            }
            all_of(found).map(CommitOrAbort::Commit)
        })?;
        Ok(databases.commit().map(Self::named))
    }
}

fn all_of<'e>(databases: Vec<Database<'e, Bytes, Bytes>>) -> heed::Result<Databases<'e>> {
    // One for each name, so this never fails.
    databases
        .try_into()
        .map_err(|_| heed::Error::Mdb(heed::MdbError::Problem))
}
