//! Writing what a command changed, with the index entries that follow from it.

use crate::codec;
use crate::error::StoreError;
use crate::index::{self, Entry};
use crate::keys;
use crate::records::{ONLY, Records};
use crate::tables::{Table, Tables};
use bourse_market::login::UserKey;
use bourse_market::registry::{Registration, RegistrationKey};
use bourse_market::voucher::Voucher;
use bourse_market::{Change, Channel, View};
use heed::RwTxn;
use serde::Serialize;

/// Writes one change. Yields the channel that was replaced, if it is one's. After an error the transaction is to be aborted:
/// part of the change may be in it.
pub(crate) fn write(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    change: &Change,
) -> Result<Option<Channel>, StoreError> {
    let Entries { old, new, replaced } = entries(Records { tables, txn: &*txn }, change)?;
    record(tables, txn, change)?;
    for entry in old.iter().filter(|entry| !new.contains(entry)) {
        let table = tables.table(entry.table);
        // Under the key of a freed position another record may stand by now.
        if table.get(txn, &entry.key)? == Some(entry.value.as_slice()) {
            table.delete(txn, &entry.key)?;
        }
    }
    for entry in new.iter().filter(|entry| !old.contains(entry)) {
        tables.table(entry.table).put(txn, &entry.key, &entry.value)?;
    }
    Ok(replaced)
}

/// Writes the record alone.
fn record(tables: &Tables, txn: &mut RwTxn<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Genesis(record) => put(&tables.genesis, txn, ONLY, record),
        Change::Totals(record) => put(&tables.totals, txn, ONLY, record),
        Change::Account(address, record) => put(&tables.accounts, txn, address.as_bytes(), record),
        Change::Binding(delegate, record) => put(&tables.bindings, txn, delegate.as_bytes(), record),
        Change::Channel(record) => put(&tables.channels, txn, record.id.as_bytes(), record),
        Change::Offer(record) => put(&tables.offers, txn, record.id.as_bytes(), record),
        Change::Purchase(record) => put(&tables.purchases, txn, record.id.as_bytes(), record),
        Change::Reconciliation(record) => {
            let key = keys::reconciliation(&record.channel, record.at);
            put(&tables.reconciliations, txn, &key, record)
        }
        Change::EscrowSale(record) => put(&tables.escrow_sales, txn, record.id.as_bytes(), record),
        Change::EscrowedKey(key, Some(record)) => put(&tables.escrowed_keys, txn, key.as_bytes(), record),
        Change::EscrowedKey(key, None) => tables.escrowed_keys.delete(txn, key.as_bytes()),
        Change::Debt(delegate, record) => put(&tables.debts, txn, delegate.as_bytes(), record),
        Change::EscrowPayment(channel, record) => {
            put(&tables.escrow_payments, txn, channel.as_bytes(), record)
        }
        Change::Pair(key, record) => put(&tables.pairs, txn, &keys::pair(key), &(key, record)),
        Change::Decision(record) => put(&tables.decisions, txn, record.id.as_bytes(), record),
        Change::PolicyValue(slot, Some(value)) => {
            let key = keys::policy_slot(slot);
            put(&tables.policy_values, txn, &key, &(slot, value))
        }
        Change::PolicyValue(slot, None) => tables.policy_values.delete(txn, &keys::policy_slot(slot)),
        Change::PolicyCounter(slot, 0) => tables.policy_counters.delete(txn, &keys::policy_slot(slot)),
        Change::PolicyCounter(slot, count) => {
            let key = keys::policy_slot(slot);
            put(&tables.policy_counters, txn, &key, &(slot, count))
        }
        Change::PolicySize(policy, 0) => tables.policy_sizes.delete(txn, &keys::policy(policy)),
        Change::PolicySize(policy, size) => {
            put(&tables.policy_sizes, txn, &keys::policy(policy), &(policy, size))
        }
        Change::Registered(record) => register(tables, txn, record),
        Change::Unregistered(key) => unregister(tables, txn, key),
        Change::UserKey(key, Some(record)) => put(&tables.user_keys, txn, key.as_bytes(), record),
        Change::UserKey(key, None) => tables.user_keys.delete(txn, key.as_bytes()),
        Change::Block(number, Some(record)) => put(&tables.chain_blocks, txn, &keys::block(*number), record),
        Change::Block(number, None) => tables.chain_blocks.delete(txn, &keys::block(*number)),
        Change::Anchor(channel, record) => put(&tables.anchors, txn, channel.as_bytes(), record),
        Change::Intent(record) => put(&tables.intents, txn, &keys::intent(&record.key), record),
        Change::Voucher(channel, Some(record)) => put(&tables.vouchers, txn, channel.as_bytes(), record),
        Change::Voucher(channel, None) => tables.vouchers.delete(txn, channel.as_bytes()),
        Change::NonceLine(record) => put(&tables.nonce_line, txn, ONLY, record),
    }
}

/// The index entries of the record that a change replaces, and of the new one.
struct Entries {
    old: Vec<Entry>,
    new: Vec<Entry>,
    /// The record itself, of a channel.
    replaced: Option<Channel>,
}

