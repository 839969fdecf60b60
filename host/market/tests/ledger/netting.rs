//! A seller that adopted a state of a purchase which was void for its buyer: it is found at its next sale, and what it
//! was paid too early is netted.

use crate::world::*;
use bourse_market::*;

/// A proven seller that fell silent at a purchase of `price` and came back. Its channel stands at (2, 40), and it may
/// stand one further, with `price` more.
fn abandoned_at(price: u64, steps: usize) -> (World, PurchaseId) {
    let mut world = World::proven();
    let id = reserve(&mut world, price).id;
    for _ in 0..steps {
        world.recover(id);
    }
    world.void(id, true);
    world.accept(Command::ReleaseChannel {
        channel: PAYING,
        by_operator: false,
    });
    (world, id)
}

/// Reserves a purchase of KEY at `price`, whatever it was offered at before.
fn reserve(world: &mut World, price: u64) -> Purchase {
    world.force_offer(|offer| offer.price = Price::Fixed(tokens(price)));
    let request = world.request_at(tokens(price));
    world.reserve(request)
}

fn ask(seq: u32, amount: u64, balance: u64) -> Ask {
    Ask {
        seq: Seq(seq),
        amount: tokens(amount),
        balance: tokens(balance),
    }
}

fn post(world: &mut World, id: PurchaseId, recovered: u32) -> Purchase {
    let request = PostRequest {
        recovered,
        ..world.post_request(id)
    };
    match world.accept(Command::Post(Box::new(request))) {
        Outcome::Posted { purchase, .. } => *purchase,
        other => panic!("{other:?}"),
    }
}

/// A seller that was paid 10 for a void purchase, and sold at 4 since: 6 are prepaid, and its channel stands at (4, 30).
fn prepaid() -> World {
    let (mut world, _) = abandoned_at(10, 0);
    let id = reserve(&mut world, 4).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    post(&mut world, id, 1);
    world
}

#[test]
fn a_void_remembers_the_purchase_whose_state_its_seller_may_have_adopted() {
    let (world, id) = abandoned_at(10, 2);
    let paying = world.channel(PAYING);
    assert_eq!((paying.abandoned, paying.unresolved), (Some(id), 1));
    assert_eq!((paying.seq, paying.remaining), (Seq(2), tokens(40)));
    // Of a pair that nobody answers for yet, only the offer's word says whose channel it is.
    let mut world = World::trading();
    world.buy_unclear();
    assert_eq!(world.channel(PAYING).abandoned, None);
}

#[test]
fn a_clean_sale_settles_what_was_abandoned() {
    let (mut world, _) = abandoned_at(10, 1);
    let id = reserve(&mut world, 10).id;
    world.post(id);
    let paying = world.channel(PAYING);
    assert_eq!(
        (paying.abandoned, paying.unresolved, paying.prepaid),
        (None, 0, Amount::ZERO)
    );
    assert_eq!((paying.seq, paying.remaining), (Seq(3), tokens(30)));
}

#[test]
fn every_state_that_was_shown_is_tried_the_last_first_and_no_more_is_left_than_either_purchase_leaves() {
    // The abandoned purchase was at (3, 30), and its confirmations at 4 and 5.
    for (price, expected) in [
        (10, [ask(6, 0, 30), ask(5, 0, 30), ask(4, 0, 30)]),
        (4, [ask(6, 0, 30), ask(5, 0, 30), ask(4, 0, 30)]),
        (25, [ask(6, 15, 15), ask(5, 15, 15), ask(4, 15, 15)]),
    ] {
        let (mut world, _) = abandoned_at(10, 2);
        let id = reserve(&mut world, price).id;
        let asks: Vec<Ask> = world
            .netting_requests(id)
            .iter()
            .map(|request| request.ask)
            .collect();
        assert_eq!(asks, expected, "at {price}");
    }
}

