//! `bourse policy backtest`: what a policy would have decided, on decisions that were really made.

use super::log::{LogArgs, engine};
use crate::backtest::{self, Params, Trial, load, page, table};
use crate::commands::bar::Bar;
use crate::config::Config;
use crate::output::{self, Form};
use anyhow::{Context, ensure};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy backtest`
#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// The policy to try: a component, or the name of one that ships with the host.
    #[arg(value_name = "NEW.wasm")]
    new: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    /// The policy whose decisions are made again, by name or by the beginning of its revision's hash; `all` for every
    /// one. May be given several times. By default the one of the same name.
    #[arg(long, value_name = "NAME")]
    of: Vec<String>,
    /// Parameters to lay over the recorded ones, field by field: a JSON object, or @FILE. null takes a field away.
    #[arg(long, value_name = "JSON|@FILE")]
    params: Option<String>,
    /// Take the parameters as they are, instead of laying them over the recorded ones.
    #[arg(long, requires = "params")]
    replace_params: bool,
    /// By how many percent purchases fall where a price rises by one. Without it, every purchase is made at any price.
    #[arg(long, value_name = "E", value_parser = elasticity)]
    elasticity: Option<f64>,
    /// Write the report as one HTML file with plots.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn elasticity(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=20.0).contains(&number) => Ok(number),
        _ => Err(format!(
            "`{text}` is no elasticity: expected a number from 0 to 20, such as 1.5"
        )),
    }
}

/// Writes the report; that answers differ is what it is for, and no failure.
pub(super) fn run(config: &Config, args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let new = load(&engine(config)?, &args.new)?;
    let source = args.log.open(config)?;
    let trial = Trial {
        source: &source,
        new: &new,
        old: None,
        of: args.of.clone(),
        params: params(args)?,
        elasticity: args.elasticity,
        workers: args.log.workers(),
    };
    let mut bar = Bar::new("deciding");
    let report = backtest::run(&trial, &mut |done, all| bar.show(done, all));
    drop(bar);
    let report = report?;
    if let Some(path) = &args.html {
        std::fs::write(path, page(&report)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match output::form() {
        Form::Json => output::json(&report)?,
        Form::Table => {
            output::put(&table::report(&report));
            if let Some(path) = &args.html {
                output::put(&format!("\nwritten to {}", path.display()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn params(args: &BacktestArgs) -> anyhow::Result<Params> {
    /// More than any policy is given.
    const MAX: usize = 64 << 10;
    let Some(given) = &args.params else {
        return Ok(Params::Recorded);
    };
    let text = match given.strip_prefix('@') {
        None => given.clone(),
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?,
    };
    ensure!(
        text.len() <= MAX,
        "the parameters have {} bytes, at most {MAX} make sense",
        text.len()
    );
    let params = backtest::params(&text)?;
    Ok(if args.replace_params {
        Params::Instead(params)
    } else {
        Params::Over(params)
    })
}
