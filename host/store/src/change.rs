//! Writing what a command changed, with the index entries that follow from it.

use crate::codec;
use crate::error::StoreError;
use crate::index::{self, Entry};
use crate::keys;
use crate::records::{ONLY, Records};
use crate::tables::{Table, Tables};
use bourse_market::registry::Registration;
use bourse_market::{Change, View};
use heed::RwTxn;
use serde::Serialize;

/// Writes one change. After an error the transaction is to be aborted: part of the change may be in it.
pub(crate) fn write(tables: &Tables, txn: &mut RwTxn<'_>, change: &Change) -> Result<(), StoreError> {
    let old = stale_entries(Records { tables, txn: &*txn }, change)?;
    let new = match change {
        Change::Genesis(record) => put(&tables.genesis, txn, ONLY, record)?,
        Change::Totals(record) => put(&tables.totals, txn, ONLY, record)?,
        Change::Account(address, record) => put(&tables.accounts, txn, address.as_bytes(), record)?,
        Change::Binding(delegate, record) => put(&tables.bindings, txn, delegate.as_bytes(), record)?,
        Change::Channel(record) => {
            put(&tables.channels, txn, record.id.as_bytes(), record)?;
            index::of_channel(record)
        }
        Change::Offer(record) => {
            put(&tables.offers, txn, record.id.as_bytes(), record)?;
            index::of_offer(record)
        }
        Change::Purchase(record) => {
            put(&tables.purchases, txn, record.id.as_bytes(), record)?;
            index::of_purchase(record)
        }
        Change::Reconciliation(record) => {
            let key = keys::reconciliation(&record.channel, record.at);
            put(&tables.reconciliations, txn, &key, record)?
        }
        Change::EscrowSale(record) => {
            put(&tables.escrow_sales, txn, record.id.as_bytes(), record)?;
            index::of_escrow_sale(record)
        }
        Change::EscrowedKey(key, Some(record)) => put(&tables.escrowed_keys, txn, key.as_bytes(), record)?,
        Change::EscrowedKey(key, None) => remove(&tables.escrowed_keys, txn, key.as_bytes())?,
        Change::Debt(delegate, record) => put(&tables.debts, txn, delegate.as_bytes(), record)?,
        Change::EscrowPayment(channel, record) => {
            put(&tables.escrow_payments, txn, channel.as_bytes(), record)?
        }
        Change::Pair(key, record) => {
            put(&tables.pairs, txn, &keys::pair(key), &(key, record))?;
            index::of_pair(key, record)
        }
        Change::Decision(record) => {
            put(&tables.decisions, txn, record.id.as_bytes(), record)?;
            index::of_decision(record)
        }
        Change::PolicyValue(slot, Some(value)) => put(
            &tables.policy_values,
            txn,
            &keys::policy_slot(slot),
            &(slot, value),
        )?,
        Change::PolicyValue(slot, None) => remove(&tables.policy_values, txn, &keys::policy_slot(slot))?,
        Change::PolicyCounter(slot, 0) => remove(&tables.policy_counters, txn, &keys::policy_slot(slot))?,
        Change::PolicyCounter(slot, count) => put(
            &tables.policy_counters,
            txn,
            &keys::policy_slot(slot),
            &(slot, count),
        )?,
        Change::PolicySize(policy, 0) => remove(&tables.policy_sizes, txn, &keys::policy(policy))?,
        Change::PolicySize(policy, size) => {
            put(&tables.policy_sizes, txn, &keys::policy(policy), &(policy, size))?
        }
        Change::Registered(record) => {
            register(tables, txn, record)?;
            index::of_registration(record)
        }
    };
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
    Ok(())
}

/// The index entries of the record that `change` replaces.
fn stale_entries(records: Records<'_>, change: &Change) -> Result<Vec<Entry>, StoreError> {
    Ok(match change {
        Change::Channel(new) => records.channel(&new.id)?.map(|old| index::of_channel(&old)),
        Change::Offer(new) => records.offer(&new.id)?.map(|old| index::of_offer(&old)),
        Change::Purchase(new) => records.purchase(&new.id)?.map(|old| index::of_purchase(&old)),
        Change::EscrowSale(new) => records
            .escrow_sale(&new.id)?
            .map(|old| index::of_escrow_sale(&old)),
        Change::Pair(key, _) => records.pair(key)?.map(|old| index::of_pair(key, &old)),
        Change::Decision(new) => records.decision(&new.id)?.map(|old| index::of_decision(&old)),
        Change::Registered(new) => records.registered(new)?.map(|old| index::of_registration(&old)),
        Change::Genesis(_)
        | Change::Totals(_)
        | Change::Account(..)
        | Change::Binding(..)
        | Change::Reconciliation(_)
        | Change::EscrowedKey(..)
        | Change::Debt(..)
        | Change::EscrowPayment(..)
        | Change::PolicyValue(..)
        | Change::PolicyCounter(..)
        | Change::PolicySize(..) => None,
    }
    .unwrap_or_default())
}

/// Writes a record of the registry.
fn register(
    tables: &Tables,
    txn: &mut RwTxn<'_>,
    registration: &Registration,
) -> Result<Vec<Entry>, StoreError> {
    match registration {
        Registration::Member(record) => put(&tables.members, txn, record.address.as_bytes(), record),
        Registration::Market(record) => put(&tables.markets, txn, record.id.as_bytes(), record),
        Registration::Actor(record) => put(&tables.actors, txn, &keys::actor(&record.key), record),
        Registration::Catalog(record) => put(&tables.catalogs, txn, record.id.as_bytes(), record),
        Registration::Api(record) => put(&tables.apis, txn, record.id.as_bytes(), record),
        Registration::Consent(record) => put(&tables.consents, txn, record.id.as_bytes(), record),
    }
}

/// Writes a record; of itself it has no index entries.
fn put<R: Serialize>(
    table: &Table,
    txn: &mut RwTxn<'_>,
    key: &[u8],
    record: &R,
) -> Result<Vec<Entry>, StoreError> {
    table.put(txn, key, &codec::encode(table.name, record)?)?;
    Ok(Vec::new())
}

/// Removes a record, if it is there; of itself it has no index entries.
fn remove(table: &Table, txn: &mut RwTxn<'_>, key: &[u8]) -> Result<Vec<Entry>, StoreError> {
    table.delete(txn, key)?;
    Ok(Vec::new())
}
