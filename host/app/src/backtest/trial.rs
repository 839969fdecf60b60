//! Puts every question of a log to a new policy, and compares what it says with what was said then, or with what
//! another policy says.

use super::ask::{Known, Params, Said, ask};
use super::entry::{Entry, Unreadable};
use super::pool;
use super::report::Report;
use super::sales::{Gathered, Market};
use super::source::{Source, SourceError};
use super::state::State;
use super::tally::{Pair, Tally, count};
use super::text::plain;
use bourse_market::{Nanos, RevisionId};
use bourse_policy::{Hook, Import, Output, Revision};
use std::collections::BTreeMap;
use std::time::Instant;

/// What is to be tried on a log.
pub(crate) struct Trial<'a> {
    /// The log.
    pub(crate) source: &'a Source,
    /// The policy that is tried.
    pub(crate) new: &'a Revision,
    /// The policy it is compared with; none for what the log says was decided.
    pub(crate) old: Option<&'a Revision>,
    /// The policies whose decisions are made again. Empty for the one of the tried one's name or, if the log has none of
    /// that, for the only one there is.
    pub(crate) of: Vec<String>,
    /// Parameters of the tried policy.
    pub(crate) params: Params,
    /// By how many percent purchases fall where a price rises by one; none if all of them are made at any price.
    pub(crate) elasticity: Option<f64>,
    /// Threads.
    pub(crate) workers: usize,
}

/// Why a trial says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// The log cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It holds no decisions.
    #[error("there is no decision in {path}{}", first(.bad))]
    Empty {
        /// The log.
        path: String,
        /// What is there instead.
        bad: Vec<Unreadable>,
    },
    /// It holds none that the policy could be asked.
    #[error(
        "{path} has no decision of {wanted} that `{policy}` could make; it has those of {there}. Choose with --of NAME, or --of all"
    )]
    NothingToAsk {
        /// The log.
        path: String,
        /// The policies that were looked for.
        wanted: String,
        /// The policy that was to be asked.
        policy: String,
        /// What the log has.
        there: String,
    },
}

fn first(bad: &[Unreadable]) -> String {
    bad.first()
        .map_or_else(String::new, |bad| format!("; {}: {}", bad.place, bad.why))
}

/// The word for the decisions of every policy.
pub(crate) const ALL: &str = "all";

/// What a first look at a log finds.
#[derive(Default)]
struct Survey {
    policies: BTreeMap<(String, Hook, RevisionId), u64>,
    gathered: Gathered,
    begins: Option<Nanos>,
    bad: Vec<Unreadable>,
}

impl Survey {
    fn take(&mut self, entry: Result<Entry, Unreadable>) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(bad) => {
                if self.bad.is_empty() {
                    self.bad.push(bad);
                }
                return;
            }
        };
        if entry.shadow {
            return;
        }
        let record = &entry.record;
        let seen = self
            .policies
            .entry((plain(&record.policy), record.hook, record.revision.0))
            .or_default();
        *seen = seen.saturating_add(1);
        self.begins = Some(
            self.begins
                .map_or(record.at_ns, |begins| begins.min(record.at_ns)),
        );
        self.gathered.note(&entry);
    }
}

