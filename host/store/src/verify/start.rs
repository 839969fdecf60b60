//! A look at a ledger before it is traded from: what a crash could have left by halves comes first, and time is the limit.

use super::{MAX_VIOLATIONS, Violation};
use crate::codec;
use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::reader::Reader;
use crate::records::hex;
use crate::tables::Table;
use bourse_market::{
    Channel, ChannelId, EscrowSale, Nanos, PriceSource, Purchase, PurchaseId, PurchaseState, Seq,
    check_channel, check_in_place, check_sale_in_place,
};
use serde::de::DeserializeOwned;

/// What a look at the start found, and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// Purchases under way that were looked at, with both their channels.
    pub pending: u64,
    /// Suspended channels that were looked at.
    pub suspended: u64,
    /// Posted purchases that were looked at with their channels, receipts and decisions, newest first.
    pub sales: u64,
    /// When the oldest of these was posted.
    pub back_to: Option<Nanos>,
    /// Every purchase under way, every suspended channel and every posted purchase was looked at.
    pub whole: bool,
    /// What is wrong.
    pub violations: Vec<Violation>,
}

impl Reader<'_> {
    /// Looks at purchases under way and suspended channels, then at posted purchases from the newest on, until `is_over`.
    /// What only the sum of all records shows is left to [`Reader::verify`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if LMDB itself fails; a damaged record is a violation, not an error.
    pub fn glance(&self, is_over: &mut dyn FnMut() -> bool) -> Result<Glance, StoreError> {
        let mut look = Look {
            reader: self,
            found: Glance::default(),
        };
        look.found.whole = look.pending(is_over)? && look.suspended(is_over)? && look.sales(is_over)?;
        Ok(look.found)
    }
}

struct Look<'r> {
    reader: &'r Reader<'r>,
    found: Glance,
}

