//! Looking a ledger through for people: sales and offers, the newest first, channels and accounts, page by page. Each page
//! is read off the keys of a table, so that it costs what it shows, however much the ledger holds.

use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::query::{Page, Place};
use crate::reader::Reader;
use crate::tables::{Entry, Table};
use bourse_market::{
    Account, Address, Amount, Channel, ChannelId, ChannelKind, EscrowSale, Nanos, Offer, OfferId,
    PriceSource, Purchase, PurchaseId, Sale, View,
};

/// A posted sale, whoever sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its identifier.
    pub id: PurchaseId,
    /// What was sold, by whom, to whom, when and for how much.
    pub sale: Sale,
    /// The offer.
    pub offer: OfferId,
    /// The market's part of the price.
    pub fee: Amount,
    /// How the price came about.
    pub source: PriceSource,
    /// The most that the buyer would have paid.
    pub most: Amount,
    /// The payment channel.
    pub channel: ChannelId,
    /// When it was reserved; for an escrowed key, when it was posted.
    pub reserved: Nanos,
    /// The key was in escrow, and no seller was asked.
    pub escrowed: bool,
}

/// Which channels are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelList {
    /// All of a kind, by delegate, and of each the oldest first.
    All(ChannelKind),
    /// Those of a kind that clients may find as active, in the same order.
    Live(ChannelKind),
    /// Those that wait for their seller or the operator, by delegate.
    Suspended,
    /// Those in quarantine, by delegate.
    Quarantined,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<R, C> {
    /// What is on it, in its order.
    pub found: Vec<R>,
    /// Where to go on; none if there is nothing more. Means something to the same list alone.
    pub next: Option<C>,
}

impl Posted {
    fn of_purchase(purchase: &Purchase) -> Option<Self> {
        Some(Self {
            id: purchase.id,
            sale: purchase.sold()?,
            offer: purchase.offer,
            fee: purchase.fee,
            source: purchase.source,
            most: purchase.identity.amount,
            channel: purchase.identity.channel,
            reserved: purchase.at,
            escrowed: false,
        })
    }

    fn of_escrow_sale(sale: &EscrowSale) -> Self {
        Self {
            id: sale.id,
            sale: sale.sold(),
            offer: sale.offer,
            fee: sale.fee,
            source: sale.source,
            most: sale.identity.amount,
            channel: sale.identity.channel,
            reserved: sale.at,
            escrowed: true,
        }
    }
}

