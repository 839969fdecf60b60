//! How a policy can fail, and which wasmtime error means which.

use crate::grants::Import;
use crate::hook::Hook;
use crate::host::{CallsExceeded, Denied, Diverged, Late, Rejected};
use crate::limits::OverCap;
use serde::{Deserialize, Serialize};
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// The most that a failure repeats of what a guest or the engine said, in bytes.
const MAX_REASON: usize = 256;

/// A policy gave no answer that counts. Each kind has a code that stays the same for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The guest trapped: for a policy in Rust, a panic is `unreachable`.
    #[error("it trapped: {kind}")]
    Trap {
        /// What kind of trap, in the engine's words.
        kind: String,
    },
    /// It burned all the fuel of the call.
    #[error("it burned all {budget} units of fuel of the call")]
    OutOfFuel {
        /// The fuel it had.
        budget: u64,
    },
    /// It ran past the wall-clock deadline.
    #[error("it ran longer than {limit_ms} ms")]
    Deadline {
        /// The deadline in milliseconds.
        limit_ms: u64,
    },
    /// It asked for more memory, or a larger table, than the call may have.
    #[error("it asked for {asked} bytes of memory or table elements, more than {limit}")]
    OutOfMemory {
        /// What it asked for in all.
        asked: u64,
        /// What it may have.
        limit: u64,
    },
    /// It recursed too deep.
    #[error("it overflowed its call stack")]
    StackOverflow,
    /// It answered what no policy may answer.
    #[error("its answer is invalid: {reason}")]
    BadOutput {
        /// What is wrong with it.
        reason: String,
    },
    /// It called an import that was not granted.
    #[error("it called the import `{import}`, which is not granted")]
    NotGranted {
        /// The import's word.
        import: String,
    },
    /// It called imports too often.
    #[error("it called imports more than {limit} times")]
    TooManyCalls {
        /// How often it may.
        limit: u32,
    },
    /// It does not export the hook that was to be called.
    #[error("it does not export the hook `{hook}`")]
    MissingHook {
        /// The hook.
        hook: Hook,
    },
    /// No instance could be made of it.
    #[error("it could not be started: {reason}")]
    Start {
        /// What the engine says.
        reason: String,
    },
    /// The host asked for the impossible: a floor above the cap.
    #[error("no price is possible: the floor of {floor} base units is above the cap of {cap}")]
    BadBounds {
        /// The floor, in base units.
        floor: String,
        /// The cap, in base units.
        cap: String,
    },
    /// All instances are busy.
    #[error("all policy instances are busy")]
    Busy,
    /// In a replay: it asked other questions than were recorded.
    #[error("it called `{import}` where the record has another call or none")]
    Diverged {
        /// What it called.
        import: String,
    },
    /// It tried to change its state past the limits, or under no key that could be one.
    #[error("its use of `state` is past the limits: {reason}")]
    BadState {
        /// Which limit, and by how much.
        reason: String,
    },
    /// The host asked for too much at once.
    #[error("a batch of {count} offers: at most {limit}")]
    BadBatch {
        /// Offers in the batch.
        count: u32,
        /// The most there may be.
        limit: u32,
    },
    /// Its breaker is open, so it was not asked.
    #[error("it failed {failures} times in a row and is not asked for {retry_ms} ms more")]
    BreakerOpen {
        /// Failures in a row.
        failures: u32,
        /// Milliseconds until a call may probe it.
        retry_ms: u64,
    },
    /// The host could not do its part: answer an import, or keep what the policy wants kept.
    #[error("the host could not do its part: {reason}")]
    Host {
        /// What it could not do.
        reason: String,
    },
}

