//! Placing offers and taking them back.

use crate::world::*;
use bourse_market::*;

fn revoke(session: u64, authid: Option<&str>, proven: Option<Address>) -> RevokeRequest {
    let caller = Placer {
        session: SessionId(session),
        authid: authid.map(str::to_owned),
    };
    RevokeRequest {
        key: KEY,
        caller,
        proven,
        at: Nanos(5_000_000),
    }
}

#[test]
fn an_offer_starts_whole_whatever_the_request_says() {
    let mut world = World::endowed();
    let offer = world.place(|offer| {
        offer.copies = Some(3);
        offer.remaining = Some(9);
        offer.revoked = Some(Nanos(1));
    });
    assert_eq!((offer.remaining, offer.revoked), (Some(3), None));
}

#[test]
fn a_key_is_offered_once_even_after_its_offer_ended() {
    let mut world = World::trading();
    let again = PlaceRequest {
        offer: Offer {
            id: OfferId([9; 16]),
            ..world.offer()
        },
        escrow: None,
    };
    world.refuse(
        Command::Place(Box::new(again.clone())),
        Refusal::DuplicateKey { key: KEY },
    );
    world.accept(Command::Revoke(revoke(77, None, None)));
    world.refuse(
        Command::Place(Box::new(again)),
        Refusal::DuplicateKey { key: KEY },
    );
}

#[test]
fn an_offer_has_no_more_labels_than_the_store_keeps_room_for() {
    let mut world = World::trading();
    let key = KeyId([0x77; 16]);
    let labels = |count: usize| {
        (0..count)
            .map(|label| (format!("{label:02}"), String::new()))
            .collect()
    };
    let place = |world: &World, count| {
        let offer = Offer {
            id: OfferId([0x77; 16]),
            key,
            categories: labels(count),
            ..world.offer()
        };
        Command::Place(Box::new(PlaceRequest { offer, escrow: None }))
    };
    let command = place(&world, Offer::MAX_CATEGORIES + 1);
    world.refuse(
        command,
        Refusal::TooLong {
            what: "categories",
            length: 33,
            most: 32,
            unit: "labels",
        },
    );
    let command = place(&world, Offer::MAX_CATEGORIES);
    world.accept(command);
    assert_eq!(
        world.ledger.offer_by_key(&key).unwrap().unwrap().categories.len(),
        32
    );
}

#[test]
fn only_its_seller_revokes_an_offer() {
    type Case = (Option<&'static str>, RevokeRequest, bool);
    let cases: [Case; 9] = [
        (None, revoke(77, None, None), true),
        (None, revoke(78, None, None), false),
        (None, revoke(78, Some("alice"), None), false),
        (None, revoke(78, None, Some(SELLER)), true),
        (None, revoke(78, None, Some(STRANGER)), false),
        (Some("alice"), revoke(77, Some("alice"), None), true),
        (Some("alice"), revoke(78, Some("alice"), None), true),
        (Some("alice"), revoke(78, Some("bob"), None), false),
        (Some("alice"), revoke(78, None, None), false),
    ];
    for (authid, request, allowed) in cases {
        let mut world = World::endowed();
        world.place(|offer| offer.placer.authid = authid.map(str::to_owned));
        let result = world.submit(Command::Revoke(request.clone()));
        match result {
            Ok(Outcome::Revoked(offer)) if allowed => assert_eq!(offer.revoked, Some(request.at)),
            Err(Refusal::NotTheSeller { key }) if !allowed => assert_eq!(key, KEY),
            other => panic!("{authid:?}, {request:?}: {other:?}"),
        }
    }
}

#[test]
fn revoking_twice_keeps_the_first_moment() {
    let mut world = World::trading();
    world.accept(Command::Revoke(revoke(77, None, None)));
    let before = world.ledger.clone();
    let later = RevokeRequest {
        at: Nanos(9_000_000),
        ..revoke(77, None, None)
    };
    world.accept(Command::Revoke(later));
    assert_eq!(before, world.ledger);
}

#[test]
fn an_unknown_key_cannot_be_revoked() {
    let mut world = World::endowed();
    world.refuse(
        Command::Revoke(revoke(77, None, None)),
        Refusal::OfferUnknown { key: KEY },
    );
}

#[test]
fn a_pending_purchase_outlives_the_revocation_of_its_offer() {
    let mut world = World::trading();
    let request = world.request();
    let id = world.reserve(request).id;
    world.accept(Command::Revoke(revoke(77, None, None)));
    world.post(id);
    let request = world.request();
    let at = Nanos(5_000_000);
    world.refuse(
        Command::Reserve(Box::new(request)),
        Refusal::OfferExpired { key: KEY, at },
    );
}