impl Look<'_> {
    /// Purchases under way. False if time was over before the end; so it is with the next two.
    fn pending(&mut self, is_over: &mut dyn FnMut() -> bool) -> Result<bool, StoreError> {
        let tables = self.reader.tables;
        for entry in tables.sent.iter(&self.reader.txn)? {
            if is_over() {
                return Ok(false);
            }
            let (key, _) = entry?;
            self.found.pending = self.found.pending.saturating_add(1);
            let purchase: Option<Purchase> = self.behind(&tables.sent, key, &tables.purchases, key)?;
            let Some(purchase) = purchase else { continue };
            if purchase.state != PurchaseState::Sent {
                self.stray(&tables.sent, key);
            }
            self.purchase(&purchase)?;
        }
        Ok(true)
    }

    fn suspended(&mut self, is_over: &mut dyn FnMut() -> bool) -> Result<bool, StoreError> {
        let tables = self.reader.tables;
        for entry in tables.suspended_channels.iter(&self.reader.txn)? {
            if is_over() {
                return Ok(false);
            }
            let (key, _) = entry?;
            self.found.suspended = self.found.suspended.saturating_add(1);
            let id = index::trailing_id(key).unwrap_or_default();
            let channel: Option<Channel> =
                self.behind(&tables.suspended_channels, key, &tables.channels, &id)?;
            let Some(channel) = channel else { continue };
            if channel.suspended.is_none() {
                self.stray(&tables.suspended_channels, key);
            }
            if let Err(violation) = check_channel(&channel) {
                self.complain(violation.into());
            }
        }
        Ok(true)
    }

    fn sales(&mut self, is_over: &mut dyn FnMut() -> bool) -> Result<bool, StoreError> {
        let tables = self.reader.tables;
        for entry in tables.posted_by_time.backwards(&self.reader.txn)? {
            if is_over() {
                return Ok(false);
            }
            let (key, value) = entry?;
            self.found.sales = self.found.sales.saturating_add(1);
            self.found.back_to = index::time_of(key);
            let id = index::trailing_id(key).unwrap_or_default();
            let posted_at = if value == index::ESCROWED {
                let sale: Option<EscrowSale> =
                    self.behind(&tables.posted_by_time, key, &tables.escrow_sales, &id)?;
                let Some(sale) = sale else { continue };
                self.escrow_sale(&sale)?;
                Some(sale.at)
            } else {
                let purchase: Option<Purchase> =
                    self.behind(&tables.posted_by_time, key, &tables.purchases, &id)?;
                let Some(purchase) = purchase else { continue };
                self.purchase(&purchase)?;
                match purchase.state {
                    PurchaseState::Posted { at, .. } => Some(at),
                    PurchaseState::Sent | PurchaseState::Voided { .. } => None,
                }
            };
            if posted_at != index::time_of(key) {
                self.stray(&tables.posted_by_time, key);
            }
        }
        Ok(true)
    }

    /// A purchase with its channels, where its position leads, and what priced it.
    fn purchase(&mut self, purchase: &Purchase) -> Result<(), StoreError> {
        let payment = self.channel(&purchase.identity.channel)?;
        let paying = self.channel(&purchase.paying_channel)?;
        if let Err(violation) = check_in_place(purchase, payment.as_ref(), paying.as_ref()) {
            self.complain(violation.into());
        }
        let table = &self.reader.tables.purchase_at;
        self.position(
            table,
            &purchase.identity.channel,
            purchase.payment_seq,
            &purchase.id,
        )?;
        match purchase.state {
            PurchaseState::Posted { .. } => self.decision(purchase.source, &purchase.id),
            PurchaseState::Sent | PurchaseState::Voided { .. } => Ok(()),
        }
    }

    fn escrow_sale(&mut self, sale: &EscrowSale) -> Result<(), StoreError> {
        let payment = self.channel(&sale.identity.channel)?;
        if let Err(violation) = check_sale_in_place(sale, payment.as_ref()) {
            self.complain(violation.into());
        }
        let table = &self.reader.tables.escrow_sale_at;
        self.position(table, &sale.identity.channel, sale.payment_seq, &sale.id)?;
        self.decision(sale.source, &sale.id)
    }

    /// The position of a purchase leads to it: so its receipt is found again.
    fn position(
        &mut self,
        table: &Table,
        channel: &ChannelId,
        seq: Seq,
        purchase: &PurchaseId,
    ) -> Result<(), StoreError> {
        let key = keys::purchase_at(channel, seq);
        let id: &[u8] = purchase.as_bytes();
        if table.get(&self.reader.txn, &key)? != Some(id) {
            self.complain(Violation::MissingEntry {
                index: table.name,
                key: hex(&key),
                record: format!("purchase {purchase}"),
            });
        }
        Ok(())
    }

    fn decision(&mut self, source: PriceSource, purchase: &PurchaseId) -> Result<(), StoreError> {
        let PriceSource::Policy(decision) = source else {
            return Ok(());
        };
        let decisions = &self.reader.tables.decisions;
        if decisions.get(&self.reader.txn, decision.as_bytes())?.is_none() {
            let missing = bourse_market::Violation::MissingDecision {
                purchase: *purchase,
                decision,
            };
            self.complain(missing.into());
        }
        Ok(())
    }

    fn channel(&mut self, id: &ChannelId) -> Result<Option<Channel>, StoreError> {
        let table = &self.reader.tables.channels;
        match table.get(&self.reader.txn, id.as_bytes())? {
            Some(bytes) => Ok(self.decoded(table, id.as_bytes(), bytes)),
            None => Ok(None),
        }
    }

    /// The record that an entry of an index names, or a complaint.
    fn behind<R: DeserializeOwned>(
        &mut self,
        index: &Table,
        entry: &[u8],
        table: &Table,
        key: &[u8],
    ) -> Result<Option<R>, StoreError> {
        match table.get(&self.reader.txn, key)? {
            Some(bytes) => Ok(self.decoded(table, key, bytes)),
            None => {
                self.stray(index, entry);
                Ok(None)
            }
        }
    }

    fn decoded<R: DeserializeOwned>(&mut self, table: &Table, key: &[u8], bytes: &[u8]) -> Option<R> {
        match codec::decode(table.name, bytes) {
            Ok(record) => Some(record),
            Err(error) => {
                self.complain(Violation::Unreadable {
                    table: table.name,
                    key: hex(key),
                    why: error.to_string(),
                });
                None
            }
        }
    }

    fn stray(&mut self, index: &Table, key: &[u8]) {
        self.complain(Violation::StrayEntry {
            index: index.name,
            key: hex(key),
        });
    }

    fn complain(&mut self, violation: Violation) {
        if self.found.violations.len() < MAX_VIOLATIONS {
            self.found.violations.push(violation);
        }
    }
}
