//! `bourse policy run`: one question, the answer, and what it cost.

use super::{project, question};
use crate::config::Config;
use crate::output::{self, Sheet, Tone};
use bourse_cases::{Answered, Function, Input, Said, shown_bytes};
use bourse_policy::{Edit, Limits, Revision};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The component, NAME.wasm; that of the present project if none is named.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What to ask: pricing, admit, filter or consent. May be left out where the input says it, or the policy can be
    /// asked one thing only.
    #[arg(long, value_name = "HOOK")]
    hook: Option<Function>,
    /// The question, in the form of a case file; - reads it from standard input. Without it, the defaults.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    policy: &'a str,
    revision: String,
    hook: &'static str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bounded: Option<bourse_policy::Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<&'a [u32]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
    fuel: u64,
    fuel_limit: u64,
    us: u64,
    deadline_ms: u64,
}

impl<'a> Answer<'a> {
    fn of(revision: &'a Revision, function: Function, limits: &Limits, answered: &'a Answered) -> Self {
        let (mut price, mut valid_ms, mut bounded, mut code, mut text, mut shown) =
            (None, None, None, None, None, None);
        match &answered.said {
            Said::Price {
                amount,
                valid_ms: valid,
                bounded: bound,
            } => {
                (price, valid_ms, bounded) = (Some(amount.to_string()), Some(*valid), *bound);
            }
            Said::Shown(indices) => shown = Some(indices.as_slice()),
            Said::Refused {
                code: said,
                text: why,
            } => {
                (code, text) = (Some(said.as_str()), Some(why.clone()));
            }
            Said::Failed(failure) => text = Some(failure.to_string()),
            Said::Admitted | Said::Allowed => {}
        }
        Self {
            policy: revision.name(),
            revision: revision.id().to_string(),
            hook: function.as_str(),
            outcome: answered.said.outcome(),
            price,
            valid_ms,
            bounded,
            code,
            text,
            shown,
            state: answered
                .changes
                .iter()
                .map(|change| match &change.edit {
                    Edit::Set(Some(value)) => format!("{} = {}", change.key, shown_bytes(value)),
                    Edit::Set(None) => format!("{} removed", change.key),
                    Edit::Add(delta) => format!("{} {delta:+}", change.key),
                })
                .collect(),
            log: answered.log.iter().map(|(_, line)| line.clone()).collect(),
            fuel: answered.fuel,
            fuel_limit: limits.fuel,
            us: u64::try_from(answered.elapsed.as_micros()).unwrap_or(u64::MAX),
            deadline_ms: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Sheet for Answer<'_> {
    fn lines(&self) -> Vec<(String, String)> {
        let good = ["priced", "admitted", "shown", "allowed", "refused"].contains(&self.outcome);
        let outcome = output::toned(if good { Tone::Good } else { Tone::Bad }, self.outcome);
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join("\n"));
        [
            ("policy", Some(self.policy.to_owned())),
            ("asked", Some(self.hook.to_owned())),
            ("outcome", Some(outcome)),
            (
                "price",
                self.price.as_ref().map(|price| format!("{price} tokens")),
            ),
            ("holds", self.valid_ms.map(|ms| format!("{ms} ms"))),
            (
                "moved to",
                self.bounded.map(|bound| format!("the {bound:?}").to_lowercase()),
            ),
            ("code", self.code.map(str::to_owned)),
            ("text", self.text.clone()),
            ("shown", self.shown.map(|shown| format!("{shown:?}"))),
            ("state", list(&self.state)),
            ("log", list(&self.log)),
            ("fuel", Some(of_limit(self.fuel, self.fuel_limit, ""))),
            (
                "time",
                Some(format!("{} µs of at most {} ms", self.us, self.deadline_ms)),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

/// A figure beside its limit.
fn of_limit(figure: u64, limit: u64, unit: &str) -> String {
    let percent = (u128::from(figure) * 1000)
        .checked_div(u128::from(limit))
        .unwrap_or(0);
    format!(
        "{figure}{unit} of at most {limit}{unit}, {}.{} %",
        percent / 10,
        percent % 10
    )
}

/// Exit code 1 if the policy fails; a refusal is an answer.
pub(super) fn run(config: &Config, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let file = project::component(args.file.as_deref(), ".".as_ref())?;
    let revision = project::load(&project::engine(config)?, &file)?;
    let asked = match &args.input {
        Some(path) => question::read(path, args.hook)?,
        None => {
            let function = args.hook.map_or_else(|| question::only_function(&revision), Ok)?;
            Input::parse(b"{}", Some(function))?
        }
    };
    let answered = asked.ask(&revision);
    output::sheet(&Answer::of(
        &revision,
        asked.function(),
        &asked.limits(),
        &answered,
    ))?;
    Ok(match answered.said {
        Said::Failed(_) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}
