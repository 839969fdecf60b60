//! Recorded decisions: what a ledger or a file of exported lines may hold.

use crate::{answers, hold, market};
use bourse_policy::testing::Guest;
use bourse_policy::{Engine, EngineOptions, Grants, Hex, Limits, Record, Revision};
use std::cell::RefCell;
use std::sync::LazyLock;

static REVISION: LazyLock<Revision> = LazyLock::new(|| {
    use bourse_policy::Hook::{Consent, Offers};
    let engine = Engine::new(EngineOptions {
        instances: 4,
        ..EngineOptions::default()
    })
    .expect("the engine starts");
    let guest = Guest::named("willing").also(Offers).also(Consent);
    engine.load("willing", &guest.build()).expect("the guest loads")
});

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
    record.revision = Hex(REVISION.id());
    let _ = REVISION.replay(&record);
    let asked = REVISION.what_if(record.input, &market::Kept(b""));
    hold::reads_back(&asked);
    let replay = REVISION.replay(&asked).expect("a decision of this revision");
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
    let guest = &*REVISION;
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
