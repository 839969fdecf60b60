//! `bourse config check`

use crate::config::Config;
use crate::policies::{SHIPPED, problem};
use bourse_policy::{Engine, EngineOptions, Revision, load_folder};
use std::collections::HashMap;
use std::process::ExitCode;

/// Checks the configuration and the policies it names, then prints it in full. Reads alone: it may run beside the host.
pub(crate) fn check(config: &Config) -> anyhow::Result<ExitCode> {
    config.check()?;
    let engine = Engine::new(EngineOptions {
        component: config.policies.component_max,
        ..EngineOptions::default()
    })?;
    let mut sound = true;
    let mut revisions: HashMap<String, Option<Revision>> = HashMap::new();
    let folder = config.policy_dir();
    if folder.is_dir() {
        for (path, loaded) in load_folder(&engine, &folder) {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if let Err(error) = &loaded {
                eprintln!("policy {}: {error}", path.display());
                sound = false;
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
            eprintln!("rule for policy `{policy}`, hook `{hook}`: {problem}");
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
