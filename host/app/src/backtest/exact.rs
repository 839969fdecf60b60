//! Exact replay: every decision of a log is made again by the revision that made it, and must come out the same.

use super::entry::{Entry, Place, Unreadable};
use super::pool;
use super::revisions::Revisions;
use super::source::{Source, SourceError};
use super::text::plain;
use bourse_market::RevisionId;
use bourse_policy::{Instances, Record, ReplayError, Revision};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Decisions that are shown of each kind of trouble.
const SHOWN: usize = 10;

/// Fields of a decision that are shown where it differs.
const FIELDS: usize = 20;

/// Fuel that a call of a log may ask for: some seconds. A log could ask for years.
pub(crate) const MAX_FUEL: u64 = 10_000_000_000;

/// What a replay came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Replayed {
    /// Whether every decision that can be repeated was, exactly.
    pub(crate) ok: bool,
    /// Decisions in the log, with those that could not be read.
    pub(crate) decisions: u64,
    /// Repeated to the last bit.
    pub(crate) exact: u64,
    /// Came out otherwise.
    pub(crate) different: u64,
    /// Could not be repeated, because their revision is not at hand or cannot be used.
    pub(crate) not_repeated: u64,
    /// No decisions, or damaged.
    pub(crate) unreadable: u64,
    /// Places of the stored log where decisions were lost to damage.
    pub(crate) damaged: u64,
    /// Left out, by outcome: the clock or the load of the machine decided those, and no replay can.
    pub(crate) circumstances: BTreeMap<String, u64>,
    /// Decisions of each revision.
    pub(crate) revisions: Vec<Share>,
    /// The first that came out otherwise, in the order of the log.
    pub(crate) differences: Vec<Mismatch>,
    /// Why some were not repeated, each reason once with the first decision it holds for.
    pub(crate) reasons: Vec<Unreadable>,
    /// The first that could not be read.
    pub(crate) bad: Vec<Unreadable>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Decisions of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Share {
    /// The policy.
    pub(crate) policy: String,
    /// Its revision.
    pub(crate) revision: String,
    /// How many.
    pub(crate) decisions: u64,
}

/// A decision that came out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Mismatch {
    /// Where it stands.
    pub(crate) place: Place,
    /// Its identifier, if it has one.
    pub(crate) id: Option<String>,
    /// The policy.
    pub(crate) policy: String,
    /// What differs.
    pub(crate) fields: Vec<Field>,
}

/// A field of a decision with two values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Field {
    /// Which: `output.price.amount`.
    pub(crate) field: String,
    /// What the log says; nothing where it has no such field.
    pub(crate) recorded: String,
    /// What came out.
    pub(crate) repeated: String,
}

impl Replayed {
    /// Whether every decision that can be repeated was, exactly.
    fn is_exact(&self) -> bool {
        self.different == 0 && self.not_repeated == 0 && self.unreadable == 0 && self.damaged == 0
    }
}

/// One worker's part.
struct Part {
    total: Replayed,
    shares: BTreeMap<(String, RevisionId), u64>,
    reasons: BTreeMap<String, Place>,
    known: HashMap<RevisionId, Result<Revision, String>>,
}

