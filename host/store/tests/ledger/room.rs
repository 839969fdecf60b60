//! A full map or disk: new business waits, what was promised is kept.

use crate::fixture::*;
use bourse_market::{ChannelKind, Command, Nanos, SessionId};
use bourse_market::{Placer, RevokeRequest};
use bourse_store::{Options, Store, SubmitError};
use std::sync::atomic::Ordering::SeqCst;

fn revoke(number: u64) -> Command {
    Command::Revoke(RevokeRequest {
        key: key(number),
        caller: Placer {
            session: SessionId(9),
            authid: None,
        },
        proven: None,
        at: Nanos(9),
    })
}

/// Every kind of new business.
fn new_business(store: &Store) -> Vec<Command> {
    vec![
        genesis(),
        fund(address(b'z', 1), 1),
        open_channel(ChannelKind::Paying, 1000, 1, 1),
        place(1000, 1),
        reserve(&store.read().unwrap(), 1000, 9, 9, 9),
    ]
}

#[test]
fn a_full_map_refuses_new_business_and_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options {
        map_size: 8 << 20,
        ..options(dir.path())
    };
    let store = Store::open(small.clone(), &stamp()).unwrap();
    populate(&store, 10, 10);
    // Promises: what is sent must be posted or voided, however full it gets meanwhile.
    let promised = 8;
    for party in 0..promised {
        reserve_now(&store, party, party).unwrap();
    }
    let mut placed = 2000;
    let error = loop {
        let mut bulky = place(placed, 1);
        if let Command::Place(request) = &mut bulky {
            request.offer.uri = "u".repeat(3000);
        }
        match store.submit_blocking(bulky) {
            Ok(_) => placed += 1,
            Err(error) => break error,
        }
        assert!(placed < 100_000, "8 MiB never ran full");
    };
    assert!(
        matches!(error, SubmitError::Full { resource: "map", .. }),
        "{error}"
    );
    assert!(
        error.to_string().starts_with("the map is nearly full: "),
        "{error}"
    );
    for command in new_business(&store) {
        let answer = store.submit_blocking(command.clone());
        assert!(
            matches!(answer, Err(SubmitError::Full { .. })),
            "{command:?}: {answer:?}"
        );
    }
    // A reader that looks at an old state keeps every page of it: the worst case for the promises.
    let reader = store.read().unwrap();
    for party in 0..promised {
        let resolve = if party % 2 == 0 {
            post(party, party, 4000)
        } else {
            void(party, party % 4 == 1)
        };
        store.submit_blocking(resolve).unwrap();
    }
    do_all(&store, [revoke(1), revoke(2)]);
    drop(reader);
    assert_sound(&store);
    drop(store);

    // A larger map between two runs, and business goes on.
    let store = Store::open(
        Options {
            map_size: 32 << 20,
            ..small
        },
        &stamp(),
    )
    .unwrap();
    assert_sound(&store);
    for command in new_business(&store) {
        store.submit_blocking(command).unwrap();
    }
    assert_sound(&store);
}

#[test]
fn a_full_disk_refuses_new_business_and_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    populate(&store, 10, 10);
    reserve_now(&store, 1, 1).unwrap();
    reserve_now(&store, 2, 2).unwrap();
    assert_eq!(store.lack().unwrap(), None);
    disk.free.store(64 << 20, SeqCst);
    let lack = store.lack().unwrap().unwrap();
    assert_eq!((lack.resource, lack.free), ("disk", 0));
    assert!(
        lack.to_string()
            .starts_with("the disk is nearly full: 0 bytes are free"),
        "{lack}"
    );
    for command in new_business(&store) {
        let answer = store.submit_blocking(command.clone());
        let full = matches!(answer, Err(SubmitError::Full { resource: "disk", .. }));
        assert!(full, "{command:?}: {answer:?}");
    }
    do_all(&store, [post(1, 1, 100), void(2, false), revoke(1)]);
    disk.free.store(128 << 20, SeqCst);
    assert_eq!(store.lack().unwrap(), None);
    for command in new_business(&store) {
        store.submit_blocking(command).unwrap();
    }
    assert_sound(&store);
}

#[test]
fn churn_alone_does_not_fill_a_map() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        Options {
            map_size: 4 << 20,
            ..options(dir.path())
        },
        &stamp(),
    )
    .unwrap();
    do_all(&store, [genesis()]);
    for number in 0..500 {
        do_all(&store, [fund(address(b'x', number % 3), 1)]);
    }
    assert_sound(&store);
}
