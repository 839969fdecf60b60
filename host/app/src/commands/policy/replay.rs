//! `bourse policy replay`: every decision of a log again, which must come out the same to the last bit.

use super::log::LogArgs;
use crate::backtest::{exact, table};
use crate::commands::bar::Bar;
use crate::config::Config;
use crate::output::{self, Form};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse policy replay`
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    log: LogArgs,
    /// A component that decided, NAME.wasm or SHA256.wasm. May be given several times; revisions that the data folder
    /// has archived and those that ship with the host are found without.
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
}

/// Exit code 1 if anything differs, or could not be repeated.
pub(super) fn run(config: &Config, args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let source = args.log.open(config)?;
    let revisions = args.log.revisions(config, &args.policies)?;
    let mut bar = Bar::new("replaying");
    let replayed = exact::replay(&source, &revisions, args.log.workers(), &mut |done, all| {
        bar.show(done, all);
    });
    drop(bar);
    let replayed = replayed?;
    match output::form() {
        Form::Json => output::json(&replayed)?,
        Form::Table => output::put(&table::replayed(&replayed)),
    }
    Ok(if replayed.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
