//! `bourse config check`

use crate::config::{Config, check_together};
use crate::policies::{SHIPPED, problem};
use bourse_policy::{Engine, EngineOptions, Revision, load_folder};
use std::collections::HashMap;
use std::process::ExitCode;

/// Checks the configuration of each market, and whether they can be in one process.
pub(crate) fn check_all(markets: &[Config]) -> anyhow::Result<ExitCode> {
    check_together(markets)?;
    let mut worst = ExitCode::SUCCESS;
    for config in markets {
        if markets.len() > 1 {
            say!("# the market of realm {}", config.realm.name);
        }
        let code = check(config)?;
        if code != ExitCode::SUCCESS {
            worst = code;
        }
    }
    Ok(worst)
}

/// Checks the configuration and the policies it names, then prints it in full. Reads alone: it may run beside the host.
fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(EngineOptions {
        component: config.policies.component_max,
        ..EngineOptions::default()
    })?;
    let mut problems = Vec::new();
    let mut revisions: HashMap<String, Option<Revision>> = HashMap::new();
    let folder = config.policy_dir();
    if folder.is_dir() {
        for (path, loaded) in load_folder(&engine, &folder) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if let Err(error) = &loaded {
                problems.push(format!("policy {}: {error}", path.display()));
            }
            revisions.insert(stem.into_owned(), loaded.ok());
        }
    }
    for (name, component) in SHIPPED {
        if !revisions.contains_key(*name) {
            revisions.insert((*name).to_owned(), Some(engine.load(name, component)?));
        }
    }
    for rule in config.rules() {
        let revision = revisions.get(&rule.policy).and_then(Option::as_ref);
        let (policy, hook) = (rule.policy.clone(), rule.hook.as_str());
        if let Some(problem) = problem(rule, revision) {
            problems.push(format!("rule for policy `{policy}`, hook `{hook}`: {problem}"));
        }
    }
    print!("{}", toml::to_string_pretty(&config.in_full())?);
    // After the settings, which fill a screen, so that this is what stands at its end.
    for problem in &problems {
        eprintln!("{problem}");
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
