//! Checking a whole ledger: every record against the market's invariants, every index against its records.

mod start;

pub use start::Glance;

use crate::codec;
use crate::error::StoreError;
use crate::index::{self, Entry};
use crate::keys::{self, RegistryBy};
use crate::reader::{Counts, Reader};
use crate::records::{ONLY, hex};
use crate::tables::{Id, Table};
use bourse_market::chain::{Anchor, AppliedBlock};
use bourse_market::login::UserKey;
use bourse_market::outbox::{Intent, NonceLine};
use bourse_market::registry::{Actor, Api, Catalog, Consent, Market, Member, Registration};
use bourse_market::voucher::Voucher;
use bourse_market::{
    Account, Address, Auditor, Binding, Channel, ChannelId, Debt, Decision, EscrowPayment, EscrowSale,
    EscrowedKey, Genesis, KeyId, Offer, Pair, PairKey, PolicySlot, Purchase, Reconciliation, Sums, Totals,
    View,
};
use serde::de::DeserializeOwned;

/// Violations of this crate's own that are kept one by one; the rest is counted.
const MAX_VIOLATIONS: usize = 1000;

/// Records between two calls of the progress function.
const STRIDE: u64 = 4096;

/// The indexes, each of which must hold what its records say and nothing else.
pub(crate) const INDEXES: [Id; 30] = [
    Id::offer_by_key,
    Id::offers_by_api,
    Id::offers_by_seller,
    Id::offers_by_uri,
    Id::offers_by_category,
    Id::offers_ending,
    Id::purchase_at,
    Id::escrow_sale_at,
    Id::sent,
    Id::posted_by_time,
    Id::channels_by_delegate,
    Id::live_channels,
    Id::channels_by_actor,
    Id::live_by_actor,
    Id::suspended_channels,
    Id::quarantined_channels,
    Id::closing,
    Id::vouchers_lapsing,
    Id::suspended_pairs,
    Id::suspended_providers,
    Id::decisions_by_time,
    Id::registry_by,
    Id::consent_about,
    Id::consents_by,
    Id::user_keys_by_party,
    Id::nonces,
    Id::outbox,
    Id::locking,
    Id::openings_wanted,
    Id::carried,
];

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An invariant of the market.
    #[error(transparent)]
    Ledger(#[from] bourse_market::Violation),
    /// A record that cannot be decoded.
    #[error("{table} {key}: {why}")]
    Unreadable {
        /// Its table.
        table: &'static str,
        /// Its key, in hex.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A record under another's key.
    #[error("{table} {key} holds a record of another key")]
    Misfiled {
        /// Its table.
        table: &'static str,
        /// The key, in hex.
        key: String,
    },
    /// A record of the registry that nobody could have written: a text or list in it is too long.
    #[error("{table} {key}: {why}")]
    TooLong {
        /// Its table.
        table: &'static str,
        /// Its key, in hex.
        key: String,
        /// Which text or list, its length and the most.
        why: bourse_market::Refusal,
    },
    /// A record that an index does not know.
    #[error("{index} lacks {key} of {record}")]
    MissingEntry {
        /// The index.
        index: &'static str,
        /// The entry's key, in hex.
        key: String,
        /// The record: its table and key, in hex.
        record: String,
    },
    /// An index entry without a record that explains it.
    #[error("{index} holds {key}, which no record explains")]
    StrayEntry {
        /// The index.
        index: &'static str,
        /// The entry's key, in hex.
        key: String,
    },
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Records that were looked at.
    pub checked: Counts,
    /// Index entries that were looked at.
    pub entries: u64,
    /// Tokens, by where they are and where they went.
    pub sums: Sums,
    /// Everything that is wrong; empty for a sound ledger. Cut after the first thousands, with a count of the rest.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Reader<'_> {
    /// Checks every record and every index of this snapshot. `progress` is told how many records are done, of how
    /// many. Reads the whole ledger: minutes for a large one, during which the file of a busy market grows.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if LMDB itself fails; a damaged record is a violation, not an error.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, StoreError> {
        Check::new(self, progress)?.run()
    }
}

struct Check<'r, 'p> {
    reader: &'r Reader<'r>,
    progress: &'p mut dyn FnMut(u64, u64),
    auditor: Auditor,
    done: u64,
    total: u64,
    /// Entries found for their records, by the place of their index in [`INDEXES`].
    found: [u64; INDEXES.len()],
    violations: Vec<Violation>,
    more: u64,
}