impl Reader<'_> {
    /// The posted sale behind the id of a purchase, whoever sold.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read; so it is with every method here.
    pub fn posted(&self, id: &PurchaseId) -> Result<Option<Posted>, StoreError> {
        match self.records().purchase(id)? {
            Some(purchase) => Ok(Posted::of_purchase(&purchase)),
            None => Ok(self
                .records()
                .escrow_sale(id)?
                .as_ref()
                .map(Posted::of_escrow_sale)),
        }
    }

    /// At most `limit` posted sales before `before`, the newest first.
    ///
    /// # Errors
    ///
    /// As [`Reader::posted`].
    pub fn sales_before(&self, before: Option<Place>, limit: usize) -> Result<Page<Posted>, StoreError> {
        let list = &self.tables.posted_by_time;
        let before = before.map(Place::to_bytes);
        let (found, next) = take(
            self.backwards(list, before.as_ref().map(|place| place.as_slice()))?,
            limit,
            |key, value| {
                let place = place_of(list, key)?;
                let posted = if value == index::ESCROWED {
                    let sale: EscrowSale =
                        self.records().named(list, &self.tables.escrow_sales, &place.id)?;
                    Some(Posted::of_escrow_sale(&sale))
                } else {
                    let purchase: Purchase = self.records().named(list, &self.tables.purchases, &place.id)?;
                    Posted::of_purchase(&purchase)
                };
                Ok((place, posted))
            },
        )?;
        let last = found.last().map(|(place, _)| *place);
        Ok(Page {
            found: found.into_iter().filter_map(|(_, posted)| posted).collect(),
            next: last.filter(|_| next),
        })
    }

    /// At most `limit` offers before `before`, the latest id first: those that this market placed last. Ended ones are among
    /// them.
    ///
    /// # Errors
    ///
    /// As [`Reader::posted`].
    pub fn offers_before(
        &self,
        before: Option<OfferId>,
        limit: usize,
    ) -> Result<Listing<Offer, OfferId>, StoreError> {
        let table = &self.tables.offers;
        let before = before.as_ref().map(|id| id.as_bytes().as_slice());
        let (found, more) = take(self.backwards(table, before)?, limit, |key, _| {
            let offer: Offer = self.records().named(table, table, key)?;
            Ok(offer)
        })?;
        let next = found.last().map(|offer| offer.id).filter(|_| more);
        Ok(Listing { found, next })
    }

    /// At most `limit` channels of a list behind `after`, which an earlier page of it named.
    ///
    /// # Errors
    ///
    /// As [`Reader::posted`].
    pub fn list_channels(
        &self,
        list: ChannelList,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listing<Channel, Vec<u8>>, StoreError> {
        let tables = self.tables;
        let (index, prefix) = match list {
            ChannelList::All(kind) => (&tables.channels_by_delegate, vec![kind as u8]),
            ChannelList::Live(kind) => (&tables.live_channels, vec![kind as u8]),
            ChannelList::Suspended => (&tables.suspended_channels, Vec::new()),
            ChannelList::Quarantined => (&tables.quarantined_channels, Vec::new()),
        };
        let from = match after {
            Some(after) => keys::behind(after),
            None if prefix.is_empty() => keys::LEAST.to_vec(),
            None => prefix.clone(),
        };
        let entries = index.from(&self.txn, &from)?.take_while(|entry| match entry {
            Ok((key, _)) => key.starts_with(&prefix),
            Err(_) => true,
        });
        let (found, more) = take(entries, limit, |key, _| {
            let id = index::trailing_id(key).ok_or_else(|| short(index))?;
            let channel: Channel = self.records().named(index, &tables.channels, &id)?;
            Ok((key.to_vec(), channel))
        })?;
        let next = found.last().map(|(key, _)| key.clone()).filter(|_| more);
        Ok(Listing {
            found: found.into_iter().map(|(_, channel)| channel).collect(),
            next,
        })
    }

    /// At most `limit` accounts behind `after`, by address.
    ///
    /// # Errors
    ///
    /// As [`Reader::posted`].
    pub fn accounts_after(
        &self,
        after: Option<Address>,
        limit: usize,
    ) -> Result<Listing<(Address, Account), Address>, StoreError> {
        let table = &self.tables.accounts;
        let from = after.map_or(keys::LEAST.to_vec(), |after| keys::behind(after.as_bytes()));
        let (found, more) = take(table.from(&self.txn, &from)?, limit, |key, _| {
            let address = Address::try_from(key).map_err(|_| short(table))?;
            let account: Account = self.records().named(table, table, key)?;
            Ok((address, account))
        })?;
        let next = found.last().map(|(address, _)| *address).filter(|_| more);
        Ok(Listing { found, next })
    }

    /// The entries before `before`, or all, the last first.
    fn backwards<'t>(
        &'t self,
        table: &Table,
        before: Option<&[u8]>,
    ) -> Result<Box<dyn Iterator<Item = Entry<'t>> + 't>, StoreError> {
        Ok(match before {
            Some(key) => Box::new(table.before(&self.txn, key)?),
            None => Box::new(table.backwards(&self.txn)?),
        })
    }
}

/// What `read` makes of the first `limit` entries, and whether there are more.
fn take<'t, T>(
    entries: impl Iterator<Item = Entry<'t>>,
    limit: usize,
    mut read: impl FnMut(&[u8], &[u8]) -> Result<T, StoreError>,
) -> Result<(Vec<T>, bool), StoreError> {
    let mut found = Vec::new();
    for entry in entries {
        let (key, value) = entry?;
        if found.len() >= limit {
            return Ok((found, true));
        }
        found.push(read(key, value)?);
    }
    Ok((found, false))
}

fn place_of(table: &Table, key: &[u8]) -> Result<Place, StoreError> {
    key.first_chunk()
        .map(Place::from_bytes)
        .ok_or_else(|| short(table))
}

fn short(table: &Table) -> StoreError {
    StoreError::Decode {
        table: table.name,
        why: "a key of it has another length than it should".to_owned(),
    }
}
