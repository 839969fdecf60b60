//! What policies write with purchases, and the decisions that purchases keep.

use crate::world::*;
use bourse_market::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn set(key: &str, value: Option<&[u8]>) -> StateWrite {
    StateWrite {
        policy: "surge".to_owned(),
        key: key.to_owned(),
        edit: StateEdit::Set(value.map(<[u8]>::to_vec)),
    }
}

fn add(key: &str, by: i64) -> StateWrite {
    StateWrite {
        policy: "surge".to_owned(),
        key: key.to_owned(),
        edit: StateEdit::Add(by),
    }
}

fn of(policy: &str, write: StateWrite) -> StateWrite {
    StateWrite {
        policy: policy.to_owned(),
        ..write
    }
}

const OTHER_BUYER: Address = Address([0xb6; 20]);
const OTHER_SELLER: Address = Address([0xc6; 20]);

/// A request of another buyer to another seller, which no channel keeps from being pending beside `request`.
fn beside(world: &mut World, request: &ReserveRequest) -> ReserveRequest {
    let (key, payment, paying) = (KeyId([0xd6; 16]), ChannelId([0xb7; 16]), ChannelId([0xc7; 16]));
    world.accept(Command::Open(Box::new(OpenRequest {
        id: payment,
        delegate: OTHER_BUYER,
        amount: tokens(1),
        ..world.open_payment()
    })));
    world.accept(Command::Open(Box::new(OpenRequest {
        id: paying,
        delegate: OTHER_SELLER,
        ..world.open_paying()
    })));
    world.place(|offer| {
        (offer.id, offer.key, offer.seller) = (OfferId([0xd7; 16]), key, OTHER_SELLER);
        offer.price = Price::Fixed(Amount::ZERO);
    });
    let mut request = request.clone();
    request.order.id = world.fresh_id();
    (request.order.identity.channel, request.order.identity.key) = (payment, key);
    request.order.identity.balance = tokens(1);
    (request.order.buyer, request.order.signer) = (OTHER_BUYER, OTHER_BUYER);
    (request.paying_channel, request.paying_balance) = (paying, tokens(50));
    request
}

/// Buys the usual key; its policies write this. What was dropped.
fn buy(world: &mut World, state_writes: Vec<StateWrite>) -> Vec<DroppedWrites> {
    let request = world.request_at(Amount::ZERO);
    let id = world.reserve(request).id;
    let post = PostRequest {
        state_writes,
        ..world.post_request(id)
    };
    match world.accept(Command::Post(Box::new(post))) {
        Outcome::Posted { dropped, .. } => dropped,
        other => panic!("{other:?}"),
    }
}

fn size(world: &World, policy: &str) -> u64 {
    world.ledger.policy_size(policy).unwrap()
}

#[test]
fn values_and_counters_of_one_key_are_different_things() {
    let mut world = World::free();
    assert_eq!(
        buy(&mut world, vec![set("seen", Some(b"yes")), add("seen", 3)]),
        []
    );
    assert_eq!(world.value("surge", "seen").as_deref(), Some(&b"yes"[..]));
    assert_eq!(world.counter("surge", "seen"), 3);
    // Nor do policies share anything.
    assert_eq!(world.value("dutch", "seen"), None);
    assert_eq!(world.counter("dutch", "seen"), 0);
    assert_eq!(size(&world, "surge"), 4 + 3 + 4 + 8);

    assert_eq!(buy(&mut world, vec![set("seen", None), add("seen", -3)]), []);
    assert_eq!(world.value("surge", "seen"), None);
    assert_eq!(world.counter("surge", "seen"), 0);
    assert_eq!(world.ledger.policy_sizes().count(), 0, "nothing is left of it");
    assert_eq!(world.ledger.audit(), []);
}

#[test]
fn writes_of_one_purchase_follow_each_other() {
    let mut world = World::free();
    let writes = vec![
        set("last", Some(b"a")),
        add("n", i64::MAX),
        set("last", None),
        add("n", 5),
        set("last", Some(b"bc")),
        add("n", -1),
    ];
    assert_eq!(buy(&mut world, writes), []);
    assert_eq!(world.value("surge", "last").as_deref(), Some(&b"bc"[..]));
    // A counter stays within 64 bits, and goes on from there.
    assert_eq!(world.counter("surge", "n"), i64::MAX - 1);
    assert_eq!(size(&world, "surge"), 4 + 2 + 1 + 8);
}

#[test]
fn additions_of_purchases_that_overlap_all_count_and_the_value_posted_last_stands() {
    let mut world = World::free();
    let request = world.request_at(Amount::ZERO);
    let other_request = beside(&mut world, &request);
    // Both are decided before either is posted.
    let first = world.reserve(request).id;
    let second = world.reserve(other_request).id;
    let post = |world: &mut World, id, signer, value: &[u8]| {
        let post = PostRequest {
            signer,
            state_writes: vec![add("sales", 1), set("last", Some(value))],
            ..world.post_request(id)
        };
        world.accept(Command::Post(Box::new(post)));
    };
    post(&mut world, second, OTHER_SELLER, b"second");
    post(&mut world, first, SELLER, b"first");
    assert_eq!(world.counter("surge", "sales"), 2);
    assert_eq!(world.value("surge", "last").as_deref(), Some(&b"first"[..]));
}