impl<'r, 'p> Check<'r, 'p> {
    fn new(reader: &'r Reader<'_>, progress: &'p mut dyn FnMut(u64, u64)) -> Result<Self, StoreError> {
        let tables = reader.tables;
        let records = [
            &tables.accounts,
            &tables.bindings,
            &tables.channels,
            &tables.reconciliations,
            &tables.offers,
            &tables.purchases,
            &tables.escrow_sales,
            &tables.escrowed_keys,
            &tables.debts,
            &tables.escrow_payments,
            &tables.pairs,
            &tables.decisions,
            &tables.policy_values,
            &tables.policy_counters,
            &tables.policy_sizes,
            &tables.members,
            &tables.markets,
            &tables.actors,
            &tables.catalogs,
            &tables.apis,
            &tables.consents,
            &tables.user_keys,
            &tables.chain_blocks,
            &tables.anchors,
            &tables.intents,
            &tables.vouchers,
        ];
        let mut total = 0u64;
        for table in records {
            total = total.saturating_add(table.len(&reader.txn)?);
        }
        let found = [0; INDEXES.len()];
        let auditor = Auditor::new();
        Ok(Self {
            reader,
            progress,
            auditor,
            done: 0,
            total,
            found,
            violations: Vec::new(),
            more: 0,
        })
    }

    fn run(mut self) -> Result<Report, StoreError> {
        let tables = self.reader.tables;
        (self.progress)(0, self.total);
        self.only::<Genesis>(&tables.genesis, |auditor, genesis| auditor.genesis(genesis))?;
        self.only::<Totals>(&tables.totals, |auditor, totals| auditor.totals(totals))?;
        self.only::<NonceLine>(&tables.nonce_line, |auditor, line| auditor.nonce_line(line))?;
        self.each(&tables.accounts, |check, key, account: &Account| {
            let address = Address::try_from(key).ok();
            address
                .iter()
                .for_each(|address| check.auditor.account(address, account));
            (address.is_some(), Vec::new())
        })?;
        self.each(&tables.bindings, |check, key, binding: &Binding| {
            let delegate = Address::try_from(key).ok();
            delegate
                .iter()
                .for_each(|delegate| check.auditor.binding(delegate, binding));
            (delegate.is_some(), Vec::new())
        })?;
        self.each(&tables.channels, |check, key, channel: &Channel| {
            check.auditor.channel(channel);
            (key == channel.id.as_bytes(), index::of_channel(channel))
        })?;
        self.each(&tables.reconciliations, |check, key, record: &Reconciliation| {
            check.auditor.reconciliation(record);
            let own = keys::reconciliation(&record.channel, record.at);
            (key == own, Vec::new())
        })?;
        self.each(&tables.offers, |check, key, offer: &Offer| {
            check.auditor.offer(offer);
            (key == offer.id.as_bytes(), index::of_offer(offer))
        })?;
        self.each(&tables.decisions, |check, key, decision: &Decision| {
            check.auditor.decision(decision);
            (key == decision.id.as_bytes(), index::of_decision(decision))
        })?;
        self.each(&tables.purchases, |check, key, purchase: &Purchase| {
            check.auditor.purchase(purchase);
            (key == purchase.id.as_bytes(), index::of_purchase(purchase))
        })?;
        self.each(&tables.escrow_sales, |check, key, sale: &EscrowSale| {
            check.auditor.escrow_sale(sale);
            (key == sale.id.as_bytes(), index::of_escrow_sale(sale))
        })?;
        self.each(&tables.escrowed_keys, |check, key, _: &EscrowedKey| {
            let key = KeyId::try_from(key).ok();
            key.iter().for_each(|key| check.auditor.escrowed_key(key));
            (key.is_some(), Vec::new())
        })?;
        self.each(&tables.debts, |check, key, debt: &Debt| {
            let delegate = Address::try_from(key).ok();
            delegate
                .iter()
                .for_each(|delegate| check.auditor.debt(delegate, debt));
            (delegate.is_some(), Vec::new())
        })?;
        self.each(&tables.escrow_payments, |check, key, payment: &EscrowPayment| {
            let channel = ChannelId::try_from(key).ok();
            channel
                .iter()
                .for_each(|channel| check.auditor.escrow_payment(channel, payment));
            (channel.is_some(), Vec::new())
        })?;
        self.each(&tables.pairs, |_, key, (pair_key, pair): &(PairKey, Pair)| {
            (key == keys::pair(pair_key), index::of_pair(pair_key, pair))
        })?;
        self.each(
            &tables.policy_values,
            |check, key, (slot, value): &(PolicySlot, Vec<u8>)| {
                check.auditor.policy_value(slot, value.len());
                (key == keys::policy_slot(slot), Vec::new())
            },
        )?;
        self.each(
            &tables.policy_counters,
            |check, key, (slot, count): &(PolicySlot, i64)| {
                check.auditor.policy_counter(slot, *count);
                (key == keys::policy_slot(slot), Vec::new())
            },
        )?;
        self.each(
            &tables.policy_sizes,
            |check, key, (policy, size): &(String, u64)| {
                check.auditor.policy_size(policy, *size);
                (key == keys::policy(policy), Vec::new())
            },
        )?;
        self.registry()?;
        self.chain()?;
        let entries = self.indexes()?;
        (self.progress)(self.done, self.total);
        self.report(entries)
    }

