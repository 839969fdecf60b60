//! A process killed at any moment loses nothing that it reported, and keeps nothing by halves.

use crate::fixture::*;
use bourse_market::{Amount, View};
use std::io::{BufRead, BufReader};
use std::process::{Command as Process, Stdio};

#[test]
fn a_killed_process_has_lost_no_command_that_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut reported = 0u64;
    for kill_after in [1, 40, 150] {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "crash::child_writes_until_killed",
            ])
            .env("BOURSE_TEST_FOLDER", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in &mut lines {
            if line.unwrap().ends_with("done") {
                (seen, reported) = (seen + 1, reported + 1);
            }
            if seen == kill_after {
                child.kill().unwrap();
                break;
            }
        }
        assert_eq!(seen, kill_after, "the child ended before it was killed");
        // What it printed between the kill and its death counts as well.
        reported += lines
            .filter(|line| line.as_ref().is_ok_and(|line| line.ends_with("done")))
            .count() as u64;
        child.wait().unwrap();

        let store = open(dir.path());
        assert_sound(&store);
        let balance = store
            .read()
            .unwrap()
            .account(&address(b'x', 0))
            .unwrap()
            .unwrap()
            .balance;
        assert!(
            balance >= Amount::from_tokens(reported),
            "{reported} grants were reported, {balance} are there"
        );
    }
    assert!(
        open(dir.path()).read().unwrap().counts().unwrap().posted >= 1,
        "no trade went on beside the grants"
    );
}

#[test]
#[ignore = "run and killed by a_killed_process_has_lost_no_command_that_it_answered"]
fn child_writes_until_killed() {
    let path = std::env::var_os("BOURSE_TEST_FOLDER").unwrap();
    let store = open(path.as_ref());
    if store.read().unwrap().genesis().unwrap().is_none() {
        populate(&store, 4, 1_000_000);
    }
    for purchase in store.read().unwrap().sent_purchases().unwrap() {
        let number = u64::from_be_bytes(purchase.id.0[8..].try_into().unwrap());
        do_all(&store, [void(number, false)]);
    }
    // Trade goes on beside the grants, so that a kill falls into every kind of commit.
    let trade = {
        let store = store.clone();
        std::thread::spawn(move || {
            let first = store.read().unwrap().counts().unwrap().purchases;
            for number in first.. {
                reserve_now(&store, number, number % 4).unwrap();
                do_all(&store, [post(number, number % 4, 500)]);
            }
        })
    };
    for _ in 0..100_000 {
        do_all(&store, [fund(address(b'x', 0), 1)]);
        println!("done");
    }
    trade.join().unwrap();
}
