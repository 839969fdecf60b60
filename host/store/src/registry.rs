//! Reading the lists of the registry.

use crate::error::StoreError;
use crate::keys::{self, RegistryBy};
use crate::query::{Page, Place};
use crate::reader::Reader;
use bourse_market::registry::{Actor, Api, Catalog, Market};
use bourse_market::{Address, CatalogId};
use serde::de::DeserializeOwned;

impl Reader<'_> {
    /// At most `limit` markets of an owner, in the order of their creation.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read; so it is with every method here.
    pub fn markets_of_owner(&self, owner: &Address, limit: usize) -> Result<Vec<Market>, StoreError> {
        self.registered(RegistryBy::MarketOwner, owner.as_bytes(), limit)
    }

    /// At most `limit` markets of a market maker, in the order of their creation.
    ///
    /// # Errors
    ///
    /// As [`Reader::markets_of_owner`].
    pub fn markets_of_maker(&self, maker: &Address, limit: usize) -> Result<Vec<Market>, StoreError> {
        self.registered(RegistryBy::MarketMaker, maker.as_bytes(), limit)
    }

    /// At most `limit` parts that a member takes in markets, in the order in which it joined them.
    ///
    /// # Errors
    ///
    /// As [`Reader::markets_of_owner`].
    pub fn parts_of(&self, member: &Address, limit: usize) -> Result<Vec<Actor>, StoreError> {
        self.registered(RegistryBy::MarketActor, member.as_bytes(), limit)
    }

    /// At most `limit` catalogs of an owner behind `after`, in the order of their creation.
    ///
    /// # Errors
    ///
    /// As [`Reader::markets_of_owner`].
    pub fn catalogs_of_owner(
        &self,
        owner: &Address,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page<Catalog>, StoreError> {
        let (tables, index) = (self.tables, &self.tables.registry_by);
        let list = keys::registry_by(RegistryBy::CatalogOwner, owner.as_bytes());
        let Page { found, next } = self.page(index, &list, after, limit)?;
        let named = |place: &Place| self.records().named(index, &tables.catalogs, &place.id);
        let found = found.iter().map(named).collect::<Result<_, _>>()?;
        Ok(Page { found, next })
    }

    /// At most `limit` APIs of a catalog, in the order of their publication.
    ///
    /// # Errors
    ///
    /// As [`Reader::markets_of_owner`].
    pub fn apis_of(&self, catalog: &CatalogId, limit: usize) -> Result<Vec<Api>, StoreError> {
        self.registered(RegistryBy::ApiCatalog, catalog.as_bytes(), limit)
    }

    fn registered<R: DeserializeOwned>(
        &self,
        list: RegistryBy,
        of: &[u8],
        limit: usize,
    ) -> Result<Vec<R>, StoreError> {
        let (tables, index) = (self.tables, &self.tables.registry_by);
        let table = match list {
            RegistryBy::MarketOwner | RegistryBy::MarketMaker => &tables.markets,
            RegistryBy::MarketActor => &tables.actors,
            RegistryBy::CatalogOwner => &tables.catalogs,
            RegistryBy::ApiCatalog => &tables.apis,
        };
        let entries = index.prefix(&self.txn, &keys::registry_by(list, of))?;
        entries
            .take(limit)
            .map(|entry| self.records().named(index, table, entry?.1))
            .collect()
    }
}
