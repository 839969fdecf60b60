//! set_consent, get_consent, find_consents and get_catalogs_by_owner, which never worked in the old market maker (W-31,
//! W-43), and what consent policies are told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers may stop the test"
)]

use bourse_app::config::{Config, Hook, Rule, Ticket};
use bourse_chain::{Consent, Domain, Signer, keccak256};
use bourse_market::registry::{Api, Catalog, Registration};
use bourse_market::{Address, Amount, ApiId, BlockNumber, CatalogId, Command, MarketId, Nanos, Signature};
use bourse_store::{Options, Store};
use bourse_tests::{
    Buyer, Seller, World, bytes_of, call, call_named, error_text, int_of, map_of, refused, tokens,
};
use bourse_wamp::{CallOptions, Dict, Session, Value, WampError};
use std::time::Duration;

const SET: &str = "xbr.marketmaker.set_consent";
const GET: &str = "xbr.marketmaker.get_consent";
const FIND: &str = "xbr.marketmaker.find_consents";
const CATALOG: CatalogId = CatalogId([0xC; 16]);
const DELEGATE: Address = Address([0xD; 20]);

/// The arguments of one set_consent, before they are spelled. Change what you like; the signature is made of what is
/// there in the end.
#[derive(Debug, Clone)]
struct Said {
    domain: Domain,
    market: MarketId,
    block: u64,
    delegate: Address,
    delegate_type: u8,
    catalog: CatalogId,
    consent: bool,
    prefix: String,
    attributes: Dict,
}

impl Said {
    fn here(world: &World) -> Self {
        Self {
            domain: world.domain(),
            market: world.market(),
            block: 1,
            delegate: DELEGATE,
            delegate_type: 2,
            catalog: CATALOG,
            consent: true,
            prefix: "com.example.".to_owned(),
            attributes: Dict::new(),
        }
    }

    fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other
    }

    fn signed_by(&self, member: &Signer) -> Signature {
        let message = Consent {
            member: member.address(),
            updated: Amount::from_units(self.block.into()),
            market: self.market,
            delegate: self.delegate,
            delegate_type: self.delegate_type,
            catalog: self.catalog,
            consent: self.consent,
            service_prefix: self.prefix.clone(),
        };
        member.sign(&message.digest(&self.domain))
    }

    fn args(&self, member: Address, signature: Signature) -> Vec<Value> {
        vec![
            Value::from(member.0),
            Value::from(self.market.0),
            Value::Int(self.domain.chain_id.into()),
            Value::Int(self.block.into()),
            Value::from(self.domain.verifying_contract.0),
            Value::from(self.delegate.0),
            Value::Int(u64::from(self.delegate_type).into()),
            Value::from(self.catalog.0),
            Value::Bool(self.consent),
            Value::from(self.prefix.as_str()),
            Value::from(signature.0),
            Value::Map(self.attributes.clone()),
        ]
    }

    async fn set(&self, session: &Session, member: &Signer) -> Result<Value, WampError> {
        let args = self.args(member.address(), self.signed_by(member));
        call(session, SET, args).await
    }

    /// The first half of the Keccak hash of what it is about.
    fn oid(&self, member: Address) -> Vec<u8> {
        let about = [
            self.catalog.0.as_slice(),
            &member.0,
            &self.delegate.0,
            &[self.delegate_type],
            &self.market.0,
        ];
        keccak256(&about.concat())[..16].to_vec()
    }

    async fn get(&self, session: &Session, member: Address, attributes: bool) -> Result<Value, WampError> {
        let args = vec![
            Value::from(self.market.0),
            Value::from(member.0),
            Value::from(self.delegate.0),
            Value::Int(u64::from(self.delegate_type).into()),
            Value::from(self.catalog.0),
            Value::Bool(attributes),
        ];
        call(session, GET, args).await
    }
}

