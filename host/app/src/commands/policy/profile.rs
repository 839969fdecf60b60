//! `bourse policy profile`: where the fuel of a policy goes, as a flame graph.

use super::log::LogArgs;
use super::question;
use crate::backtest::{Profile, calls_of, load, profile};
use crate::commands::bar::Bar;
use crate::config::Config;
use crate::output::{self, Form};
use anyhow::{Context, ensure};
use bourse_cases::Function;
use bourse_policy::{Engine, EngineOptions};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy profile`
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// The component; one with the names of its functions, NAME.names.wasm of `bourse policy build --names`, tells most.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to ask: pricing, admit, filter or consent.
    #[arg(long, value_name = "HOOK", requires = "input")]
    hook: Option<Function>,
    /// The question, in the form of a case file; - reads it from standard input. Without it, decisions of a log.
    #[arg(long, value_name = "FILE", conflicts_with = "log")]
    input: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    /// The policy whose decisions are made again, by name or by the beginning of its revision's hash. By default the one
    /// of the same name.
    #[arg(long, value_name = "NAME")]
    of: Vec<String>,
    /// Samples, evenly spaced over the fuel.
    #[arg(long, value_name = "N", default_value_t = 4000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    samples: u64,
    /// Where to draw the flame graph; NAME.svg if nothing is said.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the stacks as lines of text too, as tools for flame graphs read them.
    #[arg(long, value_name = "FILE")]
    folded: Option<PathBuf>,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Profiled {
    policy: String,
    revision: String,
    calls: u64,
    fuel: u64,
    samples: u64,
    svg: String,
    functions: Vec<Share>,
}

/// A function's share of the fuel.
#[derive(Debug, Serialize)]
struct Share {
    function: String,
    /// Percent of the fuel that it burned itself.
    own: f64,
    /// Percent of the fuel that was burned in it and in what it called.
    all: f64,
}

/// Functions in the table; the JSON has all.
const ROWS: usize = 20;

pub(super) fn run(config: &Config, args: &ProfileArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(EngineOptions {
        component: config.policies.component_max,
        backtraces: true,
        ..EngineOptions::default()
    })?;
    let revision = load(&engine, &args.file)?;
    let records = match &args.input {
        Some(path) => vec![question::read(path, args.hook)?.ask(&revision).record],
        None => calls_of(&revision, &args.log.open(config)?, &args.of)?,
    };
    ensure!(
        !records.is_empty(),
        "the log has no decision that `{}` can make again: choose others with --of NAME, or ask with --input FILE",
        revision.name()
    );
    let mut bar = Bar::new("sampling");
    let profile = profile(&revision, &records, args.samples, &mut |done, all| {
        bar.show(done, all)
    });
    drop(bar);
    ensure!(
        profile.fuel > 0,
        "the call burns no fuel, it ends with `{}` before the policy runs",
        records.first().map_or("nothing", |record| &record.outcome)
    );
    let svg = args
        .svg
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.svg", revision.name())));
    let title = format!(
        "{} {}: {} fuel in {} calls",
        revision.name(),
        revision.description().version,
        profile.fuel,
        profile.calls
    );
    let write = |path: &PathBuf, text: String| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(&svg, profile.stacks.svg(&title, "fuel"))?;
    if let Some(folded) = &args.folded {
        write(folded, profile.stacks.folded())?;
    }
    if profile.is_nameless() {
        eprintln!(
            "the component has no names for its functions: build it with `bourse policy build --names` to see them"
        );
    }
    show(&Profiled {
        policy: revision.name().to_owned(),
        revision: revision.id().to_string(),
        calls: profile.calls,
        fuel: profile.fuel,
        samples: profile.stacks.total(),
        svg: svg.display().to_string(),
        functions: shares(&profile),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn shares(profile: &Profile) -> Vec<Share> {
    let total = profile.stacks.total().max(1) as f64;
    let percent = |samples: u64| (samples as f64 * 1000.0 / total).round() / 10.0;
    let functions = profile.stacks.functions();
    functions
        .into_iter()
        .map(|(function, own, all)| Share {
            function,
            own: percent(own),
            all: percent(all),
        })
        .collect()
}

fn show(profiled: &Profiled) -> anyhow::Result<()> {
    if output::form() == Form::Json {
        return output::json(profiled);
    }
    let mut table = vec![vec!["OWN".to_owned(), "ALL".to_owned(), "FUNCTION".to_owned()]];
    table.extend(profiled.functions.iter().take(ROWS).map(|share| {
        vec![
            format!("{:>5.1} %", share.own),
            format!("{:>5.1} %", share.all),
            share.function.clone(),
        ]
    }));
    output::put(&format!(
        "{} of revision {}: {} fuel in {} calls, {} samples\n\n{}\ndrawn in {}",
        profiled.policy,
        profiled.revision,
        profiled.fuel,
        profiled.calls,
        profiled.samples,
        output::columns(&table),
        profiled.svg
    ));
    Ok(())
}
