//! What policies write, through the real writer: batches, reopening, many threads.

use crate::fixture::*;
use bourse_market::*;
use bourse_store::Store;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

fn write(policy: &str, key: &str, edit: StateEdit) -> StateWrite {
    StateWrite {
        policy: policy.to_owned(),
        key: key.to_owned(),
        edit,
    }
}

/// The end of purchase `number` of seller `seller`, at which its policies write this.
fn post_writing(number: u64, seller: u64, state_writes: Vec<StateWrite>) -> Command {
    match post(number, seller, 50) {
        Command::Post(request) => Command::Post(Box::new(PostRequest {
            state_writes,
            ..*request
        })),
        other => other,
    }
}

/// Decisions between two times, as the numbers of their purchases.
fn decided(store: &Store, from: u64, to: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    let reader = store.read().unwrap();
    reader
        .decisions(Nanos(from), Nanos(to), &mut |decision| {
            let purchase = decision.header.purchase.unwrap();
            seen.push(u64::from_be_bytes(purchase.0[8..].try_into().unwrap()));
            ControlFlow::Continue(())
        })
        .unwrap();
    seen
}

fn any_write() -> impl Strategy<Value = StateWrite> {
    let edit = prop_oneof![
        3 => (-5..=5i64).prop_map(StateEdit::Add),
        1 => Just(StateEdit::Add(i64::MAX)),
        2 => prop::collection::vec(any::<u8>(), 0..4).prop_map(|value| StateEdit::Set(Some(value))),
        1 => Just(StateEdit::Set(None)),
    ];
    (
        prop::sample::select(vec!["surge", "dutch"]),
        prop::sample::select(vec!["a", "b", "c"]),
        edit,
    )
        .prop_map(|(policy, key, edit)| write(policy, key, edit))
}

/// Purchases that were all decided before any was posted, then end in one batch.
#[derive(Debug, Clone)]
struct Overlap {
    ends: Vec<(Vec<StateWrite>, bool)>,
    reopen: bool,
}

fn overlap(parties: usize) -> impl Strategy<Value = Overlap> {
    let end = (
        prop::collection::vec(any_write(), 0..5),
        prop::bool::weighted(0.8),
    );
    (prop::collection::vec(end, 1..=parties), prop::bool::weighted(0.3))
        .prop_map(|(ends, reopen)| Overlap { ends, reopen })
}

/// What each write by itself, in the order of posting, comes to.
#[derive(Debug, Default, PartialEq)]
struct Plain {
    values: BTreeMap<(String, String), Vec<u8>>,
    counters: BTreeMap<(String, String), i64>,
}

impl Plain {
    fn apply(&mut self, write: &StateWrite) {
        let place = (write.policy.clone(), write.key.clone());
        match &write.edit {
            StateEdit::Set(Some(value)) => drop(self.values.insert(place, value.clone())),
            StateEdit::Set(None) => drop(self.values.remove(&place)),
            StateEdit::Add(by) => {
                let counter = self.counters.entry(place).or_default();
                *counter = counter.saturating_add(*by);
            }
        }
    }

