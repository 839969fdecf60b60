//! The registry against a ledger in memory, and consents found by their lists against a look at all of them (W-43).

use crate::fixture::*;
use bourse_market::registry::*;
use bourse_market::*;
use bourse_store::{ConsentQuery, Options, Page, Place, Store, SubmitError};
use std::ops::Range;

/// Members, delegates, catalogs and markets that there are.
const FEW: u64 = 4;

/// Far more than any of these tests finds.
const PLENTY: usize = 100_000;

fn member(number: u64) -> Address {
    address(b'm', number)
}

fn catalog(number: u64) -> CatalogId {
    CatalogId(id(b'C', number))
}

fn market(number: u64) -> MarketId {
    MarketId(id(b'M', number))
}

fn api(number: u64) -> ApiId {
    ApiId(id(b'A', number))
}

fn delegate(number: u64) -> Address {
    address(b'd', number)
}

fn kind(number: u64) -> ActorType {
    ActorType::from_code(1 + number % 3).unwrap()
}

/// An identifier that is another for every key, and whose order is none of theirs.
fn consent_id(key: &ConsentKey) -> ConsentId {
    let numbers = [
        key.delegate_type as u8,
        key.member.0[19],
        key.market.0[15],
        key.delegate.0[19],
        key.catalog.0[15],
    ];
    let number = numbers
        .iter()
        .fold(0, |all, number| all * 16 + u64::from(*number));
    ConsentId(id((number % 7) as u8, number))
}

impl Dice {
    fn block(&mut self) -> BlockNumber {
        BlockNumber(1 + self.below(30))
    }

    fn text(&mut self) -> String {
        let texts = ["", "weather", "rain", "x", "weather in the afternoon"];
        texts[self.below(5) as usize].to_owned()
    }

    fn texts(&mut self, many: Range<u64>) -> Vec<String> {
        let many = many.start + self.below(many.end - many.start);
        let mut texts: Vec<String> = (0..many).map(|_| self.text()).collect();
        texts
            .iter_mut()
            .for_each(|text| text.truncate(Attributes::MAX_TAG));
        texts.sort();
        texts.dedup();
        texts
    }

    fn consent(&mut self) -> Consent {
        let key = ConsentKey {
            catalog: catalog(self.below(FEW)),
            member: member(self.below(FEW)),
            delegate: delegate(self.below(FEW)),
            delegate_type: kind(self.below(3)),
            market: market(self.below(FEW)),
        };
        let updated = self.block();
        Consent {
            id: consent_id(&key),
            key,
            updated,
            signed_at: updated,
            at: Nanos(updated.0),
            granted: !self.one_in(4),
            service_prefix: "com.example.".to_owned(),
            attributes: Attributes {
                title: self.text(),
                // Some too long to stand in a key as they are.
                description: self.text().repeat(20),
                tags: self.texts(0..4),
                labels: [("purpose".to_owned(), "statistics".to_owned())].into(),
            },
            transaction: None,
            signature: None,
            synced: true,
        }
    }

