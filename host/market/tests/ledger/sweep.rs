//! Offers that ended leave the lists, and nothing else about them changes.

use crate::world::*;
use bourse_market::*;

fn sweep(ended_before: u64) -> Command {
    Command::Sweep(SweepRequest {
        ended_before: Nanos(ended_before),
    })
}

fn swept(offers: usize, more: bool) -> Outcome {
    Outcome::Swept { offers, more }
}

fn offer(world: &World) -> Offer {
    world.ledger.offer_by_key(&KEY).unwrap().unwrap()
}

#[test]
fn an_offer_leaves_the_lists_once_its_end_has_come_and_not_before() {
    let mut world = World::trading();
    world.force_offer(|offer| offer.expires = Some(Nanos(5_000_000)));
    assert_eq!(world.accept(sweep(5_000_000)), swept(0, false));
    let before = offer(&world);
    assert_eq!(world.accept(sweep(5_000_001)), swept(1, false));
    assert_eq!(
        offer(&world),
        Offer {
            unlisted: true,
            ..before
        }
    );
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0, false), "once");
}

#[test]
fn an_offer_without_an_end_and_one_that_was_revoked_are_left_alone() {
    let mut world = World::trading();
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0, false));
    world.force_offer(|offer| {
        offer.expires = Some(Nanos(1));
        offer.revoked = Some(Nanos(1));
    });
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0, false));
}

#[test]
fn the_last_copy_must_be_sold_and_not_only_reserved_before_its_offer_leaves_the_lists() {
    let mut world = World::trading();
    world.force_offer(|offer| (offer.copies, offer.remaining) = (Some(1), Some(1)));
    let request = world.request();
    let purchase = world.reserve(request);
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0, false), "it may come back");
    world.void(purchase.id, false);
    assert_eq!(offer(&world).remaining, Some(1));
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0, false));

    world.buy();
    assert_eq!(offer(&world).remaining, Some(0));
    assert_eq!(world.accept(sweep(1)), swept(1, false));
    assert!(offer(&world).unlisted);
}

#[test]
fn a_sweep_is_bounded_by_offers_and_by_what_they_have_in_the_lists() {
    let mut world = World::endowed();
    let count = 3 * SweepRequest::MAX_OFFERS;
    for number in 0..count {
        world.place(|offer| {
            offer.key = KeyId((number as u128).to_be_bytes());
            offer.id = OfferId((number as u128).to_be_bytes());
            offer.expires = Some(Nanos(1));
            offer.categories = (0..number % 33)
                .map(|label| (label.to_string(), String::new()))
                .collect();
        });
    }
    let mut total = 0;
    loop {
        let Outcome::Swept { offers, more } = world.accept(sweep(2)) else {
            panic!("another's outcome")
        };
        total += offers;
        assert!(offers <= SweepRequest::MAX_ENTRIES / SweepRequest::USUAL_ENTRIES + 1);
        if !more {
            break;
        }
        assert!(offers > 0, "a sweep that comes to nothing and asks for another");
    }
    assert_eq!(total, count);
}
