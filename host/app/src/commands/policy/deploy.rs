//! `bourse policy deploy|promote|rollback|disable|enable`: what changes the policies of a running market.

use super::project;
use crate::config::Config;
use crate::control::{self, Attachment, call};
use crate::output::{self, Sheet};
use crate::policies::Request;
use anyhow::Context;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// A revision took its place.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Deployed(serde_json::Value);

impl Sheet for Deployed {
    fn lines(&self) -> Vec<(String, String)> {
        let shown = |key: &str| match self.0.get(key) {
            None | Some(serde_json::Value::Null) => None,
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(serde_json::Value::Array(items)) => {
                let words: Vec<_> = items.iter().filter_map(serde_json::Value::as_str).collect();
                Some(words.join(", "))
            }
            Some(other) => Some(other.to_string()),
        };
        let place = match self.0.get("shadow") {
            Some(serde_json::Value::Bool(true)) => "in the shadow: asked and compared, never used",
            _ => "in force",
        };
        let mut lines = vec![("state".to_owned(), place.to_owned())];
        for (name, key) in [
            ("policy", "name"),
            ("revision", "revision"),
            ("version", "version"),
            ("hooks", "hooks"),
            ("before", "previous"),
            ("signed by", "signed_by"),
            ("warning", "warning"),
        ] {
            lines.extend(shown(key).map(|value| (name.to_owned(), value)));
        }
        let rules = match shown("rules").as_deref() {
            None | Some("") => {
                "none: only sellers who choose it in place_offer get it; add a [[policies.rule]] to bind it"
                    .to_owned()
            }
            Some(hooks) => format!("bind it to {hooks}"),
        };
        lines.push(("rules".to_owned(), rules));
        lines
    }
}

/// `policy deploy [FILE]`
pub(super) fn deploy(config: &Config, file: Option<&Path>, shadow: bool) -> anyhow::Result<ExitCode> {
    let file = project::component(file, ".".as_ref())?;
    let name = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .with_context(|| format!("{} names no policy: it must be called NAME.wasm", file.display()))?
        .to_owned();
    let component = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut beside = file.clone().into_os_string();
    beside.push(".sig");
    let signature = match std::fs::read(&beside) {
        Ok(signature) => Some(signature),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", Path::new(&beside).display()));
        }
    };
    let with = Attachment {
        component: &component,
        signature: signature.as_deref(),
    };
    changed(call(
        &config.store.path,
        control::Request::Policy(Request::Deploy { name, shadow }),
        with,
    )?)
}

/// Takes a policy out of force.
pub(super) fn disable(config: &Config, name: String) -> anyhow::Result<ExitCode> {
    let request = Request::Disable { name: name.clone() };
    call(
        &config.store.path,
        control::Request::Policy(request),
        Attachment::default(),
    )?;
    say!(
        "`{name}` is disabled: what its rules cover is refused, until `bourse policy enable {name}` or a deploy"
    );
    Ok(ExitCode::SUCCESS)
}

/// What has no component to bring along.
pub(super) fn switch(config: &Config, request: Request) -> anyhow::Result<ExitCode> {
    changed(call(
        &config.store.path,
        control::Request::Policy(request),
        Attachment::default(),
    )?)
}

fn changed(mut answer: serde_json::Value) -> anyhow::Result<ExitCode> {
    match answer.get_mut("deployed") {
        Some(deployed) => output::sheet(&Deployed(deployed.take()))?,
        None => say!("done"),
    }
    Ok(ExitCode::SUCCESS)
}
