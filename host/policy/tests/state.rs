//! The imports `state` and `log`: what a call sees of its own changes, what it may change, and what the host gets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_market::Amount;
use bourse_policy::testing::{ANSWER, DATA, Guest, IMPORTED, computed, price, refusal};
use bourse_policy::{
    Answer, Args, Declined, Edit, Grants, Import, Level, Limits, MAX_LINE, PriceDecision, Record, Revision,
    StateChange,
};
use support::{Scripted, load, offer, request};

const STATE: Grants = Grants::NONE.with(Import::State);

/// The bytes of these tests: a key of four bytes, then a value of three, then anything.
const BYTES: &[u8] = b"keyAnewwarm tea";

fn guest(body: &str) -> Revision {
    load(
        "state",
        &Guest::named("state").with_state().data(BYTES).quote(body).build(),
    )
}

fn ask(revision: &Revision, imports: &Scripted) -> PriceDecision {
    let decision = revision.price(&request(&offer()), imports, STATE, &Limits::default());
    let record = Record::decode(&decision.record.encode()).unwrap();
    let replay = revision.replay(&record).unwrap();
    assert!(
        replay.is_exact(),
        "{:?} {:?}",
        replay.differences,
        replay.record.output
    );
    decision
}

fn key() -> String {
    format!("(i32.const {DATA}) (i32.const 4)")
}

fn set(key: &str) -> String {
    format!(
        "(call $set {key} (i32.const 1) (i32.const {}) (i32.const 3))",
        DATA + 4
    )
}

fn get(key: &str) -> String {
    format!("(call $get {key} (i32.const {IMPORTED}))")
}

/// Answers with whether there was a value, and 100 times its length.
fn found() -> String {
    computed(
        &format!(
            "(i64.add (i64.load8_u (i32.const {IMPORTED}))
               (i64.mul (i64.const 100) (i64.load32_u (i32.const {}))))",
            IMPORTED + 8
        ),
        1,
    )
}

#[test]
fn a_committed_value_is_read_and_recorded() {
    let revision = guest(&format!("{} {}", get(&key()), found()));
    assert_eq!(revision.imports(), [Import::State]);
    let mut imports = Scripted::default();
    imports.values.insert("keyA".to_owned(), vec![9; 7]);
    let decision = ask(&revision, &imports);
    assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(701));
    assert!(decision.changes.is_empty());
    let [call] = decision.record.imports.as_slice() else {
        panic!("{:?}", decision.record.imports)
    };
    assert_eq!(call.name, "state.get");
    assert_eq!(
        call.args,
        Args::Get {
            key: "keyA".to_owned()
        }
    );
    assert_eq!(call.answer, Answer::Value(Some(vec![9; 7].into())));
}

#[test]
fn a_call_reads_what_it_wrote_and_what_it_removed() {
    let mut imports = Scripted::default();
    imports.values.insert("keyA".to_owned(), vec![9; 7]);
    let revision = guest(&format!("{} {} {}", set(&key()), get(&key()), found()));
    let decision = ask(&revision, &imports);
    assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(301));
    let change = StateChange {
        key: "keyA".to_owned(),
        edit: Edit::Set(Some(b"new".to_vec())),
    };
    assert_eq!(decision.changes, [change]);

    let remove = format!("(call $set {} (i32.const 0) (i32.const 0) (i32.const 0))", key());
    // What a value left in the answer's place must not be taken for one of nothing.
    let clear = format!("(i64.store (i32.const {}) (i64.const 0))", IMPORTED + 4);
    let revision = guest(&format!("{remove} {} {clear} {}", get(&key()), found()));
    let decision = ask(&revision, &imports);
    assert_eq!(
        decision.outcome.unwrap().amount,
        Amount::from_units(10),
        "the floor"
    );
    assert_eq!(decision.changes[0].edit, Edit::Set(None));
}

#[test]
fn counters_add_up_within_a_call_and_are_a_space_of_their_own() {
    let mut imports = Scripted::default();
    imports.counters.insert("keyA".to_owned(), 100);
    let add = |delta: i64| format!("(call $add {} (i64.const {delta}))", key());
    let count = computed(&format!("(call $counter {})", key()), 1);
    let body = format!("{} {} {} {count}", add(40), set(&key()), add(-20));
    let decision = ask(&guest(&body), &imports);
    assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(120));
    let edits: Vec<Edit> = decision.changes.into_iter().map(|change| change.edit).collect();
    assert_eq!(
        edits,
        [Edit::Add(40), Edit::Set(Some(b"new".to_vec())), Edit::Add(-20)]
    );
    let last = decision.record.imports.last().unwrap();
    assert_eq!(
        (last.name.as_ref(), &last.answer),
        ("state.counter", &Answer::Count(120))
    );
}

#[test]
fn a_call_that_does_not_end_well_changes_nothing() {
    let no = refusal((DATA, 3), (DATA, 3));
    let zero = price([1, 0, 0, 0], 0);
    for end in [no.as_str(), "unreachable", zero.as_str()] {
        let decision = ask(&guest(&format!("{} {end}", set(&key()))), &Scripted::default());
        assert!(decision.outcome.is_err());
        assert!(decision.changes.is_empty());
        assert_eq!(
            decision.record.imports.len(),
            1,
            "the record still holds what it did"
        );
    }
}

