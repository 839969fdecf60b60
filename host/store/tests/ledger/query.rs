//! Offers found by their indexes against a look at all of them (W-43).

use crate::fixture::*;
use bourse_market::*;
use bourse_store::{OfferQuery, Page, Place, Store};
use std::collections::BTreeMap;

impl Dice {
    fn uri(&mut self) -> String {
        let uris = [
            "",
            "io.example.",
            "io.example.data",
            "io.exam",
            "io.other.a.b.c.d.e.f.g",
            "io",
        ];
        uris[self.below(uris.len() as u64) as usize].to_owned()
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        // Some too long to stand in a key as they are.
        let values = [
            "weather".to_owned(),
            "1".to_owned(),
            "x".repeat(201),
            "x".repeat(202),
        ];
        let mut labels = BTreeMap::new();
        for label in ["topic", "level", "unit"] {
            if self.one_in(3) {
                labels.insert(label.to_owned(), values[self.below(4) as usize].clone());
            }
        }
        labels
    }

    fn offer(&mut self, number: u64) -> Command {
        let Command::Place(mut request) = place(number, self.below(3)) else {
            panic!("not a placing")
        };
        let offer = &mut request.offer;
        // Ids whose order is not that of the times.
        offer.id = OfferId(id(self.below(256) as u8, number));
        offer.api = ApiId([self.below(2) as u8; 16]);
        offer.uri = self.uri();
        offer.placed_at = Nanos(100 + self.below(60));
        offer.valid_from = self.one_in(4).then(|| Nanos(100 + self.below(100)));
        offer.expires = self.one_in(3).then(|| Nanos(200 + self.below(100)));
        offer.categories = self.labels();
        Command::Place(request)
    }

    fn query(&mut self) -> (OfferQuery, usize) {
        let query = OfferQuery {
            api: ApiId([self.below(2) as u8; 16]),
            from: Nanos(if self.one_in(2) { 0 } else { 100 + self.below(60) }),
            until: Nanos(if self.one_in(2) {
                u64::MAX
            } else {
                100 + self.below(60)
            }),
            uri_prefix: self.one_in(2).then(|| self.uri()),
            categories: if self.one_in(2) {
                self.labels()
            } else {
                BTreeMap::new()
            },
            seller: self
                .one_in(3)
                .then(|| delegate(ChannelKind::Paying, self.below(3))),
            now: Nanos(100 + self.below(200)),
        };
        (query, 1 + self.below(20) as usize)
    }
}

fn revoke(number: u64) -> Command {
    Command::Revoke(RevokeRequest {
        key: key(number),
        caller: Placer {
            session: SessionId(9),
            authid: None,
        },
        proven: None,
        at: Nanos(4),
    })
}

fn page(store: &Store, query: &OfferQuery, after: Option<Place>, limit: usize) -> Page<Offer> {
    store.read().unwrap().query_offers(query, after, limit).unwrap()
}

/// Every page of `query`, one after the other.
fn pages(store: &Store, query: &OfferQuery, limit: usize) -> Vec<Offer> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = page(store, query, after, limit);
        assert!(page.found.len() <= limit);
        all.extend(page.found);
        let Some(next) = page.next else { return all };
        assert!(after < Some(next), "a page that leads nowhere");
        after = Some(next);
    }
}

#[test]
fn pages_of_any_query_put_together_are_what_a_look_at_every_offer_finds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut dice = Dice(43);
    let offers = 600;
    do_all(&store, std::iter::once(genesis()));
    do_at_once(&store, (0..offers).map(|number| dice.offer(number)));
    do_at_once(&store, (0..offers).step_by(7).map(revoke));
    assert_sound(&store);

    let reader = store.read().unwrap();
    let mut all: Vec<Offer> = (0..offers)
        .map(|number| reader.offer_by_key(&key(number)).unwrap().unwrap())
        .collect();
    all.sort_by_key(|offer| (offer.placed_at, offer.id));
    let mut found = 0;
    for _ in 0..400 {
        let (query, limit) = dice.query();
        let expected: Vec<Offer> = all
            .iter()
            .filter(|offer| {
                let uri = query.uri_prefix.clone().unwrap_or_default();
                offer.api == query.api
                    && offer.placed_at >= query.from
                    && offer.placed_at <= query.until
                    && offer.uri.starts_with(&uri)
                    && query.seller.is_none_or(|seller| seller == offer.seller)
                    && query
                        .categories
                        .iter()
                        .all(|label| offer.categories.iter().any(|own| own == label))
                    && offer.revoked.is_none()
                    && offer.valid_from.is_none_or(|from| from <= query.now)
                    && offer.expires.is_none_or(|end| end > query.now)
            })
            .cloned()
            .collect();
        found += expected.len();
        assert_eq!(pages(&store, &query, limit), expected, "{query:?}");
    }
    assert!(found > 2000, "the queries found only {found} offers");
}

