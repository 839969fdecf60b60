//! `bourse config check`

use crate::config::Config;
use crate::policies;
use crate::pricing::problem;
use bourse_policy::{Engine, EngineOptions};
use std::process::ExitCode;

/// Checks the configuration and the policies it names, then prints it in full.
pub(crate) fn check(config: &Config) -> anyhow::Result<ExitCode> {
    config.check()?;
    let engine = Engine::new(EngineOptions::default())?;
    let loaded = policies::load(&engine, &config.policy_dir())?;
    let mut sound = true;
    for (path, error) in &loaded.broken {
        eprintln!("policy {}: {error}", path.display());
        sound = false;
    }
    let revisions = loaded.revisions();
    for rule in config.rules() {
        if let Some(problem) = problem(&rule, &revisions) {
            eprintln!("rule for policy `{}`: {problem}", rule.policy);
            sound = false;
        }
    }
    print!("{}", toml::to_string_pretty(&config.in_full())?);
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
