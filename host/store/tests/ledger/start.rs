//! What is looked at before a ledger is traded from, and readers that died.

use crate::fixture::*;
use bourse_market::*;
use bourse_store::{Glance, Options, Store};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

fn glance(store: &Store, records: u64) -> Glance {
    let mut left = records;
    let mut is_over = || {
        let over = left == 0;
        left = left.saturating_sub(1);
        over
    };
    store.read().unwrap().glance(&mut is_over).unwrap()
}

#[test]
fn a_look_at_the_start_takes_what_is_under_way_first_then_the_newest_sales_and_ends_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 4, 100);
    for number in 0..20 {
        reserve_now(&store, number, number % 3).unwrap();
        do_all(&store, [post(number, number % 3, 40)]);
    }
    reserve_now(&store, 30, 0).unwrap();
    do_all(&store, [void(30, true)]);
    reserve_now(&store, 31, 1).unwrap();
    reserve_now(&store, 32, 2).unwrap();

    let whole = glance(&store, u64::MAX);
    let expected = Glance {
        pending: 2,
        suspended: 1,
        sales: 20,
        back_to: Some(Nanos(2000)),
        whole: true,
        violations: Vec::new(),
    };
    assert_eq!(whole, expected);
    let part = glance(&store, 8);
    let expected = Glance {
        sales: 5,
        // The newest five.
        back_to: Some(Nanos(2015)),
        whole: false,
        ..expected
    };
    assert_eq!(part, expected);
    let nothing = glance(&store, 0);
    assert_eq!((nothing.pending, nothing.whole), (0, false));
}

/// A process that holds a read transaction on the ledger in `folder`.
fn reading(folder: &Path) -> Child {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "start::child_reads_until_killed",
        ])
        .env("BOURSE_TEST_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("reading")));
    child
}

#[test]
#[ignore = "run and killed by tests of dead readers"]
fn child_reads_until_killed() {
    let path = std::env::var_os("BOURSE_TEST_FOLDER").unwrap();
    let store = Store::open_read_only(path.as_ref(), 0).unwrap();
    let _reader = store.read().unwrap();
    println!("reading");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

fn small(folder: &Path) -> Store {
    let options = Options {
        map_size: 8 << 20,
        ..options(folder)
    };
    Store::open(options, &stamp()).unwrap()
}

/// Writes that take no more room than they leave, of more pages than the map has.
fn churn(store: &Store) {
    for number in 0..500u64 {
        do_all(store, [fund(address(b'x', number % 3), 1)]);
    }
}

#[test]
fn a_reader_that_was_killed_pins_no_pages_once_the_ledger_is_opened_or_has_gone_on_a_little() {
    let dir = tempfile::tempdir().unwrap();
    let killed = || {
        let mut child = reading(dir.path());
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let store = small(dir.path());
    do_all(&store, [genesis()]);
    drop(store);
    killed();
    let store = small(dir.path());
    churn(&store);
    killed();
    churn(&store);
    assert_sound(&store);
}
