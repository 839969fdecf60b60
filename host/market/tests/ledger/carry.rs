//! Consents on a chain: which word of a member counts, and how one is carried there.

use crate::world::*;
use bourse_market::chain::*;
use bourse_market::outbox::*;
use bourse_market::registry::*;
use bourse_market::*;

const ID: ConsentId = ConsentId([5; 16]);
const MEMBER: Address = Address([0x3E; 20]);

fn key() -> ConsentKey {
    ConsentKey {
        catalog: CatalogId([4; 16]),
        member: MEMBER,
        delegate: SELLER,
        delegate_type: ActorType::Provider,
        market: MARKET,
    }
}

/// A market on a chain at block 10, whose market maker sent five transactions before.
fn on_chain() -> World {
    let mut world = World::empty();
    world.accept(Command::Genesis(Genesis {
        local: false,
        float: Amount::ZERO,
        ..genesis()
    }));
    world.accept(Command::MoveLine(Nonce(5)));
    follow(&mut world, 10, vec![]);
    world
}

fn block(number: u64) -> BlockRef {
    BlockRef {
        number: BlockNumber(number),
        hash: BlockHash([7; 32]),
    }
}

fn follow(world: &mut World, number: u64, events: Vec<ChainEvent>) {
    let mined = Mined {
        block: BlockNumber(number),
        transaction: TransactionHash([7; 32]),
    };
    world.now = Nanos(world.now.0 + 1);
    world.accept(Command::Advance(Box::new(Advance {
        after: world.ledger.chain_tip().unwrap().map(|applied| applied.block),
        to: block(number),
        events: events.into_iter().map(|event| Logged { event, mined }).collect(),
        settled_below: BlockNumber(0),
        head: BlockNumber(number),
        at: world.now,
    })));
}

fn unwind(world: &mut World, to: u64) {
    let from = world.ledger.chain_tip().unwrap().unwrap().block;
    let (to, at) = (block(to), world.now);
    world.accept(Command::Unwind(Unwind { from, to, at }));
}

/// The chain says so, as of a block that its member signed at.
fn set(signed_at: u64, granted: bool, prefix: &str) -> ChainEvent {
    ChainEvent::ConsentSet {
        id: ID,
        key: key(),
        signed_at: BlockNumber(signed_at),
        granted,
        service_prefix: prefix.to_owned(),
    }
}

/// The member says so to the market.
fn said(world: &World, signed_at: u64, granted: bool, prefix: &str) -> ConsentRequest {
    ConsentRequest {
        consent: Consent {
            id: ID,
            key: key(),
            updated: BlockNumber(30),
            signed_at: BlockNumber(signed_at),
            at: Nanos(world.now.0 + 1_000),
            granted,
            service_prefix: prefix.to_owned(),
            attributes: Attributes::default(),
            transaction: None,
            signature: Some(Signature([granted.into(); 65])),
            synced: false,
        },
        signer: MEMBER,
        login: None,
    }
}

fn on_record(world: &World) -> Consent {
    world.ledger.consent_about(&key()).unwrap().unwrap()
}

/// Given or withdrawn, for which URIs, and whether the chain says so too.
fn stands(world: &World) -> (bool, String, bool) {
    let consent = on_record(world);
    (consent.granted, consent.service_prefix, consent.synced)
}