#[test]
fn what_was_paid_too_early_is_netted_from_the_next_sales() {
    let (mut world, _) = abandoned_at(10, 1);
    // The seller stands at (4, 30): it answers the first that is tried.
    let id = reserve(&mut world, 4).id;
    let step = world.netting_requests(id).remove(0);
    assert_eq!(step.ask, ask(5, 0, 30));
    world.accept(Command::Recover(step));
    assert_eq!(
        world.channel(PAYING).inflight,
        tokens(10),
        "the larger of the two"
    );
    post(&mut world, id, 1);
    let paying = world.channel(PAYING);
    assert_eq!(
        (paying.seq, paying.remaining, paying.spent),
        (Seq(5), tokens(30), tokens(20))
    );
    assert_eq!((paying.prepaid, paying.unresolved), (tokens(6), 1));
    assert_eq!(world.channel(PAYMENT).spent, tokens(14), "buyers paid 10 and 4");

    // 6 are left of the 10. A sale at 4 costs nothing more, one at 10 the other 8.
    let purchase = reserve(&mut world, 4);
    assert_eq!(
        (purchase.prepaid, purchase.ask(0)),
        (tokens(4), Some(ask(6, 0, 30)))
    );
    world.post(purchase.id);
    assert_eq!(world.channel(PAYING).prepaid, tokens(2));
    let purchase = reserve(&mut world, 10);
    assert_eq!(
        (purchase.prepaid, purchase.ask(0)),
        (tokens(2), Some(ask(7, 8, 22)))
    );
    world.post(purchase.id);
    let (payment, paying) = (world.channel(PAYMENT), world.channel(PAYING));
    assert_eq!((paying.prepaid, paying.unresolved), (Amount::ZERO, 0));
    assert_eq!((payment.spent, paying.spent), (tokens(28), tokens(28)));
}

#[test]
fn a_larger_purchase_swallows_the_abandoned_one_whole() {
    let (mut world, _) = abandoned_at(10, 0);
    let id = reserve(&mut world, 25).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    assert_eq!(world.channel(PAYING).inflight, tokens(25));
    let purchase = post(&mut world, id, 1);
    assert_eq!(purchase.answered(), Some(ask(4, 15, 15)));
    let paying = world.channel(PAYING);
    assert_eq!(
        (paying.seq, paying.remaining, paying.spent),
        (Seq(4), tokens(15), tokens(35))
    );
    assert_eq!((paying.prepaid, paying.unresolved), (Amount::ZERO, 0));
}

#[test]
fn a_seller_that_did_not_adopt_it_is_paid_for_its_sale_alone() {
    let (mut world, _) = abandoned_at(20, 0);
    let id = reserve(&mut world, 5).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    assert_eq!(world.channel(PAYING).inflight, tokens(20));
    post(&mut world, id, 0);
    let paying = world.channel(PAYING);
    assert_eq!(
        (paying.remaining, paying.inflight, paying.prepaid),
        (tokens(35), Amount::ZERO, Amount::ZERO)
    );
}

#[test]
fn a_netting_that_fails_gives_back_all_that_it_held() {
    let (mut world, _) = abandoned_at(20, 0);
    let before = world.channel(PAYING);
    let id = reserve(&mut world, 5).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    // Another seq to every question says nothing of an unclear answer.
    world.void(id, false);
    assert_eq!(world.channel(PAYING), before);
}

#[test]
fn while_something_is_prepaid_an_unclear_answer_is_the_second_and_the_operator_decides() {
    let (mut world, _) = abandoned_at(10, 0);
    let id = reserve(&mut world, 4).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    post(&mut world, id, 1);
    let id = reserve(&mut world, 4).id;
    world.void(id, true);
    assert_eq!(world.channel(PAYING).unresolved, 2);
    let release = |by_operator| Command::ReleaseChannel {
        channel: PAYING,
        by_operator,
    };
    let why = "it fell silent".to_owned();
    world.refuse(release(false), Refusal::ChannelSuspended { channel: PAYING, why });
    world.accept(release(true));
}

