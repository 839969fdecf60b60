//! Asks a revision what another was asked, with the answers that were recorded then, and what the log knows besides.

use super::exact::check_fuel;
use super::sales::Market;
use super::state::State;
use anyhow::bail;
use bourse_market::{Demand, Figures, Nanos, Subject};
use bourse_policy::{Answer, Args, Grants, ImportCall, Imports, Input, Record, Revision, SubjectRecord};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Parameters for a policy that is asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    /// What they start from.
    pub(crate) base: Base,
    /// What is laid over that, field by field; null takes a field away.
    pub(crate) over: Map<String, Value>,
}

/// What parameters start from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Base {
    /// Those that were recorded, where the policy itself decided; none where another one did, whose parameters mean
    /// nothing to it.
    #[default]
    Own,
    /// Those that were recorded, whoever decided.
    Recorded,
    /// None: the policy's defaults.
    Nothing,
}

impl Params {
    /// The parameters of a call that had `recorded` ones, `own` if they were meant for the policy that is asked.
    fn of(&self, recorded: &str, own: bool) -> String {
        let keeps = match self.base {
            Base::Own => own,
            Base::Recorded => true,
            Base::Nothing => false,
        };
        let recorded = if keeps { recorded } else { "{}" };
        if self.over.is_empty() {
            return recorded.to_owned();
        }
        let mut laid: Map<String, Value> = serde_json::from_str(recorded).unwrap_or_default();
        for (name, value) in &self.over {
            if value.is_null() {
                laid.remove(name);
            } else {
                laid.insert(name.clone(), value.clone());
            }
        }
        Value::Object(laid).to_string()
    }
}

/// Reads parameters as they are given on a command line.
///
/// # Errors
///
/// If the text is not a JSON object.
pub(crate) fn params(text: &str) -> anyhow::Result<Map<String, Value>> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| anyhow::anyhow!("the parameters are not JSON: {error}"))?;
    match value {
        Value::Object(params) => Ok(params),
        other => bail!("the parameters are {other}: expected an object such as {{\"step_bp\": 400}}"),
    }
}

/// What a revision said, and on what grounds.
#[derive(Debug)]
pub(crate) struct Said {
    /// The decision it came to.
    pub(crate) record: Record,
    /// Where the answers to its questions came from.
    pub(crate) grounds: Grounds,
}

/// Where answers to a policy's questions came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grounds {
    /// Answers from the record of the same decision: exact.
    pub(crate) recorded: u64,
    /// Answers from the market as the log tells it.
    pub(crate) modelled: u64,
    /// Of those, windows that reach back before the log begins.
    pub(crate) beyond: u64,
    /// Answers from a state that was empty when the log began.
    pub(crate) assumed: u64,
    /// Questions that nothing in the log answers. What was decided on them means nothing.
    pub(crate) unknown: BTreeMap<String, u64>,
}

impl Grounds {
    /// Adds up.
    pub(crate) fn merge(&mut self, other: Self) {
        self.recorded = self.recorded.saturating_add(other.recorded);
        self.modelled = self.modelled.saturating_add(other.modelled);
        self.beyond = self.beyond.saturating_add(other.beyond);
        self.assumed = self.assumed.saturating_add(other.assumed);
        for (question, count) in other.unknown {
            self.wonder(question, count);
        }
    }

    fn wonder(&mut self, question: String, count: u64) {
        /// Questions that are told apart. A policy may ask for as many keys as it likes.
        const KINDS: usize = 32;
        let question = if self.unknown.len() < KINDS || self.unknown.contains_key(&question) {
            question
        } else {
            "others".to_owned()
        };
        let known = self.unknown.entry(question).or_default();
        *known = known.saturating_add(count);
    }
}

/// The market as a log tells it, and how far the log reaches.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Sales and quotes; none if the log says nothing of sales.
    pub(crate) market: Option<Market>,
    /// When the log begins. Nothing is known of sales before that.
    pub(crate) begins: Nanos,
}

/// Asks `revision` what `record` was asked. Like a replay it is limited by fuel alone.
///
/// It is granted what it imports, whatever was granted then: whether a rule should is for its operator to decide. Where the
/// record does not say what its state was, `state` does, if there is one.
///
/// # Errors
///
/// In words, if the call asks for more fuel than is reasonable.
pub(crate) fn ask(
    revision: &Revision,
    record: &Record,
    params: &Params,
    known: &Known,
    state: Option<&State>,
) -> Result<Said, String> {
    check_fuel(record)?;
    let params = params.of(record.input.params(), record.policy == revision.name());
    let input = prepared(&record.input, params, revision);
    let told = Told {
        imports: &record.imports,
        now: record.input.now(),
        known,
        state,
        grounds: RefCell::default(),
    };
    let record = revision.what_if(input, &told);
    Ok(Said {
        record,
        grounds: told.grounds.into_inner(),
    })
}

