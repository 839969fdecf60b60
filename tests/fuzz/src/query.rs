//! Questions for offers and for consents, and the cursors of their pages.
//!
//! The first bit of a call ([`crate::call`]) says which of the two is asked.

use crate::call::{self, Call};
use crate::town::{API, BUYER, PROVIDER, SELLER, Town, amount};
use bourse_chain::Consent;
use bourse_market::{Address, Amount, CatalogId, KeyId};
use bourse_wamp::{CallResult, Dict, Value};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// Offers and consents there are to find.
const OFFERS: u16 = 300;
const CONSENTS: u8 = 40;
/// Pages that are turned for one input: enough to see that they lead on.
const PAGES: usize = 4;
/// Offers on a page where the question says nothing, and on any page; consents on a page.
const USUAL: u64 = 10;
const MOST: u64 = 1000;

/// One of the two.
struct Question {
    procedure: &'static str,
    /// Where in its arguments the cursor stands.
    cursor: usize,
    /// What the ids of its answers are called.
    id: &'static str,
}

const OF_OFFERS: Question = Question {
    procedure: "xbr.marketmaker.query_offers",
    cursor: 7,
    id: "offer",
};
const OF_CONSENTS: Question = Question {
    procedure: "xbr.marketmaker.find_consents",
    cursor: 10,
    id: "consent_oid",
};

thread_local! {
    static TOWN: OnceCell<Town> = const { OnceCell::new() };
}

/// A member's consent to one of several delegates.
pub(crate) fn consent(town: &Town, number: u8) {
    let message = Consent {
        member: town.buyer_actor.address(),
        updated: Amount::from_units(1),
        market: town.market(),
        delegate: Address([number; 20]),
        delegate_type: 2,
        catalog: CatalogId([number % 4; 16]),
        consent: true,
        service_prefix: "com.example.".to_owned(),
    };
    let signature = town.buyer_actor.sign(&message.digest(&town.domain));
    let attributes = Dict::from([
        ("title".to_owned(), format!("title {}", number % 5).into()),
        ("description".to_owned(), "words of a description".into()),
        (
            "tags".to_owned(),
            Value::List(vec!["common".into(), format!("tag{}", number % 3).into()]),
        ),
    ]);
    let args = vec![
        message.member.0.into(),
        message.market.0.into(),
        town.domain.chain_id.into(),
        1_u8.into(),
        town.domain.verifying_contract.0.into(),
        message.delegate.0.into(),
        message.delegate_type.into(),
        message.catalog.0.into(),
        true.into(),
        message.service_prefix.as_str().into(),
        signature.0.into(),
        Value::Map(attributes),
    ];
    town.ask(BUYER, "xbr.marketmaker.set_consent", args, Dict::new())
        .expect("a consent");
}

/// A market with something to find.
fn filled() -> Town {
    let town = Town::new();
    for number in 0..OFFERS {
        let mut key = [0; 16];
        key[..2].copy_from_slice(&number.to_be_bytes());
        let uri = format!("com.example.a{}.b{}", number % 3, number % 7);
        let price = Amount::from_units(number.into());
        let categories = Dict::from([
            (
                "region".to_owned(),
                if number % 2 == 0 { "east" } else { "west" }.into(),
            ),
            ("class".to_owned(), (number % 5).to_string().into()),
        ]);
        let kwargs = Dict::from([
            ("price".to_owned(), amount(price)),
            ("provider_id".to_owned(), PROVIDER.into()),
            ("categories".to_owned(), Value::Map(categories)),
        ]);
        let args = town.offer_args(KeyId(key), &uri, Some(price));
        town.ask(SELLER, "xbr.marketmaker.place_offer", args, kwargs)
            .expect("an offer");
    }
    for number in 1..=CONSENTS {
        consent(&town, number);
    }
    town
}

pub(crate) fn run(bytes: &[u8]) {
    let Some(call) = Call::read(bytes) else {
        return;
    };
    TOWN.with(|town| turn_pages(town.get_or_init(filled), call));
}