    #[track_caller]
    fn assert_is(&self, store: &Store) {
        let reader = store.read().unwrap();
        for policy in ["surge", "dutch"] {
            for key in ["a", "b", "c"] {
                let place = (policy.to_owned(), key.to_owned());
                assert_eq!(
                    reader.policy_value(policy, key).unwrap().as_ref(),
                    self.values.get(&place)
                );
                let count = self.counters.get(&place).copied().unwrap_or_default();
                assert_eq!(reader.policy_counter(policy, key).unwrap(), count);
            }
        }
        assert_sound(store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn additions_of_purchases_that_overlap_all_count_in_batches_and_after_reopening(
        rounds in prop::collection::vec(overlap(4), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let disk = TestDisk::new();
        let mut store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
        populate(&store, 4, 100);
        let mut plain = Plain::default();
        let mut number = 0;
        for round in rounds {
            let first = number;
            for party in 0..round.ends.len() as u64 {
                reserve_now(&store, number, party).unwrap();
                number += 1;
            }
            // While a commit is held, what comes meanwhile shares the next one.
            disk.hold();
            let begun = disk.begun.load(std::sync::atomic::Ordering::SeqCst);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let answers: Vec<_> = runtime.block_on(async {
                let blocker = tokio::spawn({
                    let store = store.clone();
                    async move { store.submit(fund(address(b'z', 1), 1)).await }
                });
                tokio::task::yield_now().await;
                disk.wait_for(begun + 1);
                let tasks: Vec<_> = round.ends.iter().enumerate().map(|(party, (writes, posted))| {
                    let (number, party) = (first + party as u64, party as u64);
                    let command = match posted {
                        true => post_writing(number, party, writes.clone()),
                        false => void(number, false),
                    };
                    let store = store.clone();
                    tokio::spawn(async move { store.submit(command).await })
                }).collect();
                tokio::task::yield_now().await;
                disk.release();
                blocker.await.unwrap().unwrap();
                let mut answers = Vec::new();
                for task in tasks {
                    answers.push(task.await.unwrap());
                }
                answers
            });
            for ((writes, posted), answer) in round.ends.iter().zip(answers) {
                match answer.unwrap() {
                    Outcome::Posted { dropped, .. } => prop_assert_eq!(dropped, []),
                    _ => prop_assert!(!posted),
                }
                if *posted {
                    writes.iter().for_each(|write| plain.apply(write));
                }
            }
            plain.assert_is(&store);
            if round.reopen {
                drop(store);
                store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
                plain.assert_is(&store);
            }
        }
    }
}

#[test]
fn many_threads_add_to_one_counter_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 4, 1000);
    std::thread::scope(|scope| {
        for party in 0..4u64 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..25 {
                    let number = party * 1000 + round;
                    reserve_now(store, number, party).unwrap();
                    let writes = vec![
                        write("quota", "sold", StateEdit::Add(1)),
                        write("quota", &format!("buyer-{party}"), StateEdit::Add(2)),
                        write(
                            "quota",
                            "last",
                            StateEdit::Set(Some(number.to_be_bytes().to_vec())),
                        ),
                    ];
                    do_all(store, [post_writing(number, party, writes)]);
                }
            });
        }
    });
    let check = |store: &Store| {
        let reader = store.read().unwrap();
        assert_eq!(reader.policy_counter("quota", "sold").unwrap(), 100);
        for party in 0..4 {
            assert_eq!(
                reader.policy_counter("quota", &format!("buyer-{party}")).unwrap(),
                50
            );
        }
        let last = reader.policy_value("quota", "last").unwrap().unwrap();
        assert!(u64::from_be_bytes(last.try_into().unwrap()) % 1000 == 24);
        let counts = reader.counts().unwrap();
        assert_eq!((counts.policy_values, counts.policy_counters), (1, 5));
        // 4 + 8 for the value, 4 + 8 and four times 7 + 8 for the counters.
        assert_eq!(
            reader.policy_sizes().unwrap(),
            [("quota".to_owned(), 12 + 12 + 60)]
        );
        assert_sound(store);
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn a_failed_commit_leaves_no_trace_of_what_a_policy_wrote_and_trying_again_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    populate(&store, 1, 10);
    reserve_now(&store, 1, 0).unwrap();
    let command = post_writing(1, 0, vec![write("quota", "sold", StateEdit::Add(1))]);
    let begun = disk.begun.load(std::sync::atomic::Ordering::SeqCst);
    disk.fail_at.store(begun + 1, std::sync::atomic::Ordering::SeqCst);
    store.submit_blocking(command.clone()).unwrap_err();
    assert_eq!(store.read().unwrap().policy_counter("quota", "sold").unwrap(), 0);
    assert_eq!(decided(&store, 0, u64::MAX), [0u64; 0]);
    store.submit_blocking(command.clone()).unwrap();
    store.submit_blocking(command).unwrap_err();
    assert_eq!(store.read().unwrap().policy_counter("quota", "sold").unwrap(), 1);
    assert_eq!(decided(&store, 0, u64::MAX), [1]);
    assert_sound(&store);
}

