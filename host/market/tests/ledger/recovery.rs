//! A seller that may have advanced is asked again: what is on record before it hears of it, and how far its channel
//! moves by its answer.

use crate::world::*;
use bourse_market::*;

/// A sent purchase of a proven seller, whose channel stands at (2, 40).
fn sent() -> (World, PurchaseId) {
    let mut world = World::proven();
    let request = world.request();
    let id = world.reserve(request).id;
    (world, id)
}

fn ask(seq: u32, amount: u64, balance: u64) -> Ask {
    Ask {
        seq: Seq(seq),
        amount: tokens(amount),
        balance: tokens(balance),
    }
}

fn answer(world: &World, id: PurchaseId, recovered: u32) -> Command {
    Command::Post(Box::new(PostRequest {
        recovered,
        ..world.post_request(id)
    }))
}

#[track_caller]
fn not_asked_again(world: &mut World, request: RecoverRequest, why: &'static str) {
    let purchase = request.id;
    world.refuse(Command::Recover(request), Refusal::NoRecovery { purchase, why });
}

#[test]
fn a_step_of_recovery_is_on_record_and_moves_nothing() {
    let (mut world, id) = sent();
    let channels = [world.channel(PAYMENT), world.channel(PAYING)];
    let purchase = world.recover(id);
    assert_eq!(
        purchase.recoveries,
        [Recovery {
            at: world.now,
            doubt: Doubt::Unclear,
            ask: ask(4, 0, 30),
            s2: signature(0x20)
        }]
    );
    assert_eq!(
        (purchase.paying_seq, purchase.paying_balance),
        (Seq(3), tokens(30))
    );
    assert_eq!(purchase, world.purchase(id));
    assert_eq!(channels, [world.channel(PAYMENT), world.channel(PAYING)]);
}

#[test]
fn the_paying_seq_moves_by_one_for_the_purchase_and_one_for_each_step_that_was_answered() {
    for (steps, recovered) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)] {
        let (mut world, id) = sent();
        (0..steps).for_each(|_| drop(world.recover(id)));
        world.accept(answer(&world, id, recovered));
        let (payment, paying) = (world.channel(PAYMENT), world.channel(PAYING));
        assert_eq!(
            (paying.seq, paying.posted_remaining()),
            (Seq(3 + recovered), tokens(30))
        );
        assert_eq!(
            (payment.seq, payment.posted_remaining()),
            (Seq(3), tokens(80)),
            "the buyer's moves by one"
        );
        assert_eq!(
            (paying.spent, payment.spent),
            (tokens(20), tokens(20)),
            "paid once"
        );
        let purchase = world.purchase(id);
        assert_eq!(
            (purchase.recoveries.len(), purchase.recovered()),
            (steps, recovered)
        );
        // And it goes on from there.
        assert_eq!(world.buy().paying_seq, Seq(4 + recovered));
    }
}

#[test]
fn an_answer_to_a_step_that_is_not_on_record_posts_nothing() {
    let (mut world, id) = sent();
    for (steps, recovered) in [(0, 1), (1, 2), (2, 3), (2, u32::MAX)] {
        while world.purchase(id).recoveries.len() < steps {
            world.recover(id);
        }
        let why = "the seller answers a step that is not on record";
        world.refuse(
            answer(&world, id, recovered),
            Refusal::NoRecovery { purchase: id, why },
        );
    }
}

#[test]
fn a_seller_is_asked_again_twice_at_most() {
    let (mut world, id) = sent();
    world.recover(id);
    world.recover(id);
    let third = world.recover_request(id);
    not_asked_again(&mut world, third, "it was asked twice again already");
}

#[test]
fn a_step_confirms_what_was_asked_or_is_refused() {
    let (mut world, id) = sent();
    let next = "the step is not at the next position";
    let again = "it was asked that already";
    let wrong = |seq| (ask(seq, 0, 30), next);
    for (steps, wrong) in [
        (
            0,
            vec![wrong(0), wrong(2), wrong(3), wrong(5), (ask(3, 10, 30), again)],
        ),
        (1, vec![wrong(3), wrong(6), wrong(7), (ask(4, 0, 30), again)]),
        (
            1,
            vec![
                (ask(5, 1, 30), next),
                (ask(5, 0, 29), next),
                (ask(5, 0, 31), next),
            ],
        ),
    ] {
        while world.purchase(id).recoveries.len() < steps {
            world.recover(id);
        }
        for (ask, why) in wrong {
            let request = RecoverRequest {
                ask,
                ..world.recover_request(id)
            };
            not_asked_again(&mut world, request, why);
        }
    }
}

