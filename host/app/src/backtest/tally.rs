//! What two answers to every decision of a log add up to. Each worker has one; they merge in any order.

use super::ask::Grounds;
use super::change::{Change, function, sells, words};
use super::entry::{Entry, Place, Sale, Unreadable};
use super::stats::tokens;
use super::text::plain;
use bourse_market::{Address, Amount, ApiId, RevisionId};
use bourse_policy::{Input, Output, Record};
use std::collections::BTreeMap;

/// Codes that are told apart. A policy may make up as many as it likes.
const CODES: usize = 64;

/// Examples kept of what differs most.
pub(super) const EXAMPLES: usize = 20;

/// Entries shown of each kind of trouble.
pub(super) const TROUBLE: usize = 10;

/// A priced decision: when, and what two policies said; none where one gave no price.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) at: u64,
    pub(super) old: Option<Amount>,
    pub(super) new: Option<Amount>,
    /// What a purchase really paid for it.
    pub(super) paid: Option<Amount>,
}

/// What one policy said, over all decisions.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) refusals: BTreeMap<String, u64>,
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) shown: u64,
    pub(super) fuel: Vec<u64>,
    pub(super) us: Vec<u64>,
}

/// The money of a seller or an API.
#[derive(Debug, Clone, Default)]
pub(super) struct Money {
    /// Purchases that were made.
    pub(super) sales: u64,
    /// What they paid.
    pub(super) old: Amount,
    /// What they would pay, if all of those that still have a price are made.
    pub(super) new: Amount,
    /// Purchases that would have no price any more.
    pub(super) lost: u64,
    /// Millionths of purchases that are to be expected at the new prices, by the elasticity that was assumed. Whole
    /// numbers, so that the sum does not depend on the order.
    pub(super) expected_sales: u128,
    /// What they would pay, in millionths of a token.
    pub(super) expected: u128,
}

/// A decision that differs, and by how much.
#[derive(Debug, Clone)]
pub(super) struct Example {
    /// What orders examples: kind of change, then the ratio of prices.
    pub(super) weight: u64,
    pub(super) place: Place,
    pub(super) id: Option<String>,
    pub(super) at: u64,
    pub(super) function: &'static str,
    pub(super) change: Change,
    pub(super) key: Option<String>,
    pub(super) seller: Option<String>,
    pub(super) old: String,
    pub(super) new: String,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) decisions: u64,
    pub(super) unreadable: u64,
    pub(super) shadows: u64,
    pub(super) bad: Vec<Unreadable>,
    /// Left out, by policy and function: the new one is not asked for them.
    pub(super) others: BTreeMap<(String, &'static str), u64>,
    /// Left out, by outcome: the clock or the load of the machine decided.
    pub(super) circumstances: BTreeMap<String, u64>,
    /// Asked, but something was asked back that the log does not answer.
    pub(super) unanswerable: u64,
    /// Not asked, by reason.
    pub(super) not_asked: BTreeMap<String, u64>,
    pub(super) grounds: Grounds,
    /// Decisions for which the tried policy was granted an import that the recorded rule did not.
    pub(super) granted: BTreeMap<String, u64>,
    pub(super) revisions: BTreeMap<(String, RevisionId), u64>,
    pub(super) changes: BTreeMap<(&'static str, Change), u64>,
    pub(super) points: Vec<Point>,
    pub(super) old: Side,
    pub(super) new: Side,
    pub(super) sellers: BTreeMap<Address, Money>,
    pub(super) apis: BTreeMap<ApiId, Money>,
    pub(super) total: Money,
    /// Purchases that a filter or a consent policy would have prevented, and what they paid.
    pub(super) prevented: (u64, Amount),
    pub(super) examples: Vec<Example>,
    /// The least weight that an example must have, once there are enough of more.
    enough: Option<u64>,
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
}

/// Counts one more under a name, as long as there are not too many names.
pub(super) fn count(counts: &mut BTreeMap<String, u64>, name: &str, by: u64) {
    let name = plain(name);
    let name = if counts.len() < CODES || counts.contains_key(&name) {
        name
    } else {
        "others".to_owned()
    };
    let sum = counts.entry(name).or_default();
    *sum = sum.saturating_add(by);
}

/// Adds to a number.
fn add(sum: &mut u64, by: u64) {
    *sum = sum.saturating_add(by);
}

impl Side {
    fn note(&mut self, output: &Output, fuel: u64, us: u64) {
        match output {
            Output::Refusal { code, .. } => count(&mut self.refusals, code, 1),
            Output::Failure(failure) => count(&mut self.failures, failure.code(), 1),
            Output::Shown { indices } => add(&mut self.shown, indices.len() as u64),
            _ => {}
        }
        self.fuel.push(fuel);
        self.us.push(us);
    }

    fn merge(&mut self, other: Self) {
        for (code, by) in other.refusals {
            count(&mut self.refusals, &code, by);
        }
        for (code, by) in other.failures {
            count(&mut self.failures, &code, by);
        }
        add(&mut self.shown, other.shown);
        self.fuel.extend(other.fuel);
        self.us.extend(other.us);
    }
}

/// The most that demand may grow where a price falls. Nobody buys the same key a thousand times for being cheap.
const MOST_GROWTH: f64 = 10.0;

impl Money {
    /// Counts a purchase that paid `old`, and would pay `new`.
    fn note(&mut self, old: Amount, new: Option<Amount>, elasticity: Option<f64>) {
        add(&mut self.sales, 1);
        self.old = self.old.saturating_add(old);
        let Some(new) = new else {
            add(&mut self.lost, 1);
            return;
        };
        self.new = self.new.saturating_add(new);
        let (before, after) = (tokens(old), tokens(new));
        let growth = match elasticity {
            Some(elasticity) if before > 0.0 && after > 0.0 => {
                (after / before).powf(-elasticity).min(MOST_GROWTH)
            }
            // A price that falls to nothing, or rises from it, has no ratio to speak of.
            _ => 1.0,
        };
        // From floating point to whole numbers casts saturate.
        let millionths = |number: f64| (number * 1e6).round() as u128;
        self.expected_sales = self.expected_sales.saturating_add(millionths(growth));
        self.expected = self.expected.saturating_add(millionths(growth * after));
    }

    fn merge(&mut self, other: &Self) {
        add(&mut self.sales, other.sales);
        add(&mut self.lost, other.lost);
        self.old = self.old.saturating_add(other.old);
        self.new = self.new.saturating_add(other.new);
        self.expected_sales = self.expected_sales.saturating_add(other.expected_sales);
        self.expected = self.expected.saturating_add(other.expected);
    }
}

/// One decision with two answers.
pub(super) struct Pair<'a> {
    pub(super) entry: &'a Entry,
    pub(super) old: &'a Record,
    pub(super) new: &'a Record,
    pub(super) elasticity: Option<f64>,
    /// Whether the purchases of the log were made on the old answers.
    pub(super) real: bool,
}