fn attributes(title: &str, description: &str, tags: &[&str]) -> Dict {
    Dict::from([
        ("title".to_owned(), Value::from(title)),
        ("description".to_owned(), Value::from(description)),
        (
            "tags".to_owned(),
            Value::List(tags.iter().map(|tag| Value::from(*tag)).collect()),
        ),
    ])
}

/// What find_consents answers, and its cursor.
async fn page(session: &Session, entries: &[(&str, Value)]) -> (Vec<Value>, Value) {
    let kwargs = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let options = CallOptions {
        timeout: Some(Duration::from_secs(30)),
        ..CallOptions::default()
    };
    let mut result = session.call(FIND, Vec::new(), kwargs, options).await.unwrap();
    let Some(Value::List(found)) = result.args.pop() else {
        panic!("expected a list")
    };
    (found, result.kwargs.remove("cursor").unwrap())
}

async fn found(session: &Session, entries: &[(&str, Value)]) -> Vec<Value> {
    let (found, cursor) = page(session, entries).await;
    assert_eq!(cursor, Value::Null);
    found
}

fn sorted(mut ids: Vec<Vec<u8>>) -> Vec<Value> {
    ids.sort();
    ids.into_iter().map(Value::Bytes).collect()
}

#[tokio::test]
async fn w_31_a_consent_is_recorded_with_all_that_was_signed_and_survives_a_restart() {
    let mut world = World::start().await;
    let member = Signer::generate();
    let session = world.session().await;
    let said = Said::here(&world).but(|said| {
        said.attributes = attributes("Weather", "What the sky does", &["rain", "sun", "rain"]);
        said.attributes
            .insert("purpose".to_owned(), Value::from("research"));
    });
    let missing = said.get(&session, member.address(), false).await;
    refused(missing, "crossbar.error.no_such_object");

    let answer = said.set(&session, &member).await.unwrap();
    let one = Amount::from_units(1).to_be_bytes();
    assert_eq!(bytes_of(&answer, "market_oid"), world.market().0);
    assert_eq!(bytes_of(&answer, "member"), member.address().0);
    assert_eq!(bytes_of(&answer, "delegate"), DELEGATE.0);
    assert_eq!(int_of(&answer, "delegate_type"), 2);
    assert_eq!(bytes_of(&answer, "catalog_oid"), CATALOG.0);
    assert_eq!(bytes_of(&answer, "updated"), one, "the one block there is");
    assert_eq!(bytes_of(&answer, "signature"), said.signed_by(&member).0);
    let entry = |value: &Value, name: &str| map_of(value).get(name).cloned().unwrap();
    assert_eq!(entry(&answer, "consent"), Value::Bool(true));
    assert_eq!(entry(&answer, "service_prefix"), Value::from("com.example."));
    assert_eq!(entry(&answer, "synced"), Value::Bool(true));
    assert_eq!(entry(&answer, "tid"), Value::Null);

    drop(session);
    world.restart().await;
    let session = world.session().await;
    let again = said.get(&session, member.address(), true).await.unwrap();
    assert_eq!(again, answer);
    let kept = entry(&again, "attributes");
    let mut expected = attributes("Weather", "What the sky does", &["rain", "sun"]);
    expected.insert("purpose".to_owned(), Value::from("research"));
    assert_eq!(kept, Value::Map(expected));
    let bare = said.get(&session, member.address(), false).await.unwrap();
    assert!(!map_of(&bare).contains_key("attributes"));
    world.assert_sound();
}

