//! `bourse policy bench`: what calls cost, in instances made for each and in ones that served before.

use super::{project, question};
use crate::commands::bar::Bar;
use crate::config::Config;
use crate::output::{self, Row};
use anyhow::bail;
use bourse_cases::{Function, Input, Said};
use bourse_policy::{Instances, Limits, Revision};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Calls before the first that counts: the pool's memory is touched, code and data are in the caches.
const WARM_UP: u32 = 200;

/// `bourse policy bench`
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The component, NAME.wasm; that of the present project if none is named.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What to ask: pricing, admit, filter or consent. By default everything the policy can be asked.
    #[arg(long, value_name = "HOOK")]
    hook: Option<Function>,
    /// The question, in the form of a case file. Without it, the defaults.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Calls of each kind.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    calls: u32,
}

/// The figures of one kind of call.
#[derive(Debug, Serialize)]
struct Figures {
    hook: &'static str,
    instances: Instances,
    outcome: String,
    calls: usize,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    per_second: u64,
    fuel: u64,
    fuel_max: u64,
    fuel_limit: u64,
}

impl Row for Figures {
    const HEADS: &'static [&'static str] = &[
        "hook",
        "instances",
        "outcome",
        "calls",
        "p50",
        "p99",
        "p99.9",
        "max",
        "a second",
        "fuel",
        "of",
    ];

    fn cells(&self) -> Vec<String> {
        let fuel = if self.fuel == self.fuel_max {
            self.fuel.to_string()
        } else {
            format!("{}-{}", self.fuel, self.fuel_max)
        };
        vec![
            self.hook.to_owned(),
            match self.instances {
                Instances::Fresh => "fresh".to_owned(),
                Instances::Warm => "warm".to_owned(),
            },
            self.outcome.clone(),
            self.calls.to_string(),
            format!("{:.1} µs", self.p50_us),
            format!("{:.1} µs", self.p99_us),
            format!("{:.1} µs", self.p999_us),
            format!("{:.1} µs", self.max_us),
            self.per_second.to_string(),
            fuel,
            self.fuel_limit.to_string(),
        ]
    }
}

/// Exit code 1 if a call fails: its figures would be those of a failure.
pub(super) fn run(config: &Config, args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let file = project::component(args.file.as_deref(), ".".as_ref())?;
    let revision = project::load(&project::engine(config)?, &file)?;
    let questions = questions(args, &revision)?;
    let mut all = Vec::new();
    for asked in &questions {
        for instances in [Instances::Fresh, Instances::Warm] {
            all.push(measure(&revision, asked, instances, args.calls)?);
        }
    }
    output::rows(&all)?;
    Ok(ExitCode::SUCCESS)
}

fn questions(args: &BenchArgs, revision: &Revision) -> anyhow::Result<Vec<Input>> {
    if let Some(path) = &args.input {
        return Ok(vec![question::read(path, args.hook)?]);
    }
    let functions = match args.hook {
        Some(function) => vec![function],
        None => Function::ALL
            .into_iter()
            .filter(|function| revision.has(function.hook()))
            .collect(),
    };
    let defaults = |function| Ok(Input::parse(b"{}", Some(function))?);
    functions.into_iter().map(defaults).collect()
}

fn measure(revision: &Revision, asked: &Input, instances: Instances, calls: u32) -> anyhow::Result<Figures> {
    let limits = Limits {
        instances,
        ..asked.limits()
    };
    let mut bar = Bar::new("measuring");
    let mut outcome = String::new();
    let mut times: Vec<Duration> = Vec::with_capacity(calls as usize);
    let (mut fuel, mut fuel_max) = (u64::MAX, 0);
    for call in 0..calls.saturating_add(WARM_UP) {
        let answered = asked.ask_within(revision, &limits);
        if let Said::Failed(failure) = &answered.said {
            bail!("call {call} of `{}` failed: {failure}", asked.function());
        }
        if call < WARM_UP {
            answered.said.outcome().clone_into(&mut outcome);
            continue;
        }
        times.push(answered.elapsed);
        fuel = fuel.min(answered.fuel);
        fuel_max = fuel_max.max(answered.fuel);
        // Not in the middle of every call: printing is a system call, and this is a measurement.
        if call % 1024 == 0 {
            bar.show(u64::from(call), u64::from(calls));
        }
    }
    drop(bar);
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    let at = |per_mille: usize| {
        let index = times
            .len()
            .saturating_mul(per_mille)
            .div_ceil(1000)
            .saturating_sub(1);
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Ok(Figures {
        hook: asked.function().as_str(),
        instances,
        outcome,
        calls: times.len(),
        p50_us: at(500),
        p99_us: at(990),
        p999_us: at(999),
        max_us: at(1000),
        per_second: u64::try_from(
            (times.len() as u128 * 1_000_000_000)
                .checked_div(sum.as_nanos())
                .unwrap_or(0),
        )
        .unwrap_or(u64::MAX),
        fuel,
        fuel_max,
        fuel_limit: limits.fuel,
    })
}