impl Tally {
    /// Counts a decision that was read, whatever becomes of it.
    pub(super) fn seen(&mut self, entry: &Entry) {
        add(&mut self.decisions, 1);
        let at = entry.record.at_ns.0;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// Counts a shadow's decision, which is not asked again.
    pub(super) fn shadow(&mut self) {
        add(&mut self.shadows, 1);
    }

    /// Counts what is no decision.
    pub(super) fn unreadable(&mut self, bad: Unreadable) {
        add(&mut self.decisions, 1);
        add(&mut self.unreadable, 1);
        self.bad.push(bad);
        if self.bad.len() > TROUBLE.saturating_mul(4) {
            self.keep_bad();
        }
    }

    fn keep_bad(&mut self) {
        self.bad.sort_by(|a, b| a.place.cmp(&b.place));
        self.bad.truncate(TROUBLE);
    }

    /// Counts a decision that the tried policy is not asked for.
    pub(super) fn other(&mut self, record: &Record) {
        let policy = plain(&record.policy);
        let known = self.others.len() < CODES
            || self
                .others
                .contains_key(&(policy.clone(), function(&record.input)));
        let policy = if known { policy } else { "others".to_owned() };
        add(
            self.others.entry((policy, function(&record.input))).or_default(),
            1,
        );
    }

    /// Notes what the tried policy was granted beyond what the recorded one was.
    pub(super) fn granted(&mut self, recorded: &Record, asked: &Record) {
        let had = recorded.input.grants();
        for import in asked.input.grants().imports().filter(|import| !had.has(*import)) {
            count(&mut self.granted, import.as_str(), 1);
        }
    }

    /// Counts a decision under the revision that made it then.
    pub(super) fn answered(&mut self, policy: &str, revision: RevisionId) {
        add(self.revisions.entry((plain(policy), revision)).or_default(), 1);
    }

    /// Counts a decision with two answers.
    pub(super) fn compared(&mut self, pair: &Pair<'_>) {
        let Pair { entry, old, new, .. } = pair;
        let change = Change::between(&old.output, &new.output);
        add(self.changes.entry((function(&old.input), change)).or_default(), 1);
        self.old.note(&old.output, old.fuel, old.us);
        self.new.note(&new.output, new.fuel, new.us);
        let paid = entry.sale.map(|sale| sale.price.0);
        if let Input::Pricing(_) = &old.input {
            self.points.push(Point {
                at: old.at_ns.0,
                old: price(&old.output),
                new: price(&new.output),
                paid,
            });
        }
        if let Some(sale) = &entry.sale {
            self.sold(pair, sale);
        }
        if change != Change::Same {
            self.example(pair, change);
        }
    }

    fn sold(&mut self, pair: &Pair<'_>, sale: &Sale) {
        let Pair { old, new, .. } = pair;
        let Input::Pricing(input) = &old.input else {
            if sells(&old.output) && !sells(&new.output) {
                let (sales, paid) = &mut self.prevented;
                add(sales, 1);
                *paid = paid.saturating_add(sale.price.0);
            }
            return;
        };
        // In a comparison of two policies neither need be the one that the buyer paid for.
        let before = if pair.real {
            Some(sale.price.0)
        } else {
            price(&old.output)
        };
        let Some(before) = before else { return };
        let after = price(&new.output);
        self.total.note(before, after, pair.elasticity);
        let seller = self.sellers.entry(input.offer.seller.0).or_default();
        seller.note(before, after, pair.elasticity);
        let api = self.apis.entry(input.offer.api.0).or_default();
        api.note(before, after, pair.elasticity);
    }

    fn example(&mut self, pair: &Pair<'_>, change: Change) {
        let Pair { entry, old, new, .. } = pair;
        let weight = weight(change, &old.output, &new.output);
        if self.examples.len() >= EXAMPLES.saturating_mul(8) {
            self.keep_examples();
        }
        if self.enough.is_some_and(|enough| weight < enough) {
            return;
        }
        let (key, seller) = match &old.input {
            Input::Pricing(input) => (Some(input.offer.key), Some(input.offer.seller)),
            Input::Admit(input) => (Some(input.offer.key), Some(input.offer.seller)),
            Input::Consent(input) => {
                let offer = input.offer.as_ref();
                (offer.map(|offer| offer.key), offer.map(|offer| offer.seller))
            }
            Input::Filter(_) => (None, None),
        };
        self.examples.push(Example {
            weight,
            place: entry.place.clone(),
            id: entry.record.id.map(|id| id.to_string()),
            at: old.at_ns.0,
            function: function(&old.input),
            change,
            key: key.map(|key| key.to_string()),
            seller: seller.map(|seller| seller.to_string()),
            old: words(&old.output),
            new: words(&new.output),
        });
    }

    pub(super) fn keep_examples(&mut self) {
        self.examples
            .sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.place.cmp(&b.place)));
        self.examples.truncate(EXAMPLES);
        let last = self.examples.get(EXAMPLES.saturating_sub(1));
        self.enough = last.map(|last| last.weight).or(self.enough);
    }

    /// Adds another worker's part.
    pub(super) fn merge(&mut self, other: Self) {
        add(&mut self.decisions, other.decisions);
        add(&mut self.unreadable, other.unreadable);
        add(&mut self.shadows, other.shadows);
        add(&mut self.unanswerable, other.unanswerable);
        self.bad.extend(other.bad);
        self.keep_bad();
        for (policy, by) in other.others {
            add(self.others.entry(policy).or_default(), by);
        }
        for (outcome, by) in other.circumstances {
            count(&mut self.circumstances, &outcome, by);
        }
        for (why, by) in other.not_asked {
            count(&mut self.not_asked, &why, by);
        }
        self.grounds.merge(other.grounds);
        for (import, by) in other.granted {
            count(&mut self.granted, &import, by);
        }
        for (revision, by) in other.revisions {
            add(self.revisions.entry(revision).or_default(), by);
        }
        for (change, by) in other.changes {
            add(self.changes.entry(change).or_default(), by);
        }
        self.points.extend(other.points);
        self.old.merge(other.old);
        self.new.merge(other.new);
        for (seller, money) in &other.sellers {
            self.sellers.entry(*seller).or_default().merge(money);
        }
        for (api, money) in &other.apis {
            self.apis.entry(*api).or_default().merge(money);
        }
        self.total.merge(&other.total);
        add(&mut self.prevented.0, other.prevented.0);
        self.prevented.1 = self.prevented.1.saturating_add(other.prevented.1);
        self.examples.extend(other.examples);
        self.keep_examples();
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }
}

/// The price of an answer, if it is one.
pub(super) fn price(output: &Output) -> Option<Amount> {
    match output {
        Output::Price { amount, .. } => Some(amount.0),
        _ => None,
    }
}

/// How much a change matters among examples: what stops a sale comes first, then prices by how far they moved.
fn weight(change: Change, old: &Output, new: &Output) -> u64 {
    const KIND: u64 = 1 << 40;
    let kind = match change {
        Change::NowFails => 6,
        Change::NowRefused => 5,
        Change::OtherOffers => 4,
        Change::NowAllowed | Change::NoLongerFails => 3,
        Change::Dearer | Change::Cheaper => 2,
        Change::OtherOrder | Change::OtherReason | Change::OtherFailure => 1,
        Change::OtherTerms | Change::Same => 0,
    };
    let moved = match (price(old), price(new)) {
        (Some(old), Some(new)) => {
            let (old, new) = (tokens(old), tokens(new));
            let ratio = if old > 0.0 && new > 0.0 {
                (new / old).ln().abs()
            } else {
                1e3
            };
            (ratio * 1e6).min(1e12) as u64
        }
        _ => 0,
    };
    KIND.saturating_mul(kind).saturating_add(moved.min(KIND - 1))
}