#[tokio::test]
async fn w_31_only_its_members_signature_over_all_of_it_makes_a_consent() {
    let world = World::start().await;
    let (member, stranger) = (Signer::generate(), Signer::generate());
    let session = world.session().await;
    let said = Said::here(&world);
    let as_member = |said: &Said, signature| call(&session, SET, said.args(member.address(), signature));

    let theirs = said.signed_by(&stranger);
    refused(as_member(&said, theirs).await, "xbr.error.invalid_signature");
    let signature = said.signed_by(&member);
    for other in [
        said.but(|said| said.consent = false),
        said.but(|said| said.delegate = Address([1; 20])),
        said.but(|said| said.delegate_type = 3),
        said.but(|said| said.catalog = CatalogId([1; 16])),
        said.but(|said| said.block = 2),
        said.but(|said| said.prefix = "com.".to_owned()),
    ] {
        refused(as_member(&other, signature).await, "xbr.error.invalid_signature");
    }
    let mut high = signature;
    high.0[64] = 29;
    refused(as_member(&said, high).await, "xbr.error.invalid_signature");
    assert_eq!(found(&session, &[]).await, []);
}

#[tokio::test]
async fn every_argument_that_is_wrong_is_named() {
    let world = World::start().await;
    let member = Signer::generate();
    let session = world.session().await;
    let said = Said::here(&world);
    let labels = |many: usize| -> Dict {
        (0..many)
            .map(|label| (format!("label {label}"), Value::from("x")))
            .collect()
    };
    let tags: Vec<String> = (0..17).map(|tag| tag.to_string()).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let cases: Vec<(&str, Said)> = vec![
        ("market_oid", said.but(|said| said.market = MarketId([1; 16]))),
        ("verifying_chain_id", said.but(|said| said.domain.chain_id = 1)),
        (
            "verifying_contract_adr",
            said.but(|said| said.domain.verifying_contract = Address([1; 20])),
        ),
        ("current_block_number", said.but(|said| said.block = 0)),
        ("delegate", said.but(|said| said.delegate = Address([0; 20]))),
        ("delegate_type", said.but(|said| said.delegate_type = 0)),
        ("delegate_type", said.but(|said| said.delegate_type = 4)),
        ("service_prefix", said.but(|said| said.prefix = "p".repeat(1025))),
        (
            "attributes",
            said.but(|said| said.attributes = attributes(&"t".repeat(129), "", &[])),
        ),
        (
            "attributes",
            said.but(|said| said.attributes = attributes("", &"d".repeat(1025), &[])),
        ),
        (
            "attributes",
            said.but(|said| said.attributes = attributes("", "", &tags)),
        ),
        (
            "attributes",
            said.but(|said| said.attributes = attributes("", "", &[&"t".repeat(65)])),
        ),
        ("attributes", said.but(|said| said.attributes = labels(9))),
        (
            "attributes",
            said.but(|said| {
                drop(
                    said.attributes
                        .insert("title".to_owned(), Value::Int(1u64.into())),
                )
            }),
        ),
        (
            "attributes",
            said.but(|said| drop(said.attributes.insert("map".to_owned(), Value::Map(Dict::new())))),
        ),
    ];
    for (argument, wrong) in cases {
        let error = refused(wrong.set(&session, &member).await, "wamp.error.invalid_argument");
        assert_eq!(
            error.kwargs.get("argument"),
            Some(&Value::from(argument)),
            "{wrong:?}: {error:?}"
        );
    }
    let error = refused(
        said.but(|said| said.attributes = attributes(&"t".repeat(129), "", &[]))
            .set(&session, &member)
            .await,
        "wamp.error.invalid_argument",
    );
    assert_eq!(
        error_text(&error),
        "attributes: expected at most 128 bytes for title, got 129"
    );
    for (argument, value) in [
        ("include_owners", Value::List(vec![])),
        ("include_owners", Value::List(vec![Value::from([1u8; 16])])),
        (
            "include_tags",
            Value::List((0..65).map(|_| Value::from("x")).collect()),
        ),
        ("include_apis", Value::from("x")),
        ("limit", Value::Int(0u64.into())),
        ("cursor", Value::from([1u8; 23].as_slice())),
    ] {
        let kwargs = Dict::from([(argument.to_owned(), value)]);
        let answer = call_named(&session, FIND, Vec::new(), kwargs).await;
        let error = refused(answer, "wamp.error.invalid_argument");
        assert_eq!(error.kwargs.get("argument"), Some(&Value::from(argument)));
    }
    assert_eq!(found(&session, &[]).await, []);
}