/// The question with the parameters and grants that it is to be asked with.
fn prepared(input: &Input, params: String, revision: &Revision) -> Input {
    let grants = revision
        .imports()
        .iter()
        .copied()
        .fold(input.grants(), Grants::with);
    let grants: Vec<_> = grants.imports().map(|import| import.as_str().into()).collect();
    let mut input = input.clone();
    match &mut input {
        Input::Pricing(input) => (input.params, input.grants) = (params, grants),
        Input::Admit(input) => (input.params, input.grants) = (params, grants),
        Input::Filter(input) => (input.params, input.grants) = (params, grants),
        Input::Consent(input) => (input.params, input.grants) = (params, grants),
    }
    input
}

/// Answers questions from a record, then from the market of the log.
struct Told<'a> {
    imports: &'a [ImportCall],
    now: Nanos,
    known: &'a Known,
    state: Option<&'a State>,
    grounds: RefCell<Grounds>,
}

impl Told<'_> {
    fn recorded(&self) {
        let mut grounds = self.grounds.borrow_mut();
        grounds.recorded = grounds.recorded.saturating_add(1);
    }

    fn unknown(&self, question: String) {
        self.grounds.borrow_mut().wonder(question, 1);
    }

    /// What the state that is followed along the log says; nothing, to a question nobody can answer, if none is.
    fn followed<T: Default>(&self, question: &str, read: impl FnOnce(&State) -> T) -> T {
        let Some(state) = self.state else {
            self.unknown(question.to_owned());
            return T::default();
        };
        let mut grounds = self.grounds.borrow_mut();
        grounds.assumed = grounds.assumed.saturating_add(1);
        read(state)
    }

    /// What was committed under a key then: what the recorded call read before it wrote there itself.
    fn committed(
        &self,
        is_read: impl Fn(&Args) -> bool,
        is_write: impl Fn(&Args) -> bool,
    ) -> Option<&Answer> {
        self.imports
            .iter()
            .take_while(|call| !is_write(&call.args))
            .find(|call| is_read(&call.args))
            .map(|call| &call.answer)
    }
}

impl Imports for Told<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let window = |window_ms: u32| window_ms.min(Demand::MAX_WINDOW_MS);
        let asked = SubjectRecord::from(subject);
        let recorded = self
            .imports
            .iter()
            .find_map(|call| match (&call.args, &call.answer) {
                (
                    Args::Demand {
                        subject,
                        window_ms: recorded,
                    },
                    Answer::Figures(figures),
                ) if *subject == asked && window(*recorded) == window(window_ms) => Some(*figures),
                _ => None,
            });
        if let Some(figures) = recorded {
            self.recorded();
            return figures.into();
        }
        let Some(market) = &self.known.market else {
            self.unknown(format!("market.demand over {window_ms} ms"));
            return Figures::default();
        };
        let beyond = Demand::window_begins(self.now, window_ms) < self.known.begins;
        let mut grounds = self.grounds.borrow_mut();
        grounds.modelled = grounds.modelled.saturating_add(1);
        grounds.beyond = grounds.beyond.saturating_add(u64::from(beyond));
        market.figures(subject, self.now, window_ms)
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        let read = |args: &Args| matches!(args, Args::Get { key: read } if read == key);
        let write = |args: &Args| matches!(args, Args::Set { key: written, .. } if written == key);
        if let Some(Answer::Value(value)) = self.committed(read, write) {
            self.recorded();
            return value.as_ref().map(|bytes| bytes.0.to_vec());
        }
        self.followed("state.get", |state| state.value(key))
    }

    fn counter(&self, key: &str) -> i64 {
        let read = |args: &Args| matches!(args, Args::Counter { key: read } if read == key);
        let write = |args: &Args| matches!(args, Args::Add { key: written, .. } if written == key);
        if let Some(Answer::Count(count)) = self.committed(read, write) {
            self.recorded();
            return *count;
        }
        self.followed("state.counter", |state| state.counter(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_laid_over_field_by_field() {
        let over = params(r#"{"a": 2, "c": null, "d": [1]}"#).unwrap();
        let of = |base, recorded, own| {
            let params = Params {
                base,
                over: over.clone(),
            };
            params.of(recorded, own)
        };
        let recorded = r#"{"a":1,"b":1,"c":1}"#;
        let laid = r#"{"a":2,"b":1,"d":[1]}"#;
        let alone = r#"{"a":2,"d":[1]}"#;
        for (base, own, expected) in [
            (Base::Own, true, laid),
            (Base::Own, false, alone),
            (Base::Recorded, false, laid),
            (Base::Nothing, true, alone),
        ] {
            assert_eq!(of(base, recorded, own), expected);
        }
        assert_eq!(of(Base::Own, "not json", true), alone);
        assert_eq!(Params::default().of("{ }", true), "{ }");
        assert_eq!(Params::default().of(recorded, false), "{}");
    }

    #[test]
    fn parameters_that_are_no_object_are_named() {
        for (text, why) in [
            ("", "not JSON"),
            ("[1]", "[1]: expected an object"),
            ("3", "3: expected"),
        ] {
            let error = params(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
