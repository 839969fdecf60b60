//! `bourse policy backtest`: what a policy would have decided, on decisions that were really made.

use super::log::{LogArgs, answer, engine};
use crate::backtest::{self, Base, Params, Trial, load};
use crate::commands::bar::Bar;
use crate::config::Config;
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
    /// one. May be given several times. By default the one of the same name or, if the log has none, the only one.
    #[arg(long, value_name = "NAME")]
    of: Vec<String>,
    /// Parameters to lay over those of each decision, field by field: a JSON object, or @FILE. null takes a field away.
    #[arg(long, value_name = "JSON|@FILE")]
    params: Option<String>,
    /// What the parameters start from. `own` is what was recorded where the policy itself decided, and nothing where
    /// another did, whose parameters mean nothing to it.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Start::Own)]
    params_from: Start,
    /// By how many percent purchases fall where a price rises by one. Without it, every purchase is made at any price.
    #[arg(long, value_name = "E", value_parser = elasticity)]
    elasticity: Option<f64>,
    /// Write the report as one HTML file with plots.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What parameters start from.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Start {
    /// The recorded ones where the policy itself decided, none where another did.
    Own,
    /// The recorded ones, whoever decided.
    Recorded,
    /// None: the policy's defaults.
    Nothing,
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
    answer(&report?, args.html.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn params(args: &BacktestArgs) -> anyhow::Result<Params> {
    /// More than any policy is given.
    const MAX: usize = 64 << 10;
    let base = match args.params_from {
        Start::Own => Base::Own,
        Start::Recorded => Base::Recorded,
        Start::Nothing => Base::Nothing,
    };
    let Some(given) = &args.params else {
        return Ok(Params {
            base,
            ..Params::default()
        });
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
    Ok(Params {
        base,
        over: backtest::params(&text)?,
    })
}