#[tokio::test]
async fn a_stranger_who_repeats_what_a_member_said_gives_nothing_back_and_dresses_nothing_up() {
    let world = World::start().await;
    let member = Signer::generate();
    let (session, stranger) = (world.session().await, world.session().await);
    let given = Said::here(&world).but(|said| said.attributes = attributes("Weather", "", &[]));
    let withdrawn = given.but(|said| (said.consent, said.attributes) = (false, Dict::new()));
    let first = given.set(&session, &member).await.unwrap();

    let dressed = given.but(|said| said.attributes = attributes("Everything", "", &["all"]));
    let error = refused(dressed.set(&stranger, &member).await, "bourse.error.out_of_order");
    assert_eq!(error.kwargs.get("signed_at"), Some(&Value::Int(1u64.into())));
    assert_eq!(
        given.set(&stranger, &member).await.unwrap(),
        first,
        "the same again is what is on record"
    );
    let bare = given.but(|said| said.attributes = Dict::new());
    assert_eq!(bare.set(&stranger, &member).await.unwrap(), first);

    let ended = withdrawn.set(&session, &member).await.unwrap();
    assert_eq!(map_of(&ended).get("consent"), Some(&Value::Bool(false)));
    let title = |value: &Value| {
        map_of(map_of(value).get("attributes").unwrap())
            .get("title")
            .cloned()
    };
    assert_eq!(title(&ended), Some(Value::from("Weather")));
    refused(given.set(&stranger, &member).await, "bourse.error.out_of_order");
    let listed = found(&session, &[("include_details", Value::Bool(true))]).await;
    assert_eq!(listed, [ended], "it stays on record, withdrawn");

    let later = given.but(|said| said.block = 2);
    let again = later.set(&session, &member).await.unwrap();
    assert_eq!(map_of(&again).get("consent"), Some(&Value::Bool(true)));
    refused(
        withdrawn.set(&stranger, &member).await,
        "bourse.error.out_of_order",
    );
    world.assert_sound();
}

fn member_ticket(config: &mut Config, member: Address) {
    let authid = format!("member-{}", member.to_string().trim_start_matches("0x"));
    let file = config.store.path.join("member.ticket");
    std::fs::write(&file, "sesame").unwrap();
    config.wamp.ticket.push(Ticket {
        authid,
        role: "user".to_owned(),
        file,
    });
}

#[tokio::test]
async fn who_is_logged_in_as_a_member_speaks_for_that_member_alone() {
    let (member, other) = (Signer::generate(), Signer::generate());
    let world = World::with(|config| member_ticket(config, member.address())).await;
    let authid = format!("member-{}", member.address().to_string().trim_start_matches("0x"));
    let session = world.session_as(&authid, "sesame").await.unwrap();
    let said = Said::here(&world);
    refused(said.set(&session, &other).await, "bourse.error.not_authorized");
    said.set(&session, &member).await.unwrap();
    said.but(|said| said.consent = false)
        .set(&session, &member)
        .await
        .unwrap();
    let again = said.set(&session, &member).await.unwrap();
    assert_eq!(
        map_of(&again).get("consent"),
        Some(&Value::Bool(true)),
        "a login needs no later block"
    );
    let catalogs = |owner: Address| {
        let args = vec![Value::from(owner.0)];
        call(&session, "xbr.marketmaker.get_catalogs_by_owner", args)
    };
    refused(catalogs(other.address()).await, "bourse.error.not_authorized");
    assert_eq!(catalogs(member.address()).await.unwrap(), Value::List(vec![]));
}

