//! What a trial came to, in the form that is printed, exported and drawn.

use super::ask::{Base, Grounds, Known, Params};
use super::change::Change;
use super::entry::{Place, Unreadable};
use super::exact::Share;
use super::stats::{Histogram, Spread, tokens};
use super::tally::{Money, Point, Side, Tally};
use super::trial::{ALL, Trial};
use bourse_market::Amount;
use bourse_policy::{Import, Revision};
use core::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;

/// Sellers and APIs listed, by what they sold.
const ROWS: usize = 50;

/// Slots that the time of a log is cut into.
const SLOTS: u64 = 60;

/// What a trial came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The log.
    pub(crate) log: Log,
    /// What answered first: the log, or the policy that the tried one is compared with.
    pub(crate) old: Subject,
    /// The policy that was tried.
    pub(crate) new: Subject,
    /// Decisions with two answers.
    pub(crate) compared: u64,
    /// Decisions whose answers differ.
    pub(crate) changed: u64,
    /// How they differ.
    pub(crate) changes: Vec<Changes>,
    /// Prices on both sides.
    pub(crate) prices: Option<Prices>,
    /// What purchases paid and would pay.
    pub(crate) revenue: Option<Revenue>,
    /// Purchases that the policy would have prevented by hiding the offer or refusing the parties.
    pub(crate) prevented: Option<Prevented>,
    /// Refusals by code.
    pub(crate) refusals: Vec<Code>,
    /// Failures by code.
    pub(crate) failures: Vec<Code>,
    /// Offers shown by filters.
    pub(crate) shown: Option<Both<u64>>,
    /// Fuel for each decision.
    pub(crate) fuel: Option<Both<Spread<u64>>>,
    /// Microseconds for each decision.
    pub(crate) microseconds: Option<Both<Spread<u64>>>,
    /// Prices and revenue over time.
    pub(crate) series: Vec<Slot>,
    /// What differs most.
    pub(crate) examples: Vec<Example>,
    /// What was left out, and why.
    pub(crate) left_out: LeftOut,
    /// Where answers to the policy's own questions came from.
    pub(crate) answers: Answers,
    /// What the figures rest on.
    pub(crate) assumptions: Vec<String>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// The log of a trial.
#[derive(Debug, Serialize)]
pub(crate) struct Log {
    pub(crate) path: String,
    /// With those that could not be read.
    pub(crate) decisions: u64,
    /// The policies whose decisions were made again.
    pub(crate) of: Vec<String>,
    /// The first and the last decision.
    pub(crate) from_ns: Option<u64>,
    pub(crate) to_ns: Option<u64>,
}

/// One side of a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Subject {
    /// In a few words.
    pub(crate) name: String,
    /// The revisions that answered.
    pub(crate) revisions: Vec<Share>,
    /// With which parameters, in words.
    pub(crate) params: String,
}

/// The same figure of both sides.
#[derive(Debug, Serialize)]
pub(crate) struct Both<T> {
    pub(crate) old: T,
    pub(crate) new: T,
}

/// Decisions that changed in one way.
#[derive(Debug, Serialize)]
pub(crate) struct Changes {
    pub(crate) function: &'static str,
    pub(crate) change: Change,
    pub(crate) decisions: u64,
}

/// Prices on both sides, in tokens.
#[derive(Debug, Serialize)]
pub(crate) struct Prices {
    pub(crate) old: Option<Spread<String>>,
    pub(crate) new: Option<Spread<String>>,
    pub(crate) histogram: Option<Histogram>,
    /// By how many percent the new price is above the old one.
    pub(crate) moves: Option<Histogram>,
}

/// What purchases paid and would pay.
#[derive(Debug, Serialize)]
pub(crate) struct Revenue {
    pub(crate) total: Row,
    pub(crate) sellers: Vec<Row>,
    pub(crate) apis: Vec<Row>,
    /// Sellers and APIs that are not listed.
    pub(crate) more_sellers: u64,
    pub(crate) more_apis: u64,
    /// What was assumed of buyers, if anything was.
    pub(crate) elasticity: Option<f64>,
}

/// The money of one seller or API, in tokens.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) sales: u64,
    pub(crate) old: String,
    pub(crate) new: String,
    /// Of the old revenue; none where that was nothing.
    pub(crate) change_percent: Option<f64>,
    /// Purchases without a price.
    pub(crate) lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_sales: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<f64>,
}

/// Purchases that would not have been.
#[derive(Debug, Serialize)]
pub(crate) struct Prevented {
    pub(crate) sales: u64,
    pub(crate) paid: String,
}

/// How often a code came up on both sides.
#[derive(Debug, Serialize)]
pub(crate) struct Code {
    pub(crate) code: String,
    pub(crate) old: u64,
    pub(crate) new: u64,
}

