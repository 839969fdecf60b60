//! Whose folder it is, and who may open it.

use crate::fixture::*;
use bourse_market::{Address, View};
use bourse_store::{OpenError, Options, Stamp, Store, SubmitError};
use std::os::unix::fs::PermissionsExt;
use std::process::Command as Process;

#[test]
fn a_new_folder_is_its_owners_alone_and_stamped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep").join("data");
    assert_eq!(Store::stamp(&path).unwrap(), None);
    drop(open(&path));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for file in ["data.mdb", "lock.mdb", "bourse.lock"] {
        let mode = std::fs::metadata(path.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is open to others");
    }
    assert_eq!(Store::stamp(&path).unwrap(), Some(stamp()));
}

#[test]
fn a_folder_of_another_market_is_refused_naming_both() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let other = |change: fn(&mut Stamp)| {
        let mut given = stamp();
        change(&mut given);
        let error = Store::open(options(dir.path()), &given).unwrap_err();
        assert!(matches!(error, OpenError::StampMismatch { .. }), "{error}");
        error.to_string().replace(dir.path().to_str().unwrap(), "DATA")
    };
    assert_eq!(
        other(|stamp| stamp.chain_id = 1),
        "the data folder DATA was made for chain id 1337, but 1 was asked for"
    );
    assert_eq!(
        other(|stamp| stamp.mode = "rpc".to_owned()),
        "the data folder DATA was made for mode local, but rpc was asked for"
    );
    assert_eq!(
        other(|stamp| stamp.marketmaker = Address([1; 20])),
        "the data folder DATA was made for market maker 0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, \
         but 0x0101010101010101010101010101010101010101 was asked for"
    );
    other(|stamp| stamp.contract = Address([1; 20]));
    other(|stamp| stamp.market.0[0] ^= 1);
    // Refusing leaves it as it was.
    drop(open(dir.path()));
}

#[test]
fn a_second_writer_is_refused_and_told_who_holds_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = Store::open(options(dir.path()), &stamp()).unwrap_err();
    let holder = format!("in use by process {}", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");

    let output = child("folder::child_opens", dir.path());
    assert!(output.contains(&holder), "{output}");

    drop(store);
    let output = child("folder::child_opens", dir.path());
    assert!(output.contains("opened"), "{output}");
}

#[test]
#[ignore = "run by a_second_writer_is_refused_and_told_who_holds_the_folder, in a process of its own"]
fn child_opens() {
    let path = std::env::var_os("BOURSE_TEST_FOLDER").unwrap();
    match Store::open(options(path.as_ref()), &stamp()) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

/// Runs an ignored test of this binary in a process of its own; what it printed.
pub fn child(test: &str, folder: &std::path::Path) -> String {
    let output = Process::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env("BOURSE_TEST_FOLDER", folder)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn readers_of_another_process_look_on_while_the_market_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    populate(&store, 2, 10);
    let output = child("folder::child_reads", dir.path());
    assert!(output.contains("2 offers, sound"), "{output}");
    do_all(&store, [place(7, 1)]);
    let output = child("folder::child_reads", dir.path());
    assert!(output.contains("3 offers, sound"), "{output}");
}

#[test]
#[ignore = "run by readers_of_another_process_look_on_while_the_market_runs, in a process of its own"]
fn child_reads() {
    let path = std::env::var_os("BOURSE_TEST_FOLDER").unwrap();
    let store = Store::open_read_only(path.as_ref(), 0).unwrap();
    assert_eq!(store.stamped(), Some(&stamp()));
    assert_eq!(store.submit_blocking(genesis()), Err(SubmitError::Stopped));
    let report = store.read().unwrap().verify(&mut |_, _| {}).unwrap();
    println!(
        "{} offers, {}",
        report.checked.offers,
        if report.is_sound() { "sound" } else { "broken" }
    );
}

#[test]
fn there_is_nothing_to_read_where_no_ledger_is() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open_read_only(dir.path(), 0).unwrap_err();
    assert!(matches!(error, OpenError::NoLedger { .. }), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let writing = Options {
        read_only: true,
        ..options(dir.path())
    };
    assert!(matches!(
        Store::open(writing, &stamp()).unwrap_err(),
        OpenError::ReadOnly
    ));
}

#[test]
fn the_folder_is_free_again_when_the_last_clone_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let clone = store.clone();
    drop(store);
    do_all(&clone, [genesis()]);
    drop(clone);
    let store = open(dir.path());
    assert!(store.read().unwrap().genesis().unwrap().is_some());
}

#[test]
fn after_a_shutdown_reading_goes_on_and_writing_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    do_all(&store, [genesis()]);
    store.shutdown();
    store.shutdown();
    assert_eq!(store.submit_blocking(genesis()), Err(SubmitError::Stopped));
    assert!(store.read().unwrap().genesis().unwrap().is_some());
}