#[test]
fn a_purchase_that_is_voided_or_refused_writes_nothing() {
    let mut world = World::free();
    buy(&mut world, vec![set("k", Some(b"v")), add("n", 1)]);
    let request = world.request_at(Amount::ZERO);
    let id = world.reserve(request).id;
    let post = PostRequest {
        state_writes: vec![set("k", None), add("n", 1)],
        also: vec![world.decision(4)],
        signer: STRANGER,
        ..world.post_request(id)
    };
    let refusal = Refusal::WrongSigner {
        signer: STRANGER,
        expected: SELLER,
    };
    world.refuse(Command::Post(Box::new(post.clone())), refusal);
    world.void(id, false);
    let gone = Refusal::NotPending { purchase: id };
    world.refuse(
        Command::Post(Box::new(PostRequest {
            signer: SELLER,
            ..post
        })),
        gone,
    );
    assert_eq!(world.value("surge", "k").as_deref(), Some(&b"v"[..]));
    assert_eq!(world.counter("surge", "n"), 1);
    assert_eq!(world.ledger.decisions().count(), 0);
}

#[test]
fn what_exceeds_a_limit_costs_its_policy_all_its_writes_and_no_other() {
    let long_key = "k".repeat(StateWrite::MAX_KEY + 1);
    let long_value = vec![0; StateWrite::MAX_VALUE + 1];
    let many: Vec<_> = (0..=StateWrite::MAX_PER_PURCHASE)
        .map(|number| add(&format!("n{number}"), 1))
        .collect();
    let cases: [(Vec<StateWrite>, StateFault, &str); 3] = [
        (
            vec![set(&long_key, Some(b""))],
            StateFault::Key { bytes: 65 },
            "a key has 65 bytes, 64 at most are kept",
        ),
        (
            vec![set("big", Some(&long_value))],
            StateFault::Value {
                key: "big".to_owned(),
                bytes: 1025,
            },
            "the value of `big` has 1025 bytes, 1024 at most are kept",
        ),
        (
            many,
            StateFault::TooMany { writes: 66 },
            "the purchase has 66 writes by now, 64 at most are kept",
        ),
    ];
    for (bad, why, words) in cases {
        let mut world = World::free();
        let mut writes = vec![of("dutch", add("sales", 1)), add("sales", 1)];
        writes.extend(bad);
        let asked = writes.len() - 1;
        assert_eq!(why.to_string(), words);
        let why = match why {
            // Those of `dutch` come first.
            StateFault::TooMany { .. } => StateFault::TooMany { writes: asked + 1 },
            other => other,
        };
        let dropped = DroppedWrites {
            policy: "surge".to_owned(),
            writes: asked,
            why,
        };
        assert_eq!(buy(&mut world, writes), [dropped]);
        assert_eq!(world.counter("surge", "sales"), 0);
        assert_eq!(world.counter("dutch", "sales"), 1);
        assert_eq!(world.ledger.audit(), []);
    }
    // Exactly at the limits is within them.
    let mut world = World::free();
    let mut writes = vec![set(&"k".repeat(StateWrite::MAX_KEY), Some(&long_value[1..]))];
    writes.extend((1..StateWrite::MAX_PER_PURCHASE).map(|number| add(&format!("n{number}"), 1)));
    assert_eq!(buy(&mut world, writes), []);
}

#[test]
fn a_policy_that_fills_its_quota_loses_what_would_exceed_it_and_can_make_room_again() {
    let mut world = World::free();
    let value = vec![7; StateWrite::MAX_VALUE];
    // Keys of 24 bytes and values of 1024: 1000 of them leave 576 bytes.
    let key = |number: usize| format!("{number:024}");
    for start in (0..1000).step_by(50) {
        let writes = (start..start + 50).map(|number| set(&key(number), Some(&value)));
        assert_eq!(buy(&mut world, writes.collect()), []);
    }
    assert_eq!(size(&world, "surge"), 1_048_000);
    let mut full = |writes: Vec<StateWrite>, bytes: u64| {
        let before = world.ledger.clone();
        let dropped = DroppedWrites {
            policy: "surge".to_owned(),
            writes: writes.len(),
            why: StateFault::Full { bytes },
        };
        assert_eq!(buy(&mut world, writes), [dropped]);
        assert_eq!(size(&world, "surge"), 1_048_000);
        assert!(world.ledger.policy_values().eq(before.policy_values()));
    };
    full(vec![set("x", Some(&value[..576]))], 1_048_577);
    full(vec![set("y", Some(b"small")), set("x", Some(&value))], 1_049_031);
    // Neither another value in the place of the old one, nor another policy, needs room.
    assert_eq!(buy(&mut world, vec![set(&key(3), Some(&[8; 1024]))]), []);
    assert_eq!(buy(&mut world, vec![of("dutch", set("x", Some(&value)))]), []);
    assert_eq!(buy(&mut world, vec![set("x", Some(&value[..575]))]), []);
    assert_eq!(size(&world, "surge"), StateWrite::QUOTA);
    // What a purchase frees it may use.
    let swap = vec![set("new", Some(&value)), set(&key(0), None)];
    assert_eq!(buy(&mut world, swap), []);
    assert_eq!(world.value("surge", "new"), Some(value));
    let clear = |start| {
        (start..start + 50)
            .map(|number| set(&key(number), None))
            .collect()
    };
    for start in (0..1000).step_by(50) {
        assert_eq!(buy(&mut world, clear(start)), []);
    }
    assert_eq!(size(&world, "surge"), 576 + 3 + 1024);
    assert_eq!(world.ledger.audit(), []);
}