/// Replays all of `source` on `workers` threads.
///
/// # Errors
///
/// [`SourceError`] if the log cannot be read. Whatever is wrong with its decisions is in the answer.
pub(crate) fn replay(
    source: &Source,
    revisions: &Revisions,
    workers: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Replayed, SourceError> {
    let started = Instant::now();
    let (parts, damaged) = pool::each(
        source,
        workers,
        progress,
        || Part {
            total: Replayed::default(),
            shares: BTreeMap::new(),
            reasons: BTreeMap::new(),
            known: HashMap::new(),
        },
        |part, entry| part.take(entry, revisions),
    )?;
    let mut total = Replayed {
        damaged,
        ..Replayed::default()
    };
    let mut shares: BTreeMap<(String, RevisionId), u64> = BTreeMap::new();
    let mut reasons: BTreeMap<String, Place> = BTreeMap::new();
    for part in parts {
        total.merge(part.total);
        for (revision, decisions) in part.shares {
            let share = shares.entry(revision).or_default();
            *share = share.saturating_add(decisions);
        }
        for (why, place) in part.reasons {
            reasons
                .entry(why)
                .and_modify(|first| *first = place.clone().min(first.clone()))
                .or_insert(place);
        }
    }
    total.revisions = shares
        .into_iter()
        .map(|((policy, revision), decisions)| Share {
            policy,
            revision: revision.to_string(),
            decisions,
        })
        .collect();
    total.reasons = reasons
        .into_iter()
        .map(|(why, place)| Unreadable { place, why })
        .take(SHOWN)
        .collect();
    total.ok = total.is_exact();
    total.seconds = started.elapsed().as_secs_f64();
    Ok(total)
}

impl Part {
    fn take(&mut self, entry: Result<Entry, Unreadable>, revisions: &Revisions) {
        self.total.decisions = self.total.decisions.saturating_add(1);
        let entry = match entry {
            Ok(entry) => entry,
            Err(bad) => {
                self.total.unreadable = self.total.unreadable.saturating_add(1);
                self.total.bad.push(bad);
                first(&mut self.total.bad, |bad| bad.place.clone());
                return;
            }
        };
        let Entry { place, record, .. } = entry;
        let id = record.revision.0;
        let share = self.shares.entry((plain(&record.policy), id)).or_default();
        *share = share.saturating_add(1);
        match self.repeat(&record, id, revisions) {
            Ok(Repeat::Exact) => self.total.exact = self.total.exact.saturating_add(1),
            Ok(Repeat::Circumstance(outcome)) => {
                let count = self.total.circumstances.entry(plain(&outcome)).or_default();
                *count = count.saturating_add(1);
            }
            Ok(Repeat::Different(fields)) => {
                self.total.different = self.total.different.saturating_add(1);
                self.total.differences.push(Mismatch {
                    place,
                    id: record.id.map(|id| id.to_string()),
                    policy: plain(&record.policy),
                    fields,
                });
                first(&mut self.total.differences, |mismatch| mismatch.place.clone());
            }
            Err(why) => {
                self.total.not_repeated = self.total.not_repeated.saturating_add(1);
                self.reasons
                    .entry(why)
                    .and_modify(|first| *first = place.clone().min(first.clone()))
                    .or_insert(place);
            }
        }
    }

    fn repeat(&mut self, record: &Record, id: RevisionId, revisions: &Revisions) -> Result<Repeat, String> {
        let revision = self
            .known
            .entry(id)
            .or_insert_with(|| revisions.find(&record.policy, id))
            .as_ref()
            .map_err(Clone::clone)?;
        repeat(record, revision)
    }
}

/// What a repetition came to.
pub(crate) enum Repeat {
    /// The same, to the last bit.
    Exact,
    /// Nothing: this outcome was a matter of the clock or of the machine's load.
    Circumstance(String),
    /// Something else.
    Different(Vec<Field>),
}

/// Makes a decision again.
///
/// # Errors
///
/// In words, why it cannot be.
pub(crate) fn repeat(record: &Record, revision: &Revision) -> Result<Repeat, String> {
    check_fuel(record)?;
    match revision.replay(record) {
        Ok(replay) => Ok(compare(record, replay.record)),
        Err(ReplayError::Circumstance { outcome }) => Ok(Repeat::Circumstance(outcome)),
        Err(error) => Err(plain(&error.to_string())),
    }
}

/// Whether a call of a log asks for more fuel than is reasonable to burn for it.
pub(crate) fn check_fuel(record: &Record) -> Result<(), String> {
    let fuel = record.input.limits().fuel;
    if fuel > MAX_FUEL {
        return Err(format!(
            "the call had {fuel} units of fuel, more than the {MAX_FUEL} that are spent on a decision here"
        ));
    }
    Ok(())
}

/// Compares everything but the time it took, which no other run repeats.
fn compare(recorded: &Record, mut repeated: Record) -> Repeat {
    repeated.us = recorded.us;
    // A used instance finds other memory than a fresh one: it must say the same, but may go another way.
    repeated.instance = recorded.instance;
    if recorded.instance == Instances::Warm {
        repeated.fuel = recorded.fuel;
    }
    if *recorded == repeated {
        return Repeat::Exact;
    }
    let mut fields = Vec::new();
    let value = |record: &Record| serde_json::to_value(record).unwrap_or_default();
    differ("", &value(recorded), &value(&repeated), &mut fields);
    Repeat::Different(fields)
}

/// Notes every leaf of two JSON values that differs.
fn differ(path: &str, recorded: &Value, repeated: &Value, fields: &mut Vec<Field>) {
    if recorded == repeated || fields.len() >= FIELDS {
        return;
    }
    let under = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match (recorded, repeated) {
        (Value::Object(a), Value::Object(b)) if a.keys().any(|key| b.contains_key(key)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let (a, b) = (a.get(name), b.get(name));
                differ(
                    &under(name),
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                    fields,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}[{index}]"), a, b, fields);
            }
        }
        _ => fields.push(Field {
            field: path.to_owned(),
            recorded: plain(&recorded.to_string()),
            repeated: plain(&repeated.to_string()),
        }),
    }
}

/// Keeps the first few of what was found, by place.
fn first<T>(found: &mut Vec<T>, place: impl Fn(&T) -> Place) {
    if found.len() > SHOWN.saturating_mul(4) {
        keep_first(found, place);
    }
}

fn keep_first<T>(found: &mut Vec<T>, place: impl Fn(&T) -> Place) {
    found.sort_by_key(|found| place(found));
    found.truncate(SHOWN);
}

impl Replayed {
    fn merge(&mut self, other: Self) {
        let Self {
            decisions,
            exact,
            different,
            not_repeated,
            unreadable,
            circumstances,
            differences,
            bad,
            damaged: _,
            revisions: _,
            reasons: _,
            ok: _,
            seconds: _,
        } = other;
        for (sum, part) in [
            (&mut self.decisions, decisions),
            (&mut self.exact, exact),
            (&mut self.different, different),
            (&mut self.not_repeated, not_repeated),
            (&mut self.unreadable, unreadable),
        ] {
            *sum = sum.saturating_add(part);
        }
        for (outcome, count) in circumstances {
            let sum = self.circumstances.entry(outcome).or_default();
            *sum = sum.saturating_add(count);
        }
        self.differences.extend(differences);
        keep_first(&mut self.differences, |mismatch| mismatch.place.clone());
        self.bad.extend(bad);
        keep_first(&mut self.bad, |bad| bad.place.clone());
    }
}