    /// The registry. No tokens are in it, so that its records are held against their keys, indexes and bounds alone.
    fn registry(&mut self) -> Result<(), StoreError> {
        let tables = self.reader.tables;
        self.registered(&tables.members, Registration::Member, |key, member: &Member| {
            (key == member.address.as_bytes(), Vec::new())
        })?;
        self.registered(&tables.markets, Registration::Market, |key, market: &Market| {
            (key == market.id.as_bytes(), index::of_market(market))
        })?;
        self.registered(&tables.actors, Registration::Actor, |key, actor: &Actor| {
            (key == keys::actor(&actor.key), index::of_actor(actor))
        })?;
        self.registered(
            &tables.catalogs,
            Registration::Catalog,
            |key, catalog: &Catalog| (key == catalog.id.as_bytes(), index::of_catalog(catalog)),
        )?;
        self.registered(&tables.apis, Registration::Api, |key, api: &Api| {
            (key == api.id.as_bytes(), index::of_api(api))
        })?;
        self.registered(
            &tables.consents,
            Registration::Consent,
            |key, consent: &Consent| (key == consent.id.as_bytes(), index::of_consent(consent)),
        )
    }

    /// What was followed of a chain, and sent to it. That it says the same of channels as their records is for the auditor.
    fn chain(&mut self) -> Result<(), StoreError> {
        let tables = self.reader.tables;
        self.each(&tables.chain_blocks, |_, key, applied: &AppliedBlock| {
            (key == keys::block(applied.block.number), Vec::new())
        })?;
        self.each(&tables.anchors, |check, key, anchor: &Anchor| {
            let id = ChannelId::try_from(key);
            if let Ok(id) = id {
                check.auditor.anchor(id, anchor);
            }
            (id.is_ok(), Vec::new())
        })?;
        self.each(&tables.user_keys, |check, key, known: &UserKey| {
            check.auditor.user_key(known);
            (key == known.key.as_bytes(), index::of_user_key(known))
        })?;
        self.each(&tables.vouchers, |check, key, voucher: &Voucher| {
            check.auditor.voucher(voucher);
            (key == voucher.channel.as_bytes(), index::of_voucher(voucher))
        })?;
        self.each(&tables.intents, |check, key, intent: &Intent| {
            check.auditor.intent(intent);
            (key == keys::intent(&intent.key), index::of_intent(intent))
        })
    }

    /// Every record of a table of the registry. `visit` is that of [`Check::each`].
    fn registered<R: DeserializeOwned + Clone>(
        &mut self,
        table: &Table,
        of: impl Fn(R) -> Registration,
        visit: impl Fn(&[u8], &R) -> (bool, Vec<Entry>),
    ) -> Result<(), StoreError> {
        self.each(table, |check, key, record: &R| {
            if let Err(why) = of(record.clone()).check() {
                check.complain(Violation::TooLong {
                    table: table.name,
                    key: hex(key),
                    why,
                });
            }
            visit(key, record)
        })
    }

