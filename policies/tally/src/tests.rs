//! Tallies in which purchases follow each other, and in which they overlap.

use super::testing::post;
use super::*;
use bourse::testing::{Change, MockHost};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SPAN: u64 = 100_000;

/// A purchase that begins at `now_ms`, and is not posted.
fn call(host: &MockHost, now_ms: u64, amount: u64, span_ms: u64) -> MockHost {
    let call = host.clone();
    Tally::read(&call, "k").add_at(&call, "k", amount, now_ms, span_ms);
    call
}

fn add(host: &mut MockHost, now_ms: u64, amount: u64) {
    let call = call(host, now_ms, amount, SPAN);
    post(host, &call);
}

fn tally(host: &MockHost) -> Tally {
    Tally::read(host, "k")
}

#[test]
fn a_count_starts_over_when_its_period_is_over() {
    let mut host = MockHost::default();
    assert!(tally(&host).is_new());
    for now_ms in [1_000, 2_000, 100_999] {
        add(&mut host, now_ms, 2);
    }
    assert_eq!(tally(&host).count_at(100_999), 6);
    assert_eq!(tally(&host).left_ms(100_999, 1), Some(1));
    assert_eq!(tally(&host).count_at(101_000), 0);
    add(&mut host, 101_000, 5);
    assert_eq!(tally(&host).count_at(101_000), 5);
    assert_eq!(tally(&host).end_ms(1), Some(201_000));
}

#[test]
fn a_period_keeps_its_length_when_the_parameters_change() {
    let mut host = MockHost::default();
    add(&mut host, 0, 1);
    let shorter = call(&host, SPAN / 2, 1, 7);
    post(&mut host, &shorter);
    assert_eq!(tally(&host).end_ms(1), Some(SPAN));
}

#[test]
fn purchases_that_overlap_at_the_start_of_a_period_all_count() {
    let mut host = MockHost::default();
    add(&mut host, 0, 7);
    let late = SPAN + 5;
    let calls = [0, 1, 2].map(|at| call(&host, late + at, 1, SPAN));
    for call in calls.iter().rev() {
        post(&mut host, call);
    }
    assert_eq!(tally(&host).count_at(late + 10), 3);
}

#[test]
fn what_is_no_begin_is_as_if_there_were_none() {
    let host = MockHost::default().with_counter("k", 9);
    let short = tally(&host.clone().with_value("k", &[1; 23]));
    assert_eq!((short.count(), short.end_ms(1)), (0, None));
    let absurd = tally(&host.with_value("k", &[0xff; 24]));
    assert_eq!((absurd.count(), absurd.end_ms(u64::MAX)), (10, Some(u64::MAX)));
}

#[test]
fn a_state_that_is_full_by_the_count_of_its_tallies_has_room_for_those_it_knows() {
    let mut host = MockHost::default();
    add(&mut host, 0, 1);
    assert!(!Tally::read(&host, "k").is_crowded_out(&host, 1));
    assert!(Tally::read(&host, "other").is_crowded_out(&host, 1));
    assert!(!Tally::read(&host, "other").is_crowded_out(&host, 2));
}

#[test]
fn as_many_tallies_as_are_allowed_fit_into_the_state_of_a_policy() {
    let host = MockHost::default();
    let key = "k".repeat(MAX_KEY);
    Tally::read(&host, &key).begin(&host, &key, 1, 0, SPAN);
    let size = |change: &Change| match change {
        Change::Set(key, value) => key.len() + value.as_ref().map_or(0, Vec::len),
        // The one counter of all tallies is within what rounding leaves.
        Change::Add(key, _) if key == BEGUN => 0,
        Change::Add(key, _) => key.len() + 8,
    };
    let each: usize = host.changes().iter().map(size).sum();
    assert!(each * MAX_TALLIES as usize <= 1 << 20, "{each} bytes each");
}

#[test]
fn keys_differ_where_their_bytes_do_and_keep_to_the_limit() {
    let widest = key("s", &[&[0xff; 14], &[0xff; 16], &[0xff; 14]]);
    assert!(widest.len() <= 64, "{widest}");
    assert_eq!(key("t", &[b"\x00\x10\x83", b"\x10"]), "t:ABCDEA");
    assert_ne!(key("t", &[&[1, 2], &[3]]), key("t", &[&[1, 2], &[4]]));
}

proptest! {
    /// Each purchase reads at one moment and is posted at a later one, in any order: within a period that began, what
    /// was posted is what is counted.
    #[test]
    fn within_a_period_every_posted_purchase_counts_once(
        purchases in prop::collection::vec((0u64..1_000, 0u64..20_000, 1u64..50), 1..40),
    ) {
        let mut steps: Vec<(u64, bool, usize)> = Vec::new();
        for (index, (at, takes, _)) in purchases.iter().enumerate() {
            steps.push((*at, false, index));
            steps.push((at + takes, true, index));
        }
        steps.sort_unstable();
        let mut host = MockHost::default();
        let mut calls = BTreeMap::new();
        for (now_ms, posted, index) in steps {
            if posted {
                post(&mut host, &calls.remove(&index).unwrap());
            } else {
                calls.insert(index, call(&host, now_ms, purchases[index].2, SPAN));
            }
        }
        let sum: u64 = purchases.iter().map(|(_, _, amount)| amount).sum();
        prop_assert_eq!(tally(&host).count_at(21_000), sum);
    }

    #[test]
    fn a_count_never_exceeds_what_was_ever_added(
        purchases in prop::collection::vec((0u64..1_000_000, 0u64..40_000, 1u64..50), 1..60),
    ) {
        let mut host = MockHost::default();
        let mut waiting: Vec<(u64, MockHost)> = Vec::new();
        let mut ordered = purchases.clone();
        ordered.sort_unstable();
        for (at, takes, amount) in ordered {
            waiting.sort_by_key(|(due, _)| *due);
            while waiting.first().is_some_and(|(due, _)| *due <= at) {
                post(&mut host, &waiting.remove(0).1);
            }
            waiting.push((at + takes, call(&host, at, amount, SPAN)));
        }
        let sum: u64 = purchases.iter().map(|(_, _, amount)| amount).sum();
        prop_assert!(tally(&host).count() <= sum);
    }
}