/// Asks, and follows what the pages' cursors lead to: never a thing twice, never more than was asked for, never the same
/// place again.
fn turn_pages(town: &Town, mut call: Call) {
    let (question, limit) = match call.which % 2 {
        0 => (OF_OFFERS, call.number(6, "limit").unwrap_or(USUAL)),
        _ => (OF_CONSENTS, MOST),
    };
    let mut seen = BTreeSet::new();
    let mut place: Option<Vec<u8>> = None;
    for _ in 0..PAGES {
        let answer = match town.call(call.invocation(BUYER, question.procedure)) {
            Ok(answer) => answer,
            Err(error) => {
                // What the market named as the way on, it must take.
                assert!(place.is_none(), "{error:?} to {call:?}");
                return call::refused(&error);
            }
        };
        let (found, next) = page(&question, &answer);
        assert!(
            found.len() as u64 <= limit.min(MOST),
            "{} of {limit}",
            found.len()
        );
        for id in found {
            assert!(seen.insert(id), "twice in {call:?}");
        }
        let Some(next) = next else {
            return;
        };
        assert!(
            place.is_none_or(|place| place < next),
            "{next:?} leads back in {call:?}"
        );
        call.put(question.cursor, "cursor", Value::Bytes(next.clone()));
        place = Some(next);
    }
}

/// The ids on a page, and where the next begins.
fn page(question: &Question, answer: &CallResult) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
    let id = |item: &Value| {
        let id = match item {
            Value::Map(map) => map.get(question.id).and_then(Value::as_bytes),
            other => other.as_bytes(),
        };
        id.expect("an id").to_vec()
    };
    let list = answer.args.first().and_then(Value::as_list).expect("a list");
    let cursor = answer.kwargs.get("cursor").expect("a cursor or null");
    let next = (!cursor.is_null()).then(|| cursor.as_bytes().expect("a cursor is bytes").to_vec());
    (list.iter().map(id).collect(), next)
}

/// Questions with every argument there is, alone and together.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let town = Town::new();
    let mut seeds = Vec::new();
    let mut add = |which: u8, entries: &[(&str, Value)]| {
        let kwargs = entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        seeds.extend(Call::seeds(which, 0, &[], &kwargs));
    };
    let always = [("api_id", API.0.into()), ("from_ts", 0_u8.into())];
    let categories = |name: &str, value: &str| Value::Map(Dict::from([(name.to_owned(), value.into())]));
    let place = [0_u64.to_be_bytes().to_vec(), vec![0; 16]].concat();
    let each = [
        ("limit", 1_u8.into()),
        ("limit", 1000_u16.into()),
        ("until_ts", 1_700_000_001_000_000_000_u64.into()),
        ("uri", "com.example.a1.".into()),
        ("categories", categories("region", "east")),
        ("categories", categories("class", "3")),
        ("seller_id", town.seller.address().0.into()),
        ("cursor", Value::Bytes(place.clone())),
    ];
    add(0, &always);
    for one in &each {
        add(0, &[&always[..], std::slice::from_ref(one)].concat());
    }
    add(0, &[&always[..], &each[2..]].concat());
    let list = |value: Value| Value::List(vec![value]);
    let each = [
        ("created_from", 1_u8.into()),
        ("limit", 5_u8.into()),
        ("include_owners", list(town.buyer_actor.address().0.into())),
        ("include_delegates", list([7; 20].into())),
        ("include_markets", list(town.market().0.into())),
        ("include_apis", list([1; 16].into())),
        ("include_titles", list("title 1".into())),
        ("include_descriptions", list("words of a description".into())),
        ("include_tags", list("common".into())),
        ("include_details", true.into()),
        ("cursor", Value::Bytes(place)),
    ];
    add(1, &[]);
    for one in &each {
        add(1, std::slice::from_ref(one));
    }
    add(1, &each);
    seeds
}
