//! The auditor finds what is wrong: each kind of damage to a sound ledger has its violation.

use crate::world::*;
use bourse_market::*;
use proptest::prelude::*;

/// A ledger with posted, voided and pending purchases, a policy's price, a suspended pair, copies and a stranger's
/// channel.
fn sound() -> World {
    let mut world = World::trading();
    world.buy();
    let request = world.request();
    let voided = world.reserve(request).id;
    world.void(voided, false);

    let mut request = world.request();
    request.order.source = PriceSource::Policy(DecisionId([1; 16]));
    request.order.fee = tokens(1);
    request.paying_balance = tokens(31);
    let id = world.reserve(request).id;
    let decision = Some(world.decision(1));
    let write = |key: &str, edit| StateWrite {
        policy: "surge".to_owned(),
        key: key.to_owned(),
        edit,
    };
    world.accept(Command::Post(Box::new(PostRequest {
        decision,
        also: vec![world.decision(2)],
        state_writes: vec![
            write("last", StateEdit::Set(Some(vec![1, 2, 3]))),
            write("sales", StateEdit::Add(1)),
        ],
        ..world.post_request(id)
    })));

    world.place(|offer| {
        (offer.id, offer.key, offer.copies) = (OfferId([0x61; 16]), KeyId([0x60; 16]), Some(2));
    });
    let mut request = world.request();
    request.order.identity.key = KeyId([0x60; 16]);
    world.reserve(request);
    let id = ChannelId([0xe2; 16]);
    let rogue = OpenRequest {
        id,
        actor: STRANGER,
        signer: STRANGER,
        recipient: STRANGER,
        ..world.open_paying()
    };
    world.accept(Command::Open(Box::new(rogue)));
    world
}

fn pending(world: &World) -> Purchase {
    world
        .ledger
        .purchases()
        .find(|purchase| purchase.state == PurchaseState::Sent)
        .unwrap()
        .clone()
}

fn posted(world: &World, seq: u32) -> Purchase {
    world.ledger.purchase_at(&PAYMENT, Seq(seq)).unwrap().unwrap()
}

fn write_purchase(world: &mut World, purchase: Purchase) {
    world.ledger.commit(vec![Change::Purchase(Box::new(purchase))]);
}

#[track_caller]
fn found(damage: impl FnOnce(&mut World), expected: impl Fn(&Violation) -> bool) {
    let mut world = sound();
    damage(&mut world);
    let violations = world.ledger.audit();
    assert!(violations.iter().any(expected), "{violations:?}");
}

#[test]
fn a_sound_ledger_has_no_violation_and_its_sums_agree() {
    let world = sound();
    let mut auditor = Auditor::new();
    world.ledger.feed(&mut auditor);
    let sums = auditor.sums();
    assert_eq!(
        (sums.debits, sums.credits, sums.fees),
        (tokens(20), tokens(19), tokens(1))
    );
    assert_eq!(sums.accounts.checked_add(sums.channels), Some(sums.endowed));
    assert_eq!(auditor.finish(), []);
    assert_eq!(MemoryLedger::new().audit(), []);
}

/// Closes the buyer's channel, then damages its record.
fn closed(change: fn(&mut Channel)) -> impl FnOnce(&mut World) {
    move |world| {
        let id = pending(world).id;
        world.void(id, false);
        world.close(PAYMENT);
        world.force_channel(PAYMENT, change);
    }
}

