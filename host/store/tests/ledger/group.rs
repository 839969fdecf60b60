//! Group commit: many commands, one sync, and nobody told before it.

use crate::fixture::*;
use bourse_market::{Address, Amount, ChannelKind, Outcome, Refusal, View};
use bourse_store::{Store, SubmitError};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

type Answer = Result<Outcome, SubmitError>;

/// Submits commands in order while a commit is held up, so that they are gathered into the next batch. The command
/// that is held up is a grant to nobody.
fn together(
    store: &Store,
    disk: &Arc<TestDisk>,
    commands: Vec<bourse_market::Command>,
    during: impl FnOnce(),
) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begun = disk.begun.load(SeqCst);
    disk.hold();
    let first = {
        let store = store.clone();
        thread::spawn(move || store.submit_blocking(fund(Address([0xEE; 20]), 0)))
    };
    disk.wait_for(begun + 1);
    let answers = runtime.block_on(async {
        // Submitting happens at the first poll, in this order.
        let mut waiting: Vec<_> = commands
            .into_iter()
            .map(|command| Box::pin(store.submit(command)))
            .collect();
        for future in &mut waiting {
            assert!(
                futures_ready(future.as_mut()).is_none(),
                "answered before its commit"
            );
        }
        during();
        disk.release();
        let mut answers = Vec::new();
        for future in waiting {
            answers.push(future.await);
        }
        answers
    });
    first.join().unwrap().unwrap();
    answers
}

fn futures_ready<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn commands_that_wait_for_a_commit_share_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    do_all(&store, [genesis()]);
    let before = store.stats();
    let commands = (0..100).map(|number| fund(address(b'x', number), 1)).collect();
    let answers = together(&store, &disk, commands, || {});
    assert!(answers.iter().all(Result::is_ok));
    let after = store.stats();
    assert_eq!(
        after.commits - before.commits,
        2,
        "one for the command that was held up, one for the rest"
    );
    assert_eq!(after.commands - before.commands, 101);
    assert_eq!(after.batches[7] - before.batches[7], 1, "a batch of 65 to 128");
    assert_eq!(after.batched - before.batched, 101);
    let timed = |stats: bourse_store::Stats| stats.commit_times.iter().sum::<u64>();
    assert_eq!(timed(after) - timed(before), 2);
    assert!(after.commit_ns > before.commit_ns);
}

#[test]
fn nothing_shows_before_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    do_all(&store, [genesis()]);
    let alice = address(b'x', 1);
    let reader = store.clone();
    together(&store, &disk, vec![fund(alice, 1)], || {
        assert_eq!(reader.read().unwrap().account(&alice).unwrap(), None);
        assert_eq!(
            reader.read().unwrap().account(&Address([0xEE; 20])).unwrap(),
            None
        );
    });
    assert!(store.read().unwrap().account(&alice).unwrap().is_some());
}

#[test]
fn later_commands_of_a_batch_see_earlier_ones_and_refusals_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    do_all(&store, [genesis()]);
    let buyer = actor(ChannelKind::Payment, 1);
    let answers = together(
        &store,
        &disk,
        vec![
            open_channel(ChannelKind::Payment, 1, 5, 1),
            fund(buyer, 5),
            open_channel(ChannelKind::Payment, 1, 5, 1),
            open_channel(ChannelKind::Payment, 1, 5, 1),
            place(1, 1),
            place(1, 2),
        ],
        || {},
    );
    assert!(matches!(
        &answers[0],
        Err(SubmitError::Refused(Refusal::InsufficientAccount { .. }))
    ));
    assert!(matches!(&answers[1], Ok(Outcome::Funded(account)) if account.balance == Amount::from_tokens(5)));
    assert!(matches!(&answers[2], Ok(Outcome::Opened(_))));
    assert!(matches!(
        &answers[3],
        Err(SubmitError::Refused(Refusal::ChannelExists { .. }))
    ));
    assert!(matches!(&answers[4], Ok(Outcome::Placed(_))));
    assert!(matches!(
        &answers[5],
        Err(SubmitError::Refused(Refusal::DuplicateKey { .. }))
    ));
    assert_eq!(store.stats().refused, 3);
    assert_sound(&store);
}