/// Sweeps until there is nothing left to take off; how many offers were.
fn sweep_all(store: &Store, ended_before: u64) -> usize {
    let (mut all, mut after) = (0, None);
    loop {
        let request = SweepRequest {
            ended_before: Nanos(ended_before),
            after,
        };
        let Outcome::Swept { offers, next } = store.submit_blocking(Command::Sweep(request)).unwrap() else {
            panic!("another's outcome")
        };
        all += offers;
        if next.is_none() {
            return all;
        }
        after = next;
    }
}

#[test]
fn what_is_swept_away_is_what_no_query_would_find_and_every_index_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut dice = Dice(7);
    do_all(&store, std::iter::once(genesis()));
    do_at_once(&store, (0..600).map(|number| dice.offer(number)));
    do_at_once(&store, (0..600).step_by(7).map(revoke));
    // The clock of a sweep is behind that of every query.
    let queries: Vec<_> = (0..200)
        .map(|_| {
            let (mut query, limit) = dice.query();
            query.now = query.now.max(Nanos(250));
            (query, limit)
        })
        .collect();
    let find = || -> Vec<Vec<Offer>> {
        let one = |(query, limit): &(OfferQuery, usize)| pages(&store, query, *limit);
        queries.iter().map(one).collect()
    };
    let before = find();
    let swept = sweep_all(&store, 250);
    assert!((30..200).contains(&swept), "{swept} offers were swept");
    assert_eq!(sweep_all(&store, 250), 0);
    assert_sound(&store);
    assert_eq!(find(), before);
    let reader = store.read().unwrap();
    let unlisted = (0..600)
        .filter(|number| reader.offer_by_key(&key(*number)).unwrap().unwrap().unlisted)
        .count();
    assert_eq!(unlisted, swept);
}

/// All offers as [`place`] makes them.
fn everything() -> OfferQuery {
    OfferQuery {
        api: ApiId([3; 16]),
        from: Nanos(0),
        until: Nanos(u64::MAX),
        uri_prefix: None,
        categories: BTreeMap::new(),
        seller: None,
        now: Nanos(1000),
    }
}

#[test]
fn an_offer_whose_last_copy_is_reserved_is_not_found_until_the_purchase_is_voided() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    populate(&store, 1, 100);
    let Command::Place(mut request) = place(77, 0) else {
        panic!("not a placing")
    };
    (request.offer.copies, request.offer.remaining) = (Some(1), Some(1));
    do_all(&store, [Command::Place(request)]);
    let finds = || {
        page(&store, &everything(), None, 10)
            .found
            .iter()
            .any(|offer| offer.key == key(77))
    };
    assert!(finds());
    let reserve = reserve(&store.read().unwrap(), 1, 77, 0, 0);
    do_all(&store, [reserve]);
    assert!(!finds());
    assert_sound(&store);
    do_all(&store, [void(1, false)]);
    assert!(finds());
    assert_sound(&store);
}

#[test]
fn a_page_over_thousands_of_expired_offers_ends_early_and_says_where_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    do_all(&store, [genesis()]);
    let placed = |number: u64| {
        let Command::Place(mut request) = place(number, 0) else {
            panic!("not a placing")
        };
        request.offer.expires = (number < 5000).then_some(Nanos(10));
        Command::Place(request)
    };
    do_at_once(&store, (0..5001).map(placed));
    let first = page(&store, &everything(), None, 10);
    assert!(first.found.is_empty());
    let expected = Place::of_offer(Nanos(3), OfferId(id(b'o', 4095)));
    assert_eq!(first.next, Some(expected));
    let all = pages(&store, &everything(), 10);
    assert_eq!(all.iter().map(|offer| offer.key).collect::<Vec<_>>(), [key(5000)]);

    assert_eq!(sweep_all(&store, 11), 5000);
    assert_sound(&store);
    let first = page(&store, &everything(), None, 10);
    assert_eq!(first.next, None, "nothing is in the way any more");
    assert_eq!(first.found, all);
}
