//! `bourse policy diff`: where two revisions decide differently, on decisions that were really made.

use super::log::{LogArgs, answer, engine};
use crate::backtest::{self, Params, Trial, load};
use crate::commands::bar::Bar;
use crate::config::Config;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy diff`
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The policy to compare with: a component, or the name of one that ships with the host.
    #[arg(value_name = "OLD.wasm")]
    old: PathBuf,
    /// The policy to compare.
    #[arg(value_name = "NEW.wasm")]
    new: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    /// Whose decisions both are asked for, by name or by the beginning of a revision's hash; `all` for every one. By
    /// default those of either policy's name.
    #[arg(long, value_name = "NAME")]
    of: Vec<String>,
    /// Exit with code 1 if any answer differs, as a check.
    #[arg(long)]
    check: bool,
    /// Write the report as one HTML file with plots.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(config: &Config, args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let engine = engine(config)?;
    let (old, new) = (load(&engine, &args.old)?, load(&engine, &args.new)?);
    let source = args.log.open(config)?;
    let trial = Trial {
        source: &source,
        new: &new,
        old: Some(&old),
        of: args.of.clone(),
        params: Params::default(),
        elasticity: None,
        workers: args.log.workers(),
    };
    let mut bar = Bar::new("comparing");
    let report = backtest::run(&trial, &mut |done, all| bar.show(done, all));
    drop(bar);
    let report = report?;
    answer(&report, args.html.as_deref())?;
    Ok(if args.check && report.changed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
