//! When the seller's answer is not clean: who stops selling, and what lets it go on.

use crate::world::*;
use bourse_market::*;

fn release(by_operator: bool) -> Command {
    Command::ReleaseChannel {
        channel: PAYING,
        by_operator,
    }
}

#[test]
fn an_unclear_answer_of_a_proven_pair_suspends_its_channel() {
    let mut world = World::proven();
    let outcome = world.buy_unclear();
    let Outcome::Voided {
        purchase,
        channel_suspended: Some(suspension),
        pair_suspended: None,
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!((suspension.purchase, suspension.at), (purchase.id, world.now));
    let channel = world.channel(PAYING);
    assert_eq!(
        (channel.suspended.as_ref(), channel.unresolved),
        (Some(&suspension), 1)
    );
    assert_eq!((channel.seq, channel.posted_remaining()), (Seq(2), tokens(40)));
    // The abandoned s2 is on record: it is what the market maker may have to bear.
    assert_eq!(purchase.s2, signature(2));
    let request = world.request();
    let why = suspension.why;
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::ChannelSuspended { channel: PAYING, why },
    );
}

#[test]
fn an_unclear_answer_of_an_unproven_pair_suspends_the_pair_alone() {
    let mut world = World::trading();
    let outcome = world.buy_unclear();
    let Outcome::Voided {
        channel_suspended: None,
        pair_suspended: Some(suspension),
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        world.pair(),
        Pair {
            sessions: Vec::new(),
            suspended: Some(suspension.clone())
        }
    );
    let channel = world.channel(PAYING);
    assert_eq!((channel.suspended, channel.unresolved), (None, 0));
    let request = world.request();
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::PairSuspended { why: suspension.why },
    );
}

#[test]
fn a_stranger_cannot_freeze_a_seller_by_offers_in_its_name() {
    let mut world = World::proven();
    for round in 0..5u8 {
        let key = KeyId([0x40 + round; 16]);
        world.place(|offer| {
            (offer.id, offer.key) = (OfferId(key.0), key);
            offer.provider_id = Some(format!("stranger-{round}"));
        });
        let mut request = world.request();
        request.order.identity.key = key;
        let id = world.reserve(request).id;
        world.void(id, true);
    }
    assert_eq!(world.channel(PAYING).unresolved, 0);
    world.buy();
}

#[test]
fn an_offer_without_a_provider_id_is_a_pair_of_its_own() {
    let mut world = World::proven();
    let key = KeyId([0x40; 16]);
    world.place(|offer| (offer.id, offer.key, offer.provider_id) = (OfferId(key.0), key, None));
    let mut request = world.request();
    request.order.identity.key = key;
    let id = world.reserve(request).id;
    world.void(id, true);
    let nameless = PairKey {
        delegate: SELLER,
        provider_id: String::new(),
    };
    assert!(world.ledger.pair(&nameless).unwrap().unwrap().suspended.is_some());
    assert_eq!(world.channel(PAYING).suspended, None);
}

#[test]
fn a_clean_refusal_of_the_seller_suspends_nothing() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request).id;
    let outcome = world.void(id, false);
    assert!(matches!(
        outcome,
        Outcome::Voided {
            channel_suspended: None,
            pair_suspended: None,
            ..
        }
    ));
    world.buy();
}

#[test]
fn one_valid_answer_proves_the_pair() {
    let mut world = World::trading();
    assert_eq!(world.pair(), Pair::default());
    world.buy();
    assert_eq!(
        world.pair(),
        Pair {
            sessions: vec![PLACER.session],
            suspended: None
        }
    );
}

#[test]
fn a_suspended_pair_tries_again_when_it_registers_anew() {
    let mut world = World::trading();
    for _ in 0..3 {
        world.buy_unclear();
        world.accept(Command::ReleasePair(pair()));
        assert_eq!(world.pair().suspended, None);
    }
    world.buy();
}

#[test]
fn a_released_channel_goes_on_from_its_posted_pair() {
    let mut world = World::proven();
    world.buy_unclear();
    world.accept(release(false));
    let channel = world.channel(PAYING);
    assert_eq!((channel.suspended, channel.unresolved), (None, 1));
    assert_eq!(world.buy().paying_seq, Seq(3));
    // A valid s3 on the posted base: the abandoned state was not adopted.
    assert_eq!(world.channel(PAYING).unresolved, 0);
}

#[test]
fn after_two_unclear_answers_in_a_row_only_the_operator_releases() {
    let mut world = World::proven();
    world.buy_unclear();
    world.accept(release(false));
    world.buy_unclear();
    let why = world.channel(PAYING).suspended.unwrap().why;
    world.refuse(release(false), Refusal::ChannelSuspended { channel: PAYING, why });
    world.accept(release(true));
    assert_eq!(world.channel(PAYING).suspended, None);
    world.buy();
    world.buy_unclear();
    world.accept(release(false));
}

#[test]
fn a_sale_between_two_unclear_answers_forgives_the_first() {
    let mut world = World::proven();
    for _ in 0..3 {
        world.buy_unclear();
        world.accept(release(false));
        world.buy();
    }
}

#[test]
fn releasing_what_is_not_suspended_changes_nothing() {
    let mut world = World::trading();
    let before = world.ledger.clone();
    for command in [release(false), release(true), Command::ReleasePair(pair())] {
        assert_eq!(world.accept(command), Outcome::Done);
    }
    assert_eq!(before, world.ledger);
    for channel in [PAYMENT, ChannelId([9; 16])] {
        let command = Command::ReleaseChannel {
            channel,
            by_operator: true,
        };
        world.refuse(command, Refusal::ChannelUnknown { channel });
    }
}
