//! The changes that a call makes to its policy's state: proposed here, written by the host with the purchase.

use crate::failure::Failure;
use bourse_market::StateWrite;
use serde::{Deserialize, Serialize};

/// Bytes of a key of a policy's state.
pub const MAX_STATE_KEY: usize = StateWrite::MAX_KEY;

/// Bytes of a value of a policy's state.
pub const MAX_STATE_VALUE: usize = StateWrite::MAX_VALUE;

/// Changes one call may make.
pub const MAX_STATE_CHANGES: usize = 16;

/// One change of a policy's state. Values and counters are separate spaces, even under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The key, at most [`MAX_STATE_KEY`] bytes.
    pub key: String,
    /// What becomes of it.
    pub edit: Edit,
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// The value is this, of at most [`MAX_STATE_VALUE`] bytes, or is removed.
    Set(Option<Vec<u8>>),
    /// The counter grows by this; it saturates.
    Add(i64),
}

/// The changes of one call so far, laid over what is committed.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    changes: Vec<StateChange>,
}

impl Overlay {
    /// The value this call has set under `key`, if it has.
    pub(crate) fn value(&self, key: &str) -> Option<Option<&Vec<u8>>> {
        self.changes.iter().rev().find_map(|change| match &change.edit {
            Edit::Set(value) if change.key == key => Some(value.as_ref()),
            _ => None,
        })
    }

    /// What a counter that is committed as `base` shows within this call.
    pub(crate) fn counter(&self, key: &str, base: i64) -> i64 {
        self.changes.iter().fold(base, |sum, change| match change.edit {
            Edit::Add(delta) if change.key == key => sum.saturating_add(delta),
            _ => sum,
        })
    }

    /// Whether one more change is within the limits; the key is checked apart.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Failure> {
        if self.changes.len() >= MAX_STATE_CHANGES {
            return Err(Failure::bad_state(format!(
                "a call may make {MAX_STATE_CHANGES} changes, this would be one more"
            )));
        }
        match edit {
            Edit::Set(Some(value)) if value.len() > MAX_STATE_VALUE => Err(Failure::bad_state(format!(
                "a value of {} bytes: at most {MAX_STATE_VALUE}",
                value.len()
            ))),
            _ => Ok(()),
        }
    }

    /// Notes a change.
    pub(crate) fn push(&mut self, key: String, edit: Edit) {
        self.changes.push(StateChange { key, edit });
    }

    /// All changes, in order.
    pub(crate) fn take(&mut self) -> Vec<StateChange> {
        core::mem::take(&mut self.changes)
    }
}

/// Whether a key is one.
pub(crate) fn check_key(key: &str) -> Result<(), Failure> {
    if key.len() <= MAX_STATE_KEY {
        return Ok(());
    }
    Err(Failure::bad_state(format!(
        "a key of {} bytes: at most {MAX_STATE_KEY}",
        key.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_sees_its_own_changes_over_what_is_committed() {
        let mut overlay = Overlay::default();
        assert_eq!(overlay.value("a"), None);
        overlay.push("a".to_owned(), Edit::Set(Some(vec![1])));
        overlay.push("a".to_owned(), Edit::Add(5));
        overlay.push("b".to_owned(), Edit::Set(None));
        overlay.push("a".to_owned(), Edit::Add(i64::MAX));
        assert_eq!(overlay.value("a"), Some(Some(&vec![1])));
        assert_eq!(overlay.value("b"), Some(None));
        assert_eq!(overlay.counter("a", 1), i64::MAX);
        assert_eq!(overlay.counter("b", -3), -3);
        assert_eq!(overlay.take().len(), 4);
        assert!(overlay.take().is_empty());
    }

    #[test]
    fn limits_hold_to_the_byte() {
        check_key(&"k".repeat(64)).unwrap();
        assert_eq!(check_key(&"k".repeat(65)).unwrap_err().code(), "bad_state");
        let mut overlay = Overlay::default();
        overlay.check(&Edit::Set(Some(vec![0; 1024]))).unwrap();
        assert!(overlay.check(&Edit::Set(Some(vec![0; 1025]))).is_err());
        for _ in 0..16 {
            overlay.check(&Edit::Add(1)).unwrap();
            overlay.push("k".to_owned(), Edit::Add(1));
        }
        assert!(overlay.check(&Edit::Add(1)).is_err());
    }
}