#[test]
fn what_a_member_signed_last_counts_wherever_it_said_so_and_of_one_block_the_withdrawal() {
    // What it said to the market at block 20, what the chain says then, and what stands.
    let cases = [
        ((true, "com."), set(20, true, "com."), (true, "com.", true)),
        ((true, "com."), set(21, false, "com."), (false, "com.", true)),
        ((true, "com."), set(21, true, "org."), (true, "org.", true)),
        // Anybody may show the contract again what was signed before.
        ((true, "com."), set(19, false, "com."), (true, "com.", false)),
        ((false, "com."), set(19, true, "com."), (false, "com.", false)),
        ((false, "com."), set(20, true, "com."), (false, "com.", false)),
        ((true, "com."), set(19, true, "org."), (true, "com.", false)),
        ((true, "com."), set(20, false, "com."), (false, "com.", true)),
        // The same again, signed earlier: the chain says so too.
        ((true, "com."), set(19, true, "com."), (true, "com.", true)),
        ((false, "com."), set(19, false, "org."), (false, "com.", true)),
    ];
    for ((granted, prefix), event, (stands_granted, stands_prefix, synced)) in cases {
        let mut world = on_chain();
        let request = said(&world, 20, granted, prefix);
        world.accept(Command::Consent(Box::new(request)));
        let before = on_record(&world);
        follow(&mut world, 40, vec![event.clone()]);
        let expected = (stands_granted, stands_prefix.to_owned(), synced);
        assert_eq!(stands(&world), expected, "{granted} {prefix} {event:?}");
        // And as it was, where the block is dropped.
        unwind(&mut world, 10);
        assert_eq!(on_record(&world), before, "{event:?}");
    }
}

/// A chain shows an old word again after a new one: the old does not come back, and is no reason to forget the new.
#[test]
fn w_31_a_word_that_is_shown_to_the_contract_again_gives_nothing_back() {
    let mut world = on_chain();
    follow(&mut world, 11, vec![set(11, true, "com.")]);
    follow(&mut world, 12, vec![set(12, false, "com.")]);
    assert_eq!(stands(&world), (false, "com.".to_owned(), true));
    let withdrawn = on_record(&world);
    follow(&mut world, 13, vec![set(11, true, "com.")]);
    assert_eq!(stands(&world), (false, "com.".to_owned(), false));
    unwind(&mut world, 12);
    assert_eq!(on_record(&world), withdrawn);
    // What it says since is not undone by a block that goes.
    follow(&mut world, 13, vec![set(11, true, "com.")]);
    let again = said(&world, 30, true, "org.");
    world.accept(Command::Consent(Box::new(again)));
    unwind(&mut world, 12);
    assert_eq!(stands(&world), (true, "org.".to_owned(), false));
    follow(&mut world, 13, vec![set(30, true, "org.")]);
    assert_eq!(stands(&world), (true, "org.".to_owned(), true));
}

fn request(said: ConsentRequest) -> CarryRequest {
    CarryRequest {
        said,
        signature: Signature([8; 65]),
        signer: MEMBER,
        limits: CarryLimits { member: 3, all: 40 },
        gas: 500_000,
    }
}

fn carry(request: &CarryRequest) -> Command {
    Command::Carry(Box::new(request.clone()))
}

fn carried(world: &mut World, request: &CarryRequest) -> (Consent, Intent, bool) {
    match world.accept(carry(request)) {
        Outcome::Carried {
            consent,
            intent,
            again,
        } => (*consent, *intent, again),
        other => panic!("{other:?}"),
    }
}

#[test]
fn w_31_a_consent_that_is_carried_is_one_write_with_its_transaction_and_synced_when_the_chain_says_so() {
    let mut world = on_chain();
    let first = request(said(&world, 9, true, "com."));
    for again in [false, true] {
        let (consent, intent, was) = carried(&mut world, &first);
        assert!(consent.granted && !consent.synced);
        assert_eq!((intent.nonce, intent.gas_limit, was), (Nonce(5), 500_000, again));
        assert_eq!(intent.carries().unwrap().signature, first.signature);
    }
    // It stood before without the chain: said again, it goes there.
    let later = said(&world, 12, false, "com.");
    world.accept(Command::Withdraw(Box::new(later.clone())));
    let later = request(later);
    let (consent, intent, again) = carried(&mut world, &later);
    assert!(!consent.granted && !again);
    assert_eq!(intent.nonce, Nonce(6));
    // The first is outdated by now, whoever repeats it.
    let outdated = Refusal::ConsentOutdated {
        signed_at: BlockNumber(12),
        got: BlockNumber(9),
    };
    world.refuse(carry(&first), outdated);
    follow(&mut world, 13, vec![set(9, true, "com."), set(12, false, "com.")]);
    assert_eq!(stands(&world), (false, "com.".to_owned(), true));
}