impl Failure {
    /// The stable code, for records, metrics and errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::OutOfFuel { .. } => "out_of_fuel",
            Self::Deadline { .. } => "deadline",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::StackOverflow => "stack_overflow",
            Self::BadOutput { .. } => "bad_output",
            Self::NotGranted { .. } => "not_granted",
            Self::TooManyCalls { .. } => "too_many_calls",
            Self::MissingHook { .. } => "missing_hook",
            Self::Start { .. } => "start",
            Self::BadBounds { .. } => "bad_bounds",
            Self::Busy => "busy",
            Self::Diverged { .. } => "diverged",
            Self::BadState { .. } => "bad_state",
            Self::BadBatch { .. } => "bad_batch",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Host { .. } => "host",
        }
    }

    /// Whether only the clock or the state of the host decided it, so that a replay would say something else.
    pub const fn is_circumstance(&self) -> bool {
        matches!(
            self,
            Self::Deadline { .. } | Self::Busy | Self::BreakerOpen { .. } | Self::Host { .. }
        )
    }

    /// Whether it counts against the policy in its [`Breaker`](crate::Breaker): it is the policy's own doing, not
    /// that of the host, its load or its configuration.
    pub const fn trips(&self) -> bool {
        match self {
            Self::Trap { .. }
            | Self::OutOfFuel { .. }
            | Self::Deadline { .. }
            | Self::OutOfMemory { .. }
            | Self::StackOverflow
            | Self::BadOutput { .. }
            | Self::TooManyCalls { .. }
            | Self::Start { .. }
            | Self::BadState { .. } => true,
            Self::NotGranted { .. }
            | Self::MissingHook { .. }
            | Self::BadBounds { .. }
            | Self::Busy
            | Self::Diverged { .. }
            | Self::BadBatch { .. }
            | Self::BreakerOpen { .. }
            | Self::Host { .. } => false,
        }
    }

    pub(crate) fn not_granted(import: Import) -> Self {
        Self::NotGranted {
            import: import.as_str().to_owned(),
        }
    }

    pub(crate) fn bad_state(reason: String) -> Self {
        Self::BadState { reason }
    }

    pub(crate) fn bad_output(reason: impl core::fmt::Display) -> Self {
        Self::BadOutput {
            reason: cut(reason.to_string(), MAX_REASON),
        }
    }
}

/// Where a call was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Making the instance.
    Start,
    /// Calling the hook and reading its answer.
    Call,
}

/// What the budgets of the failed call were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) fuel: u64,
    pub(crate) deadline_ms: u64,
}

/// Sorts an error of the engine into the failure it means.
pub(crate) fn classify(error: &wasmtime::Error, phase: Phase, budget: Budget) -> Failure {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::OutOfFuel => Failure::OutOfFuel { budget: budget.fuel },
            Trap::Interrupt => Failure::Deadline {
                limit_ms: budget.deadline_ms,
            },
            Trap::StackOverflow => Failure::StackOverflow,
            Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidChar
            | Trap::InvalidDiscriminant
            | Trap::UnalignedPointer => Failure::bad_output(kind(trap)),
            other => Failure::Trap { kind: kind(other) },
        };
    }
    if let Some(over) = error.downcast_ref::<OverCap>() {
        return Failure::OutOfMemory {
            asked: over.asked as u64,
            limit: over.limit as u64,
        };
    }
    if let Some(denied) = error.downcast_ref::<Denied>() {
        return Failure::not_granted(denied.0);
    }
    if let Some(exceeded) = error.downcast_ref::<CallsExceeded>() {
        return Failure::TooManyCalls { limit: exceeded.0 };
    }
    if let Some(Rejected(failure)) = error.downcast_ref::<Rejected>() {
        return failure.clone();
    }
    if error.is::<Late>() {
        return Failure::Deadline {
            limit_ms: budget.deadline_ms,
        };
    }
    if let Some(diverged) = error.downcast_ref::<Diverged>() {
        return Failure::Diverged {
            import: diverged.0.to_owned(),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::Busy;
    }
    let reason = cut(format!("{error:#}"), MAX_REASON);
    match phase {
        Phase::Start => Failure::Start { reason },
        // Neither a trap nor a limit: the conversion between guest and host failed, over invalid UTF-8, a pointer
        // or length outside the memory, an unknown discriminant, or more data than a crossing may carry.
        Phase::Call => Failure::BadOutput { reason },
    }
}

fn kind(trap: &Trap) -> String {
    let text = trap.to_string();
    let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
    match trap {
        // The most common one by far, and its name tells authors nothing.
        Trap::UnreachableCodeReached => format!("{text}, which is a panic in most languages"),
        _ => text.to_owned(),
    }
}

/// At most `max` bytes of `text`, cut between characters.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé".to_owned(), 2), "a");
        assert_eq!(cut("aé".to_owned(), 3), "aé");
        assert_eq!(cut("aé".to_owned(), 100), "aé");
        assert_eq!(cut("é".to_owned(), 0), "");
    }
}