/// Filters, and what they are to find.
type Case = (Vec<(&'static str, Value)>, Vec<Value>);

#[tokio::test]
async fn w_43_consents_are_found_by_every_filter_any_of_each_and_all_of_them() {
    let world = World::start().await;
    let (alice, bob) = (Signer::generate(), Signer::generate());
    let session = world.session().await;
    let base = Said::here(&world);
    let weather = base.but(|said| said.attributes = attributes("Weather", "the sky", &["rain", "sun"]));
    let traffic = base.but(|said| {
        said.catalog = CatalogId([0xE; 16]);
        said.delegate = Address([0xF; 20]);
        said.attributes = attributes("Traffic", "the road", &["cars"]);
    });
    let both = base.but(|said| {
        said.delegate = Address([0xF; 20]);
        said.attributes = attributes("Weather", "the road", &["rain", "cars"]);
    });
    for (said, member) in [(&weather, &alice), (&traffic, &alice), (&both, &bob)] {
        said.set(&session, member).await.unwrap();
    }
    let a = weather.oid(alice.address());
    let b = traffic.oid(alice.address());
    let c = both.oid(bob.address());
    let list = |values: &[&[u8]]| Value::List(values.iter().map(|value| Value::from(*value)).collect());
    let texts = |values: &[&str]| Value::List(values.iter().map(|value| Value::from(*value)).collect());
    let all = sorted(vec![a.clone(), b.clone(), c.clone()]);
    let cases: Vec<Case> = vec![
        (vec![], all.clone()),
        (
            vec![("include_owners", list(&[&alice.address().0]))],
            sorted(vec![a.clone(), b.clone()]),
        ),
        (
            vec![("include_owners", list(&[&alice.address().0, &bob.address().0]))],
            all.clone(),
        ),
        (
            vec![("include_delegates", list(&[&[0xF; 20]]))],
            sorted(vec![b.clone(), c.clone()]),
        ),
        (
            vec![("include_apis", list(&[&CATALOG.0]))],
            sorted(vec![a.clone(), c.clone()]),
        ),
        (vec![("include_markets", list(&[&world.market().0]))], all.clone()),
        (vec![("include_markets", list(&[&[1; 16]]))], vec![]),
        (
            vec![("include_titles", texts(&["Weather"]))],
            sorted(vec![a.clone(), c.clone()]),
        ),
        (
            vec![("include_descriptions", texts(&["the road"]))],
            sorted(vec![b.clone(), c.clone()]),
        ),
        (vec![("include_tags", texts(&["sun", "cars"]))], all.clone()),
        (
            vec![
                ("include_tags", texts(&["rain"])),
                ("include_delegates", list(&[&[0xF; 20]])),
            ],
            sorted(vec![c.clone()]),
        ),
        (
            vec![
                ("include_titles", texts(&["Weather", "Traffic"])),
                ("include_owners", list(&[&alice.address().0])),
                ("include_descriptions", texts(&["the sky"])),
                ("include_apis", list(&[&CATALOG.0])),
            ],
            sorted(vec![a.clone()]),
        ),
        (
            vec![
                ("include_titles", texts(&["Traffic"])),
                ("include_owners", list(&[&bob.address().0])),
            ],
            vec![],
        ),
        (vec![("created_from", Value::Int(2u64.into()))], vec![]),
        (
            vec![
                ("created_from", Value::Int(0u64.into())),
                ("limit", Value::Int(1u64.into())),
            ],
            vec![],
        ),
        (
            vec![
                ("created_from", Value::Int(1u64.into())),
                ("limit", Value::Int(1u64.into())),
            ],
            all,
        ),
    ];
    for (filters, expected) in cases {
        assert_eq!(found(&session, &filters).await, expected, "{filters:?}");
    }
    let details = found(
        &session,
        &[
            ("include_details", Value::Bool(true)),
            ("include_tags", texts(&["sun"])),
        ],
    )
    .await;
    let expected = weather.get(&session, alice.address(), true).await.unwrap();
    assert_eq!(details, [expected]);
    // Behind the first of three.
    let place = [1u64.to_be_bytes().as_slice(), sorted_first(&[&a, &b, &c])].concat();
    let rest = found(&session, &[("cursor", Value::Bytes(place))]).await;
    assert_eq!(rest, sorted(vec![a, b, c])[1..]);
}

fn sorted_first<'a>(ids: &[&'a Vec<u8>]) -> &'a [u8] {
    ids.iter().min().unwrap()
}