    /// None, or a list of a few.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Option<Vec<T>> {
        let many = 1 + self.below(3);
        self.one_in(4).then(|| (0..many).map(|_| one(self)).collect())
    }

    fn consent_query(&mut self) -> ConsentQuery {
        let (from, blocks) = (self.block(), self.below(30));
        let always = self.one_in(2);
        ConsentQuery {
            from: if always { BlockNumber(0) } else { from },
            until: BlockNumber(if always { u64::MAX } else { from.0 + blocks }),
            // One more than there are of each.
            members: self.list(|dice| member(dice.below(FEW + 1))),
            delegates: self.list(|dice| delegate(dice.below(FEW + 1))),
            markets: self.list(|dice| market(dice.below(FEW + 1))),
            catalogs: self.list(|dice| catalog(dice.below(FEW + 1))),
            titles: self.list(Self::text),
            descriptions: self.list(|dice| dice.text().repeat(20)),
            tags: self.list(Self::text),
        }
    }

    fn registration(&mut self) -> Registration {
        let (created, updated) = (BlockNumber(1), self.block());
        let at = Nanos(updated.0);
        let (transaction, signature) = (self.one_in(2).then_some(TransactionHash([7; 32])), None);
        match self.below(8) {
            0 => Registration::Member(Member {
                address: member(self.below(FEW)),
                registered: created,
                updated,
                at,
                eula: "Qm".to_owned(),
                profile: self.text(),
                level: MemberLevel::Active,
                transaction,
                signature,
            }),
            1 => Registration::Market(Market {
                id: market(self.below(FEW)),
                created: BlockNumber(self.below(3)),
                updated,
                closed: None,
                at,
                seq: 2,
                owner: member(self.below(FEW)),
                coin: Address([1; 20]),
                terms: self.text(),
                meta: String::new(),
                maker: delegate(self.below(FEW)),
                provider_security: Amount::ZERO,
                consumer_security: Amount::ZERO,
                fee: Amount::ZERO,
                transaction,
                signature,
            }),
            2 => Registration::Actor(Actor {
                key: ActorKey {
                    market: market(self.below(FEW)),
                    actor: member(self.below(FEW)),
                    kind: kind(self.below(3)),
                },
                joined: BlockNumber(self.below(3)),
                left: self.one_in(3).then_some(updated),
                updated,
                at,
                security: Amount::ZERO,
                meta: self.text(),
                transaction,
                signature,
            }),
            3 => Registration::Catalog(Catalog {
                id: catalog(self.below(FEW)),
                created: BlockNumber(self.below(3)),
                updated,
                at,
                seq: 1,
                owner: member(self.below(FEW)),
                terms: self.text(),
                meta: String::new(),
                transaction,
                signature,
            }),
            4 => Registration::Api(Api {
                id: api(self.below(FEW)),
                catalog: catalog(self.below(FEW)),
                published: updated,
                at,
                schema: self.text(),
                meta: String::new(),
                transaction,
                signature,
            }),
            _ => Registration::Consent(self.consent()),
        }
    }
}

fn register(registration: Registration) -> Command {
    Command::Register(Box::new(registration))
}

/// Leaves records of every kind.
pub(crate) fn register_everything(store: &Store) {
    let mut dice = Dice(5);
    do_all(store, (0..30).map(|_| register(dice.registration())));
}

fn page(store: &Store, query: &ConsentQuery, after: Option<Place>, limit: usize) -> Page<Consent> {
    store.read().unwrap().query_consents(query, after, limit).unwrap()
}

/// Every page of `query`, one after the other.
fn pages(store: &Store, query: &ConsentQuery, limit: usize) -> Vec<Consent> {
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

/// A word for word reading of what the query asks for, without its own idea of that.
fn is_looked_for(query: &ConsentQuery, consent: &Consent) -> bool {
    fn any<T: PartialEq>(list: &Option<Vec<T>>, value: &T) -> bool {
        list.as_ref().is_none_or(|list| list.contains(value))
    }
    let Consent { key, attributes, .. } = consent;
    query.from <= consent.updated
        && consent.updated <= query.until
        && any(&query.members, &key.member)
        && any(&query.delegates, &key.delegate)
        && any(&query.markets, &key.market)
        && any(&query.catalogs, &key.catalog)
        && any(&query.titles, &attributes.title)
        && any(&query.descriptions, &attributes.description)
        && query
            .tags
            .as_ref()
            .is_none_or(|tags| tags.iter().any(|tag| attributes.tags.contains(tag)))
}

#[test]
fn w_43_pages_of_any_query_for_consents_put_together_are_what_a_look_at_every_consent_finds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut dice = Dice(31);
    let mut model = MemoryLedger::new();
    model.submit(&genesis()).unwrap();
    do_all(&store, [genesis()]);
    for _ in 0..8 {
        // At once, and so each of another key: their order is not ours.
        let mut batch = std::collections::BTreeMap::new();
        for _ in 0..150 {
            let consent = dice.consent();
            batch.insert(consent.key, consent);
        }
        let commands: Vec<Command> = batch
            .into_values()
            .map(|consent| register(Registration::Consent(consent)))
            .collect();
        for command in &commands {
            model.submit(command).unwrap();
        }
        do_at_once(&store, commands);
    }
    assert_sound(&store);
    let mut all: Vec<Consent> = model.consents().cloned().collect();
    all.sort_by_key(|consent| (consent.updated, consent.id));
    assert_eq!(pages(&store, &ConsentQuery::all(), 100), all);
    let mut found = 0;
    for _ in 0..600 {
        let query = dice.consent_query();
        let limit = 1 + dice.below(40) as usize;
        let expected: Vec<Consent> = all
            .iter()
            .filter(|consent| is_looked_for(&query, consent))
            .cloned()
            .collect();
        found += expected.len();
        assert_eq!(pages(&store, &query, limit), expected, "{query:?}");
    }
    assert!(found > 5000, "the queries found only {found} consents");
}

