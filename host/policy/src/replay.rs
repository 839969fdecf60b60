//! Repeats a recorded decision and compares.

use crate::host::Answers;
use crate::limits::Limits;
use crate::price::Quoted;
use crate::record::{Input, Record};
use crate::revision::Revision;
use bourse_market::RevisionId;
use core::time::Duration;

/// Why a record cannot be repeated at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Another component decided.
    #[error("the record was decided by revision {recorded} of `{policy}`, this is revision {given}")]
    Revision {
        /// The policy in the record.
        policy: String,
        /// The revision in the record.
        recorded: RevisionId,
        /// The revision that was to repeat it.
        given: RevisionId,
    },
    /// The outcome was a matter of the clock or of the machine's load.
    #[error(
        "the outcome `{outcome}` came from the clock or the load of the machine, which cannot be repeated"
    )]
    Circumstance {
        /// The recorded outcome.
        outcome: String,
    },
}

/// What came out differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Other import calls, or another number of them.
    Imports,
    /// Another outcome.
    Outcome,
    /// Another answer.
    Output,
    /// Another amount of fuel.
    Fuel,
}

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Nothing, if the decision was repeated exactly.
    pub differences: Vec<Difference>,
    /// The record of the repetition.
    pub record: Record,
}

impl Replay {
    /// Whether the decision was repeated exactly.
    pub fn is_exact(&self) -> bool {
        self.differences.is_empty()
    }
}

impl Revision {
    /// Repeats `record`: the same request, limits and grants, and the recorded answers fed back to the policy. Only
    /// fuel limits it; the clock does not run.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] if the record is of another revision or of an outcome that cannot be repeated.
    pub fn replay(&self, record: &Record) -> Result<Replay, ReplayError> {
        if record.revision.0 != self.id() {
            return Err(ReplayError::Revision {
                policy: record.policy.clone(),
                recorded: record.revision.0,
                given: self.id(),
            });
        }
        if let crate::record::Output::Failure(failure) = &record.output
            && failure.is_circumstance()
        {
            return Err(ReplayError::Circumstance {
                outcome: record.outcome.clone(),
            });
        }
        let Input::Pricing(input) = &record.input;
        let limits = Limits::from(input.limits);
        let tape = Answers::Tape(record.imports.clone().into_iter());
        let quoted: Quoted = self.quote(input, tape, &limits, None);
        let mut repeated = self.decide((**input).clone(), quoted, Duration::ZERO).record;
        repeated.id = record.id;
        Ok(Replay {
            differences: compare(record, &repeated),
            record: repeated,
        })
    }
}

fn compare(recorded: &Record, repeated: &Record) -> Vec<Difference> {
    [
        (recorded.imports == repeated.imports, Difference::Imports),
        (recorded.outcome == repeated.outcome, Difference::Outcome),
        (recorded.output == repeated.output, Difference::Output),
        (recorded.fuel == repeated.fuel, Difference::Fuel),
    ]
    .into_iter()
    .filter_map(|(same, difference)| (!same).then_some(difference))
    .collect()
}
