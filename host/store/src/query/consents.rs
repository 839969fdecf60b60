//! Finding consents, in the order of their last changes.

use super::search::{AnyOf, Span};
use super::{Page, Place};
use crate::error::StoreError;
use crate::keys::{self, ConsentsBy};
use crate::reader::Reader;
use bourse_market::registry::Consent;
use bourse_market::{Address, ApiId, BlockNumber, CatalogId, MarketId, View};

/// Which consents are looked for: for each list that is given any of it must hold, and all lists must.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentQuery {
    /// Changed last in this block or later.
    pub from: BlockNumber,
    /// Changed last in this block or before.
    pub until: BlockNumber,
    /// By these members.
    pub members: Option<Vec<Address>>,
    /// For these delegates.
    pub delegates: Option<Vec<Address>>,
    /// In these markets.
    pub markets: Option<Vec<MarketId>>,
    /// Of these catalogs.
    pub catalogs: Option<Vec<CatalogId>>,
    /// With these titles, word for word.
    pub titles: Option<Vec<String>>,
    /// With these descriptions, word for word.
    pub descriptions: Option<Vec<String>>,
    /// With any of these tags.
    pub tags: Option<Vec<String>>,
}

impl ConsentQuery {
    /// Every consent there is.
    pub fn all() -> Self {
        Self {
            until: BlockNumber(u64::MAX),
            ..Self::default()
        }
    }

    /// Whether a consent is what is looked for.
    pub fn holds(&self, consent: &Consent) -> bool {
        let key = &consent.key;
        let attributes = &consent.attributes;
        (self.from..=self.until).contains(&consent.updated)
            && any(&self.members, |member| *member == key.member)
            && any(&self.delegates, |delegate| *delegate == key.delegate)
            && any(&self.markets, |market| *market == key.market)
            && any(&self.catalogs, |catalog| *catalog == key.catalog)
            && any(&self.titles, |title| *title == attributes.title)
            && any(&self.descriptions, |text| *text == attributes.description)
            && any(&self.tags, |tag| attributes.tags.contains(tag))
    }
}

/// Whether one of the list will do; any will where there is no list.
fn any<T>(list: &Option<Vec<T>>, holds: impl Fn(&T) -> bool) -> bool {
    list.as_ref().is_none_or(|list| list.iter().any(holds))
}

impl Reader<'_> {
    /// At most `limit` consents, given or withdrawn, behind `after`, those that changed longest ago first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read.
    pub fn query_consents(
        &self,
        query: &ConsentQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page<Consent>, StoreError> {
        let span = Span {
            first: Place::first_at(query.from.0),
            until: query.until.0,
            after,
            limit,
        };
        self.search(self.lists(query), &span, |place| {
            let consent: Consent =
                self.records()
                    .named(&self.tables.consents_by, &self.tables.consents, &place.id)?;
            Ok(query.holds(&consent).then_some(consent))
        })
    }

    /// The catalogs behind `ids`, each of which names a catalog, or an API of one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read.
    pub fn catalogs_of(&self, ids: &[[u8; 16]]) -> Result<Vec<CatalogId>, StoreError> {
        let mut catalogs: Vec<CatalogId> = ids.iter().copied().map(CatalogId).collect();
        for id in ids {
            catalogs.extend(self.api(&ApiId(*id))?.map(|api| api.catalog));
        }
        Ok(catalogs)
    }

    /// The conditions of a query, the rarest kinds first.
    fn lists(&self, query: &ConsentQuery) -> Vec<AnyOf<'_>> {
        let table = &self.tables.consents_by;
        let texts = |by: ConsentsBy, list: &Option<Vec<String>>| {
            let lists = list.as_ref()?.iter().map(|text| keys::consents_by_text(by, text));
            Some(AnyOf::lists(table, lists))
        };
        let addresses = |by: ConsentsBy, list: &Option<Vec<Address>>| {
            let lists = list
                .as_ref()?
                .iter()
                .map(|address| keys::consents_by(by, address.as_bytes()));
            Some(AnyOf::lists(table, lists))
        };
        let conditions = [
            texts(ConsentsBy::Title, &query.titles),
            texts(ConsentsBy::Description, &query.descriptions),
            addresses(ConsentsBy::Member, &query.members),
            addresses(ConsentsBy::Delegate, &query.delegates),
            texts(ConsentsBy::Tag, &query.tags),
            query.catalogs.as_ref().map(|list| {
                let lists = list.iter();
                AnyOf::lists(
                    table,
                    lists.map(|id| keys::consents_by(ConsentsBy::Catalog, id.as_bytes())),
                )
            }),
            query.markets.as_ref().map(|list| {
                let lists = list.iter();
                AnyOf::lists(
                    table,
                    lists.map(|id| keys::consents_by(ConsentsBy::Market, id.as_bytes())),
                )
            }),
        ];
        let mut conditions: Vec<AnyOf<'_>> = conditions.into_iter().flatten().collect();
        if conditions.is_empty() {
            conditions.push(AnyOf::one(table, keys::consents_by(ConsentsBy::Block, &[])));
        }
        conditions
    }
}
