//! Replays what fuzzing has found worth keeping, and what it starts from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at its first surprise"
)]

use bourse_fuzz::{TARGETS, Target, target};
use std::fs;
use std::path::{Path, PathBuf};

fn corpus(target: Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

fn replay(name: &str) {
    let target = target(name).unwrap();
    for seed in (target.seeds)() {
        (target.run)(&seed);
    }
    let mut inputs = 0;
    for entry in fs::read_dir(corpus(target)).unwrap() {
        let path = entry.unwrap().path();
        // Shown only where the test fails.
        println!("{}", path.display());
        (target.run)(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 0, "no corpus of `{name}`: see tests/fuzz/README.md");
}

#[test]
fn components_of_the_corpus_do_no_harm() {
    replay("component");
}

#[test]
fn answers_of_the_corpus_do_no_harm() {
    replay("answers");
}

#[test]
fn records_of_the_corpus_do_no_harm() {
    replay("record");
}

#[test]
fn cases_of_the_corpus_do_no_harm() {
    replay("cases");
}

#[test]
fn vouchers_of_the_corpus_do_no_harm() {
    replay("voucher");
}

#[test]
fn ledgers_of_the_corpus_do_no_harm() {
    replay("ledger");
}

#[test]
fn queries_of_the_corpus_do_no_harm() {
    replay("query");
}

#[test]
fn receipts_of_the_corpus_do_no_harm() {
    replay("receipts");
}

#[test]
fn sessions_of_the_corpus_do_no_harm() {
    replay("router");
}

#[test]
fn every_corpus_has_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(target(&name).is_some(), "{name}");
    }
    assert_eq!(TARGETS.len(), 9);
}
