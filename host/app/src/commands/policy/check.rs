//! `bourse policy check FILE`: exactly the check that the host makes when it loads the file.

use crate::output::{self, Sheet};
use anyhow::Context;
use bourse_policy::{Engine, EngineOptions, Revision};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// What a component is, once it has passed.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    ok: bool,
    name: String,
    version: String,
    summary: String,
    revision: String,
    bytes: usize,
    limit_bytes: usize,
    hooks: Vec<String>,
    grants: Vec<String>,
}

impl Checked {
    fn of(revision: &Revision, limit_bytes: usize) -> Self {
        let description = revision.description();
        Self {
            ok: true,
            name: description.name.clone(),
            version: description.version.clone(),
            summary: description.summary.clone(),
            revision: revision.id().to_string(),
            bytes: revision.size(),
            limit_bytes,
            hooks: revision.hooks().iter().map(ToString::to_string).collect(),
            grants: revision.imports().iter().map(ToString::to_string).collect(),
        }
    }
}

impl Sheet for Checked {
    fn lines(&self) -> Vec<(String, String)> {
        let or_none = |list: &[String]| {
            if list.is_empty() {
                "none".to_owned()
            } else {
                list.join(", ")
            }
        };
        [
            ("ok", format!("{} {}", self.name, self.version)),
            ("summary", self.summary.clone()),
            ("revision", self.revision.clone()),
            ("size", format!("{} of {} bytes", self.bytes, self.limit_bytes)),
            ("hooks", or_none(&self.hooks)),
            ("needs grants", or_none(&self.grants)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// Loads the component of `file` under the name that its file has.
pub(super) fn load(engine: &Engine, file: &Path) -> anyhow::Result<Revision> {
    let name = file
        .file_stem()
        .with_context(|| format!("{} is no file of a component", file.display()))?
        .to_string_lossy();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    engine
        .load(&name, &bytes)
        .with_context(|| format!("{} is not a policy", file.display()))
}

pub(super) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(EngineOptions::default())?;
    let revision = load(&engine, file)?;
    output::sheet(&Checked::of(&revision, engine.options().component))?;
    Ok(ExitCode::SUCCESS)
}