#[test]
fn damaged_channels() {
    let channel = |change: fn(&mut Channel)| move |world: &mut World| world.force_channel(PAYMENT, change);
    found(channel(|c| c.remaining = tokens(1)), |v| {
        matches!(v, Violation::ChannelSum { .. })
    });
    found(channel(|c| c.amount = Amount::MAX), |v| {
        matches!(v, Violation::ChannelSum { .. })
    });
    found(channel(|c| c.pending = None), |v| {
        matches!(v, Violation::InflightWithoutPending { .. })
    });
    found(channel(|c| c.seq = Seq(0)), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(channel(|c| c.state = ChannelState::Closing), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(closed(|c| c.closing = None), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(closed(|c| c.state = ChannelState::Open), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(closed(|c| c.state = ChannelState::Closing), |v| {
        matches!(v, Violation::Conservation { .. })
    });
    found(closed(|c| c.closing.as_mut().unwrap().balance = tokens(1)), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(closed(|c| c.closing.as_mut().unwrap().seq = Seq(1)), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(channel(|c| c.bound = false), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(channel(|c| c.unresolved = 1), |v| {
        matches!(v, Violation::ChannelShape { .. })
    });
    found(channel(|c| c.seq = Seq(4)), |v| {
        matches!(v, Violation::SeqCount { moved: 2, .. })
    });
    found(channel(|c| c.delegate = STRANGER), |v| {
        matches!(v, Violation::WrongParty { .. })
    });
    found(channel(|c| c.pending = Some(purchase_id(99))), |v| {
        matches!(v, Violation::PendingNotSent { .. })
    });
    found(channel(|c| c.kind = ChannelKind::Paying), |v| {
        matches!(v, Violation::UnknownChannel { .. })
    });
    let shift = channel(|c| {
        c.remaining = c.remaining.checked_add(tokens(1)).unwrap();
        c.spent = c.spent.checked_sub(tokens(1)).unwrap();
    });
    found(shift, |v| matches!(v, Violation::SpentMismatch { .. }));
    found(shift, |v| matches!(v, Violation::Debits { .. }));
    found(shift, |v| matches!(v, Violation::BrokenTrail { .. }));
    let shift = channel(|c| {
        c.remaining = c.remaining.checked_add(tokens(1)).unwrap();
        c.inflight = c.inflight.checked_sub(tokens(1)).unwrap();
    });
    found(shift, |v| {
        matches!(
            v,
            Violation::ReservedMismatch {
                side: Side::Payment,
                ..
            }
        )
    });
    found(
        |world| world.force_channel(ChannelId([0xe2; 16]), |c| c.bound = true),
        |v| matches!(v, Violation::BoundElsewhere { .. }),
    );
}

#[test]
fn damaged_purchases() {
    let change = |seq: u32, change: fn(&mut Purchase)| {
        move |world: &mut World| {
            let mut purchase = posted(world, seq);
            change(&mut purchase);
            write_purchase(world, purchase);
        }
    };
    found(change(2, |p| p.fee = tokens(11)), |v| {
        matches!(v, Violation::PurchaseShape { .. })
    });
    found(change(2, |p| p.price = tokens(11)), |v| {
        matches!(v, Violation::PurchaseShape { .. })
    });
    found(change(2, |p| p.identity.balance = tokens(91)), |v| {
        matches!(v, Violation::PurchaseShape { .. })
    });
    found(change(2, |p| p.identity.seq = Seq(5)), |v| {
        matches!(v, Violation::PurchaseShape { .. })
    });
    found(change(2, |p| p.paying_seq = Seq(1)), |v| {
        matches!(v, Violation::PurchaseShape { .. })
    });
    found(change(2, |p| p.fee = tokens(1)), |v| {
        matches!(v, Violation::SpentMismatch { .. })
    });
    found(change(2, |p| p.paying_balance = tokens(41)), |v| {
        matches!(v, Violation::BrokenTrail { .. })
    });
    found(change(2, |p| p.paying_seq = Seq(3)), |v| {
        matches!(v, Violation::DuplicateSeq { .. })
    });
    found(change(2, |p| p.payment_seq = Seq(3)), |v| {
        matches!(v, Violation::DuplicateSeq { .. })
    });
    found(change(2, |p| p.buyer = STRANGER), |v| {
        matches!(v, Violation::WrongParty { .. })
    });
    found(change(2, |p| p.seller = STRANGER), |v| {
        matches!(v, Violation::WrongParty { .. })
    });
    found(change(2, |p| p.paying_channel = ChannelId([9; 16])), |v| {
        matches!(
            v,
            Violation::UnknownChannel {
                side: Side::Paying,
                ..
            }
        )
    });
    found(change(2, |p| p.state = PurchaseState::Sent), |v| {
        matches!(v, Violation::SentNotPending { .. })
    });
    found(
        change(2, |p| p.source = PriceSource::Policy(DecisionId([9; 16]))),
        |v| matches!(v, Violation::MissingDecision { .. }),
    );
}

#[test]
fn a_decision_that_belongs_to_no_posted_purchase() {
    for owner in [None, Some(PurchaseId([9; 16]))] {
        let orphan = move |world: &mut World| {
            let mut decision = world.decision(2);
            decision.header.purchase = owner;
            world.ledger.commit(vec![Change::Decision(Box::new(decision))]);
        };
        let expected = Violation::OrphanDecision {
            decision: DecisionId([2; 16]),
            purchase: owner,
        };
        found(orphan, |violation| *violation == expected);
    }
    let pending = |world: &mut World| {
        let mut decision = world.decision(3);
        decision.header.purchase = Some(pending(world).id);
        world.ledger.commit(vec![Change::Decision(Box::new(decision))]);
    };
    found(pending, |violation| {
        let words = violation.to_string();
        words.starts_with("decision 0x03030303030303030303030303030303 belongs to purchase 0x")
            && words.ends_with(", which is not posted")
    });
}

#[test]
fn a_policys_state_that_is_not_what_it_is_counted_as() {
    let write = |change: Change| move |world: &mut World| world.ledger.commit(vec![change.clone()]);
    let size = |found, recorded| {
        move |violation: &Violation| {
            *violation
                == Violation::StateSize {
                    policy: "surge".to_owned(),
                    found,
                    recorded,
                }
        }
    };
    // `last` and three bytes, `sales` and eight.
    found(write(Change::PolicySize("surge".to_owned(), 21)), size(20, 21));
    found(write(Change::PolicySize("surge".to_owned(), 0)), size(20, 0));
    found(
        write(Change::PolicyValue(slot("surge", "last"), None)),
        size(13, 20),
    );
    found(
        write(Change::PolicyCounter(slot("surge", "more"), 1)),
        size(32, 20),
    );
    let shape = |expected| move |violation: &Violation| violation.to_string() == expected;
    found(
        write(Change::PolicyValue(slot("surge", "x"), Some(vec![0; 1025]))),
        shape("the state of policy surge, key x: the value is longer than may be"),
    );
    let long = "k".repeat(65);
    found(
        write(Change::PolicyCounter(slot("surge", &long), 1)),
        shape(
            "the state of policy surge, key kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: \
               the key is longer than may be",
        ),
    );
}

#[test]
fn a_pending_purchase_that_is_not_sent_any_more() {
    let void = |world: &mut World| {
        let mut purchase = pending(world);
        let reason = world.void_request(purchase.id, false).reason;
        purchase.state = PurchaseState::Voided { at: Nanos(1), reason };
        write_purchase(world, purchase);
    };
    found(void, |v| {
        matches!(
            v,
            Violation::PendingNotSent {
                side: Side::Payment,
                ..
            }
        )
    });
    found(void, |v| {
        matches!(
            v,
            Violation::PendingNotSent {
                side: Side::Paying,
                ..
            }
        )
    });
    found(void, |v| {
        matches!(
            v,
            Violation::Copies {
                remaining: Some(1),
                taken: 0,
                ..
            }
        )
    });
}

#[test]
fn a_purchase_written_twice_under_two_ids() {
    let double = |world: &mut World| {
        let purchase = posted(world, 2);
        write_purchase(
            world,
            Purchase {
                id: purchase_id(99),
                ..purchase
            },
        );
    };
    found(double, |v| {
        matches!(
            v,
            Violation::DuplicateSeq {
                side: Side::Payment,
                ..
            }
        )
    });
    found(double, |v| {
        matches!(
            v,
            Violation::DuplicateSeq {
                side: Side::Paying,
                ..
            }
        )
    });
    found(double, |v| matches!(v, Violation::SeqCount { .. }));
}

#[test]
fn tokens_out_of_nowhere() {
    let account = |world: &mut World| {
        let account = Account {
            balance: tokens(51),
            granted: tokens(150),
        };
        world.ledger.commit(vec![Change::Account(BUYER_ACTOR, account)]);
    };
    found(account, |v| matches!(v, Violation::Conservation { .. }));
    let granted = |world: &mut World| {
        let account = Account {
            granted: tokens(149),
            ..world.account(BUYER_ACTOR)
        };
        world.ledger.commit(vec![Change::Account(BUYER_ACTOR, account)]);
    };
    found(granted, |v| matches!(v, Violation::Grants { .. }));
    let totals = |world: &mut World| {
        world.ledger.commit(vec![Change::Totals(Totals {
            float: Amount::MAX,
            granted: Amount::MAX,
        })]);
    };
    found(totals, |v| {
        matches!(
            v,
            Violation::Conservation {
                endowed: Amount::MAX,
                ..
            }
        )
    });
    let huge = |world: &mut World| {
        let account = Account {
            balance: Amount::MAX,
            granted: Amount::MAX,
        };
        world.ledger.commit(vec![
            Change::Account(STRANGER, account),
            Change::Account(SELLER, account),
        ]);
    };
    found(huge, |v| {
        matches!(
            v,
            Violation::Conservation {
                held: Amount::MAX,
                ..
            }
        )
    });
}

#[test]
fn records_without_genesis() {
    let mut ledger = MemoryLedger::new();
    ledger.commit(vec![Change::Account(BUYER, Account::default())]);
    assert_eq!(ledger.audit(), [Violation::NoGenesis]);
}

#[test]
fn a_flood_of_violations_is_counted_and_not_kept() {
    let mut auditor = Auditor::new();
    let mut channel = sound().channel(PAYMENT);
    channel.amount = Amount::MAX;
    (0..1500).for_each(|_| auditor.channel(&channel));
    let violations = auditor.finish();
    assert_eq!(violations.len(), 1001);
    assert!(matches!(violations.last(), Some(Violation::More { count }) if *count >= 500));
}

#[test]
fn violations_read_as_sentences() {
    let mut world = sound();
    world.force_channel(PAYMENT, |channel| channel.remaining = tokens(69));
    let told: Vec<String> = world.ledger.audit().iter().map(ToString::to_string).collect();
    let id = "0xb2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2";
    assert_eq!(
        told[0],
        format!("channel {id}: remaining + inflight + spent is 99, its deposit 100")
    );
    assert!(
        told.contains(&"accounts and channels hold 1149, float and grants are 1150".to_owned()),
        "{told:?}"
    );
}

/// One record to feed.
type Feed<'a> = Box<dyn Fn(&mut Auditor) + 'a>;

fn feeds(world: &World) -> Vec<Feed<'_>> {
    let ledger = &world.ledger;
    let mut feeds: Vec<Feed<'_>> = Vec::new();
    let genesis = ledger.genesis().unwrap().unwrap();
    feeds.push(Box::new(move |auditor| auditor.genesis(&genesis)));
    let totals = ledger.totals().unwrap();
    feeds.push(Box::new(move |auditor| auditor.totals(&totals)));
    for (address, account) in ledger.accounts() {
        let (address, account) = (*address, *account);
        feeds.push(Box::new(move |auditor| auditor.account(&address, &account)));
    }
    for delegate in [BUYER, SELLER] {
        let binding = ledger.binding(&delegate).unwrap().unwrap();
        feeds.push(Box::new(move |auditor| auditor.binding(&delegate, &binding)));
    }
    for channel in ledger.channels() {
        feeds.push(Box::new(move |auditor| auditor.channel(channel)));
    }
    for offer in ledger.offers() {
        feeds.push(Box::new(move |auditor| auditor.offer(offer)));
    }
    for purchase in ledger.purchases() {
        feeds.push(Box::new(move |auditor| auditor.purchase(purchase)));
    }
    for decision in ledger.decisions() {
        feeds.push(Box::new(move |auditor| auditor.decision(decision)));
    }
    for (slot, value) in ledger.policy_values() {
        feeds.push(Box::new(move |auditor| auditor.policy_value(slot, value.len())));
    }
    for (slot, count) in ledger.policy_counters() {
        feeds.push(Box::new(move |auditor| auditor.policy_counter(slot, count)));
    }
    for (policy, size) in ledger.policy_sizes() {
        feeds.push(Box::new(move |auditor| auditor.policy_size(policy, size)));
    }
    feeds
}

proptest! {
    #[test]
    fn records_may_come_in_any_order(order in Just((0..64usize).collect::<Vec<_>>()).prop_shuffle(), damage: bool) {
        let mut world = sound();
        if damage {
            let mut purchase = posted(&world, 2);
            purchase.payment_balance = tokens(91);
            write_purchase(&mut world, purchase);
        }
        let feeds = feeds(&world);
        prop_assert!(feeds.len() <= order.len());
        let mut auditor = Auditor::new();
        order.iter().filter_map(|place| feeds.get(*place)).for_each(|feed| feed(&mut auditor));
        let sorted = |violations: Vec<Violation>| {
            let mut told: Vec<String> = violations.iter().map(|violation| format!("{violation:?}")).collect();
            told.sort();
            told
        };
        prop_assert_eq!(sorted(auditor.finish()), sorted(world.ledger.audit()));
        prop_assert_eq!(world.ledger.audit().is_empty(), !damage);
    }

    /// Whatever number of a channel is damaged, and however: it is noticed.
    #[test]
    fn no_damaged_number_of_a_channel_goes_unnoticed(field in 0..5usize, paying: bool, by in 1..u64::MAX) {
        let mut world = sound();
        let by = Amount::from_units(by.into());
        let plus = |amount: &mut Amount| *amount = amount.saturating_add(by);
        world.force_channel(if paying { PAYING } else { PAYMENT }, |channel| match field {
            0 => plus(&mut channel.amount),
            1 => plus(&mut channel.remaining),
            2 => plus(&mut channel.inflight),
            3 => plus(&mut channel.spent),
            _ => channel.seq = Seq(channel.seq.0 ^ (by.limbs()[0] as u32 | 1)),
        });
        prop_assert!(!world.ledger.audit().is_empty());
    }
}