/// A stretch of the log's time.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Slot {
    /// When it begins.
    pub(crate) at_ns: u64,
    pub(crate) decisions: u64,
    /// Median prices in tokens.
    pub(crate) old_price: Option<f64>,
    pub(crate) new_price: Option<f64>,
    /// Revenue in tokens.
    pub(crate) old_revenue: f64,
    pub(crate) new_revenue: f64,
}

/// A decision whose answers differ.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    pub(crate) place: Place,
    pub(crate) id: Option<String>,
    pub(crate) at_ns: u64,
    pub(crate) function: &'static str,
    pub(crate) change: Change,
    pub(crate) key: Option<String>,
    pub(crate) seller: Option<String>,
    pub(crate) old: String,
    pub(crate) new: String,
}

/// Decisions that were not compared.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    /// Decisions of other policies or hooks.
    pub(crate) others: Vec<Other>,
    /// Decided by the clock or the load of the machine.
    pub(crate) circumstances: BTreeMap<String, u64>,
    /// The policy asked what the log does not answer.
    pub(crate) unanswerable: u64,
    /// What it asked, and how often.
    pub(crate) questions: BTreeMap<String, u64>,
    /// Could not be asked, by reason.
    pub(crate) not_asked: BTreeMap<String, u64>,
    /// No decisions, or damaged.
    pub(crate) unreadable: u64,
    /// The first of them.
    pub(crate) bad: Vec<Unreadable>,
    /// Damaged places of a stored log.
    pub(crate) damaged: u64,
}

/// Decisions of a policy that was not asked about.
#[derive(Debug, Serialize)]
pub(crate) struct Other {
    pub(crate) policy: String,
    pub(crate) function: &'static str,
    pub(crate) decisions: u64,
}

/// Where answers to the policy's own questions came from.
#[derive(Debug, Serialize)]
pub(crate) struct Answers {
    /// The same question was asked then: exact.
    pub(crate) recorded: u64,
    /// Worked out from the sales and quotes of the log.
    pub(crate) modelled: u64,
    /// Of those, with a window that begins before the log.
    pub(crate) beyond: u64,
    /// From a state that was empty when the log began, and then as the policy itself would have written it.
    pub(crate) assumed: u64,
}

impl Report {
    pub(super) fn of(
        trial: &Trial<'_>,
        mut tally: Tally,
        known: &Known,
        of: &[String],
        whole: bool,
        damaged: u64,
        took: Duration,
    ) -> Self {
        tally.keep_examples();
        let assumptions = assumptions(trial, &tally, known, whole);
        let compared = tally.changes.values().sum();
        let same: u64 = tally
            .changes
            .iter()
            .filter_map(|((_, change), decisions)| (*change == Change::Same).then_some(decisions))
            .sum();
        let Tally {
            old,
            new,
            points,
            grounds,
            ..
        } = tally;
        let Grounds {
            recorded,
            modelled,
            beyond,
            assumed,
            unknown,
        } = grounds;
        Self {
            log: Log {
                path: trial.source.path().display().to_string(),
                decisions: tally.decisions,
                of: of.to_vec(),
                from_ns: tally.first,
                to_ns: tally.last,
            },
            old: old_subject(trial, &tally.revisions, of),
            new: subject(trial.new, compared, params(&trial.params, trial.new.name(), of)),
            compared,
            changed: compared.saturating_sub(same),
            changes: tally
                .changes
                .into_iter()
                .map(|((function, change), decisions)| Changes {
                    function,
                    change,
                    decisions,
                })
                .collect(),
            prices: Prices::of(&points),
            revenue: revenue(&tally.total, tally.sellers, tally.apis, trial.elasticity),
            prevented: (tally.prevented.0 > 0).then(|| Prevented {
                sales: tally.prevented.0,
                paid: tally.prevented.1.to_string(),
            }),
            refusals: codes(&old.refusals, &new.refusals),
            failures: codes(&old.failures, &new.failures),
            shown: (old.shown > 0 || new.shown > 0).then_some(Both {
                old: old.shown,
                new: new.shown,
            }),
            series: series(&points, tally.first, tally.last),
            fuel: both(&old, &new, |side| &side.fuel),
            microseconds: both(&old, &new, |side| &side.us),
            examples: tally
                .examples
                .into_iter()
                .map(|example| Example {
                    place: example.place,
                    id: example.id,
                    at_ns: example.at,
                    function: example.function,
                    change: example.change,
                    key: example.key,
                    seller: example.seller,
                    old: example.old,
                    new: example.new,
                })
                .collect(),
            left_out: LeftOut {
                others: tally
                    .others
                    .into_iter()
                    .map(|((policy, function), decisions)| Other {
                        policy,
                        function,
                        decisions,
                    })
                    .collect(),
                circumstances: tally.circumstances,
                unanswerable: tally.unanswerable,
                questions: unknown,
                not_asked: tally.not_asked,
                unreadable: tally.unreadable,
                bad: tally.bad,
                damaged,
            },
            answers: Answers {
                recorded,
                modelled,
                beyond,
                assumed,
            },
            assumptions,
            seconds: took.as_secs_f64(),
        }
    }
}

