//! What is counted of policies.

use super::Figures;
use super::table::{
    BREAKER_TRIPS, POLICY_CALLS, POLICY_FAILURES, POLICY_FUEL, POLICY_SECONDS, REVISIONS, SHADOWS,
    STATE_DROPPED,
};
use bourse_market::RevisionId;
use bourse_policy::{Hook, Revision};
use metrics::{Counter, Histogram, SharedString, counter, histogram};
use std::time::Duration;

/// Digits that tell a revision from others, as lists of policies show it.
const DIGITS: usize = 12;
/// How a call ends whose policy said no: that is an answer.
const REFUSED: &str = "refused";
/// Stands for a policy that nothing uses and whose file is refused. A figure is kept for ever, and whoever may write to the
/// folder can invent names for ever, whatever signatures are asked for.
pub(crate) const UNKNOWN: &str = "unknown";
/// Stands where there is no revision.
const NONE: &str = "none";

/// A revision as a label: `0x` and its first digits.
pub(super) fn short(revision: &str) -> &str {
    revision.get(.."0x".len() + DIGITS).unwrap_or(revision)
}

impl Figures {
    /// A rule's policy is not there.
    pub(crate) fn not_loaded(&self, policy: &str, hook: Hook) {
        let labels = Labels {
            realm: self.realm.clone(),
            policy: shared(policy),
            hook: hook.as_str(),
            revision: SharedString::const_str(NONE),
        };
        labels.calls("not_loaded".into()).increment(1);
        self.failures(policy).increment(1);
    }

    fn failures(&self, policy: &str) -> Counter {
        counter!(POLICY_FAILURES.name, "realm" => self.realm.clone(), "policy" => shared(policy))
    }

    /// The breaker of a policy opened.
    pub(crate) fn tripped(&self, policy: &str) {
        self.trips(policy).increment(1);
    }

    fn trips(&self, policy: &str) -> Counter {
        counter!(BREAKER_TRIPS.name, "realm" => self.realm.clone(), "policy" => shared(policy))
    }

    /// A shadow answered, or was left out.
    pub(crate) fn shadowed(&self, policy: &str, answer: &'static str) {
        let realm = self.realm.clone();
        counter!(SHADOWS.name, "realm" => realm, "policy" => shared(policy), "answer" => answer).increment(1);
    }

    /// What a policy wanted to remember of a purchase is lost.
    pub(crate) fn state_dropped(&self, policy: &str) {
        self.dropped_states(policy).increment(1);
    }

    fn dropped_states(&self, policy: &str) -> Counter {
        counter!(STATE_DROPPED.name, "realm" => self.realm.clone(), "policy" => shared(policy))
    }

    /// Something became a revision of a policy, or did not.
    pub(crate) fn revised(&self, policy: &str, result: &'static str) {
        self.revisions(policy, result).increment(1);
    }

    fn revisions(&self, policy: &str, result: &'static str) -> Counter {
        let realm = self.realm.clone();
        counter!(REVISIONS.name, "realm" => realm, "policy" => shared(policy), "result" => result)
    }

    /// A policy is there: what may become of it begins at nothing, so that the first time shows as a change.
    pub(crate) fn begin(&self, policy: &str) {
        let zeros = [
            self.failures(policy),
            self.trips(policy),
            self.dropped_states(policy),
            self.revisions(policy, "ok"),
            self.revisions(policy, "refused"),
        ];
        zeros.iter().for_each(|counter| counter.increment(0));
    }

    /// The same for files that are refused and that nothing uses.
    pub(crate) fn begin_unknown(&self) {
        self.revisions(UNKNOWN, "refused").increment(0);
    }

    /// What is counted of the calls of one revision on one hook.
    pub(crate) fn calls(&self, revision: &Revision, hook: Hook) -> Calls {
        let labels = Labels {
            realm: self.realm.clone(),
            policy: shared(revision.name()),
            hook: hook.as_str(),
            revision: shared(short(&revision.id().to_string())),
        };
        let good: &[&'static str] = match hook {
            Hook::Pricing => &["priced"],
            Hook::Offers => &["shown", "admitted"],
            Hook::Consent => &["allowed"],
        };
        Calls {
            of: (revision.name().to_owned(), revision.id()),
            fuel: labels.fuel(),
            failures: self.failures(revision.name()),
            good: good
                .iter()
                .map(|outcome| (*outcome, labels.outcome((*outcome).into())))
                .collect(),
            labels,
        }
    }
}

/// What is counted of the calls of one revision on one hook, looked up once: most calls touch these and nothing else.
pub(crate) struct Calls {
    of: (String, RevisionId),
    labels: Labels,
    fuel: Counter,
    failures: Counter,
    /// Those that end well, by their outcome.
    good: Vec<(&'static str, Outcome)>,
}

/// Calls with one outcome.
struct Outcome {
    calls: Counter,
    seconds: Histogram,
}

impl Outcome {
    fn count(&self, elapsed: Duration) {
        self.calls.increment(1);
        self.seconds.record(elapsed);
    }
}

struct Labels {
    realm: SharedString,
    policy: SharedString,
    hook: &'static str,
    revision: SharedString,
}

impl Labels {
    fn calls(&self, outcome: SharedString) -> Counter {
        counter!(
            POLICY_CALLS.name, "realm" => self.realm.clone(), "policy" => self.policy.clone(), "hook" => self.hook,
            "revision" => self.revision.clone(), "outcome" => outcome
        )
    }

    fn outcome(&self, outcome: SharedString) -> Outcome {
        Outcome {
            calls: self.calls(outcome.clone()),
            seconds: histogram!(
                POLICY_SECONDS.name, "realm" => self.realm.clone(), "policy" => self.policy.clone(),
                "hook" => self.hook, "revision" => self.revision.clone(), "outcome" => outcome
            ),
        }
    }

    fn fuel(&self) -> Counter {
        counter!(
            POLICY_FUEL.name, "realm" => self.realm.clone(), "policy" => self.policy.clone(), "hook" => self.hook,
            "revision" => self.revision.clone()
        )
    }
}

impl Calls {
    /// Whether these are of that revision.
    pub(crate) fn are_of(&self, revision: &Revision) -> bool {
        let (policy, id) = &self.of;
        policy == revision.name() && *id == revision.id()
    }

    /// Counts one.
    pub(crate) fn called(&self, outcome: &str, fuel: u64, elapsed: Duration) {
        match self.good.iter().find(|(good, _)| *good == outcome) {
            Some((_, good)) => good.count(elapsed),
            None => {
                self.labels.outcome(shared(outcome)).count(elapsed);
                if outcome != REFUSED {
                    self.failures.increment(1);
                }
            }
        }
        self.fuel.increment(fuel);
    }

    /// Counts one that was not made, for the breaker left the policy alone.
    pub(crate) fn left_alone(&self) {
        self.labels.calls("breaker_open".into()).increment(1);
        self.failures.increment(1);
    }
}

fn shared(text: &str) -> SharedString {
    SharedString::from_shared(text.into())
}