/// Puts what a chain would say into the ledger of a market that is stopped.
async fn register(world: &World, registrations: Vec<Registration>) {
    let path = world.data();
    let stamp = Store::stamp(path).unwrap().unwrap();
    let options = Options {
        map_size: world.config().store.map_size,
        ..Options::at(path)
    };
    let store = Store::open(options, &stamp).unwrap();
    for registration in registrations {
        store
            .submit(Command::Register(Box::new(registration)))
            .await
            .unwrap();
    }
    store.shutdown();
}

#[tokio::test]
async fn a_consent_policy_is_told_what_is_on_record_about_both_parties_and_of_nobody_else() {
    const API: ApiId = ApiId([7; 16]);
    let owner = Signer::generate();
    let mut world = careful_market().await;
    world.stop().await;
    let api = Registration::Api(Api {
        id: API,
        catalog: CATALOG,
        published: BlockNumber(1),
        at: Nanos(1),
        schema: String::new(),
        meta: String::new(),
        transaction: None,
        signature: None,
    });
    let catalog = Registration::Catalog(Catalog {
        id: CATALOG,
        created: BlockNumber(1),
        updated: BlockNumber(1),
        at: Nanos(1),
        seq: 1,
        owner: owner.address(),
        terms: String::new(),
        meta: "QmMeta".to_owned(),
        transaction: None,
        signature: None,
    });
    register(&world, vec![api, catalog]).await;
    world.restart().await;

    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let said = |delegate: Address, delegate_type: u8| {
        Said::here(&world).but(|said| {
            (said.delegate, said.delegate_type, said.prefix) = (delegate, delegate_type, String::new());
            said.attributes
                .insert("purpose".to_owned(), Value::from("research"));
        })
    };
    let code = |error: WampError| error.kwargs.get("code").cloned();
    let sells = said(seller.signer.address(), 1);
    let place = || seller.try_offer(Some(tokens(1)), Dict::new());
    let error = refused(place().await, "bourse.error.refused");
    assert_eq!(code(error), Some(Value::from("seller_consent_missing")));
    // A stranger consents for the seller's delegate: that is not the word of whom it belongs to.
    let stranger = Signer::generate();
    sells.set(&seller.session, &stranger).await.unwrap();
    let error = refused(place().await, "bourse.error.refused");
    assert_eq!(code(error), Some(Value::from("seller_consent_missing")));
    sells.set(&seller.session, &seller.actor).await.unwrap();
    // And cannot say no for it either.
    sells
        .but(|said| said.consent = false)
        .set(&seller.session, &stranger)
        .await
        .unwrap();
    let key = place().await.unwrap();

    let buys = said(buyer.signer.address(), 2);
    let error = refused(buyer.buy_at(key, tokens(1)).await, "bourse.error.refused");
    assert_eq!(code(error), Some(Value::from("buyer_consent_missing")));
    buys.set(&buyer.session, &buyer.actor).await.unwrap();
    buyer.buy_at(key, tokens(1)).await.unwrap();
    let ends = buys.but(|said| said.consent = false);
    ends.set(&buyer.session, &buyer.actor).await.unwrap();
    let error = refused(buyer.buy_at(key, tokens(1)).await, "bourse.error.refused");
    assert_eq!(code(error), Some(Value::from("buyer_consent_withdrawn")));

    // An API stands for its catalog, and the catalog is its owner's.
    let apis = Value::List(vec![Value::from(API.0)]);
    let of_api = found(&buyer.session, &[("include_apis", apis)]).await;
    assert_eq!(of_api.len(), 3);
    let args = vec![Value::from(owner.address().0)];
    let catalogs = call(&buyer.session, "xbr.marketmaker.get_catalogs_by_owner", args)
        .await
        .unwrap();
    let Value::List(catalogs) = catalogs else {
        panic!("expected a list")
    };
    assert_eq!(catalogs.len(), 1);
    assert_eq!(bytes_of(&catalogs[0], "oid"), CATALOG.0);
    assert_eq!(bytes_of(&catalogs[0], "owner"), owner.address().0);
    assert_eq!(map_of(&catalogs[0]).get("meta"), Some(&Value::from("QmMeta")));
    assert_eq!(map_of(&catalogs[0]).get("meta_data"), Some(&Value::from("")));
    world.assert_sound();
}