/// Reads the log twice, first for the market it tells of and then to ask, and says what differs.
///
/// # Errors
///
/// [`TrialError`] if there is nothing to compare.
pub(crate) fn run(trial: &Trial<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, TrialError> {
    let started = Instant::now();
    let mut halves = |half: u64, done: u64, all: u64| {
        progress(
            all.saturating_mul(half).saturating_add(done),
            all.saturating_mul(2),
        );
    };
    let (surveys, _) = pool::each(
        trial.source,
        trial.workers,
        &mut |done, all| halves(0, done, all),
        Survey::default,
        Survey::take,
    )?;
    let mut policies = BTreeMap::new();
    let mut begins: Option<Nanos> = None;
    let mut gathered = Vec::new();
    let mut bad = Vec::new();
    for survey in surveys {
        for (policy, decisions) in survey.policies {
            let sum: &mut u64 = policies.entry(policy).or_default();
            *sum = sum.saturating_add(decisions);
        }
        begins = [begins, survey.begins].into_iter().flatten().min();
        gathered.push(survey.gathered);
        bad.extend(survey.bad);
    }
    bad.sort_by(|a, b| a.place.cmp(&b.place));
    let chosen = choose(trial, &policies, bad)?;
    let mut ledger = Gathered::default();
    let whole = trial
        .source
        .sales(&mut |purchase, sold| ledger.sale(purchase, sold))?;
    gathered.push(ledger);
    let market = Market::of(gathered);
    let known = Known {
        begins: if whole {
            Nanos(0)
        } else {
            begins.unwrap_or_default()
        },
        market: (whole || market.sales() > 0).then_some(market),
    };
    let counterfactual = Counterfactual::of(trial, &chosen, &policies);
    let (workers, damaged) = pool::each(
        trial.source,
        // A state is built up in the order of the log, and by one alone.
        if counterfactual.is_any() { 1 } else { trial.workers },
        &mut |done, all| halves(1, done, all),
        || Worker {
            tally: Tally::default(),
            old: counterfactual.old.then(State::default),
            new: counterfactual.new.then(State::default),
        },
        |worker, entry| worker.take(trial, &chosen, &known, entry),
    )?;
    let mut tally = Tally::default();
    for worker in workers {
        tally.merge(worker.tally);
    }
    Ok(Report::of(
        trial,
        tally,
        &known,
        &chosen,
        whole,
        damaged,
        started.elapsed(),
    ))
}

/// The policies whose decisions are made again.
fn choose(
    trial: &Trial<'_>,
    policies: &BTreeMap<(String, Hook, RevisionId), u64>,
    bad: Vec<Unreadable>,
) -> Result<Vec<String>, TrialError> {
    let path = trial.source.path().display().to_string();
    if policies.is_empty() {
        return Err(TrialError::Empty { path, bad });
    }
    let wanted = if trial.of.is_empty() {
        let mut names = vec![trial.new.name().to_owned()];
        names.extend(trial.old.map(|old| old.name().to_owned()));
        names.dedup();
        names
    } else {
        trial.of.clone()
    };
    let asked = policies
        .keys()
        .any(|(policy, hook, revision)| is_chosen(&wanted, policy, *revision) && answers(trial, *hook));
    if asked {
        return Ok(wanted);
    }
    // A policy that is new to the market: where one other could have asked it, there is nothing to choose.
    if trial.of.is_empty() {
        let mut others: Vec<&String> = policies
            .keys()
            .filter(|(_, hook, _)| answers(trial, *hook))
            .map(|(policy, ..)| policy)
            .collect();
        others.dedup();
        if let &[only] = others.as_slice() {
            return Ok(vec![only.clone()]);
        }
    }
    let there = policies
        .iter()
        .map(|((policy, hook, revision), decisions)| {
            format!("`{policy}` ({hook}, revision {revision}: {decisions})")
        })
        .collect::<Vec<_>>();
    Err(TrialError::NothingToAsk {
        path,
        wanted: wanted
            .iter()
            .map(|name| format!("`{}`", plain(name)))
            .collect::<Vec<_>>()
            .join(" or "),
        policy: trial.new.name().to_owned(),
        there: there.join(", "),
    })
}

/// Whether a decision of this policy is among those that were asked for.
pub(super) fn is_chosen(chosen: &[String], policy: &str, revision: RevisionId) -> bool {
    /// Digits that tell a revision from a policy's name, and from other revisions.
    const DIGITS: usize = 8;
    chosen.iter().any(|name| {
        let digits = name.strip_prefix("0x").unwrap_or(name);
        name == ALL
            || name == policy
            || (digits.len() >= DIGITS && hex::encode(revision.as_bytes()).starts_with(digits))
    })
}

/// Whether both sides of a comparison have the hook.
fn answers(trial: &Trial<'_>, hook: Hook) -> bool {
    trial.new.has(hook) && trial.old.is_none_or(|old| old.has(hook))
}

/// Which side has a state of its own, because it was not in force when the log was made.
struct Counterfactual {
    old: bool,
    new: bool,
}

impl Counterfactual {
    /// A policy whose own decisions are in the log had a state then: where the log does not tell it, nobody can. One
    /// that was not in force would have begun with none.
    fn of(
        trial: &Trial<'_>,
        chosen: &[String],
        policies: &BTreeMap<(String, Hook, RevisionId), u64>,
    ) -> Self {
        let was_there = |revision: &Revision| {
            policies
                .keys()
                .any(|(policy, _, id)| policy == revision.name() && is_chosen(chosen, policy, *id))
        };
        let counterfactual =
            |revision: &Revision| revision.imports().contains(&Import::State) && !was_there(revision);
        Self {
            old: trial.old.is_some_and(counterfactual),
            new: counterfactual(trial.new),
        }
    }

    fn is_any(&self) -> bool {
        self.old || self.new
    }
}

/// One worker's part.
struct Worker {
    tally: Tally,
    old: Option<State>,
    new: Option<State>,
}

impl Worker {
    fn take(
        &mut self,
        trial: &Trial<'_>,
        chosen: &[String],
        known: &Known,
        entry: Result<Entry, Unreadable>,
    ) {
        let tally = &mut self.tally;
        let entry = match entry {
            Ok(entry) => entry,
            Err(bad) => return tally.unreadable(bad),
        };
        if entry.shadow {
            return tally.shadow();
        }
        tally.seen(&entry);
        let record = &entry.record;
        if !is_chosen(chosen, &record.policy, record.revision.0) || !answers(trial, record.hook) {
            return tally.other(record);
        }
        if let (None, Output::Failure(failure)) = (trial.old, &record.output)
            && failure.is_circumstance()
        {
            return count(&mut tally.circumstances, failure.code(), 1);
        }
        let mut ask_one = |revision: &Revision, params: &Params, state: &mut Option<State>| {
            if let Some(state) = state {
                state.reach(record.at_ns);
            }
            let said = said(tally, ask(revision, record, params, known, state.as_ref()))?;
            if let Some(state) = state {
                state.note(&entry, &said.record);
            }
            Some(said)
        };
        let old = match trial.old {
            None => None,
            Some(old) => match ask_one(old, &Params::default(), &mut self.old) {
                Some(old) => Some(old),
                None => return,
            },
        };
        let Some(new) = ask_one(trial.new, &trial.params, &mut self.new) else {
            return;
        };
        tally.granted(record, &new.record);
        tally.answered(&record.policy, record.revision.0);
        tally.compared(&Pair {
            entry: &entry,
            old: old.as_ref().map_or(record, |old| &old.record),
            new: &new.record,
            elasticity: trial.elasticity,
            real: old.is_none(),
        });
    }
}

/// What was said, unless it means nothing.
fn said(tally: &mut Tally, said: Result<Said, String>) -> Option<Said> {
    match said {
        Ok(said) => {
            let answerable = said.grounds.unknown.is_empty();
            tally.grounds.merge(said.grounds.clone());
            if answerable {
                return Some(said);
            }
            tally.unanswerable = tally.unanswerable.saturating_add(1);
            None
        }
        Err(why) => {
            count(&mut tally.not_asked, &why, 1);
            None
        }
    }
}
