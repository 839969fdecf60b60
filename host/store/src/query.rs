//! Finding offers: each filter of a query is an index in the order of placing, and the offers that all of them hold are
//! found by letting each index leap to where the others stand.
//!
//! So no index has to be chosen: the rarest filter sets the pace, since every other one leaps over what it does not
//! have. What does not show in an index (an end that has passed, a beginning ahead, the last letters of a URI prefix)
//! is looked up on the offer itself.

use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::reader::Reader;
use crate::tables::Table;
use bourse_market::{Address, ApiId, Nanos, Offer, OfferId, check_on_sale};
use std::collections::BTreeMap;

/// Leaps that one page may take, some milliseconds of them: over very many offers that ended a page may come back short, or
/// empty, with a place to go on from.
const MAX_LEAPS: u32 = 4096;

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

/// A place among all offers, in the order of placing: a page ends there, and the next goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When the offer there was placed.
    pub at: Nanos,
    /// Which of those placed at that moment.
    pub offer: OfferId,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The offers, oldest first, and by id among those placed at once.
    pub offers: Vec<Offer>,
    /// Where to go on; none if there is nothing more.
    pub next: Option<Place>,
}

impl Place {
    /// Bytes of a place.
    pub const LEN: usize = 24;

    /// As index keys end, and as clients get it.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (at, offer) = bytes.split_at_mut(8);
        at.copy_from_slice(&self.at.0.to_be_bytes());
        offer.copy_from_slice(self.offer.as_bytes());
        bytes
    }

    /// Reads what [`Place::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let number = u128::from_be_bytes(bytes.last_chunk().copied().unwrap_or_default());
        Self {
            at: Nanos(u64::from_be_bytes(
                bytes.first_chunk().copied().unwrap_or_default(),
            )),
            offer: OfferId(number.to_be_bytes()),
        }
    }

    /// The next one; none behind the last.
    fn successor(self) -> Option<Self> {
        let number = u128::from_be_bytes(self.offer.0);
        match number.checked_add(1) {
            Some(number) => Some(Self {
                offer: OfferId(number.to_be_bytes()),
                ..self
            }),
            None => Some(Self {
                at: Nanos(self.at.0.checked_add(1)?),
                offer: OfferId([0; 16]),
            }),
        }
    }
}

/// One filter: the part of an index whose keys begin so.
struct List<'r> {
    table: &'r Table,
    prefix: Vec<u8>,
}

impl Reader<'_> {
    /// At most `limit` offers that are on sale, behind `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read.
    pub fn query_offers(
        &self,
        query: &OfferQuery,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let lists = self.lists(query);
        let first = Place {
            at: query.from,
            offer: OfferId([0; 16]),
        };
        let mut offers = Vec::new();
        let mut place = match after.map(Place::successor) {
            None => Some(first),
            Some(next) => next.map(|next| next.max(first)),
        };
        let mut leaps = 0;
        while let Some(from) = place {
            if offers.len() >= limit || leaps >= MAX_LEAPS {
                return Ok(Page {
                    offers,
                    // Behind the place before this one: nothing is left out, nothing comes twice.
                    next: Some(Place::before(from)),
                });
            }
            let at = match self.common(&lists, from, query.until, &mut leaps)? {
                None => break,
                Some(Met::At(at)) => at,
                // Out of leaps in the middle of a search: the next page goes on from there.
                Some(Met::NotYet(at)) => {
                    place = Some(at);
                    continue;
                }
            };
            let offer: Offer = self.records().named(
                &self.tables.offers_by_api,
                &self.tables.offers,
                at.offer.as_bytes(),
            )?;
            if query.holds(&offer) {
                offers.push(offer);
            }
            place = at.successor();
        }
        Ok(Page { offers, next: None })
    }

    /// The lists of a query, the rarest kinds first.
    fn lists(&self, query: &OfferQuery) -> Vec<List<'_>> {
        let mut lists = Vec::with_capacity(query.categories.len().saturating_add(3));
        lists.extend(query.categories.iter().map(|(key, value)| List {
            table: &self.tables.offers_by_category,
            prefix: keys::category(&query.api, key, value),
        }));
        lists.extend(query.seller.iter().map(|seller| List {
            table: &self.tables.offers_by_seller,
            prefix: keys::api_seller(&query.api, seller),
        }));
        let stem = query.uri_prefix.as_deref().and_then(index::longest_stem);
        lists.extend(stem.map(|stem| List {
            table: &self.tables.offers_by_uri,
            prefix: keys::api_uri(&query.api, stem),
        }));
        if lists.is_empty() {
            lists.push(List {
                table: &self.tables.offers_by_api,
                prefix: query.api.as_bytes().to_vec(),
            });
        }
        lists
    }

    /// The first place at `from` or behind, placed at `until` at the latest, that all lists hold.
    fn common(
        &self,
        lists: &[List<'_>],
        from: Place,
        until: Nanos,
        leaps: &mut u32,
    ) -> Result<Option<Met>, StoreError> {
        let mut place = from;
        'again: loop {
            for list in lists {
                if *leaps >= MAX_LEAPS {
                    return Ok(Some(Met::NotYet(place)));
                }
                *leaps = leaps.saturating_add(1);
                match self.leap(list, place)? {
                    Some(next) if next.at > until => return Ok(None),
                    None => return Ok(None),
                    Some(next) if next != place => {
                        place = next;
                        if lists.len() > 1 {
                            continue 'again;
                        }
                    }
                    Some(_) => {}
                }
            }
            return Ok(Some(Met::At(place)));
        }
    }

    /// The first place of a list that is not before `place`.
    fn leap(&self, list: &List<'_>, place: Place) -> Result<Option<Place>, StoreError> {
        let key = [list.prefix.as_slice(), &place.to_bytes()].concat();
        let entry = list.table.from(&self.txn, &key)?.next().transpose()?;
        let place = entry.and_then(|(key, _)| key.strip_prefix(list.prefix.as_slice())?.first_chunk());
        Ok(place.map(Place::from_bytes))
    }
}

/// What a search came to.
enum Met {
    /// Every list holds this place.
    At(Place),
    /// No leaps are left; nothing before this place is held by all.
    NotYet(Place),
}

impl Place {
    /// The one that this is behind.
    fn before(place: Self) -> Self {
        let number = u128::from_be_bytes(place.offer.0);
        match number.checked_sub(1) {
            Some(number) => Self {
                offer: OfferId(number.to_be_bytes()),
                ..place
            },
            None => Self {
                at: Nanos(place.at.0.saturating_sub(1)),
                offer: OfferId([0xff; 16]),
            },
        }
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