#[test]
fn every_record_of_the_registry_and_every_list_of_them_is_as_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut dice = Dice(5);
    let mut model = MemoryLedger::new();
    model.submit(&genesis()).unwrap();
    do_all(&store, [genesis()]);
    for _ in 0..500 {
        let command = register(dice.registration());
        let expected = model.submit(&command).map_err(SubmitError::Refused);
        assert_eq!(store.submit_blocking(command), expected);
    }
    assert_sound(&store);
    drop(store);
    let store = open(folder.path());
    let reader = store.read().unwrap();
    let mut known = 0;
    for number in 0..FEW {
        assert_eq!(
            reader.member(&member(number)).unwrap(),
            model.member(&member(number)).unwrap()
        );
        assert_eq!(
            reader.market(&market(number)).unwrap(),
            model.market(&market(number)).unwrap()
        );
        assert_eq!(
            reader.catalog(&catalog(number)).unwrap(),
            model.catalog(&catalog(number)).unwrap()
        );
        assert_eq!(
            reader.api(&api(number)).unwrap(),
            model.api(&api(number)).unwrap()
        );
        known += [
            reader.member(&member(number)).unwrap().is_some(),
            reader.market(&market(number)).unwrap().is_some(),
            reader.catalog(&catalog(number)).unwrap().is_some(),
            reader.api(&api(number)).unwrap().is_some(),
        ]
        .into_iter()
        .map(u64::from)
        .sum::<u64>();
    }
    let keys: Vec<ActorKey> = (0..FEW * FEW * 3)
        .map(|number| ActorKey {
            market: market(number % FEW),
            actor: member(number / FEW % FEW),
            kind: kind(number / FEW / FEW),
        })
        .collect();
    let actors: Vec<Actor> = keys
        .iter()
        .filter_map(|key| {
            assert_eq!(reader.actor(key).unwrap(), model.actor(key).unwrap());
            model.actor(key).unwrap()
        })
        .collect();
    known += actors.len() as u64;
    let counts = reader.counts().unwrap();
    assert_eq!(counts.registered, known);
    assert_eq!(counts.consents, model.consents().count() as u64);
    for consent in model.consents() {
        assert_eq!(reader.consent(&consent.id).unwrap().as_ref(), Some(consent));
        assert_eq!(
            reader.consent_about(&consent.key).unwrap().as_ref(),
            Some(consent)
        );
    }

    // The lists, each in the order of blocks.
    let markets = || (0..FEW).filter_map(|number| model.market(&market(number)).unwrap());
    let catalogs = || (0..FEW).filter_map(|number| model.catalog(&catalog(number)).unwrap());
    let apis = || (0..FEW).filter_map(|number| model.api(&api(number)).unwrap());
    for number in 0..FEW {
        let (who, maker, cat) = (member(number), delegate(number), catalog(number));
        let mut expected: Vec<Market> = markets().filter(|market| market.owner == who).collect();
        expected.sort_by_key(|market| (market.created, market.id));
        assert_eq!(reader.markets_of_owner(&who, PLENTY).unwrap(), expected);
        let mut expected: Vec<Market> = markets().filter(|market| market.maker == maker).collect();
        expected.sort_by_key(|market| (market.created, market.id));
        assert_eq!(reader.markets_of_maker(&maker, PLENTY).unwrap(), expected);
        let mut expected: Vec<Catalog> = catalogs().filter(|catalog| catalog.owner == who).collect();
        expected.sort_by_key(|catalog| (catalog.created, catalog.id));
        assert_eq!(
            reader.catalogs_of_owner(&who, None, PLENTY).unwrap().found,
            expected
        );
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = reader.catalogs_of_owner(&who, after, 1).unwrap();
            paged.extend(page.found);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, expected);
        let mut expected: Vec<Api> = apis().filter(|api| api.catalog == cat).collect();
        expected.sort_by_key(|api| (api.published, api.id));
        assert_eq!(reader.apis_of(&cat, PLENTY).unwrap(), expected);
        let mut expected: Vec<Actor> = actors
            .iter()
            .filter(|actor| actor.key.actor == who && actor.left.is_none())
            .cloned()
            .collect();
        expected.sort_by_key(|actor| (actor.joined, actor.key));
        assert_eq!(reader.parts_of(&who, PLENTY).unwrap(), expected);
        assert_eq!(
            reader.parts_of(&who, 1).unwrap(),
            expected.first().cloned().into_iter().collect::<Vec<_>>()
        );
    }
    let ids = [catalog(0).0, api(1).0, [9; 16]];
    let mut expected: Vec<CatalogId> = ids.into_iter().map(CatalogId).collect();
    expected.extend(model.api(&api(1)).unwrap().map(|api| api.catalog));
    assert_eq!(reader.catalogs_of(&ids).unwrap(), expected);
}