#[test]
fn every_decision_that_let_a_purchase_pass_is_kept_and_names_it() {
    let mut world = World::free();
    let request = world.request_at(Amount::ZERO);
    let request = ReserveRequest {
        order: Order {
            source: PriceSource::Policy(DecisionId([1; 16])),
            ..request.order
        },
        ..request
    };
    let id = world.reserve(request).id;
    let mut lying = world.decision(3);
    lying.header.purchase = Some(PurchaseId([9; 16]));
    let post = PostRequest {
        decision: Some(world.decision(1)),
        also: vec![world.decision(2), lying, world.decision(2)],
        ..world.post_request(id)
    };
    world.accept(Command::Post(Box::new(post)));
    let kept: Vec<_> = world
        .ledger
        .decisions()
        .map(|decision| (decision.id.0[0], decision.header.purchase))
        .collect();
    assert_eq!(kept, [(1, Some(id)), (2, Some(id)), (3, Some(id))]);
    assert_eq!(world.ledger.audit(), []);
}

#[test]
fn a_decision_that_sells_twice_stays_with_its_first_purchase() {
    let mut world = World::free();
    let mut owners = Vec::new();
    for _ in 0..2 {
        let request = world.request_at(Amount::ZERO);
        let request = ReserveRequest {
            order: Order {
                source: PriceSource::Policy(DecisionId([1; 16])),
                ..request.order
            },
            ..request
        };
        let id = world.reserve(request).id;
        owners.push(id);
        let post = PostRequest {
            decision: Some(world.decision(1)),
            state_writes: vec![add("sales", 1)],
            ..world.post_request(id)
        };
        world.accept(Command::Post(Box::new(post)));
    }
    let kept = world.ledger.decision(&DecisionId([1; 16])).unwrap();
    assert_eq!(kept.header.purchase, Some(owners[0]));
    assert_eq!(world.counter("surge", "sales"), 2, "and yet each purchase counts");
    assert_eq!(world.ledger.audit(), []);
}

fn write() -> impl Strategy<Value = StateWrite> {
    let policy = prop_oneof![Just("surge"), Just("dutch")];
    let key = prop_oneof![Just("a"), Just("b"), Just("")];
    let edit = prop_oneof![
        (-3..=3i64).prop_map(StateEdit::Add),
        prop_oneof![Just(i64::MAX), Just(i64::MIN)].prop_map(StateEdit::Add),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..4)).prop_map(StateEdit::Set),
    ];
    (policy, key, edit).prop_map(|(policy, key, edit)| StateWrite {
        policy: policy.to_owned(),
        key: key.to_owned(),
        edit,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against the plainest model there is: each write done by itself, in the order of posting.
    #[test]
    fn whatever_policies_write_the_ledger_holds_what_each_write_by_itself_says(
        purchases in prop::collection::vec((prop::collection::vec(write(), 0..6), any::<bool>()), 1..12),
    ) {
        let mut world = World::free();
        let mut values: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
        let mut counters: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (writes, posted) in purchases {
            if !posted {
                let request = world.request_at(Amount::ZERO);
                let id = world.reserve(request).id;
                world.void(id, false);
                continue;
            }
            for write in &writes {
                let place = (write.policy.clone(), write.key.clone());
                match &write.edit {
                    StateEdit::Set(Some(value)) => drop(values.insert(place, value.clone())),
                    StateEdit::Set(None) => drop(values.remove(&place)),
                    StateEdit::Add(by) => {
                        let counter = counters.entry(place).or_default();
                        *counter = counter.saturating_add(*by);
                    }
                }
            }
            prop_assert_eq!(buy(&mut world, writes), []);
        }
        counters.retain(|_, count| *count != 0);
        let place = |slot: &PolicySlot| (slot.policy.clone(), slot.key.clone());
        let kept: BTreeMap<_, _> =
            world.ledger.policy_values().map(|(slot, value)| (place(slot), value.to_vec())).collect();
        prop_assert_eq!(kept, values);
        let kept: BTreeMap<_, _> =
            world.ledger.policy_counters().map(|(slot, count)| (place(slot), count)).collect();
        prop_assert_eq!(kept, counters);
        prop_assert_eq!(world.ledger.audit(), []);
    }
}
