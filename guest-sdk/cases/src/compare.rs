//! What was expected beside what came.

use crate::expect::{Changes, Expect};
use crate::run::{Answered, Said};
use crate::text::shown_bytes;
use bourse_policy::{Bound, Edit, StateChange};

/// One property of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name: the field of `expect` where there is one.
    pub name: &'static str,
    /// What was expected; none if it does not matter.
    pub expected: Option<String>,
    /// What came; none if the answer has no such property.
    pub got: Option<String>,
    /// Whether that is what was expected.
    pub holds: bool,
}

/// A case's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Every property that was expected or came.
    pub lines: Vec<Line>,
}

impl Verdict {
    /// Whether all that was expected came.
    pub fn holds(&self) -> bool {
        self.lines.iter().all(|line| line.holds)
    }
}

impl Expect {
    /// Compares an answer with what was expected.
    pub fn compare(&self, answered: &Answered) -> Verdict {
        let (mut price, mut valid, mut bound, mut code, mut text, mut shown, mut reason) =
            (None, None, None, None, None, None, None);
        match &answered.said {
            Said::Price {
                amount,
                valid_ms,
                bounded,
            } => {
                price = Some(amount.to_string());
                valid = Some(valid_ms.to_string());
                bound = Some(bound_word(*bounded).to_owned());
            }
            Said::Shown(indices) => shown = Some(list(indices)),
            Said::Refused {
                code: said,
                text: why,
            } => {
                code = Some(said.clone());
                text = Some(why.clone());
            }
            Said::Failed(failure) => reason = Some(failure.to_string()),
            Said::Admitted | Said::Allowed => {}
        }
        let outcome = answered.said.outcome();
        // What comes with an outcome that nobody expected only repeats it.
        let as_expected = outcome == self.outcome;
        let expected = |value: Option<String>| value.filter(|_| as_expected);
        let mut lines = vec![
            line("outcome", Some(self.outcome.clone()), Some(outcome.to_owned())),
            line("price", self.price.map(|price| price.to_string()), price),
            line(
                "valid_ms",
                expected(self.valid_ms.map(|ms| ms.to_string())),
                valid,
            ),
            line("bounded", expected(self.bounded.clone()), bound),
            line("code", self.code.clone(), code),
            line("text", expected(self.text.clone()), text),
            line("shown", self.shown.as_deref().map(list), shown),
            line("reason", None, reason),
            line(
                "state",
                self.state.as_ref().map(changes),
                Some(changes(&summed(&answered.changes))),
            ),
            line("log", self.log.as_deref().map(said), Some(logged(answered))),
        ];
        lines.push(Line {
            name: "fuel",
            expected: self.max_fuel.map(|most| format!("at most {most}")),
            got: Some(answered.fuel.to_string()),
            holds: self.max_fuel.is_none_or(|most| answered.fuel <= most),
        });
        // Nothing expected and nothing there is nothing to say.
        lines.retain(|line| line.expected.is_some() || line.got.as_ref().is_some_and(|got| got != NOTHING));
        Verdict { lines }
    }
}

/// An empty list.
const NOTHING: &str = "nothing";

fn line(name: &'static str, expected: Option<String>, got: Option<String>) -> Line {
    let holds = expected.is_none() || expected == got;
    Line {
        name,
        expected,
        got,
        holds,
    }
}

fn bound_word(bound: Option<Bound>) -> &'static str {
    match bound {
        None => "none",
        Some(Bound::Floor) => "floor",
        Some(Bound::Cap) => "cap",
    }
}

fn list(indices: &[u32]) -> String {
    let words: Vec<String> = indices.iter().map(ToString::to_string).collect();
    format!("[{}]", words.join(", "))
}

fn said(lines: &[String]) -> String {
    joined(lines.iter().map(|line| format!("\"{line}\"")))
}

fn logged(answered: &Answered) -> String {
    joined(answered.log.iter().map(|(_, line)| format!("\"{line}\"")))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        NOTHING.to_owned()
    } else {
        parts.join(", ")
    }
}

/// The changes of a call, summed up for each key.
fn summed(all: &[StateChange]) -> Changes {
    let mut sum = Changes::default();
    for change in all {
        match &change.edit {
            Edit::Set(value) => drop(sum.values.insert(change.key.clone(), value.clone())),
            Edit::Add(delta) => {
                let counter = sum.counters.entry(change.key.clone()).or_default();
                *counter = counter.saturating_add(*delta);
            }
        }
    }
    sum
}

fn changes(changes: &Changes) -> String {
    let values = changes.values.iter().map(|(key, value)| match value {
        Some(value) => format!("{key} = {}", shown_bytes(value)),
        None => format!("{key} removed"),
    });
    let counters = changes
        .counters
        .iter()
        .map(|(key, delta)| format!("{key} {delta:+}"));
    joined(values.chain(counters))
}