#[test]
fn what_is_past_a_limit_of_state_ends_the_call_and_says_which() {
    let long_key = |len: u32| format!("(i32.const {DATA}) (i32.const {len})");
    let value = |len: u32| {
        format!(
            "(call $set {} (i32.const 1) (i32.const 65536) (i32.const {len}))",
            key()
        )
    };
    let good = price([20, 0, 0, 0], 1);
    for (body, expected) in [
        (get(&long_key(64)), None),
        (get(&long_key(65)), Some("a key of 65 bytes: at most 64")),
        (set(&long_key(65)), Some("a key of 65 bytes: at most 64")),
        (
            format!("(drop (call $counter {}))", long_key(65)),
            Some("a key of 65 bytes: at most 64"),
        ),
        (
            format!("(call $add {} (i64.const 1))", long_key(70)),
            Some("a key of 70 bytes: at most 64"),
        ),
        (value(1024), None),
        (value(1025), Some("a value of 1025 bytes: at most 1024")),
        (set(&key()).repeat(16), None),
        (
            set(&key()).repeat(17),
            Some("a call may make 16 changes, this would be one more"),
        ),
    ] {
        let bytes = "k".repeat(200);
        let guest = Guest::named("state").with_state().data(bytes.as_bytes());
        let revision = load("state", &guest.quote(format!("{body} {good}")).build());
        let decision = ask(&revision, &Scripted::default());
        match (&decision.outcome, expected) {
            (Ok(_), None) => {}
            (Err(Declined::Failed(failure)), Some(why)) => {
                assert_eq!(failure.code(), "bad_state");
                assert!(failure.to_string().ends_with(why), "{failure}");
                assert!(decision.changes.is_empty());
            }
            (outcome, expected) => panic!("{body}: {outcome:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_key_that_is_not_text_is_bad_output() {
    let guest = Guest::named("state").with_state().data(b"\xff\xff\xff\xff");
    let revision = load(
        "state",
        &guest.quote(format!("{} {}", get(&key()), found())).build(),
    );
    let decision = ask(&revision, &Scripted::default());
    assert_eq!(decision.record.outcome, "bad_output");
}

#[test]
fn lines_reach_the_log_cut_to_length_and_are_recorded() {
    let line = |level: u32, at: u32, len: u32| {
        format!("(call $line (i32.const {level}) (i32.const {at}) (i32.const {len}))")
    };
    let body = format!(
        "{} {} {}",
        line(0, DATA + 7, 8),
        line(2, 65_536, 5000),
        price([20, 0, 0, 0], 1)
    );
    let revision = load(
        "log",
        &Guest::named("log").with_log().data(BYTES).quote(body).build(),
    );
    assert_eq!(revision.imports(), [Import::Log]);
    let imports = Scripted::default();
    let grants = Grants::NONE.with(Import::Log);
    let decision = revision.price(&request(&offer()), &imports, grants, &Limits::default());
    decision.outcome.unwrap();
    {
        let lines = imports.lines.borrow();
        assert_eq!(lines[0], (Level::Debug, "warm tea".to_owned()));
        assert_eq!((lines[1].0, lines[1].1.len()), (Level::Warn, MAX_LINE));
    }
    assert_eq!(decision.record.imports[0].name, "log.line");
    let replay = revision.replay(&decision.record).unwrap();
    assert!(replay.is_exact(), "{:?}", replay.differences);
    assert_eq!(imports.lines.borrow().len(), 2, "a replay says nothing again");
}

#[test]
fn a_level_that_is_none_is_bad_output() {
    let body = format!("(call $line (i32.const 3) (i32.const {DATA}) (i32.const 1)) (i32.const {ANSWER})");
    let revision = load(
        "log",
        &Guest::named("log").with_log().data(BYTES).quote(body).build(),
    );
    let grants = Grants::NONE.with(Import::Log);
    let decision = revision.price(
        &request(&offer()),
        &Scripted::default(),
        grants,
        &Limits::default(),
    );
    assert_eq!(decision.record.outcome, "bad_output");
}

#[test]
fn state_and_log_need_their_own_grants() {
    let revision = guest(&format!("{} {}", get(&key()), found()));
    for grants in [Grants::NONE, Grants::NONE.with(Import::Market).with(Import::Log)] {
        let decision = revision.price(
            &request(&offer()),
            &Scripted::default(),
            grants,
            &Limits::default(),
        );
        assert_eq!(decision.record.outcome, "not_granted");
        assert_eq!(decision.fuel, 0);
    }
}

#[test]
fn a_replay_that_asks_for_another_key_diverges() {
    let revision = guest(&format!("{} {}", get(&key()), found()));
    let mut record = ask(&revision, &Scripted::default()).record;
    record.imports[0].args = Args::Get {
        key: "keyB".to_owned(),
    };
    assert_eq!(revision.replay(&record).unwrap().record.outcome, "diverged");
    let mut record = ask(&revision, &Scripted::default()).record;
    record.imports[0].answer = Answer::Count(1);
    assert_eq!(revision.replay(&record).unwrap().record.outcome, "diverged");
}
