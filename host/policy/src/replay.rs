//! Repeats a recorded decision and compares.

use crate::imports::Imports;
use crate::limits::Instances;
use crate::record::{Output, Record};
use crate::revision::Revision;
use bourse_market::RevisionId;
use core::time::Duration;
use std::time::Instant;

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
        if let Output::Failure(failure) = &record.output
            && failure.is_circumstance()
        {
            return Err(ReplayError::Circumstance {
                outcome: record.outcome.to_string(),
            });
        }
        let mut repeated = self.repeat(record);
        repeated.id = record.id;
        Ok(Replay {
            differences: compare(record, &repeated),
            record: repeated,
        })
    }

    /// Asks what another revision was asked, with the clock running and the answers of `imports`, as they are now: how
    /// shadows are asked. Nothing comes of it but the record.
    pub fn ask_again(&self, record: &Record, imports: &dyn Imports) -> Record {
        let started = Instant::now();
        let limits = self.within(&record.input.limits());
        let input = &record.input;
        let watch = self.inner.engine.watch(started, limits.deadline);
        let asked = self.ask_live(input, imports, input.grants(), Some(watch), &limits);
        self.record(input.clone(), asked, Instances::Fresh, started.elapsed())
    }

    fn repeat(&self, record: &Record) -> Record {
        let limits = self.within(&record.input.limits());
        let asked = self.ask_on_tape(record, &limits);
        self.record(record.input.clone(), asked, Instances::Fresh, Duration::ZERO)
    }
}

fn compare(recorded: &Record, repeated: &Record) -> Vec<Difference> {
    [
        (recorded.imports == repeated.imports, Difference::Imports),
        (recorded.outcome == repeated.outcome, Difference::Outcome),
        (recorded.output == repeated.output, Difference::Output),
        // What a used instance finds in its memory decides which way it goes, never what it may say.
        (
            recorded.instance == Instances::Warm || recorded.fuel == repeated.fuel,
            Difference::Fuel,
        ),
    ]
    .into_iter()
    .filter_map(|(same, difference)| (!same).then_some(difference))
    .collect()
}
