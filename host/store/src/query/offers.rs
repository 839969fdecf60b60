//! Finding offers, in the order of placing.
//!
//! What does not show in an index (an end that has passed, a beginning ahead, the last letters of a URI prefix) is looked
//! up on the offer itself.

use super::search::{AnyOf, Span};
use super::{Page, Place};
use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::reader::Reader;
use bourse_market::{Address, ApiId, Nanos, Offer, check_on_sale};
use std::collections::BTreeMap;

/// Which offers are looked for. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferQuery {
    /// Of this API.
    pub api: ApiId,
    /// Placed then or later.
    pub from: Nanos,
    /// Placed then or before.
    pub until: Nanos,
    /// Published under a URI that begins so.
    pub uri_prefix: Option<String>,
    /// With each of these labels.
    pub categories: BTreeMap<String, String>,
    /// By this delegate.
    pub seller: Option<Address>,
    /// On sale at this moment.
    pub now: Nanos,
}

impl Reader<'_> {
    /// At most `limit` offers that are on sale, behind `after`, oldest first, and by id among those placed at once.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read.
    pub fn query_offers(
        &self,
        query: &OfferQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page<Offer>, StoreError> {
        let span = Span {
            first: Place::first_at(query.from.0),
            until: query.until.0,
            after,
            limit,
        };
        self.search(self.conditions(query), &span, |place| {
            let offer: Offer =
                self.records()
                    .named(&self.tables.offers_by_api, &self.tables.offers, &place.id)?;
            Ok(query.holds(&offer).then_some(offer))
        })
    }

    /// The conditions of a query, the rarest kinds first.
    fn conditions(&self, query: &OfferQuery) -> Vec<AnyOf<'_>> {
        let mut conditions = Vec::with_capacity(query.categories.len().saturating_add(3));
        conditions.extend(query.categories.iter().map(|(key, value)| {
            let prefix = keys::category(&query.api, key, value);
            AnyOf::one(&self.tables.offers_by_category, prefix)
        }));
        conditions.extend(query.seller.iter().map(|seller| {
            let prefix = keys::api_seller(&query.api, seller);
            AnyOf::one(&self.tables.offers_by_seller, prefix)
        }));
        let stem = query.uri_prefix.as_deref().and_then(index::longest_stem);
        conditions.extend(stem.map(|stem| {
            let prefix = keys::api_uri(&query.api, stem);
            AnyOf::one(&self.tables.offers_by_uri, prefix)
        }));
        if conditions.is_empty() {
            let prefix = query.api.as_bytes().to_vec();
            conditions.push(AnyOf::one(&self.tables.offers_by_api, prefix));
        }
        conditions
    }
}

impl OfferQuery {
    /// Whether an offer is what is looked for: what the indexes say once more, and what they do not say.
    pub fn holds(&self, offer: &Offer) -> bool {
        let labelled = |(key, value): (&String, &String)| offer.categories.get(key) == Some(value);
        offer.api == self.api
            && (self.from..=self.until).contains(&offer.placed_at)
            && self
                .uri_prefix
                .as_deref()
                .is_none_or(|prefix| offer.uri.starts_with(prefix))
            && self.seller.is_none_or(|seller| seller == offer.seller)
            && self.categories.iter().all(labelled)
            && check_on_sale(offer, self.now).is_ok()
    }
}
