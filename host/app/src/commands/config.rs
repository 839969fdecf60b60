//! `bourse config check`

use crate::config::Config;
use crate::policies;
use crate::pricing::problems;
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
    for (policy, problem) in problems(&config.rules(), &loaded.revisions()) {
        eprintln!("rule for policy `{policy}`: {problem}");
        sound = false;
    }
    print!("{}", toml::to_string_pretty(config)?);
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
