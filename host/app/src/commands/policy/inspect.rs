//! `bourse policy inspect FILE`: what a component says of itself, and how it is set.

use super::project;
use crate::config::Config;
use crate::output::{self, Sheet, columns};
use bourse_policy::Revision;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy inspect`
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The component, NAME.wasm; that of the present project if none is named.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Everything that a component says.
#[derive(Debug, Serialize)]
struct Inspected {
    name: String,
    version: String,
    summary: String,
    revision: String,
    bytes: usize,
    compile_ms: u64,
    exports: Vec<&'static str>,
    imports: Vec<&'static str>,
    params: Value,
}

impl Inspected {
    fn of(revision: &Revision, compile_ms: u64) -> Self {
        let description = revision.description();
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            summary: description.summary.clone(),
            revision: revision.id().to_string(),
            bytes: revision.size(),
            compile_ms,
            exports: revision.hooks().iter().map(|hook| hook.interface()).collect(),
            imports: revision
                .imports()
                .iter()
                .map(|import| import.interface())
                .collect(),
            // A schema is a text that the policy wrote: what is no JSON is shown as that text.
            params: serde_json::from_str(&description.params_schema)
                .unwrap_or_else(|_| Value::String(description.params_schema.clone())),
        }
    }
}

impl Sheet for Inspected {
    fn lines(&self) -> Vec<(String, String)> {
        let list = |items: &[&str]| {
            if items.is_empty() {
                "nothing".to_owned()
            } else {
                items.join("\n")
            }
        };
        [
            ("policy", format!("{} {}", self.name, self.version)),
            ("summary", self.summary.clone()),
            ("revision", self.revision.clone()),
            ("size", format!("{} bytes", self.bytes)),
            ("compiled in", format!("{} ms", self.compile_ms)),
            ("exports", list(&self.exports)),
            ("imports", list(&self.imports)),
            ("parameters", parameters(&self.params)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// The parameters of a schema, one a line: name, type, default, description.
fn parameters(schema: &Value) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return schema.as_str().map_or_else(|| "none".to_owned(), str::to_owned);
    };
    let rows: Vec<Vec<String>> = properties
        .iter()
        .map(|(name, property)| {
            let word = |key: &str| match property.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            vec![name.clone(), kind(property), word("default"), word("description")]
        })
        .collect();
    if rows.is_empty() {
        "none".to_owned()
    } else {
        columns(&rows)
    }
}

/// What a value may be, as `integer`, `integer|string`, or `low|high` for one of some words.
fn kind(property: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words = |values: &[Value]| values.iter().map(word).collect::<Vec<_>>().join("|");
    if let Some(Value::Array(choices)) = property.get("enum") {
        return words(choices);
    }
    match (property.get("type"), property.get("anyOf")) {
        (Some(Value::Array(types)), _) => words(types),
        (Some(one), _) => word(one),
        (None, Some(Value::Array(either))) => either.iter().map(kind).collect::<Vec<_>>().join("|"),
        (None, _) => String::new(),
    }
}

pub(super) fn run(config: &Config, args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let file = project::component(args.file.as_deref(), ".".as_ref())?;
    let engine = project::engine(config)?;
    let (revision, compile_ms) = project::compile(&engine, &file)?;
    output::sheet(&Inspected::of(&revision, compile_ms))?;
    Ok(ExitCode::SUCCESS)
}
