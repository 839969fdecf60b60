//! Questions to policies, from files.

use anyhow::{Context, bail};
use bourse_cases::{Function, Input, MAX_BYTES};
use bourse_policy::Revision;
use std::io::Read;
use std::path::Path;

/// Reads a question from a file or, for `-`, from standard input. Never more than a case may have.
pub(super) fn read(path: &Path, function: Option<Function>) -> anyhow::Result<Input> {
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Input::parse(&bytes, function).with_context(|| path.display().to_string())
}

/// The only function that a policy can be asked, if there is one only.
pub(super) fn only_function(revision: &Revision) -> anyhow::Result<Function> {
    let mut functions = Function::ALL
        .into_iter()
        .filter(|function| revision.has(function.hook()));
    match (functions.next(), functions.next()) {
        (Some(one), None) => Ok(one),
        _ => bail!(
            "the policy can be asked several things: say which with --hook pricing, admit, filter or consent"
        ),
    }
}