fn old_subject(
    trial: &Trial<'_>,
    revisions: &BTreeMap<(String, bourse_market::RevisionId), u64>,
    of: &[String],
) -> Subject {
    let compared = revisions.values().sum();
    match trial.old {
        Some(old) => subject(old, compared, params(&Params::default(), old.name(), of)),
        None => Subject {
            name: "the record".to_owned(),
            revisions: revisions
                .iter()
                .map(|((policy, revision), decisions)| Share {
                    policy: policy.clone(),
                    revision: revision.to_string(),
                    decisions: *decisions,
                })
                .collect(),
            params: "as recorded".to_owned(),
        },
    }
}

fn subject(revision: &Revision, decisions: u64, params: String) -> Subject {
    Subject {
        name: format!("{} {}", revision.name(), revision.description().version),
        revisions: vec![Share {
            policy: revision.name().to_owned(),
            revision: revision.id().to_string(),
            decisions,
        }],
        params,
    }
}

/// Where the parameters of a policy come from, in words.
fn params(params: &Params, policy: &str, of: &[String]) -> String {
    let base = match params.base {
        Base::Recorded => "as recorded",
        Base::Nothing => "the policy's defaults",
        Base::Own if of.iter().all(|name| name == policy) => "as recorded",
        Base::Own if of.iter().any(|name| name == policy || name == ALL) => {
            "as recorded for its own decisions, its defaults for those of others"
        }
        Base::Own => "the policy's defaults",
    };
    if params.over.is_empty() {
        return base.to_owned();
    }
    let over = serde_json::Value::Object(params.over.clone());
    format!("{base}, with {over} laid over them")
}

impl Prices {
    fn of(points: &[Point]) -> Option<Self> {
        if points.is_empty() {
            return None;
        }
        let side = |price: fn(&Point) -> Option<Amount>| points.iter().filter_map(price).collect::<Vec<_>>();
        let (old, new) = (side(|point| point.old), side(|point| point.new));
        let numbers = |amounts: &[Amount]| amounts.iter().copied().map(tokens).collect::<Vec<_>>();
        let histogram = Histogram::of(&numbers(&old), &numbers(&new));
        let moves: Vec<f64> = points
            .iter()
            .filter_map(|point| {
                let (old, new) = (tokens(point.old?), tokens(point.new?));
                (old > 0.0).then(|| 100.0 * (new - old) / old)
            })
            .collect();
        let spread =
            |amounts: Vec<Amount>| Spread::of(amounts).map(|spread| spread.map(|amount| amount.to_string()));
        Some(Self {
            old: spread(old),
            new: spread(new),
            histogram,
            moves: Histogram::of(&[], &moves),
        })
    }
}

fn both(old: &Side, new: &Side, values: fn(&Side) -> &Vec<u64>) -> Option<Both<Spread<u64>>> {
    Some(Both {
        old: Spread::of(values(old).clone())?,
        new: Spread::of(values(new).clone())?,
    })
}

fn codes(old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>) -> Vec<Code> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|code| Code {
            code: code.clone(),
            old: old.get(code).copied().unwrap_or(0),
            new: new.get(code).copied().unwrap_or(0),
        })
        .collect()
}

fn revenue(
    total: &Money,
    sellers: BTreeMap<bourse_market::Address, Money>,
    apis: BTreeMap<bourse_market::ApiId, Money>,
    elasticity: Option<f64>,
) -> Option<Revenue> {
    if total.sales == 0 {
        return None;
    }
    let more = |all: usize| all.saturating_sub(ROWS) as u64;
    Some(Revenue {
        total: row("all".to_owned(), total, elasticity),
        more_sellers: more(sellers.len()),
        more_apis: more(apis.len()),
        sellers: rows(sellers, elasticity),
        apis: rows(apis, elasticity),
        elasticity,
    })
}

fn rows<K: core::fmt::Display>(all: BTreeMap<K, Money>, elasticity: Option<f64>) -> Vec<Row> {
    let mut all: Vec<(String, Money)> = all
        .into_iter()
        .map(|(id, money)| (id.to_string(), money))
        .collect();
    all.sort_by(|(a, one), (b, other)| other.old.cmp(&one.old).then_with(|| a.cmp(b)));
    all.truncate(ROWS);
    all.into_iter()
        .map(|(id, money)| row(id, &money, elasticity))
        .collect()
}

