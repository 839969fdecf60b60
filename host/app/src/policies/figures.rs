//! Figures of the policies for Prometheus: calls by policy, hook and outcome, their time and fuel, trips of the breaker.
//!
//! The recorder is the process's own, as the `metrics` facade has it: several hosts in one process share it.

use anyhow::Context;
use bourse_policy::Hook;
use metrics::{Counter, Histogram, counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// Calls, by `policy`, `hook` and `outcome`: `priced`, `admitted`, `shown`, `allowed`, `refused` or a failure's code.
const CALLS: &str = "bourse_policy_calls_total";
/// Seconds that a call took, by `policy` and `hook`.
const SECONDS: &str = "bourse_policy_call_seconds";
/// Fuel that calls burned, by `policy` and `hook`.
const FUEL: &str = "bourse_policy_fuel_total";
/// How often the breaker opened, by `policy`.
const TRIPS: &str = "bourse_policy_breaker_trips_total";
/// Answers of shadows, by `policy` and whether they were the `same`.
const SHADOWS: &str = "bourse_policy_shadow_total";
/// Changes of revisions, by `policy` and `result`.
const REVISIONS: &str = "bourse_policy_revisions_total";

/// Decisions that the log could not take, or could not write.
const LOG_DROPPED: &str = "bourse_decision_log_dropped_total";
/// Purchases whose policy's memory was full, by `policy`: what it wanted to remember of them is lost.
const STATE_DROPPED: &str = "bourse_policy_state_dropped_total";

/// From a microsecond to the longest deadline.
const BUCKETS: [f64; 12] = [
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 5e-2, 5e-1,
];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts to count; what `/metrics` shows comes from the handle.
pub(crate) fn serve() -> anyhow::Result<&'static PrometheusHandle> {
    RECORDER
        .get_or_init(|| {
            PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)
                .and_then(PrometheusBuilder::install_recorder)
                .ok()
        })
        .as_ref()
        .context("another recorder of metrics was installed in this process")
}

/// What is counted for the calls of one policy on one hook, looked up once: most calls touch these and nothing else.
#[derive(Clone)]
pub(super) struct Calls {
    policy: String,
    hook: Hook,
    fuel: Counter,
    seconds: Histogram,
    /// Those that end well, by their outcome.
    good: Vec<(&'static str, Counter)>,
}

impl Calls {
    pub(super) fn of(policy: &str, hook: Hook) -> Self {
        let word = hook.as_str();
        let good: &[&'static str] = match hook {
            Hook::Pricing => &["priced"],
            Hook::Offers => &["shown", "admitted"],
            Hook::Consent => &["allowed"],
        };
        Self {
            fuel: counter!(FUEL, "policy" => policy.to_owned(), "hook" => word),
            seconds: histogram!(SECONDS, "policy" => policy.to_owned(), "hook" => word),
            good: good
                .iter()
                .map(|outcome| (*outcome, calls(policy, hook, outcome)))
                .collect(),
            policy: policy.to_owned(),
            hook,
        }
    }

    /// Whose calls these are.
    pub(super) fn policy(&self) -> &str {
        &self.policy
    }

    /// Counts one.
    pub(super) fn called(&self, outcome: &str, fuel: u64, elapsed: Duration) {
        match self.good.iter().find(|(good, _)| *good == outcome) {
            Some((_, counter)) => counter.increment(1),
            None => calls(&self.policy, self.hook, outcome).increment(1),
        }
        self.fuel.increment(fuel);
        self.seconds.record(elapsed);
    }
}

fn calls(policy: &str, hook: Hook, outcome: &str) -> Counter {
    counter!(CALLS, "policy" => policy.to_owned(), "hook" => hook.as_str(), "outcome" => outcome.to_owned())
}

pub(super) fn refused_by_breaker(policy: &str, hook: Hook) {
    calls(policy, hook, "breaker_open").increment(1);
}

pub(super) fn not_loaded(policy: &str, hook: Hook) {
    calls(policy, hook, "not_loaded").increment(1);
}

pub(super) fn tripped(policy: &str) {
    counter!(TRIPS, "policy" => policy.to_owned()).increment(1);
}

pub(super) fn shadowed(policy: &str, answer: &'static str) {
    counter!(SHADOWS, "policy" => policy.to_owned(), "answer" => answer).increment(1);
}

pub(super) fn log_dropped(decisions: u64) {
    counter!(LOG_DROPPED).increment(decisions);
}

pub(crate) fn state_dropped(policy: &str) {
    counter!(STATE_DROPPED, "policy" => policy.to_owned()).increment(1);
}

pub(super) fn revised(policy: &str, result: &'static str) {
    counter!(REVISIONS, "policy" => policy.to_owned(), "result" => result).increment(1);
}
