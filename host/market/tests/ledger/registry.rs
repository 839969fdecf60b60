//! The registry: what blocks and members say, and whose word counts.

use crate::world::*;
use bourse_market::registry::*;
use bourse_market::*;

const MEMBER: Address = Address([0x41; 20]);
const DELEGATE: Address = Address([0x42; 20]);
const ID: ConsentId = ConsentId([0x43; 16]);

fn key() -> ConsentKey {
    ConsentKey {
        catalog: CatalogId([0x44; 16]),
        member: MEMBER,
        delegate: DELEGATE,
        delegate_type: ActorType::Consumer,
        market: MARKET,
    }
}

/// Signed at `signed_at` by its member; no login.
fn said(signed_at: u64, granted: bool) -> ConsentRequest {
    ConsentRequest {
        consent: Consent {
            id: ID,
            key: key(),
            updated: BlockNumber(1),
            signed_at: BlockNumber(signed_at),
            at: Nanos(7),
            granted,
            service_prefix: "com.example.".to_owned(),
            attributes: Attributes::default(),
            transaction: None,
            signature: Some(Signature([granted.into(); 65])),
            synced: true,
        },
        signer: MEMBER,
        login: None,
    }
}

fn titled(mut request: ConsentRequest, title: &str) -> ConsentRequest {
    title.clone_into(&mut request.consent.attributes.title);
    request
}

fn consent(request: &ConsentRequest) -> Command {
    Command::Consent(Box::new(request.clone()))
}

fn withdraw(request: &ConsentRequest) -> Command {
    Command::Withdraw(Box::new(request.clone()))
}

fn on_record(world: &World) -> Consent {
    world.ledger.consent_about(&key()).unwrap().unwrap()
}

fn outdated(signed_at: u64, got: u64) -> Refusal {
    Refusal::ConsentOutdated {
        signed_at: BlockNumber(signed_at),
        got: BlockNumber(got),
    }
}

#[test]
fn a_consent_is_recorded_once_and_a_repetition_changes_nothing() {
    let mut world = World::endowed();
    let request = titled(said(1, true), "weather");
    let expected = Outcome::Consented(Box::new(request.consent.clone()));
    assert_eq!(world.accept(consent(&request)), expected);
    let before = world.ledger.clone();
    let mut later = request.clone();
    later.consent.at = Nanos(99);
    assert_eq!(world.accept(consent(&later)), expected, "as it is on record");
    later.consent.attributes = Attributes::default();
    assert_eq!(
        world.accept(consent(&later)),
        expected,
        "who names no attributes changes none"
    );
    assert_eq!(world.ledger, before);
}

#[test]
fn what_was_withdrawn_is_not_given_back_by_the_old_signature() {
    let mut world = World::endowed();
    let (given, withdrawn) = (said(1, true), said(1, false));
    world.accept(consent(&given));
    world.accept(withdraw(&withdrawn));
    assert!(!on_record(&world).granted, "it stays on record, withdrawn");
    world.refuse(consent(&given), outdated(1, 1));
    world.accept(withdraw(&withdrawn));
    assert!(!on_record(&world).granted);
    world.accept(consent(&said(2, true)));
    assert!(on_record(&world).granted, "signed anew at a later block");
    world.refuse(consent(&withdrawn), outdated(2, 1));
    world.refuse(withdraw(&withdrawn), outdated(2, 1));
}

#[test]
fn nobody_dresses_a_consent_up_with_other_attributes_by_repeating_its_signature() {
    let mut world = World::endowed();
    world.accept(consent(&titled(said(3, true), "weather")));
    world.refuse(consent(&titled(said(3, true), "everything")), outdated(3, 3));
    world.accept(consent(&titled(said(4, true), "rain")));
    assert_eq!(on_record(&world).attributes.title, "rain");
    // A withdrawal leaves them.
    world.accept(withdraw(&titled(said(4, false), "nothing")));
    assert_eq!(on_record(&world).attributes.title, "rain");
}

#[test]
fn a_member_that_is_logged_in_may_say_anything_at_any_block_and_another_nothing() {
    let mut world = World::endowed();
    world.accept(consent(&said(5, true)));
    world.accept(withdraw(&said(5, false)));
    let mut again = said(1, true);
    again.login = Some(MEMBER);
    world.accept(consent(&again));
    assert!(on_record(&world).granted);
    assert_eq!(
        on_record(&world).signed_at,
        BlockNumber(5),
        "older words still do not count"
    );
    let mut stranger = said(9, false);
    stranger.login = Some(DELEGATE);
    let refusal = Refusal::AnotherMember {
        login: DELEGATE,
        member: MEMBER,
    };
    world.refuse(withdraw(&stranger), refusal);
}

