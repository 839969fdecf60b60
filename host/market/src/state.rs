//! What policies keep: a space of values and a space of counters for each, written with posted purchases alone.

use serde::{Deserialize, Serialize};

/// Where a policy keeps something. Values and counters of the same key are different things.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicySlot {
    /// The policy's name: its space outlives its revisions.
    pub policy: String,
    /// The key, at most [`StateWrite::MAX_KEY`] bytes.
    pub key: String,
}

impl PolicySlot {
    /// Bytes that a value of `length` bytes takes of the policy's quota: its key and itself.
    pub fn size_of_value(&self, length: usize) -> u64 {
        (self.key.len() as u64).saturating_add(length as u64)
    }

    /// Bytes that a counter takes of the policy's quota: its key and eight. One at zero is not kept.
    pub fn size_of_counter(&self, count: i64) -> u64 {
        match count {
            0 => 0,
            _ => (self.key.len() as u64).saturating_add(8),
        }
    }
}

/// A change to a policy's own space, as the policy asked for it. It is resolved inside the write, against what other
/// purchases have written by then: additions of purchases that overlap all count, and of values the one posted last
/// stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateWrite {
    /// The policy's name: its space outlives its revisions.
    pub policy: String,
    /// At most [`StateWrite::MAX_KEY`] bytes.
    pub key: String,
    /// What becomes of it.
    pub edit: StateEdit,
}

impl StateWrite {
    /// Bytes of a key.
    pub const MAX_KEY: usize = 64;
    /// Bytes of a value.
    pub const MAX_VALUE: usize = 1024;
    /// Writes of one purchase, over all its policies: each may cost a page of its own, and a purchase that is reserved
    /// has been promised room for its end.
    pub const MAX_PER_PURCHASE: usize = 64;
    /// Bytes of all keys and values of one policy, a counter being eight.
    pub const QUOTA: u64 = 1024 * 1024;

    /// Where it writes.
    pub fn slot(&self) -> PolicySlot {
        PolicySlot {
            policy: self.policy.clone(),
            key: self.key.clone(),
        }
    }
}

/// What becomes of a value or a counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateEdit {
    /// The value, at most [`StateWrite::MAX_VALUE`] bytes; none removes it.
    Set(Option<Vec<u8>>),
    /// To be added to the counter, which starts at zero and stays within 64 bits.
    Add(i64),
}

/// Writes of a purchase that were not kept. A policy's writes of one purchase are kept all together or not at all; the
/// purchase itself is posted in any case, for its buyer has been promised its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedWrites {
    /// The policy.
    pub policy: String,
    /// How many writes.
    pub writes: usize,
    /// Why.
    pub why: StateFault,
}

/// Why a policy's writes were not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// A key too long.
    #[error("a key has {bytes} bytes, {} at most are kept", StateWrite::MAX_KEY)]
    Key {
        /// Its bytes.
        bytes: usize,
    },
    /// A value too long.
    #[error(
        "the value of `{key}` has {bytes} bytes, {} at most are kept",
        StateWrite::MAX_VALUE
    )]
    Value {
        /// Its key.
        key: String,
        /// Its bytes.
        bytes: usize,
    },
    /// More writes than one purchase may have.
    #[error(
        "the purchase has {writes} writes by now, {} at most are kept",
        StateWrite::MAX_PER_PURCHASE
    )]
    TooMany {
        /// Those of this policy and of the ones before it.
        writes: usize,
    },
    /// The policy's space would exceed its quota.
    #[error(
        "the policy's state would take {bytes} bytes, {} at most are kept: it is to remove old keys",
        StateWrite::QUOTA
    )]
    Full {
        /// What it would take.
        bytes: u64,
    },
}
