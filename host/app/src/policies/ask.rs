//! One question to one policy, with everything that surrounds it: breaker, record, log, figures, shadow.

use super::imports::Live;
use super::pulse::End;
use super::rules::Prepared;
use super::{Inquiry, Policies};
use crate::wire::{dict, fault, text, uri};
use bourse_market::{Decision, DecisionHeader, DecisionId, StateEdit, StateWrite};
use bourse_policy::{Decided, Declined, Edit, Entry, Failure, Hex, Imports, Output, Record, Revision};
use bourse_wamp::WampError;
use std::time::Instant;
use tracing::field::Empty;

/// What a policy answered.
pub(super) struct Asked<T> {
    /// Its answer, or why there is none.
    pub(super) outcome: Result<T, Declined>,
    /// The decision as the ledger keeps it; none where the breaker left the policy alone.
    pub(super) decision: Option<Decision>,
    /// What it wants to remember, once a purchase comes of it.
    pub(super) writes: Vec<StateWrite>,
}

impl Policies {
    /// Asks the policy of `rule`, unless it failed too often of late. `counts` is false where the parameters are partly a
    /// seller's: it must not open the breaker for everybody with some that its policy chokes on.
    pub(super) fn ask<T>(
        &self,
        rule: &Prepared,
        entry: &Entry,
        inquiry: &Inquiry,
        counts: bool,
        call: impl FnOnce(&Revision, &dyn Imports) -> Decided<T>,
    ) -> Asked<T> {
        let revision = &entry.revision;
        let hook = rule.rule.hook;
        let permit = match entry.breaker.admit(Instant::now()) {
            Ok(permit) => permit,
            Err(open) => {
                let failure = Failure::from(open);
                rule.calls(&self.figures, revision).left_alone();
                return Asked {
                    outcome: Err(Declined::Failed(failure)),
                    decision: None,
                    writes: Vec::new(),
                };
            }
        };
        let span = tracing::debug_span!(
            "policy", name = revision.name(), revision = %revision.id(), %hook, outcome = Empty, decision = Empty
        );
        let _entered = span.enter();
        let live = Live::new(&self.ground, revision.name(), inquiry.now);
        let Decided {
            mut outcome,
            fuel,
            elapsed,
            mut record,
            changes,
        } = call(revision, &live);
        let mut writes = writes(revision.name(), changes);
        if let Some(failure) = live.failure(&writes) {
            record.outcome = failure.code().into();
            record.output = Output::Failure(failure.clone());
            outcome = Err(Declined::Failed(failure));
            writes.clear();
        }
        let failed = matches!(&outcome, Err(Declined::Failed(failure)) if failure.trips());
        // Offers and buyers' addresses are strangers' choice too. What answers without them is sound, and strangers must
        // not have it left alone: neither to stop those it serves nor to have them served at the price that stands in.
        let counts = counts && !(failed && rule.works(revision, inquiry, &live));
        if counts && let Some(tripped) = permit.record(Instant::now(), failed) {
            self.figures.tripped(revision.name());
            self.pulse.tripped(revision.id(), hook);
            tracing::error!(
                policy = revision.name(), revision = %revision.id(),
                "a policy failed {} times in a row and is left alone for {} ms", tripped.failures, tripped.pause_ms
            );
        }
        rule.calls(&self.figures, revision)
            .called(&record.outcome, fuel, elapsed);
        self.pulse
            .called(revision.id(), hook, End::of(&record.output), fuel, elapsed);
        if let Err(Declined::Failed(failure)) = &outcome
            && self.ground.admits_failure(inquiry.now)
        {
            tracing::warn!(
                policy = revision.name(), revision = %revision.id(), %hook, code = failure.code(), %failure, fuel,
                ?elapsed, "a policy failed"
            );
        }
        span.record("outcome", &*record.outcome);
        self.shadow(rule, entry, &record);
        let decision = self.keep(record);
        span.record("decision", tracing::field::display(decision.id));
        Asked {
            outcome,
            decision: Some(decision),
            writes,
        }
    }

    /// The decision as the ledger keeps it with the purchase it comes to, and logged at once: most come to none.
    pub(super) fn keep(&self, record: Record) -> Decision {
        let hook = record.hook.to_string();
        let decision = stored(record, DecisionId(self.environment.fresh_id()), hook);
        if let Some(log) = &self.log {
            // What it drops it counts.
            let _ = log.append(decision.clone());
        }
        decision
    }
}

/// A record under its identifier, with what is to be known of it without reading it.
pub(super) fn stored(mut record: Record, id: DecisionId, hook: String) -> Decision {
    record.id = Some(Hex(id));
    Decision {
        id,
        header: DecisionHeader {
            at: record.at_ns,
            hook,
            policy: record.policy.clone(),
            revision: record.revision.0,
            purchase: None,
        },
        body: record.encode(),
    }
}

fn writes(policy: &str, changes: Vec<bourse_policy::StateChange>) -> Vec<StateWrite> {
    changes
        .into_iter()
        .map(|change| StateWrite {
            policy: policy.to_owned(),
            key: change.key,
            edit: match change.edit {
                Edit::Set(value) => StateEdit::Set(value),
                Edit::Add(delta) => StateEdit::Add(delta),
            },
        })
        .collect()
}

/// What a client is told of a policy that said no, or that could not say.
pub(super) fn declined(declined: &Declined, revision: &Revision) -> WampError {
    let (uri, words, code) = match declined {
        Declined::Refused { code, text } => (uri::REFUSED, text.clone(), code.as_str()),
        Declined::Failed(failure) => (
            uri::POLICY_FAILED,
            format!("the policy `{}` failed: {failure}", revision.name()),
            failure.code(),
        ),
    };
    let mut error = fault(uri, words);
    error.kwargs = dict([
        ("policy", text(revision.name())),
        ("revision", text(revision.id().to_string())),
        ("code", text(code)),
    ]);
    error
}