#[test]
fn a_state_is_tried_only_if_it_was_shown_and_once() {
    let (mut world, _) = abandoned_at(10, 1);
    let id = reserve(&mut world, 4).id;
    let steps = world.netting_requests(id);
    let refuse = |world: &mut World, ask: Ask, why| {
        let request = RecoverRequest {
            ask,
            ..steps[0].clone()
        };
        world.refuse(
            Command::Recover(request),
            Refusal::NoRecovery { purchase: id, why },
        );
    };
    let never = "its seller was left at no such state";
    for wrong in [
        ask(6, 0, 30),
        ask(5, 0, 29),
        ask(5, 4, 26),
        ask(4, 4, 30),
        ask(3, 0, 30),
    ] {
        refuse(&mut world, wrong, never);
    }
    world.accept(Command::Recover(steps[0].clone()));
    refuse(&mut world, steps[0].ask, "it was asked that already");
}

#[test]
fn a_new_session_of_a_proven_seller_is_tried_and_one_of_an_unproven_one_is_not() {
    let (mut world, _) = abandoned_at(10, 0);
    let mut proven = world.pair();
    proven.sessions = vec![SessionId(88)];
    world.ledger.commit(vec![Change::Pair(pair(), proven)]);
    world.force_offer(|offer| offer.signature_verified = true);
    let id = reserve(&mut world, 4).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    world.void(id, false);

    world.ledger.commit(vec![Change::Pair(pair(), Pair::default())]);
    let id = reserve(&mut world, 4).id;
    let step = world.netting_requests(id).remove(0);
    let why = "nobody ever answered with its delegate's signature";
    world.refuse(Command::Recover(step), Refusal::NoRecovery { purchase: id, why });
}

#[test]
fn a_channel_closes_with_what_was_prepaid_given_back_and_in_no_other_way() {
    let mut world = prepaid();
    // (4, 30), and 6 of the 20 that were spent are for no purchase.
    let posted = CloseRequest {
        balance: tokens(30),
        ..world.close_request(PAYING)
    };
    world.refuse(
        Command::Close(Box::new(posted.clone())),
        Refusal::NotPosted {
            channel: PAYING,
            seq: Seq(4),
            remaining: tokens(36),
            due: None,
            got_seq: Seq(4),
            got_balance: tokens(30),
        },
    );
    let returning = CloseRequest {
        balance: tokens(36),
        ..posted
    };
    world.accept(Command::Close(Box::new(returning)));
    let channel = world.channel(PAYING);
    assert_eq!(channel.closing.unwrap().returned, tokens(6));
    assert_eq!((channel.prepaid, channel.spent), (Amount::ZERO, tokens(14)));
    assert_eq!(
        world.account(SELLER_ACTOR).balance,
        tokens(14),
        "what its buyers paid"
    );
}

#[test]
fn a_prepayment_that_empties_its_channel_is_not_carried_off() {
    let (mut world, _) = abandoned_at(40, 0);
    let id = reserve(&mut world, 1).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    post(&mut world, id, 1);
    assert_eq!(world.channel(PAYING).remaining, Amount::ZERO);
    world.close(PAYING);
    assert_eq!(
        world.account(SELLER_ACTOR).balance,
        tokens(11),
        "what its buyers paid"
    );
}

#[test]
fn nobody_else_makes_the_market_forget_the_state_that_a_seller_adopted() {
    let mut world = World::proven();
    let adopted = reserve(&mut world, 10).id;
    world.void(adopted, true);
    world.accept(Command::ReleaseChannel {
        channel: PAYING,
        by_operator: false,
    });
    // While it is away, a stranger answers under its provider id, and falls silent.
    let mut request = world.request_at(tokens(10));
    request.callee = SessionId(666);
    let stranger = world.reserve(request).id;
    world.void(stranger, true);
    assert_eq!(world.channel(PAYING).abandoned, Some(adopted));
}

#[test]
fn the_audit_finds_a_prepayment_that_no_purchase_explains() {
    let (mut world, _) = abandoned_at(10, 0);
    let id = reserve(&mut world, 4).id;
    let step = world.netting_requests(id).remove(0);
    world.accept(Command::Recover(step));
    post(&mut world, id, 1);
    let mut channel = world.channel(PAYING);
    channel.prepaid = tokens(7);
    world.ledger.commit(vec![Change::Channel(Box::new(channel))]);
    let found = world.ledger.audit();
    let mismatch = Violation::PrepaidMismatch {
        channel: PAYING,
        prepaid: tokens(7),
        left: tokens(6),
    };
    assert!(found.contains(&mismatch), "{found:?}");
}