#[test]
fn a_session_that_never_proved_itself_is_given_no_second_signature() {
    let why = "the session that was asked never answered with its delegate's signature";
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request).id;
    let step = world.recover_request(id);
    not_asked_again(&mut world, step, why);

    // Nor is a new session of a pair that did.
    let mut world = World::proven();
    let mut pair = world.pair();
    pair.sessions = vec![SessionId(88)];
    world
        .ledger
        .commit(vec![Change::Pair(crate::world::pair(), pair)]);
    world.force_offer(|offer| offer.signature_verified = true);
    let request = world.request();
    let id = world.reserve(request).id;
    let step = world.recover_request(id);
    not_asked_again(&mut world, step, why);
}

#[test]
fn only_a_sent_purchase_is_recovered() {
    let (mut world, id) = sent();
    let step = world.recover_request(id);
    world.post(id);
    world.refuse(
        Command::Recover(step.clone()),
        Refusal::NotPending { purchase: id },
    );
    let purchase = purchase_id(999);
    world.refuse(
        Command::Recover(RecoverRequest { id: purchase, ..step }),
        Refusal::NotPending { purchase },
    );

    let (mut world, id) = sent();
    let step = world.recover_request(id);
    world.void(id, true);
    world.refuse(Command::Recover(step), Refusal::NotPending { purchase: id });
}

#[test]
fn whoever_was_asked_again_is_suspended_by_a_void_whatever_it_said_last() {
    for ambiguous in [true, false] {
        let (mut world, id) = sent();
        let posted = |channel: &Channel| (channel.seq, channel.posted_remaining(), channel.spent);
        let before = [world.channel(PAYMENT), world.channel(PAYING)].map(|channel| posted(&channel));
        world.recover(id);
        let outcome = world.void(id, ambiguous);
        assert!(
            matches!(
                outcome,
                Outcome::Voided {
                    channel_suspended: Some(_),
                    ..
                }
            ),
            "{outcome:?}"
        );
        let [payment, paying] = [world.channel(PAYMENT), world.channel(PAYING)];
        assert_eq!(
            [posted(&payment), posted(&paying)],
            before,
            "the buyer pays nothing"
        );
        assert_eq!((payment.inflight, paying.inflight), (Amount::ZERO, Amount::ZERO));
        assert_eq!(paying.unresolved, 1, "one purchase, however often it was asked");
        // Every signature that the seller was shown stays on record.
        assert_eq!(world.purchase(id).recoveries.len(), 1);
    }
}

#[test]
fn a_posted_recovery_forgives_as_any_sale_does() {
    let mut world = World::proven();
    for _ in 0..3 {
        world.buy_unclear();
        world.accept(Command::ReleaseChannel {
            channel: PAYING,
            by_operator: false,
        });
        let request = world.request();
        let id = world.reserve(request).id;
        world.recover(id);
        world.accept(answer(&world, id, 1));
        assert_eq!(world.channel(PAYING).unresolved, 0);
    }
}

#[test]
fn the_same_purchase_again_finds_its_receipt_after_a_recovery() {
    let (mut world, id) = sent();
    world.recover(id);
    world.accept(answer(&world, id, 1));
    let purchase = world.purchase(id);
    let request = ReserveRequest {
        order: Order {
            id: world.fresh_id(),
            identity: purchase.identity,
            ..world.request().order
        },
        ..world.request()
    };
    let replayed = Outcome::Replayed(Box::new(purchase));
    assert_eq!(world.accept(Command::Reserve(Box::new(request))), replayed);
}

#[test]
fn the_audit_finds_a_recovery_that_is_not_as_recorded() {
    type Damage = fn(&mut Purchase);
    let damages: [(&str, Damage); 5] = [
        ("a step is missing", |purchase| purchase.recoveries.truncate(1)),
        ("a step too many", |purchase| {
            let last = purchase.recoveries[1];
            purchase.recoveries.push(Recovery {
                ask: ask(6, 0, 30),
                ..last
            });
        }),
        ("a step at another position", |purchase| {
            purchase.recoveries[0].ask.seq = Seq(5)
        }),
        ("posted by an earlier step", |purchase| set(purchase, 1)),
        ("posted by no step", |purchase| set(purchase, 0)),
    ];
    fn set(purchase: &mut Purchase, step: u32) {
        if let PurchaseState::Posted { recovered, .. } = &mut purchase.state {
            *recovered = step;
        }
    }
    for (what, damage) in damages {
        let (mut world, id) = sent();
        world.recover(id);
        world.recover(id);
        world.accept(answer(&world, id, 2));
        let mut purchase = world.purchase(id);
        damage(&mut purchase);
        world.ledger.commit(vec![Change::Purchase(Box::new(purchase))]);
        assert_ne!(world.ledger.audit(), [], "{what}");
    }
}