#[test]
fn decisions_are_found_by_the_time_they_were_taken() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 2, 100);
    // Posted in another order than decided.
    for number in [3, 1, 4, 2] {
        reserve_now(&store, number, 0).unwrap();
        do_all(&store, [post(number, 0, 10)]);
    }
    reserve_now(&store, 9, 1).unwrap();
    do_all(&store, [void(9, false)]);
    let check = |store: &Store| {
        assert_eq!(decided(store, 0, u64::MAX), [1, 2, 3, 4]);
        // Decision `n` was taken at 1500 + n.
        assert_eq!(decided(store, 1502, 1504), [2, 3]);
        assert_eq!(decided(store, 1502, 1502), [0u64; 0]);
        assert_eq!(decided(store, 1505, u64::MAX), [0u64; 0]);
    };
    check(&store);
    let mut seen = 0;
    let reader = store.read().unwrap();
    reader
        .decisions(Nanos(0), Nanos(u64::MAX), &mut |_| {
            seen += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen, 1, "whoever has seen enough sees no more");
    drop(reader);
    assert_sound(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn other_decisions_of_a_purchase_are_kept_beside_the_one_of_its_price() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 1, 10);
    reserve_now(&store, 1, 0).unwrap();
    let Command::Post(mut request) = post(1, 0, 10) else {
        panic!()
    };
    let also = |number: u8, hook: &str| {
        let mut decision = request.decision.clone().unwrap();
        (decision.id, decision.header.hook) = (DecisionId([number; 16]), hook.to_owned());
        decision
    };
    request.also = vec![also(1, "offers"), also(2, "consent")];
    do_all(&store, [Command::Post(request)]);
    let reader = store.read().unwrap();
    let mut hooks = Vec::new();
    reader
        .decisions(Nanos(0), Nanos(u64::MAX), &mut |decision| {
            assert_eq!(decision.header.purchase, Some(purchase(1)));
            hooks.push(decision.header.hook);
            ControlFlow::Continue(())
        })
        .unwrap();
    hooks.sort();
    assert_eq!(hooks, ["consent", "offers", "pricing"]);
    assert_eq!(reader.counts().unwrap().decisions, 3);
    assert_sound(&store);
}

#[test]
fn a_policy_at_its_quota_costs_no_purchase_its_end_on_a_full_map() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        bourse_store::Options {
            map_size: 16 << 20,
            ..options(dir.path())
        },
        &stamp(),
    )
    .unwrap();
    populate(&store, 10, 1000);
    let mut number = 0;
    let mut buy = |store: &Store, writes: Vec<StateWrite>| {
        reserve_now(store, number, 0).unwrap();
        let answer = store.submit_blocking(post_writing(number, 0, writes)).unwrap();
        number += 1;
        match answer {
            Outcome::Posted { dropped, .. } => dropped,
            other => panic!("{other:?}"),
        }
    };
    let key = |number: u64| format!("{:x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let value = |byte: u8| StateEdit::Set(Some(vec![byte; 900]));
    let mut keys = 0;
    let lost = loop {
        let writes = (keys..keys + 50)
            .map(|number| write("hoard", &key(number), value(1)))
            .collect();
        match buy(&store, writes).pop() {
            None => keys += 50,
            Some(lost) => break lost,
        }
    };
    assert!(matches!(lost.why, StateFault::Full { .. }), "{lost:?}");
    assert!(keys > 1000, "{keys} keys");
    assert_sound(&store);

    // Promised with the state as large as it may be, kept when there is no room for anything else: each write to a
    // page of its own.
    for party in 1..10 {
        reserve_now(&store, 9000 + party, party).unwrap();
    }
    let mut placed = 2000;
    loop {
        let mut bulky = place(placed, 1);
        if let Command::Place(request) = &mut bulky {
            request.offer.uri = "u".repeat(20_000);
        }
        if store.submit_blocking(bulky).is_err() {
            break;
        }
        placed += 1;
    }
    let reader = store.read().unwrap();
    for party in 1..4 {
        let writes = (0..64)
            .map(|step| write("hoard", &key((party + 16 * step) % keys), value(2)))
            .collect();
        let mut command = post_writing(9000 + party, party, writes);
        if let Command::Post(request) = &mut command
            && let Some(decision) = &mut request.decision
        {
            decision.body = vec![0; 60_000];
        }
        do_all(&store, [command]);
    }
    drop(reader);
    assert_sound(&store);
}
