//! Recorded decisions: what a ledger or a file of exported lines may hold.

use crate::{answers, hold, market};
use bourse_policy::{Grants, Hex, Limits, Record};
use std::cell::RefCell;

pub(crate) fn run(bytes: &[u8]) {
    if let Ok(record) = Record::decode(bytes) {
        check(record);
    }
    if let Ok(line) = std::str::from_utf8(bytes)
        && let Ok(record) = Record::from_json(line)
    {
        check(record);
    }
}

/// What reads must read back, and can be put to a policy again, as a replay and as a question.
fn check(mut record: Record) {
    hold::reads_back(&record);
    record.revision = Hex(market::WILLING.id());
    let _ = market::WILLING.replay(&record);
    let asked = market::WILLING.what_if(record.input, &market::Kept(b""));
    hold::reads_back(&asked);
    let replay = market::WILLING
        .replay(&asked)
        .expect("a decision of this revision");
    assert!(replay.is_exact(), "{:?}", replay.differences);
}

/// One record of each hook in both forms, of a guest that uses all imports.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seeds = RefCell::new(Vec::new());
    let keep = |record: &Record| {
        let mut record = record.clone();
        record.us = 0;
        seeds.borrow_mut().push(record.encode());
        seeds.borrow_mut().push(record.to_json().into_bytes());
    };
    let limits = Limits::default();
    let offer = market::offer(1);
    let kept = market::Kept(&[0; 64]);
    let guest = &*market::WILLING;
    keep(
        &guest
            .price(&market::price(&offer), &kept, Grants::ALL, &limits)
            .record,
    );
    keep(
        &guest
            .admit(&market::admit(&offer), &kept, Grants::NONE, &limits)
            .record,
    );
    keep(
        &guest
            .filter(&market::filter(&market::batch()), &kept, Grants::NONE, &limits)
            .record,
    );
    let grants = market::grants();
    keep(
        &guest
            .authorize(&market::consent(&offer, &grants), &kept, Grants::ALL, &limits)
            .record,
    );
    for seed in answers::seeds() {
        if let Some((0, value)) = seed.split_first() {
            answers::recorded(value, &mut |record| keep(record));
        }
    }
    seeds.into_inner()
}