#[test]
fn a_failed_commit_fails_its_whole_batch_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    do_all(&store, [genesis()]);
    let alice = address(b'x', 1);
    let commands = vec![fund(alice, 1), place(1, 1), place(1, 2)];
    let answers = together(&store, &disk, commands.clone(), || {
        // The one that is held up goes through.
        disk.fail_at.store(disk.begun.load(SeqCst) + 1, SeqCst);
    });
    let broken = SubmitError::Storage("the ledger's database failed: the disk is broken".to_owned());
    // The refusal among them as well: it rested on an offer that does not exist now.
    assert_eq!(answers, vec![Err(broken); 3]);
    assert_eq!(store.read().unwrap().account(&alice).unwrap(), None);
    assert_eq!(store.read().unwrap().counts().unwrap().offers, 0);
    assert_eq!(store.stats().failed_commits, 1);
    let answers = together(&store, &disk, commands, || {});
    assert!(answers[0].is_ok() && answers[1].is_ok() && answers[2].is_err());
    drop(store);
    let store = open(dir.path());
    let account = store.read().unwrap().account(&alice).unwrap().unwrap();
    assert_eq!(account.balance, Amount::from_tokens(1));
    assert_sound(&store);
}

#[test]
fn a_command_that_does_not_fit_fails_alone_and_its_batch_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let small = bourse_store::Options {
        map_size: 8 << 20,
        ..options(dir.path())
    };
    let store = Store::open_on(small, &stamp(), disk.clone()).unwrap();
    populate(&store, 2, 10);
    reserve_now(&store, 1, 0).unwrap();
    reserve_now(&store, 2, 1).unwrap();
    let (alice, bob) = (address(b'x', 1), address(b'x', 2));
    let commands = vec![
        fund(alice, 1),
        post(1, 0, 16 << 20),
        post(2, 1, 100),
        fund(bob, 1),
    ];
    let answers = together(&store, &disk, commands, || {});
    assert!(answers[0].is_ok(), "{answers:?}");
    assert!(matches!(answers[1], Err(SubmitError::Full { .. })), "{answers:?}");
    assert!(answers[2].is_ok(), "{answers:?}");
    assert!(answers[3].is_ok(), "{answers:?}");
    assert_eq!(store.stats().split, 1);
    assert_sound(&store);
    // It is still pending, and can be resolved.
    do_all(&store, [post(1, 0, 100)]);
    assert_sound(&store);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let store = Store::open_on(options(dir.path()), &stamp(), disk.clone()).unwrap();
    do_all(&store, [genesis()]);
    disk.hold();
    let first = {
        let store = store.clone();
        thread::spawn(move || store.submit_blocking(fund(Address([0xEE; 20]), 0)))
    };
    disk.wait_for(2);
    let mut waiting = Vec::new();
    let refused = loop {
        let mut future = Box::pin(store.submit(fund(address(b'x', 1), 1)));
        match futures_ready(future.as_mut()) {
            None => waiting.push(future),
            Some(answer) => break answer,
        }
        assert!(waiting.len() < 100_000, "the queue has no bound");
    };
    assert_eq!(refused, Err(SubmitError::Overloaded));
    assert_eq!(store.stats().overloaded, 1);
    let queued = waiting.len() as u64;
    // Nobody waits for these any more; they are applied all the same.
    drop(waiting);
    disk.release();
    first.join().unwrap().unwrap();
    store.shutdown();
    let account = store.read().unwrap().account(&address(b'x', 1)).unwrap().unwrap();
    assert_eq!(account.balance, Amount::from_tokens(queued));
}

#[test]
fn many_threads_share_commits_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    do_all(&store, [genesis()]);
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            thread::spawn(move || {
                for _ in 0..50 {
                    store.submit_blocking(fund(address(b'x', number), 1)).unwrap();
                    let reader = store.read().unwrap();
                    assert!(reader.account(&address(b'x', number)).unwrap().is_some());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let stats = store.stats();
    assert_eq!(stats.commands, 401);
    assert!(stats.commits < 401, "not one batch in {} commits", stats.commits);
    drop(store);
    let store = open(dir.path());
    for number in 0..8 {
        let account = store
            .read()
            .unwrap()
            .account(&address(b'x', number))
            .unwrap()
            .unwrap();
        assert_eq!(account.balance, Amount::from_tokens(50));
    }
    assert_sound(&store);
}

#[test]
fn a_lone_command_lingers_for_company_only_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let linger = Duration::from_millis(1000);
    let store = Store::open(
        bourse_store::Options {
            linger,
            ..options(dir.path())
        },
        &stamp(),
    )
    .unwrap();
    let begun = Instant::now();
    let other = {
        let store = store.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            store.submit_blocking(genesis()).unwrap();
        })
    };
    do_all(&store, [genesis()]);
    other.join().unwrap();
    assert!(begun.elapsed() >= linger);
    assert_eq!(store.stats().commits, 1);
    assert_eq!(store.stats().batches[1], 1, "{:?}", store.stats());
}