/// A market in which a policy decides about consent.
async fn careful_market() -> World {
    World::with(|config| {
        config.policies.rule = vec![
            Rule::default_pricing(),
            Rule {
                hook: Hook::Consent,
                policy: "purpose-consent".to_owned(),
                params: "purpose = 'research'".parse().unwrap(),
                ..Rule::default_pricing()
            },
        ];
    })
    .await
}

#[tokio::test]
async fn a_policy_that_cannot_be_shown_every_consent_is_not_asked_and_the_error_counts_them() {
    let world = careful_market().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let said = |delegate: Address, delegate_type: u8, catalog: u8| {
        Said::here(&world).but(|said| {
            (said.delegate, said.delegate_type, said.prefix) = (delegate, delegate_type, String::new());
            said.catalog = CatalogId([catalog; 16]);
            said.attributes
                .insert("purpose".to_owned(), Value::from("research"));
        })
    };
    let seller_delegate = seller.signer.address();
    let place = || seller.try_offer(Some(tokens(1)), Dict::new());
    for catalog in 1..=16 {
        let yes = said(seller_delegate, 1, catalog);
        yes.set(&seller.session, &seller.actor).await.unwrap();
    }
    // Shown all of them, the policy answers: of an offer without a catalog that it is to have one.
    let error = refused(place().await, "bourse.error.refused");
    assert_eq!(error.kwargs.get("code"), Some(&Value::from("no_catalog")));
    // The seventeenth says no. Nobody who is shown sixteen of them would know.
    let no = said(seller_delegate, 1, 17).but(|said| said.consent = false);
    no.set(&seller.session, &seller.actor).await.unwrap();
    let error = refused(place().await, "bourse.error.policy_failed");
    let text = error_text(&error);
    assert!(
        text.starts_with("17 consents are on record") && text.contains("is shown 16 at most"),
        "{text}"
    );

    // Long texts likewise: four of the longest are more than fit.
    let other = Seller::new(&world, tokens(100)).await;
    for catalog in 1..=4 {
        let wordy = said(other.signer.address(), 1, catalog).but(|said| {
            said.prefix = format!("{}.", "x".repeat(1000));
            let long = |length: usize| Value::from("x".repeat(length));
            said.attributes.insert("title".to_owned(), long(128));
            let tags = (0..16).map(|tag| Value::from(format!("{tag:0>64}")));
            said.attributes
                .insert("tags".to_owned(), Value::List(tags.collect()));
            for label in 0..7 {
                said.attributes.insert(format!("{label:0>64}"), long(128));
            }
        });
        wordy.set(&other.session, &other.actor).await.unwrap();
    }
    let error = refused(
        other.try_offer(Some(tokens(1)), Dict::new()).await,
        "bourse.error.policy_failed",
    );
    let text = error_text(&error);
    assert!(
        text.starts_with("the 4 consents on record") && text.contains("is shown 12288 at most"),
        "{text}"
    );
}