fn row(id: String, money: &Money, elasticity: Option<f64>) -> Row {
    let (old, new) = (tokens(money.old), tokens(money.new));
    Row {
        id,
        sales: money.sales,
        old: money.old.to_string(),
        new: money.new.to_string(),
        change_percent: (old > 0.0).then(|| 100.0 * (new - old) / old),
        lost: money.lost,
        expected_sales: elasticity.map(|_| money.expected_sales as f64 / 1e6),
        expected: elasticity.map(|_| money.expected as f64 / 1e6),
    }
}

/// Medians and sums over equal stretches of time.
fn series(points: &[Point], first: Option<u64>, last: Option<u64>) -> Vec<Slot> {
    let (Some(first), Some(last)) = (first, last) else {
        return Vec::new();
    };
    if points.is_empty() {
        return Vec::new();
    }
    let width = (last.saturating_sub(first) / SLOTS).saturating_add(1);
    let mut slots: BTreeMap<u64, Vec<&Point>> = BTreeMap::new();
    for point in points {
        let index = point.at.saturating_sub(first).checked_div(width).unwrap_or(0);
        slots.entry(index).or_default().push(point);
    }
    slots
        .into_iter()
        .map(|(index, points)| {
            let median = |price: fn(&Point) -> Option<Amount>| {
                let prices = points.iter().filter_map(|point| price(point)).collect();
                Spread::of(prices).map(|spread| tokens(spread.p50))
            };
            let sum = |price: fn(&Point) -> Option<Amount>| {
                let sold = points.iter().filter(|point| point.paid.is_some());
                let amounts = sold.filter_map(|point| price(point));
                tokens(amounts.fold(Amount::ZERO, Amount::saturating_add))
            };
            Slot {
                at_ns: first.saturating_add(index.saturating_mul(width)),
                decisions: points.len() as u64,
                old_price: median(|point| point.old),
                new_price: median(|point| point.new),
                old_revenue: sum(|point| point.paid),
                new_revenue: sum(|point| point.new),
            }
        })
        .collect()
}

/// What the figures rest on, in sentences: only those that matter for this trial.
fn assumptions(trial: &Trial<'_>, tally: &Tally, known: &Known, whole: bool) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |sentence: String| all.push(sentence);
    if tally.total.sales > 0 {
        match trial.elasticity {
            None => say("Every recorded purchase is made again at the new price, however high it is, and no others \
                         are: how buyers answer to prices is not known. --elasticity E assumes that purchases change \
                         by E percent where a price changes by one."
                .to_owned()),
            Some(elasticity) => say(format!(
                "Expected figures assume an elasticity of {elasticity}: a purchase counts (new price / old \
                 price)^-{elasticity} times, 10 times at most. This is a guess about buyers, not something the log \
                 says."
            )),
        }
        say("Other prices do not feed back: demand stays what the recorded prices made it, though a cheaper key \
             would have sold more and so have changed the prices after it."
            .to_owned());
    }
    if tally.total.lost > 0 {
        say(format!(
            "{} purchases have no price under the new policy and count as lost, even where a rule would fall back \
             to another price.",
            tally.total.lost
        ));
    }
    if tally.grounds.modelled > 0 {
        let sales = known.market.as_ref().map_or(0, |market| market.sales());
        let reach = if whole {
            "the ledger's own sales, and the quotes that are in the log"
        } else {
            "the sales and quotes in the log; sales of offers that no policy priced are not in it"
        };
        say(format!(
            "{} of the policy's questions about the market were not asked then. They were answered from {reach} \
             ({sales} sales).",
            tally.grounds.modelled
        ));
    }
    if tally.grounds.beyond > 0 {
        say(format!(
            "{} of these look back to before the log begins, where no sales are known: there demand is too low.",
            tally.grounds.beyond
        ));
    }
    if tally.grounds.assumed > 0 {
        say(format!(
            "{} questions about the policy's own state were answered as if it had been in force since the log began: \
             from nothing, and then what it would have written with the purchases of the log.",
            tally.grounds.assumed
        ));
    } else if trial.new.imports().contains(&Import::State) {
        say("The policy's state is what it was then: what the new policy would have written itself is not known."
            .to_owned());
    }
    for (import, decisions) in &tally.granted {
        say(format!(
            "The policy was granted `{import}`, which the rule of {decisions} decisions does not grant: grant it \
             before you deploy."
        ));
    }
    if trial.old.is_none() && !tally.new.us.is_empty() {
        say("Times of the recorded decisions are those of the host that made them, with its imports; times of the \
             new policy are those of this machine. Fuel is the same everywhere."
            .to_owned());
    }
    if tally.shadows > 0 {
        say(format!(
            "{} decisions of shadows are left out: they answer what the revision in force was asked.",
            tally.shadows
        ));
    }
    say("Decisions that the host dropped from its log, being too busy, are missing.".to_owned());
    all
}