    fn report(self, entries: u64) -> Result<Report, StoreError> {
        let Self {
            auditor,
            mut violations,
            more,
            ..
        } = self;
        let sums = auditor.sums();
        if more > 0 {
            violations.push(bourse_market::Violation::More { count: more }.into());
        }
        violations.extend(auditor.finish().into_iter().map(Violation::from));
        Ok(Report {
            checked: self.reader.counts()?,
            entries,
            sums,
            violations,
        })
    }

    fn complain(&mut self, violation: Violation) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(violation);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// A table's record, or a complaint.
    fn decoded<R: DeserializeOwned>(&mut self, table: &Table, key: &[u8], bytes: &[u8]) -> Option<R> {
        match codec::decode(table.name, bytes) {
            Ok(record) => Some(record),
            Err(error) => {
                let why = error.to_string();
                self.complain(Violation::Unreadable {
                    table: table.name,
                    key: hex(key),
                    why,
                });
                None
            }
        }
    }

    /// The record of a table that has one at most.
    fn only<R: DeserializeOwned>(
        &mut self,
        table: &Table,
        feed: impl FnOnce(&mut Auditor, &R),
    ) -> Result<(), StoreError> {
        if let Some(bytes) = table.get(&self.reader.txn, ONLY)?
            && let Some(record) = self.decoded(table, ONLY, bytes)
        {
            feed(&mut self.auditor, &record);
        }
        Ok(())
    }

    /// Every record of a table. `visit` feeds it to the auditor and tells whether it is under its own key, and its index
    /// entries.
    fn each<R: DeserializeOwned>(
        &mut self,
        table: &Table,
        mut visit: impl FnMut(&mut Self, &[u8], &R) -> (bool, Vec<Entry>),
    ) -> Result<(), StoreError> {
        let reader = self.reader;
        for entry in table.iter(&reader.txn)? {
            let (key, bytes) = entry?;
            self.done = self.done.saturating_add(1);
            if self.done.is_multiple_of(STRIDE) {
                (self.progress)(self.done, self.total);
            }
            let Some(record) = self.decoded::<R>(table, key, bytes) else {
                continue;
            };
            let (filed, entries) = visit(self, key, &record);
            if !filed {
                self.complain(Violation::Misfiled {
                    table: table.name,
                    key: hex(key),
                });
            }
            for entry in entries {
                self.expect(table, key, &entry)?;
            }
        }
        Ok(())
    }

    /// An index entry that a record must have.
    fn expect(&mut self, table: &Table, key: &[u8], entry: &Entry) -> Result<(), StoreError> {
        let index = self.reader.tables.table(entry.table);
        if index.get(&self.reader.txn, &entry.key)? == Some(entry.value.as_slice()) {
            let place = INDEXES.iter().position(|id| *id == entry.table);
            if let Some(found) = place.and_then(|place| self.found.get_mut(place)) {
                *found = found.saturating_add(1);
            }
        } else {
            let record = format!("{} {}", table.name, hex(key));
            self.complain(Violation::MissingEntry {
                index: index.name,
                key: hex(&entry.key),
                record,
            });
        }
        Ok(())
    }

    /// Every index against the entries that were found. No two records share an entry, so that an index with as many
    /// entries holds no others; in the rest, the stray ones are looked for.
    fn indexes(&mut self) -> Result<u64, StoreError> {
        let mut all = 0u64;
        for (id, found) in INDEXES.into_iter().zip(self.found) {
            let index = self.reader.tables.table(id);
            let entries = index.len(&self.reader.txn)?;
            all = all.saturating_add(entries);
            if entries != found {
                self.stray(id, index)?;
            }
        }
        Ok(all)
    }

    fn stray(&mut self, id: Id, index: &Table) -> Result<(), StoreError> {
        let reader = self.reader;
        for entry in index.iter(&reader.txn)? {
            let (key, value) = entry?;
            if !self.explains(id, key, value) {
                self.complain(Violation::StrayEntry {
                    index: index.name,
                    key: hex(key),
                });
            }
        }
        Ok(())
    }

