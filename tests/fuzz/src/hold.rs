//! What holds of every decision, whatever the policy did.

use bourse_policy::{
    Decided, Declined, Edit, INVALID_CODE, Instances, MAX_CALLS, MAX_REFUSAL_TEXT, MAX_STATE_CHANGES,
    MAX_STATE_KEY, MAX_STATE_VALUE, Output, Record, Revision, Shown,
};

/// Characters of a refusal's code.
const MAX_CODE: usize = 32;

/// Holds a decision to all that does not depend on the hook.
pub(crate) fn decision<T: std::fmt::Debug>(revision: &Revision, decided: &Decided<T>) {
    let Decided {
        outcome,
        changes,
        record,
        fuel,
        ..
    } = decided;
    match outcome {
        Ok(_) => {}
        Err(Declined::Refused { code, text }) => {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!((1..=MAX_CODE).contains(&code.len()), "{code}");
            assert!(code.bytes().all(plain) || code == INVALID_CODE, "{code}");
            assert!(text.len() <= MAX_REFUSAL_TEXT, "{} bytes", text.len());
        }
        Err(Declined::Failed(failure)) => assert_eq!(record.outcome, failure.code()),
    }
    if outcome.is_err() {
        assert!(changes.is_empty(), "{outcome:?} and {changes:?}");
    }
    assert!(changes.len() <= MAX_STATE_CHANGES);
    for change in changes {
        assert!(change.key.len() <= MAX_STATE_KEY, "{}", change.key);
        if let Edit::Set(Some(value)) = &change.edit {
            assert!(value.len() <= MAX_STATE_VALUE, "{} bytes", value.len());
        }
    }
    assert!(record.imports.len() <= MAX_CALLS);
    assert_eq!(record.fuel, *fuel);
    reads_back(record);
    repeats(revision, record);
}

/// A filter shows offers of its batch, each at most once.
pub(crate) fn shown(shown: &Shown, count: usize) {
    let mut seen = vec![false; count];
    for index in &shown.indices {
        let there = seen.get_mut(*index as usize).expect("an offer of the batch");
        assert!(!std::mem::replace(there, true), "{index} twice");
    }
}

/// Both forms of a record say the same as it does.
pub(crate) fn reads_back(record: &Record) {
    let bytes = record.encode();
    assert_eq!(&Record::decode(&bytes).expect("its own bytes"), record);
    let line = record.to_json();
    assert!(!line.contains('\n'), "more than a line: {line}");
    assert_eq!(&Record::from_json(&line).expect("its own line"), record, "{line}");
}

/// Another run says the same, unless the clock or the load of the machine decided, or what an earlier call had left in
/// the instance.
fn repeats(revision: &Revision, record: &Record) {
    let circumstance = matches!(&record.output, Output::Failure(failure) if failure.is_circumstance());
    match revision.replay(record) {
        Ok(_) if record.instance == Instances::Warm => {}
        Ok(replay) => assert!(replay.is_exact(), "{:?} in {record:?}", replay.differences),
        Err(error) => assert!(circumstance, "{error}"),
    }
}

/// What a policy says about itself fits where it is shown.
pub(crate) fn description(description: &bourse_policy::Description) {
    assert!((1..=64).contains(&description.version.len()));
    assert!(description.summary.len() <= 1024);
    assert!(description.params_schema.len() <= 16 << 10);
}
