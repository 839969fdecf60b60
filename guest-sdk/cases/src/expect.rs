//! What a case expects.

use crate::case::Function;
use crate::error::CaseError;
use crate::text::{Blob, Once, Tokens};
use bourse_market::Amount;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a policy should answer. What is none does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expect {
    /// The word for the outcome, as the decision log has it: `priced`, `admitted`, `shown`, `allowed`, `refused`, or a
    /// failure's code. A case that expects a price or a code expects `priced` or `refused` by that.
    pub outcome: String,
    /// The price.
    pub price: Option<Amount>,
    /// How long it holds.
    pub valid_ms: Option<u32>,
    /// The bound that changed it: `floor`, `cap` or `none`.
    pub bounded: Option<String>,
    /// The code of the refusal.
    pub code: Option<String>,
    /// The text of the refusal.
    pub text: Option<String>,
    /// The offers that are shown, by index, in order.
    pub shown: Option<Vec<u32>>,
    /// What becomes of the policy's state: all of it.
    pub state: Option<Changes>,
    /// The lines of the log: all of them.
    pub log: Option<Vec<String>>,
    /// The most fuel the call may burn.
    pub max_fuel: Option<u64>,
}

/// Changes of a policy's state, summed up for each key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The last value set for each key; none where it is removed.
    pub values: BTreeMap<String, Option<Vec<u8>>>,
    /// What was added to each counter in all.
    pub counters: BTreeMap<String, i64>,
}

/// `expect` as a file has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExpectFile {
    outcome: Option<String>,
    price: Option<Tokens>,
    valid_ms: Option<u32>,
    bounded: Option<BoundFile>,
    code: Option<String>,
    text: Option<String>,
    shown: Option<Vec<u32>>,
    state: Option<ChangesFile>,
    log: Option<Vec<String>>,
    max_fuel: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BoundFile {
    None,
    Floor,
    Cap,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ChangesFile {
    values: Once<Option<Blob>>,
    counters: Once<i64>,
}

impl Expect {
    pub(crate) fn new(text: &str, function: Function, file: &ExpectFile) -> Result<Self, CaseError> {
        let good = match function {
            Function::Pricing => "priced",
            Function::Admit => "admitted",
            Function::Filter => "shown",
            Function::Consent => "allowed",
        };
        // Each field belongs to one outcome, and says it.
        let fields = [
            ("price", file.price.is_some(), "priced"),
            ("valid_ms", file.valid_ms.is_some(), "priced"),
            ("bounded", file.bounded.is_some(), "priced"),
            ("shown", file.shown.is_some(), "shown"),
            ("code", file.code.is_some(), "refused"),
            ("text", file.text.is_some(), "refused"),
        ];
        let mut outcome = file.outcome.clone();
        for (field, _, of) in fields.into_iter().filter(|(_, there, _)| *there) {
            let said = outcome.get_or_insert_with(|| of.to_owned());
            if said != of {
                return Err(CaseError::at(
                    text,
                    &format!("expect.{field}"),
                    format!("goes with the outcome `{of}`, but the case expects `{said}`"),
                ));
            }
        }
        let Some(outcome) = outcome else {
            return Err(CaseError::at(
                text,
                "expect",
                format!(
                    "it does not say what is expected: a `code` for a refusal, or {{\"outcome\": \"{good}\"}}"
                ),
            ));
        };
        let other_hook =
            ["priced", "admitted", "shown", "allowed"].contains(&outcome.as_str()) && outcome != good;
        // A filter can only hide.
        let or_refused = if function == Function::Filter {
            ""
        } else {
            ", refused"
        };
        if other_hook || (outcome == "refused" && function == Function::Filter) {
            return Err(CaseError::at(
                text,
                "expect",
                format!(
                    "`{function}` never answers `{outcome}`: expected {good}{or_refused} or a failure's code"
                ),
            ));
        }
        Ok(Self {
            outcome,
            price: file.price.map(|price| price.0),
            valid_ms: file.valid_ms,
            bounded: file.bounded.map(|bound| bound.as_str().to_owned()),
            code: file.code.clone(),
            text: file.text.clone(),
            shown: file.shown.clone(),
            state: file.state.as_ref().map(Changes::from),
            log: file.log.clone(),
            max_fuel: file.max_fuel,
        })
    }
}

impl BoundFile {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Floor => "floor",
            Self::Cap => "cap",
        }
    }
}

impl From<&ChangesFile> for Changes {
    fn from(file: &ChangesFile) -> Self {
        let value = |(key, value): (&String, &Option<Blob>)| {
            (key.clone(), value.as_ref().map(|value| value.0.clone()))
        };
        Self {
            values: file.values.0.iter().map(value).collect(),
            counters: file.counters.0.clone(),
        }
    }
}