#[test]
fn a_consent_is_refused_that_is_another_markets_or_signed_by_another_or_too_long() {
    type Change = fn(&mut ConsentRequest);
    let cases: [(Change, Refusal); 6] = [
        (
            |request| request.consent.key.market = MarketId([9; 16]),
            Refusal::WrongMarket {
                named: MarketId([9; 16]),
                ours: MARKET,
            },
        ),
        (
            |request| request.signer = Address([9; 20]),
            Refusal::WrongSigner {
                signer: Address([9; 20]),
                expected: MEMBER,
            },
        ),
        (
            |request| request.consent.key.delegate = Address([0; 20]),
            Refusal::ZeroDelegate,
        ),
        (
            |request| request.consent.attributes.title = "t".repeat(129),
            Refusal::TooLong {
                what: "title",
                length: 129,
                most: 128,
                unit: "bytes",
            },
        ),
        (
            |request| request.consent.attributes.tags = vec!["t".to_owned(); 17],
            Refusal::TooLong {
                what: "tags",
                length: 17,
                most: 16,
                unit: "of them",
            },
        ),
        (
            |request| request.consent.service_prefix = "p".repeat(1025),
            Refusal::TooLong {
                what: "service_prefix",
                length: 1025,
                most: 1024,
                unit: "bytes",
            },
        ),
    ];
    let mut world = World::endowed();
    for (change, refusal) in cases {
        let mut request = said(1, true);
        change(&mut request);
        world.refuse(consent(&request), refusal);
    }
    world.refuse(withdraw(&said(1, false)), Refusal::ConsentUnknown { id: ID });
}

#[test]
fn no_two_consents_share_an_identifier() {
    let mut world = World::endowed();
    world.accept(consent(&said(1, true)));
    let mut other = said(1, true);
    other.consent.key.catalog = CatalogId([1; 16]);
    world.refuse(consent(&other), Refusal::ConsentMisnamed { id: ID });
    let mut renamed = said(2, true);
    renamed.consent.id = ConsentId([1; 16]);
    let id = renamed.consent.id;
    world.refuse(consent(&renamed), Refusal::ConsentMisnamed { id });
}

/// One record of each kind, as block `at` has it.
fn each_kind(at: u64) -> [Registration; 6] {
    let block = BlockNumber(at);
    let text = format!("as of {at}");
    [
        Registration::Member(Member {
            address: MEMBER,
            registered: BlockNumber(1),
            updated: block,
            at: Nanos(at),
            eula: text.clone(),
            profile: String::new(),
            level: MemberLevel::Active,
            transaction: None,
            signature: None,
        }),
        Registration::Market(Market {
            id: MARKET,
            created: BlockNumber(1),
            updated: block,
            closed: None,
            at: Nanos(at),
            seq: 2,
            owner: MEMBER,
            coin: Address([1; 20]),
            terms: text.clone(),
            meta: String::new(),
            maker: MM,
            provider_security: Amount::ZERO,
            consumer_security: Amount::ZERO,
            fee: Amount::ZERO,
            transaction: None,
            signature: None,
        }),
        Registration::Actor(Actor {
            key: ActorKey {
                market: MARKET,
                actor: MEMBER,
                kind: ActorType::Provider,
            },
            joined: BlockNumber(1),
            left: None,
            updated: block,
            at: Nanos(at),
            security: Amount::ZERO,
            meta: text.clone(),
            transaction: None,
            signature: None,
        }),
        Registration::Catalog(Catalog {
            id: CatalogId([2; 16]),
            created: BlockNumber(1),
            updated: block,
            at: Nanos(at),
            seq: 1,
            owner: MEMBER,
            terms: text.clone(),
            meta: String::new(),
            transaction: None,
            signature: None,
        }),
        Registration::Api(Api {
            id: ApiId([3; 16]),
            catalog: CatalogId([2; 16]),
            published: block,
            at: Nanos(at),
            schema: text,
            meta: String::new(),
            transaction: None,
            signature: None,
        }),
        Registration::Consent(Consent {
            updated: block,
            signed_at: block,
            at: Nanos(at),
            ..said(at, true).consent
        }),
    ]
}

fn register(registration: &Registration) -> Command {
    Command::Register(Box::new(registration.clone()))
}

#[test]
fn the_last_block_has_the_last_word_and_blocks_may_be_read_again() {
    let mut world = World::endowed();
    let (changed, kept) = (
        Outcome::Registered { changed: true },
        Outcome::Registered { changed: false },
    );
    for (old, new) in each_kind(5).iter().zip(&each_kind(6)) {
        assert_eq!(world.accept(register(old)), changed);
        assert_eq!(world.accept(register(old)), kept);
        assert_eq!(world.accept(register(new)), changed);
        let before = world.ledger.clone();
        assert_eq!(world.accept(register(old)), kept, "{old:?} came late");
        assert_eq!(world.ledger, before);
    }
}

#[test]
fn a_block_leaves_the_attributes_of_a_consent_and_the_block_its_member_signed_at() {
    let mut world = World::endowed();
    world.accept(consent(&titled(said(9, true), "weather")));
    let [.., seen] = each_kind(4);
    world.accept(register(&seen));
    let consent = on_record(&world);
    assert_eq!(consent.updated, BlockNumber(4));
    assert_eq!(consent.signed_at, BlockNumber(9));
    assert_eq!(consent.attributes.title, "weather");
}

#[test]
fn a_record_with_a_text_of_any_length_is_refused() {
    let mut world = World::endowed();
    let long = "x".repeat(MAX_REFERENCE + 1);
    let mut records = each_kind(1);
    for record in &mut records {
        match record {
            Registration::Member(member) => member.profile.clone_from(&long),
            Registration::Market(market) => market.meta.clone_from(&long),
            Registration::Actor(actor) => actor.meta.clone_from(&long),
            Registration::Catalog(catalog) => catalog.meta.clone_from(&long),
            Registration::Api(api) => api.meta.clone_from(&long),
            Registration::Consent(consent) => consent.attributes.description = long.repeat(5),
        }
        let refused = world.submit(register(record));
        assert!(matches!(refused, Err(Refusal::TooLong { .. })), "{refused:?}");
    }
}