/// What a member of the fixture's market says at its one block.
fn said(number: u64, granted: bool) -> ConsentRequest {
    let key = ConsentKey {
        catalog: CatalogId(id(b'C', number)),
        member: member(1),
        delegate: delegate(1),
        delegate_type: ActorType::Consumer,
        market: MARKET,
    };
    ConsentRequest {
        consent: Consent {
            id: ConsentId(id(b'n', number)),
            key,
            updated: BlockNumber(1),
            signed_at: BlockNumber(1),
            at: Nanos(1),
            granted,
            service_prefix: String::new(),
            attributes: Attributes {
                description: "d".repeat(Attributes::MAX_DESCRIPTION),
                tags: (0..Attributes::MAX_TAGS)
                    .map(|tag| format!("{tag:060}"))
                    .collect(),
                ..Attributes::default()
            },
            transaction: None,
            signature: None,
            synced: true,
        },
        signer: key.member,
        login: None,
    }
}

#[test]
fn a_full_map_takes_no_consent_and_lets_every_one_be_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options {
        map_size: 8 << 20,
        ..options(dir.path())
    };
    let store = Store::open(small, &stamp()).unwrap();
    do_all(&store, [genesis()]);
    let mut given = 0;
    let error = loop {
        match store.submit_blocking(Command::Consent(Box::new(said(given, true)))) {
            Ok(_) => given += 1,
            Err(error) => break error,
        }
        assert!(given < 10_000, "8 MiB never ran full");
    };
    assert!(
        matches!(error, SubmitError::Full { resource: "map", .. }),
        "{error}"
    );
    // A reader that pins every page there is.
    let reader = store.read().unwrap();
    let withdrawals = (0..given.min(20)).map(|number| Command::Withdraw(Box::new(said(number, false))));
    do_all(&store, withdrawals);
    drop(reader);
    assert_sound(&store);
    let consent = store.read().unwrap().consent(&said(0, true).consent.id);
    assert!(!consent.unwrap().unwrap().granted);
}

#[test]
fn withdrawals_take_none_of_the_room_that_purchases_under_way_were_promised() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options {
        map_size: 4 << 20,
        ..options(dir.path())
    };
    let store = Store::open(small, &stamp()).unwrap();
    populate(&store, 3, 10);
    let lean = |number, granted| {
        let mut request = said(number, granted);
        request.consent.attributes = Attributes::default();
        request
    };
    for number in 0..800 {
        let given = store.submit_blocking(Command::Consent(Box::new(lean(number, true))));
        assert!(given.is_ok(), "{number}: {given:?}");
    }
    for party in 0..3 {
        reserve_now(&store, party, party).unwrap();
    }
    let mut placed = 2000;
    while store.submit_blocking(place(placed, 1)).is_ok() {
        placed += 1;
    }
    for number in 0..800 {
        let mut request = lean(number, false);
        request.consent.service_prefix = "p".repeat(Consent::MAX_SERVICE_PREFIX);
        match store.submit_blocking(Command::Withdraw(Box::new(request))) {
            Ok(_) | Err(SubmitError::Full { .. }) => {}
            Err(other) => panic!("{number}: {other:?}"),
        }
    }
    for end in [post(0, 0, 4000), void(1, true), void(2, false)] {
        store.submit_blocking(end).unwrap();
    }
}
