//! `bourse config …`: to begin with one, and to see all that is wrong with it at once.

use crate::cli::Common;
use crate::config::{Config, Inspected, Told, check_together};
use crate::policies::{SHIPPED, problem};
use anyhow::Context;
use bourse_policy::{Engine, EngineOptions, Revision, load_folder};
use clap::Subcommand;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where a configuration is written if nobody says where.
pub(crate) const USUAL_FILE: &str = "bourse.toml";
/// What most begin with.
const MINIMAL: &str = include_str!("../config/minimal.toml");
/// Every setting there is. A test holds it against the types.
pub(crate) const FULL: &str = include_str!("../config/full.toml");

/// The commands about the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a configuration to begin with. A file that is there stays as it is.
    Init {
        /// Where.
        #[arg(value_name = "FILE", default_value = USUAL_FILE)]
        file: PathBuf,
        /// Every setting, each with its default and what it does.
        #[arg(long)]
        full: bool,
    },
    /// Check the configuration and print it with every default filled in, without secrets. Exit code 1 with all that is wrong,
    /// each with its line.
    Check,
}

/// Runs one of them. Exit codes as everywhere: 0 done, 1 a check failed, 2 usage.
pub(crate) fn config(common: &Common, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Init { file, full } => init(&file, if full { FULL } else { MINIMAL }),
        ConfigCommand::Check => check(common),
    }
}

fn init(file: &Path, text: &str) -> anyhow::Result<ExitCode> {
    use std::os::unix::fs::OpenOptionsExt;
    // Addresses of nodes have keys in them.
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.with_context(|| {
        format!(
            "cannot write {}: name another file, or move that one away",
            file.display()
        )
    })?;
    let file = file.display();
    say!(
        "{file} is written; next: `bourse config check --config {file}`, then `bourse serve --config {file}`"
    );
    Ok(ExitCode::SUCCESS)
}

/// Checks the configuration of each market, and whether they can be in one process.
fn check(common: &Common) -> anyhow::Result<ExitCode> {
    let Inspected {
        markets,
        mut faults,
        warnings,
    } = common.inspect()?;
    if faults.is_empty()
        && let Err(error) = check_together(&markets)
    {
        faults.push(Told {
            line: None,
            text: format!("{error:#}"),
        });
    }
    let name = common.file().map_or_else(
        || "the configuration".to_owned(),
        |file| file.display().to_string(),
    );
    if !faults.is_empty() {
        tell(&name, "", &faults);
        return Ok(ExitCode::FAILURE);
    }
    let markets = common.chosen(markets)?;
    let several = markets.len() > 1;
    let mut problems = Vec::new();
    for config in &markets {
        if several {
            say!("# the market of realm {}", config.realm.name);
        }
        problems.extend(problems_with_policies(config)?);
        crate::output::put(&toml::to_string_pretty(&config.in_full())?);
    }
    // After the settings, which fill a screen, so that this is what stands at its end.
    tell(&name, "warning: ", &warnings);
    for problem in &problems {
        eprintln!("{problem}");
    }
    Ok(match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn tell(name: &str, what: &str, all: &[Told]) {
    for Told { line, text } in all {
        match line {
            Some(line) => eprintln!("{name}:{line}: {what}{text}"),
            None => eprintln!("{name}: {what}{text}"),
        }
    }
}

/// What is wrong with the policies that a configuration names. Reads alone: it may run beside the host.
fn problems_with_policies(config: &Config) -> anyhow::Result<Vec<String>> {
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
    Ok(problems)
}