fn entries(records: Records<'_>, change: &Change) -> Result<Entries, StoreError> {
    let Change::Channel(new) = change else {
        let (old, new) = of_others(records, change)?;
        return Ok(Entries {
            old,
            new,
            replaced: None,
        });
    };
    let replaced = records.channel(&new.id)?;
    let (old, new) = match &replaced {
        // A purchase moves what is in a channel, and nothing that it is found by.
        Some(old) if index::is_found_alike(old, new) => (Vec::new(), Vec::new()),
        old => (
            old.as_ref().map(index::of_channel).unwrap_or_default(),
            index::of_channel(new),
        ),
    };
    Ok(Entries { old, new, replaced })
}

/// The same where the change is of no channel.
fn of_others(records: Records<'_>, change: &Change) -> Result<(Vec<Entry>, Vec<Entry>), StoreError> {
    fn both<R>(old: Option<R>, new: &R, of: impl Fn(&R) -> Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
        (old.map(|old| of(&old)).unwrap_or_default(), of(new))
    }
    Ok(match change {
        Change::Offer(new) => both(records.offer(&new.id)?, new, index::of_offer),
        Change::Purchase(new) => both(records.purchase(&new.id)?, new, index::of_purchase),
        Change::EscrowSale(new) => both(records.escrow_sale(&new.id)?, new, index::of_escrow_sale),
        Change::Pair(key, new) => both(records.pair(key)?, new, |pair| index::of_pair(key, pair)),
        Change::Decision(new) => both(records.decision(&new.id)?, new, index::of_decision),
        Change::Voucher(channel, new) => {
            let entries = |voucher: &Voucher| index::of_voucher(voucher);
            (
                records
                    .voucher(channel)?
                    .as_ref()
                    .map(entries)
                    .unwrap_or_default(),
                new.as_deref().map(entries).unwrap_or_default(),
            )
        }
        Change::UserKey(key, new) => {
            let entries = |known: &UserKey| index::of_user_key(known);
            (
                records.user_key(key)?.as_ref().map(entries).unwrap_or_default(),
                new.as_deref().map(entries).unwrap_or_default(),
            )
        }
        Change::Intent(new) => both(records.intent(&new.key)?, new, index::of_intent),
        Change::Registered(new) => both(records.registered(&new.key())?, new, index::of_registration),
        Change::Unregistered(key) => {
            let old = records.registered(key)?;
            (
                old.as_ref().map(index::of_registration).unwrap_or_default(),
                Vec::new(),
            )
        }
        Change::Channel(_)
        | Change::Genesis(_)
        | Change::Totals(_)
        | Change::Account(..)
        | Change::Binding(..)
        | Change::Reconciliation(_)
        | Change::EscrowedKey(..)
        | Change::Debt(..)
        | Change::EscrowPayment(..)
        | Change::PolicyValue(..)
        | Change::PolicyCounter(..)
        | Change::PolicySize(..)
        | Change::Block(..)
        | Change::Anchor(..)
        | Change::NonceLine(_) => (Vec::new(), Vec::new()),
    })
}

/// Writes a record of the registry.
fn register(tables: &Tables, txn: &mut RwTxn<'_>, registration: &Registration) -> Result<(), StoreError> {
    match registration {
        Registration::Member(record) => put(&tables.members, txn, record.address.as_bytes(), record),
        Registration::Market(record) => put(&tables.markets, txn, record.id.as_bytes(), record),
        Registration::Actor(record) => put(&tables.actors, txn, &keys::actor(&record.key), record),
        Registration::Catalog(record) => put(&tables.catalogs, txn, record.id.as_bytes(), record),
        Registration::Api(record) => put(&tables.apis, txn, record.id.as_bytes(), record),
        Registration::Consent(record) => put(&tables.consents, txn, record.id.as_bytes(), record),
    }
}

/// Removes a record of the registry, if it is there.
fn unregister(tables: &Tables, txn: &mut RwTxn<'_>, key: &RegistrationKey) -> Result<(), StoreError> {
    match key {
        RegistrationKey::Member(address) => tables.members.delete(txn, address.as_bytes()),
        RegistrationKey::Market(id) => tables.markets.delete(txn, id.as_bytes()),
        RegistrationKey::Actor(key) => tables.actors.delete(txn, &keys::actor(key)),
        RegistrationKey::Catalog(id) => tables.catalogs.delete(txn, id.as_bytes()),
        RegistrationKey::Api(id) => tables.apis.delete(txn, id.as_bytes()),
        RegistrationKey::Consent(about) => {
            let consent = Records { tables, txn: &*txn }.consent_about(about)?;
            match consent {
                Some(consent) => tables.consents.delete(txn, consent.id.as_bytes()),
                None => Ok(()),
            }
        }
    }
}

fn put<R: Serialize>(table: &Table, txn: &mut RwTxn<'_>, key: &[u8], record: &R) -> Result<(), StoreError> {
    table.put(txn, key, &codec::encode(table.name, record)?)
}
