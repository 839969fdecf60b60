//! Offers that ended leave the lists, and nothing else about them changes.

use crate::world::*;
use bourse_market::*;

fn sweep(ended_before: u64) -> Command {
    sweep_behind(None, ended_before)
}

fn sweep_behind(after: Option<Ending>, ended_before: u64) -> Command {
    Command::Sweep(SweepRequest {
        ended_before: Nanos(ended_before),
        after,
    })
}

/// All there was to do.
fn swept(offers: usize) -> Outcome {
    Outcome::Swept { offers, next: None }
}

/// Sweeps until there is no more to do at once: how many offers each step took off.
fn sweep_all(world: &mut World, ended_before: u64) -> Vec<usize> {
    let (mut steps, mut after) = (Vec::new(), None);
    loop {
        let Outcome::Swept { offers, next } = world.accept(sweep_behind(after, ended_before)) else {
            panic!("another's outcome")
        };
        steps.push(offers);
        match next {
            Some(next) => assert!(after.replace(next) < Some(next), "a sweep that goes nowhere"),
            None => return steps,
        }
    }
}

fn offer(world: &World) -> Offer {
    world.ledger.offer_by_key(&KEY).unwrap().unwrap()
}

#[test]
fn an_offer_leaves_the_lists_once_its_end_has_come_and_not_before() {
    let mut world = World::trading();
    world.force_offer(|offer| offer.expires = Some(Nanos(5_000_000)));
    assert_eq!(world.accept(sweep(5_000_000)), swept(0));
    let before = offer(&world);
    assert_eq!(world.accept(sweep(5_000_001)), swept(1));
    assert_eq!(
        offer(&world),
        Offer {
            unlisted: true,
            ..before
        }
    );
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0), "once");
}

#[test]
fn an_offer_without_an_end_and_one_that_was_revoked_are_left_alone() {
    let mut world = World::trading();
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0));
    world.force_offer(|offer| {
        offer.expires = Some(Nanos(1));
        offer.revoked = Some(Nanos(1));
    });
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0));
}

#[test]
fn the_last_copy_must_be_sold_and_not_only_reserved_before_its_offer_leaves_the_lists() {
    let mut world = World::trading();
    world.force_offer(|offer| (offer.copies, offer.remaining) = (Some(1), Some(1)));
    let request = world.request();
    let purchase = world.reserve(request);
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0), "it may come back");
    world.void(purchase.id, false);
    assert_eq!(offer(&world).remaining, Some(1));
    assert_eq!(world.accept(sweep(u64::MAX)), swept(0));

    world.buy();
    assert_eq!(offer(&world).remaining, Some(0));
    assert_eq!(world.accept(sweep(1)), swept(1));
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
    let steps = sweep_all(&mut world, 2);
    let most = SweepRequest::MAX_ENTRIES / SweepRequest::USUAL_ENTRIES + 1;
    assert!(steps.iter().all(|offers| *offers <= most), "{steps:?}");
    assert_eq!(steps.iter().sum::<usize>(), count);
}

#[test]
fn a_sweep_goes_past_sold_out_offers_whose_last_copies_are_still_pending() {
    let mut world = World::trading();
    let count = SweepRequest::MAX_OFFERS;
    let buyer = |number: usize| {
        let mut id = [0xb0; 20];
        id[19] = u8::try_from(number).unwrap();
        Address(id)
    };
    // As many last copies, sold and not answered yet, as one sweep looks at: they stand in front of everything else.
    for number in 0..count {
        let channel = ChannelId((number as u128 + 1).to_be_bytes());
        let delegate = buyer(number + 2);
        let seller = Address(
            (0..20)
                .map(|_| number as u8 + 1)
                .collect::<Vec<_>>()
                .try_into()
                .unwrap(),
        );
        let (paying, key) = (
            ChannelId([number as u8; 16]),
            KeyId((number as u128).to_be_bytes()),
        );
        world.fund(delegate, tokens(10));
        for request in [
            OpenRequest {
                id: channel,
                actor: delegate,
                delegate,
                amount: tokens(10),
                signer: delegate,
                ..world.open_payment()
            },
            OpenRequest {
                id: paying,
                actor: seller,
                delegate: seller,
                recipient: seller,
                amount: tokens(10),
                signer: seller,
                ..world.open_paying()
            },
        ] {
            world.accept(Command::Open(Box::new(request)));
        }
        world.place(|offer| {
            offer.key = key;
            offer.id = OfferId((number as u128).to_be_bytes());
            offer.seller = seller;
            (offer.copies, offer.remaining) = (Some(1), Some(1));
        });
        let mut request = world.request();
        request.order.identity.channel = channel;
        request.order.identity.key = key;
        request.order.identity.balance = Amount::ZERO;
        (request.order.buyer, request.order.signer) = (delegate, delegate);
        (request.paying_channel, request.paying_balance) = (paying, Amount::ZERO);
        world.reserve(request);
    }
    world.place(|offer| {
        offer.key = KeyId([0xee; 16]);
        offer.id = OfferId([0xee; 16]);
        offer.expires = Some(Nanos(5));
    });
    assert_eq!(sweep_all(&mut world, 6), [0, 1]);
    let ended = world.offer_of(KeyId([0xee; 16]));
    assert!(ended.unlisted);
    assert!(!world.offer_of(KeyId([0; 16])).unlisted, "its copy may come back");
}
