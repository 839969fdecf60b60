//! Counting kills and units, and saying so.

use crate::audit::{Audit, Units};
use crate::plan::{Kill as Moment, Plan};
use bourse_market::Amount;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

/// One kill and what was found after it.
pub(crate) struct Kill {
    pub(crate) plan: Plan,
    /// Receipts that buyers of this market hold, and refusals they got.
    pub(crate) trades: usize,
    pub(crate) refusals: usize,
    /// How long the start after it took, if there was one.
    pub(crate) ready: Option<Duration>,
    pub(crate) unanswered: usize,
    pub(crate) paid: usize,
    pub(crate) missed: bool,
    pub(crate) audit: Audit,
}

/// All kills so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    units: Units,
    ready: Vec<Duration>,
    /// How often the host died at each place.
    places: BTreeMap<&'static str, u64>,
    missed: u64,
    relapses: u64,
    cut: u64,
    unanswered: usize,
    paid: usize,
    adopted: Vec<Amount>,
    trades: usize,
    /// Of the market that lives.
    now: (usize, usize),
    refusals: usize,
}

impl Tally {
    /// Counts a kill; false if something was found.
    pub(crate) fn count(&mut self, seed: u64, kill: &Kill) -> bool {
        let place = match kill.plan.kill {
            Moment::After(_) => "any moment",
            Moment::Asked(_) => "seller asked",
            Moment::At(place, _) => place,
        };
        *self.places.entry(place).or_default() += 1;
        self.missed += u64::from(kill.missed);
        self.relapses += u64::from(kill.plan.relapse.is_some());
        self.ready.extend(kill.ready);
        self.cut += kill.audit.cut;
        self.unanswered += kill.unanswered;
        self.paid += kill.paid;
        self.adopted.extend(&kill.audit.adopted);
        self.now = (kill.trades, kill.refusals);
        let again = kill.plan.relapse.map(|again| format!(", again {again:?}"));
        let ready = kill
            .ready
            .map(|ready| format!(", ready in {} ms", ready.as_millis()));
        println!(
            "kill {seed}: {:?}{}; {} receipts, {} purchases cut off, {} orders unanswered, {} of them paid{}",
            kill.plan.kill,
            again.unwrap_or_default(),
            kill.trades,
            kill.audit.cut,
            kill.unanswered,
            kill.paid,
            ready.unwrap_or_default(),
        );
        if kill.audit.findings.is_empty() {
            self.passed += 1;
            return true;
        }
        self.failed(seed, &kill.audit.findings);
        false
    }

    /// A death in a story of its own.
    pub(crate) fn told(&mut self, place: &'static str, passed: bool) {
        *self.places.entry(place).or_default() += 1;
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            println!("FAILED at {place}; see above");
        }
    }

    /// A kill that cost something.
    pub(crate) fn failed(&mut self, seed: u64, findings: &[String]) {
        self.failed += 1;
        println!("FAILED seed {seed}; again with --from {seed} --kills 1");
        findings.iter().for_each(|finding| println!("  {finding}"));
    }

    /// The end of a market.
    pub(crate) fn end(&mut self, seed: u64, audit: &Audit) {
        if !audit.findings.is_empty() {
            // The kill before it has left something behind.
            self.passed -= 1;
            self.failed(seed, &audit.findings);
        }
        self.close(audit);
    }

    /// Adds a market's units, for the last time.
    pub(crate) fn close(&mut self, audit: &Audit) {
        self.units.expected = self.units.expected.saturating_add(audit.units.expected);
        self.units.found = self.units.found.saturating_add(audit.units.found);
        let (trades, refusals) = std::mem::take(&mut self.now);
        self.trades += trades;
        self.refusals += refusals;
    }

    /// The closing lines.
    pub(crate) fn say(mut self) -> ExitCode {
        self.ready.sort_unstable();
        let ready = |part: usize| {
            let place = (self.ready.len() * part / 100).min(self.ready.len().saturating_sub(1));
            self.ready.get(place).map_or(0, Duration::as_millis)
        };
        let places: Vec<String> = self
            .places
            .iter()
            .map(|(place, times)| format!("{times} {place}"))
            .collect();
        println!(
            "killed: {}; {} places were never passed",
            places.join(", "),
            self.missed
        );
        println!(
            "starts: {} killed too; ready in {} ms (median), {} ms (longest)",
            self.relapses,
            ready(50),
            ready(100)
        );
        println!(
            "buyers: {} receipts, {} orders unanswered of which {} paid, {} refusals for a while",
            self.trades, self.unanswered, self.paid, self.refusals
        );
        let exposed = self
            .adopted
            .iter()
            .copied()
            .fold(Amount::ZERO, Amount::saturating_add);
        println!(
            "sellers: {} purchases cut off, {} adopted by their sellers, {exposed} tokens in all",
            self.cut,
            self.adopted.len()
        );
        let Units { expected, found } = self.units;
        let missing = expected
            .checked_sub(found)
            .or_else(|| found.checked_sub(expected));
        println!("units: found {} of {}", found.as_u256(), expected.as_u256());
        println!("{} units missing", missing.unwrap_or_default().as_u256());
        println!("{} passed, {} failed", self.passed, self.failed);
        match self.failed == 0 && expected == found && self.passed > 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
