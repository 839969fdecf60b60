//! `bourse policy list`: the policies of a running market, and how they do.

use crate::config::Config;
use crate::control::{self, Attachment, call};
use crate::output::{self, Row};
use crate::policies::Request;
use anyhow::Context;
use serde::Serialize;
use std::process::ExitCode;

/// A policy, as the market describes it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Listed(serde_json::Value);

impl Listed {
    fn text(&self, key: &str) -> String {
        match self.0.get(key) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Array(items)) => {
                let words: Vec<_> = items.iter().filter_map(serde_json::Value::as_str).collect();
                words.join(", ")
            }
            Some(other) => other.to_string(),
        }
    }

    /// Enough of a revision to tell it from others.
    fn short(&self, key: &str) -> String {
        self.text(key).chars().take("0x".len() + 12).collect()
    }
}

impl Row for Listed {
    const HEADS: &'static [&'static str] = &[
        "policy", "state", "version", "revision", "hooks", "origin", "shadow", "breaker", "trouble",
    ];

    fn cells(&self) -> Vec<String> {
        // That rules do not find a disabled policy is what its operator wanted; of a removed one the way back says more.
        let problems = match self.text("state").as_str() {
            "disabled" => String::new(),
            "removed" => format!(
                "its file is gone: `bourse policy rollback {}` brings back its last good revision",
                self.text("name")
            ),
            _ => self.text("problems"),
        };
        let trouble = [self.text("reason"), problems]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        vec![
            self.text("name"),
            self.text("state"),
            self.text("version"),
            self.short("revision"),
            self.text("hooks"),
            self.text("origin"),
            self.short("shadow"),
            self.text("breaker"),
            trouble,
        ]
    }
}

/// Shows them all.
pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let mut answer = call(
        &config.store.path,
        control::Request::Policy(Request::List),
        Attachment::default(),
    )?;
    let policies = answer
        .get_mut("policies")
        .map(serde_json::Value::take)
        .context("the market's answer has no `policies`")?;
    let listed: Vec<serde_json::Value> = serde_json::from_value(policies)?;
    let listed: Vec<Listed> = listed.into_iter().map(Listed).collect();
    output::rows(&listed)?;
    Ok(ExitCode::SUCCESS)
}
