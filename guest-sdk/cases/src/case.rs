//! The file as a whole.

use crate::error::CaseError;
use crate::expect::{Expect, ExpectFile};
use crate::locate::too_deep;
use crate::question::{Question, RequestFile};
use crate::text::Once;
use crate::world::{DemandFile, StateFile, World};
use bourse_policy::{Grants, Hook, Import, Limits, Revision};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Bytes of the largest case: a thousand offers with all their labels fit.
pub const MAX_BYTES: usize = 1 << 20;

/// How deep brackets may nest: parameters may, but no policy reads them that deep.
pub const MAX_DEPTH: usize = 32;

/// Bytes of the parameters as JSON, as the host limits them.
const MAX_PARAMS: usize = 4096;

/// Which function of a policy a case asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// `pricing.quote`.
    Pricing,
    /// `offers.admit`.
    Admit,
    /// `offers.filter`.
    Filter,
    /// `consent.authorize`.
    Consent,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 4] = [Self::Pricing, Self::Admit, Self::Filter, Self::Consent];

    /// The word for it in case files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pricing => "pricing",
            Self::Admit => "admit",
            Self::Filter => "filter",
            Self::Consent => "consent",
        }
    }

    /// The hook it belongs to.
    pub const fn hook(self) -> Hook {
        match self {
            Self::Pricing => Hook::Pricing,
            Self::Admit | Self::Filter => Hook::Offers,
            Self::Consent => Hook::Consent,
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|function| function.as_str() == word)
            .ok_or_else(|| format!("`{word}` is no hook: expected pricing, admit, filter or consent"))
    }
}

/// One question with everything around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub(crate) question: Question,
    pub(crate) params: String,
    pub(crate) world: World,
    grants: Option<Grants>,
    limits: LimitsFile,
}

/// One question, and what the policy should answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it is about, for people.
    pub about: String,
    /// The question.
    pub input: Input,
    /// The answer.
    pub expect: Expect,
}

/// What a file may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    about: String,
    hook: Option<Function>,
    #[serde(default)]
    params: Once<Value>,
    #[serde(default)]
    request: RequestFile,
    #[serde(default)]
    market: Vec<DemandFile>,
    #[serde(default)]
    state: StateFile,
    grants: Option<Vec<GrantWord>>,
    #[serde(default)]
    limits: LimitsFile,
    expect: Option<ExpectFile>,
}

/// An import, by its word.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GrantWord {
    Market,
    State,
    Log,
}

impl From<GrantWord> for Import {
    fn from(word: GrantWord) -> Self {
        match word {
            GrantWord::Market => Self::Market,
            GrantWord::State => Self::State,
            GrantWord::Log => Self::Log,
        }
    }
}

/// Limits that differ from the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsFile {
    fuel: Option<u64>,
    deadline_ms: Option<u64>,
    memory: Option<usize>,
}

impl Case {
    /// Reads a case file. Any bytes lead to a case or an error, in time that grows with their number alone.
    ///
    /// # Errors
    ///
    /// [`CaseError`], with line, column and field where there are such.
    pub fn parse(bytes: &[u8]) -> Result<Self, CaseError> {
        let (text, file) = read(bytes)?;
        let Some(hook) = file.hook else {
            return Err(CaseError::at(
                text,
                "hook",
                "missing: expected pricing, admit, filter or consent",
            ));
        };
        let Some(expect) = &file.expect else {
            return Err(CaseError::at(
                text,
                "expect",
                "missing: say what the policy should answer, such as {\"price\": \"7.5\"}",
            ));
        };
        let expect = Expect::new(text, hook, expect)?;
        Ok(Self {
            about: file.about.clone(),
            expect,
            input: Input::new(text, file, hook)?,
        })
    }
}

impl Input {
    /// Reads a file that only asks: a case, with or without what it expects. `function` is what the caller says it asks;
    /// the file may say so too.
    ///
    /// # Errors
    ///
    /// [`CaseError`] as for [`Case::parse`], and if nobody says which function is asked or the two differ.
    pub fn parse(bytes: &[u8], function: Option<Function>) -> Result<Self, CaseError> {
        let (text, file) = read(bytes)?;
        let function = match (function, file.hook) {
            (Some(said), Some(written)) if said != written => {
                return Err(CaseError::at(
                    text,
                    "hook",
                    format!("the file is for `{written}`, but `{said}` is asked for"),
                ));
            }
            (Some(function), _) | (None, Some(function)) => function,
            (None, None) => {
                return Err(CaseError::at(
                    text,
                    "hook",
                    "missing: expected pricing, admit, filter or consent",
                ));
            }
        };
        Self::new(text, file, function)
    }

    fn new(text: &str, file: File, function: Function) -> Result<Self, CaseError> {
        let params: Map<String, Value> = file.params.0.into_iter().collect();
        let params = Value::Object(params).to_string();
        if params.len() > MAX_PARAMS {
            return Err(CaseError::at(
                text,
                "params",
                format!("{} bytes: expected at most {MAX_PARAMS}", params.len()),
            ));
        }
        Ok(Self {
            question: Question::new(text, file.request, function)?,
            params,
            world: World::new(file.market, file.state),
            grants: file.grants.map(|words| {
                words
                    .into_iter()
                    .map(Import::from)
                    .fold(Grants::NONE, Grants::with)
            }),
            limits: file.limits,
        })
    }

    /// The function that is asked.
    pub fn function(&self) -> Function {
        self.question.function()
    }

    /// What the host answers to the policy's imports.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What the call may use up: the defaults of a host, and what the file says instead.
    pub fn limits(&self) -> Limits {
        let defaults = match &self.question {
            Question::Filter { offers, .. } => Limits::for_batch(offers.len()),
            _ => Limits::default(),
        };
        Limits {
            fuel: self.limits.fuel.unwrap_or(defaults.fuel),
            deadline: self
                .limits
                .deadline_ms
                .map_or(defaults.deadline, Duration::from_millis),
            memory: self.limits.memory.unwrap_or(defaults.memory),
            ..defaults
        }
    }

    /// The imports that are granted: those the file lists, else all that the policy imports.
    pub fn grants(&self, revision: &Revision) -> Grants {
        self.grants.unwrap_or_else(|| {
            revision
                .imports()
                .iter()
                .copied()
                .fold(Grants::NONE, Grants::with)
        })
    }
}

/// From bytes to the fields of a file.
fn read(bytes: &[u8]) -> Result<(&str, File), CaseError> {
    if bytes.len() > MAX_BYTES {
        return Err(CaseError::whole(format!(
            "{} bytes or more: expected at most {MAX_BYTES}",
            bytes.len()
        )));
    }
    let text = core::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_add(1);
        CaseError {
            line,
            column: 1,
            field: String::new(),
            problem: "not text in UTF-8".to_owned(),
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(CaseError::whole("the file is empty: expected a JSON object"));
    }
    if let Some((line, column)) = too_deep(text, MAX_DEPTH) {
        return Err(CaseError {
            line,
            column,
            field: String::new(),
            problem: format!("brackets nest deeper than {MAX_DEPTH}"),
        });
    }
    // A list would be read as the fields of a case in their order.
    if text.trim_start().starts_with('[') {
        return Err(CaseError::whole(
            "a list: expected one JSON object, for one file holds one case",
        ));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let file = serde_path_to_error::deserialize(&mut json).map_err(|error| CaseError::json(text, error))?;
    json.end().map_err(|error| CaseError {
        line: error.line(),
        column: error.column(),
        field: String::new(),
        problem: "something follows the end of the case: one file holds one case".to_owned(),
    })?;
    Ok((text, file))
}