#[test]
fn what_is_carried_is_checked_inside_the_write() {
    let mut world = on_chain();
    let good = request(said(&world, 9, true, "com."));
    let mut stranger = good.clone();
    stranger.signer = STRANGER;
    world.refuse(
        carry(&stranger),
        Refusal::WrongSigner {
            signer: STRANGER,
            expected: MEMBER,
        },
    );
    let mut wide = good.clone();
    wide.said.consent.service_prefix = "x".repeat(CarryRequest::MAX_PREFIX + 1);
    assert!(matches!(world.submit(carry(&wide)), Err(Refusal::TooLong { .. })));
    carried(&mut world, &good);
    // Another word, or another signature, of the same block.
    let mut other = good.clone();
    other.signature = Signature([9; 65]);
    world.refuse(
        carry(&other),
        Refusal::CarriedOtherwise {
            member: MEMBER,
            signed_at: BlockNumber(9),
        },
    );
    let mut local = World::endowed();
    local.refuse(carry(&good), Refusal::NoChain);
}

#[test]
fn a_member_has_so_many_carried_in_a_day_and_all_members_so_many_together() {
    let mut world = on_chain();
    let signed = |world: &World, block: u64| request(said(world, block, true, "com."));
    for block in [1, 2, 3] {
        let request = signed(&world, block);
        carried(&mut world, &request);
    }
    let enough = |carried, most, whose| Refusal::CarriedEnough { carried, most, whose };
    let fourth = signed(&world, 4);
    world.refuse(carry(&fourth), enough(3, 3, "of this member"));
    // What was carried before is still answered.
    let third = signed(&world, 3);
    assert!(carried(&mut world, &third).2);
    let mut few = signed(&world, 4);
    few.limits = CarryLimits { member: 9, all: 3 };
    world.refuse(carry(&few), enough(3, 3, "of all members"));
    // None is refused for good.
    world.now = Nanos(world.now.0 + CarryRequest::PERIOD + 1);
    let next_day = signed(&world, 4);
    carried(&mut world, &next_day);
    // And so many at a time, however many there may be.
    for block in 5.. {
        let mut more = signed(&world, block);
        more.limits = CarryLimits {
            member: u64::MAX,
            all: u64::MAX,
        };
        match world.submit(carry(&more)) {
            Ok(_) => {}
            Err(refusal) => {
                let most = Intent::MAX_UNFINISHED_CONSENTS;
                assert_eq!(
                    refusal,
                    Refusal::CarriedAtATime {
                        unfinished: most,
                        most
                    }
                );
                return;
            }
        }
    }
}

#[test]
fn a_transaction_that_fails_leaves_the_consent_as_its_member_said_it() {
    let mut world = on_chain();
    let request = request(said(&world, 9, true, "com."));
    let (_, intent, _) = carried(&mut world, &request);
    let attempt = Attempt {
        hash: TransactionHash([9; 32]),
        price: GasPrice::Market { most: 7, tip: 1 },
        head: BlockNumber(10),
        at: Nanos(3),
    };
    world.accept(Command::Attempt(AttemptRequest {
        nonce: intent.nonce,
        attempt: attempt.clone(),
    }));
    follow(&mut world, 12, vec![]);
    let mined = Mined {
        block: BlockNumber(12),
        transaction: attempt.hash,
    };
    let verdict = Verdict::Reverted {
        mined,
        reason: "MEMBER_NOT_PROVIDER".to_owned(),
    };
    world.accept(Command::Conclude(ConcludeRequest {
        nonce: intent.nonce,
        verdict,
        at: Nanos(8),
    }));
    assert_eq!(stands(&world), (true, "com.".to_owned(), false));
    assert!(world.ledger.unfinished_intents().unwrap().is_empty());
    // The chain goes back, and it is sent again.
    world.accept(Command::Reopen(intent.nonce));
    assert_eq!(world.ledger.unfinished_intents().unwrap().len(), 1);
}