    /// Whether the record behind an index entry has that entry. A record that cannot be read explains nothing.
    fn explains(&self, id: Id, key: &[u8], value: &[u8]) -> bool {
        let records = self.reader.records();
        let channel = || {
            let id = index::trailing_id(key)?;
            records
                .channel(&bourse_market::ChannelId(id))
                .ok()?
                .map(|record| index::of_channel(&record))
        };
        let purchase = |id: Option<[u8; 16]>| {
            let id = bourse_market::PurchaseId(id?);
            records
                .purchase(&id)
                .ok()?
                .map(|record| index::of_purchase(&record))
        };
        let delivered = |id: Option<[u8; 16]>| {
            let id = bourse_market::PurchaseId(id?);
            records
                .escrow_sale(&id)
                .ok()?
                .map(|record| index::of_escrow_sale(&record))
        };
        let pair = |key| {
            let (key, record) = records.pair_record(key).ok()??;
            Some(index::of_pair(&key, &record))
        };
        let offer = |id: Option<[u8; 16]>| {
            let id = bourse_market::OfferId(id?);
            records.offer(&id).ok()?.map(|record| index::of_offer(&record))
        };
        let consent = |id: Option<[u8; 16]>| {
            let id = bourse_market::ConsentId(id?);
            records
                .consent(&id)
                .ok()?
                .map(|record| index::of_consent(&record))
        };
        let entries = match id {
            Id::offer_by_key => offer(index::trailing_id(value)),
            Id::offers_by_api
            | Id::offers_by_seller
            | Id::offers_by_uri
            | Id::offers_by_category
            | Id::offers_ending => offer(index::trailing_id(key)),
            Id::purchase_at => purchase(index::trailing_id(value)),
            Id::posted_by_time if value == index::ESCROWED => delivered(index::trailing_id(key)),
            Id::sent | Id::posted_by_time => purchase(index::trailing_id(key)),
            Id::escrow_sale_at => delivered(index::trailing_id(value)),
            Id::decisions_by_time => {
                let decision = index::trailing_id(key).map(bourse_market::DecisionId);
                decision
                    .and_then(|id| records.decision(&id).ok()?)
                    .map(|record| index::of_decision(&record))
            }
            Id::consent_about => consent(index::trailing_id(value)),
            Id::consents_by => consent(index::trailing_id(key)),
            Id::nonces | Id::outbox => self
                .record(&self.reader.tables.intents, value)
                .as_ref()
                .map(index::of_intent),
            Id::locking | Id::openings_wanted => index::opening_of(key)
                .and_then(|opening| records.intent(&opening).ok()?)
                .as_ref()
                .map(index::of_intent),
            Id::vouchers_lapsing => index::trailing_id(key)
                .and_then(|channel| records.voucher(&ChannelId(channel)).ok()?)
                .as_ref()
                .map(index::of_voucher),
            Id::user_keys_by_party => key
                .get(bourse_market::Address::LEN..)
                .and_then(|known| self.record(&self.reader.tables.user_keys, known))
                .as_ref()
                .map(index::of_user_key),
            Id::carried => index::nonce_of(key)
                .and_then(|nonce| records.intent_at(nonce).ok()?)
                .as_ref()
                .map(index::of_intent),
            Id::registry_by => self.listed(key, value),
            Id::suspended_pairs => pair(key),
            Id::suspended_providers => pair(value),
            _ => channel(),
        };
        entries.is_some_and(|entries| {
            entries
                .iter()
                .any(|entry| entry.table == id && entry.key == key && entry.value == value)
        })
    }
}

impl Check<'_, '_> {
    /// The entries of the record that an entry of the registry's lists names.
    fn listed(&self, key: &[u8], record: &[u8]) -> Option<Vec<Entry>> {
        let tables = self.reader.tables;
        Some(match RegistryBy::of(key)? {
            RegistryBy::MarketOwner | RegistryBy::MarketMaker => {
                index::of_market(&self.record(&tables.markets, record)?)
            }
            RegistryBy::MarketActor => index::of_actor(&self.record(&tables.actors, record)?),
            RegistryBy::CatalogOwner => index::of_catalog(&self.record(&tables.catalogs, record)?),
            RegistryBy::ApiCatalog => index::of_api(&self.record(&tables.apis, record)?),
        })
    }

    /// A record that can be read.
    fn record<R: DeserializeOwned>(&self, table: &Table, key: &[u8]) -> Option<R> {
        let bytes = table.get(&self.reader.txn, key).ok()??;
        codec::decode(table.name, bytes).ok()
    }
}

#[cfg(test)]
mod tests;
