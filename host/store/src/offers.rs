//! Finding offers: by API and time always, by URI, seller and labels where asked, a page at a time.

use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::reader::{Reader, trailing};
use crate::tables::Table;
use bourse_market::{Address, ApiId, Nanos, Offer, OfferId, check_on_sale};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Entries of each index that are looked at to choose among them.
const PROBED: usize = 32;

/// Offers that are read for one page, found fitting or not: a page over many expired ones costs no more.
const MAX_READ: usize = 4096;

/// Which offers to find: those that pass every filter and can be bought at `now`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferQuery {
    /// The API they belong to.
    pub api: ApiId,
    /// Placed then or later.
    pub from: Nanos,
    /// Placed then or before.
    pub until: Nanos,
    /// What their URIs begin with, in the middle of a part or not; none for any.
    pub uri_prefix: Option<String>,
    /// Labels they carry, with these values; others they may have.
    pub categories: BTreeMap<String, String>,
    /// Their seller's delegate; none for any.
    pub seller: Option<Address>,
    /// Valid by then, and not yet expired.
    pub now: Nanos,
    /// Offers at most, from 1.
    pub limit: usize,
    /// Where the page before ended; none for the first.
    pub after: Option<OfferCursor>,
}

/// A place in the order of offers: by the time they were placed, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferCursor {
    /// When the offer there was placed.
    pub placed_at: Nanos,
    /// Its id.
    pub id: OfferId,
}

/// Offers found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfferPage {
    /// Oldest first; those of one time by id.
    pub offers: Vec<Offer>,
    /// Where to go on; none if there are no more. A page may have room left and yet go on: no more than some
    /// thousands of offers are read for one.
    pub next: Option<OfferCursor>,
}

impl OfferQuery {
    /// Whether `offer` is one that is asked for.
    pub fn fits(&self, offer: &Offer) -> bool {
        let uri = self.uri_prefix.as_deref().unwrap_or_default();
        let mut labels = self.categories.iter();
        offer.api == self.api
            && (self.from..=self.until).contains(&offer.placed_at)
            && check_on_sale(offer, self.now).is_ok()
            && offer.uri.starts_with(uri)
            && self.seller.is_none_or(|seller| seller == offer.seller)
            && labels.all(|(label, value)| offer.categories.get(label) == Some(value))
    }
}

/// What was seen of an index in a few steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// It has so few entries in the time asked for.
    Few(usize),
    /// It has more; the last one seen was placed then.
    Many(Nanos),
}

impl Probe {
    /// Which is the better index. Where both have many entries, the one that came further in time in as many steps is
    /// the sparser.
    fn better(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Few(a), Self::Few(b)) => b.cmp(&a),
            (Self::Few(_), Self::Many(_)) => Ordering::Greater,
            (Self::Many(_), Self::Few(_)) => Ordering::Less,
            (Self::Many(a), Self::Many(b)) => a.cmp(&b),
        }
    }
}

impl Reader<'_> {
    /// A page of the offers that `query` asks for, by whichever index is the most selective.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn offers(&self, query: &OfferQuery) -> Result<OfferPage, StoreError> {
        let mut page = OfferPage::default();
        let (index, prefix) = self.most_selective(query)?;
        let mut last = None;
        for (read, place) in self.places(index, &prefix, query)?.enumerate() {
            let place = place?;
            if page.offers.len() >= query.limit || read >= MAX_READ {
                page.next = last;
                break;
            }
            let offer = self
                .records()
                .named(index, &self.tables.offers, place.id.as_bytes())?;
            if query.fits(&offer) {
                page.offers.push(offer);
            }
            last = Some(place);
        }
        Ok(page)
    }

    /// The index to walk, and what the keys to look at begin with.
    fn most_selective(&self, query: &OfferQuery) -> Result<(&Table, Vec<u8>), StoreError> {
        let (tables, api) = (self.tables, &query.api);
        let mut best = (&tables.offers_by_api, keys::api(api));
        let labels = query.categories.iter().map(|(label, value)| {
            let key = keys::api_category(api, label, value);
            (&tables.offers_by_category, key)
        });
        let seller = query
            .seller
            .iter()
            .map(|seller| (&tables.offers_by_seller, keys::api_seller(api, seller)));
        let stem = query.uri_prefix.iter().filter_map(|uri| {
            let stem = index::stems(uri).last()?;
            Some((&tables.offers_by_uri, keys::api_uri(api, stem)))
        });
        let mut others = labels.chain(seller).chain(stem).peekable();
        if others.peek().is_none() {
            return Ok(best);
        }
        let mut seen = self.probe(best.0, &best.1, query)?;
        for (index, prefix) in others {
            let probe = self.probe(index, &prefix, query)?;
            if probe.better(seen) == Ordering::Greater {
                (best, seen) = ((index, prefix), probe);
            }
        }
        Ok(best)
    }

    fn probe(&self, index: &Table, prefix: &[u8], query: &OfferQuery) -> Result<Probe, StoreError> {
        let mut seen = 0;
        let mut last = query.from;
        for place in self.places(index, prefix, query)?.take(PROBED) {
            last = place?.placed_at;
            seen += 1;
        }
        Ok(if seen < PROBED {
            Probe::Few(seen)
        } else {
            Probe::Many(last)
        })
    }

    /// The places in an index under `prefix` that are in the time asked for and after the page before.
    fn places<'r>(
        &'r self,
        index: &'r Table,
        prefix: &[u8],
        query: &OfferQuery,
    ) -> Result<impl Iterator<Item = Result<OfferCursor, StoreError>> + use<'r>, StoreError> {
        let (from, until, after) = (query.from, query.until, query.after);
        let first = OfferCursor {
            placed_at: from,
            id: OfferId([0; 16]),
        };
        let start = after.map_or(first, |after| after.max(first));
        let prefix = prefix.to_vec();
        let key = [prefix.as_slice(), &keys::placed(start.placed_at, &start.id)].concat();
        let places = index
            .from(&self.txn, &key)?
            .map(move |entry| {
                let (key, _) = entry?;
                let Some(rest) = key.strip_prefix(prefix.as_slice()) else {
                    return Ok(None);
                };
                let id = OfferId(trailing(index, rest)?);
                let placed_at = index::time_of(rest).unwrap_or_default();
                Ok((placed_at <= until).then_some(OfferCursor { placed_at, id }))
            })
            .map_while(Result::transpose)
            .filter(move |place| !matches!(place, Ok(place) if Some(*place) <= after));
        Ok(places)
    }
}
