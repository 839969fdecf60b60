//! `bourse policy check FILE`: exactly the check that the host makes when it loads the file.

use super::project;
use crate::config::Config;
use crate::output::{self, Sheet};
use bourse_policy::Revision;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The component, NAME.wasm; that of the present project if none is named.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What a component is, once it has passed.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    ok: bool,
    name: String,
    version: String,
    summary: String,
    revision: String,
    bytes: usize,
    max_bytes: usize,
    hooks: Vec<&'static str>,
    grants: Vec<&'static str>,
}

impl Checked {
    pub(super) fn of(revision: &Revision, max_bytes: usize) -> Self {
        let description = revision.description();
        Self {
            ok: true,
            name: description.name.clone(),
            version: description.version.clone(),
            summary: description.summary.clone(),
            revision: revision.id().to_string(),
            bytes: revision.size(),
            max_bytes,
            hooks: revision.hooks().iter().map(|hook| hook.as_str()).collect(),
            grants: revision.imports().iter().map(|import| import.as_str()).collect(),
        }
    }
}

impl Sheet for Checked {
    fn lines(&self) -> Vec<(String, String)> {
        let grants = if self.grants.is_empty() {
            "nothing".to_owned()
        } else {
            let words: Vec<String> = self.grants.iter().map(|word| format!("\"{word}\"")).collect();
            format!("grants = [{}] in its rule", words.join(", "))
        };
        [
            ("policy", format!("{} {}", self.name, self.version)),
            ("summary", self.summary.clone()),
            ("revision", self.revision.clone()),
            (
                "size",
                format!("{} of at most {} bytes", self.bytes, self.max_bytes),
            ),
            ("hooks", self.hooks.join(", ")),
            ("needs", grants),
            (
                "check",
                output::toned(output::Tone::Good, "passed: hosts load it"),
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

pub(super) fn run(config: &Config, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let file = project::component(args.file.as_deref(), ".".as_ref())?;
    let engine = project::engine(config)?;
    let revision = project::load(&engine, &file)?;
    output::sheet(&Checked::of(&revision, engine.options().component))?;
    Ok(ExitCode::SUCCESS)
}
