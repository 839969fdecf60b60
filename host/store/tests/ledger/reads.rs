//! What readers see.

use crate::fixture::*;
use bourse_market::{ChannelId, ChannelKind, Command, PairKey, View};
use bourse_store::Reader;

#[test]
fn a_reader_keeps_its_moment_and_one_thread_may_hold_several() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let empty = store.read().unwrap();
    populate(&store, 1, 10);
    let full = store.read().unwrap();
    assert_eq!(empty.counts().unwrap().offers, 0);
    assert_eq!(full.counts().unwrap().offers, 1);
    assert_eq!(empty.genesis().unwrap(), None);
}

#[test]
fn the_active_channel_is_the_oldest_that_has_something_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 1, 1);
    let kind = ChannelKind::Payment;
    let (buyer, who) = (actor(kind, 0), delegate(kind, 0));
    // Two more of the same buyer, the younger one first.
    let more = |number, at| match open_channel(kind, number, 1, at) {
        Command::Open(mut request) => {
            (request.actor, request.signer, request.delegate) = (buyer, buyer, who);
            Command::Open(request)
        }
        _ => unreachable!(),
    };
    do_all(&store, [fund(buyer, 2), more(51, 300), more(50, 200)]);
    let reader = store.read().unwrap();
    let by_delegate = |reader: &Reader<'_>, kind, live| {
        let page = reader.channels_by_delegate(kind, &who, live, None, 9).unwrap();
        assert_eq!(page.next, None);
        page.found
    };
    let ids = [0, 50, 51].map(|number| channel(kind, number));
    assert_eq!(by_delegate(&reader, kind, false), ids);
    let by_actor = reader.channels_by_actor(kind, &buyer, true, None, 9).unwrap();
    assert_eq!((by_actor.found.as_slice(), by_actor.next), (&ids[..], None));
    assert_eq!(reader.active_channel(kind, &who).unwrap().unwrap().id, ids[0]);
    assert_eq!(by_delegate(&reader, ChannelKind::Paying, false), []);
    drop(reader);

    reserve_now(&store, 1, 0).unwrap();
    let active = |reader: Reader<'_>| reader.active_channel(kind, &who).unwrap().unwrap().id;
    assert_eq!(
        active(store.read().unwrap()),
        ids[0],
        "what is reserved is not spent"
    );
    do_all(&store, [post(1, 0, 10)]);
    assert_eq!(active(store.read().unwrap()), ids[1]);
    let reader = store.read().unwrap();
    assert_eq!(by_delegate(&reader, kind, true), ids[1..]);
    assert_eq!(by_delegate(&reader, kind, false), ids);
}

#[test]
fn a_partys_channels_come_page_by_page_whatever_follows_in_the_index_and_whatever_was_opened_since() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 2, 1);
    let kind = ChannelKind::Payment;
    let (buyer, who) = (actor(kind, 0), delegate(kind, 0));
    do_all(&store, [fund(buyer, 20)]);
    let more = |number| match open_channel(kind, number, 1, 200 + number) {
        Command::Open(mut request) => {
            (request.actor, request.signer, request.delegate) = (buyer, buyer, who);
            Command::Open(request)
        }
        _ => unreachable!(),
    };
    do_all(&store, (50..56).map(more));
    let all: Vec<ChannelId> = [0, 50, 51, 52, 53, 54, 55]
        .map(|number| channel(kind, number))
        .to_vec();
    for limit in [1, 2, 3, 6, 7, 8] {
        let reader = store.read().unwrap();
        let (mut by_delegate, mut by_actor) = (Vec::new(), Vec::new());
        for (found, delegates) in [(&mut by_delegate, true), (&mut by_actor, false)] {
            let mut after = None;
            loop {
                let page = match delegates {
                    true => reader.channels_by_delegate(kind, &who, true, after, limit),
                    false => reader.channels_by_actor(kind, &buyer, false, after, limit),
                }
                .unwrap();
                assert!(page.found.len() <= limit);
                found.extend(page.found);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        assert_eq!((&by_delegate, &by_actor), (&all, &all), "{limit}");
    }
    let first = store
        .read()
        .unwrap()
        .channels_by_actor(kind, &buyer, true, None, 7)
        .unwrap();
    assert_eq!(first.next, None, "a full page that is the last");
    let first = store
        .read()
        .unwrap()
        .channels_by_actor(kind, &buyer, true, None, 6)
        .unwrap();
    do_all(&store, [more(56)]);
    let rest = store
        .read()
        .unwrap()
        .channels_by_actor(kind, &buyer, true, first.next, 6)
        .unwrap();
    assert_eq!(rest.found, [channel(kind, 55), channel(kind, 56)]);
}

#[test]
fn a_provider_of_any_name_can_be_suspended_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 1, 10);
    let long = "p".repeat(3000);
    for (number, name) in [(1, ""), (2, "p"), (3, long.as_str())] {
        let mut offer = place(100 + number, 0);
        if let Command::Place(request) = &mut offer {
            request.offer.provider_id = Some(name.to_owned());
        }
        do_all(&store, [offer]);
        let command = reserve(&store.read().unwrap(), number, 100 + number, 0, 0);
        do_all(&store, [command, void(number, true)]);
        let pair = PairKey {
            delegate: delegate(ChannelKind::Paying, 0),
            provider_id: name.to_owned(),
        };
        let reader = store.read().unwrap();
        assert_eq!(
            reader.suspended_pairs_of_provider(name).unwrap(),
            std::slice::from_ref(&pair)
        );
        assert!(reader.suspended_pairs(&pair.delegate).unwrap().contains(&pair));
        assert!(reader.pair(&pair).unwrap().unwrap().suspended.is_some());
    }
    let reader = store.read().unwrap();
    assert_eq!(
        reader
            .suspended_pairs(&delegate(ChannelKind::Paying, 0))
            .unwrap()
            .len(),
        3
    );
    drop(reader);
    let pair = PairKey {
        delegate: delegate(ChannelKind::Paying, 0),
        provider_id: long.clone(),
    };
    do_all(&store, [Command::ReleasePair(pair)]);
    assert_eq!(
        store.read().unwrap().suspended_pairs_of_provider(&long).unwrap(),
        []
    );
    assert_sound(&store);
}

#[test]
fn verification_tells_how_far_it_is_and_what_it_saw() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 2, 10);
    reserve_now(&store, 1, 0).unwrap();
    do_all(&store, [post(1, 0, 10)]);
    let mut told = Vec::new();
    let report = store
        .read()
        .unwrap()
        .verify(&mut |done, total| told.push((done, total)))
        .unwrap();
    assert!(report.is_sound());
    let total = told[0].1;
    assert_eq!((told[0].0, *told.last().unwrap()), (0, (total, total)));
    assert_eq!(report.checked, store.read().unwrap().counts().unwrap());
    assert_eq!(report.checked.posted, 1);
    assert!(report.entries > 10);
    assert_eq!(report.sums.debits, bourse_market::Amount::from_tokens(1));
}
