//! `bourse policy …`: what authors and operators do with policies.
//!
//! What lives here: one file for each command, which reads its arguments, calls the crate that does the work and prints
//! the answer through [`output`](crate::output). What never does: the check, the sandbox and the library of policies
//! (`bourse-policy`), and the building of components (`bourse-build`).

mod backtest;
mod check;
mod deploy;
mod diff;
mod list;
mod log;
mod replay;

use crate::config::Config;
use crate::policies::Request;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// The commands about policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a component as the host does when it loads it. Exit code 1 with the reason if the host would refuse it.
    Check {
        /// The component, NAME.wasm.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a component in force on the running market of this data folder, without a restart.
    Deploy {
        /// The component, NAME.wasm; that of the present project if none is named. NAME.wasm.sig beside it goes along.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Only as a shadow: asked beside the revision in force, its answers logged and compared, never used.
        #[arg(long)]
        shadow: bool,
    },
    /// Put the shadow of a policy in force.
    Promote {
        /// The policy.
        name: String,
    },
    /// Go back to the revision that was in force before.
    Rollback {
        /// The policy.
        name: String,
    },
    /// Take a policy out of force: what its rules cover is refused until it is enabled again.
    Disable {
        /// The policy.
        name: String,
    },
    /// Put a disabled policy back in force.
    Enable {
        /// The policy.
        name: String,
    },
    /// Make every decision of a log again, by the revision that made it: any difference is an error. Exit code 1 then.
    Replay(replay::ReplayArgs),
    /// Show what a policy would have decided on recorded history: prices, revenue, refusals, costs.
    Backtest(backtest::BacktestArgs),
    /// Show on which recorded decisions two revisions differ.
    Diff(diff::DiffArgs),
    /// List the policies of the running market of this data folder.
    List,
}

/// Runs one of them. Exit codes as everywhere: 0 done, 1 a check failed, 2 usage, 3 no host.
pub(crate) async fn run(config: &Config, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check { file } => check::run(&file),
        PolicyCommand::Deploy { file, shadow } => deploy::deploy(config, file.as_deref(), shadow),
        PolicyCommand::Promote { name } => deploy::switch(config, Request::Promote { name }),
        PolicyCommand::Rollback { name } => deploy::switch(config, Request::Rollback { name }),
        PolicyCommand::Disable { name } => deploy::switch(config, Request::Disable { name }),
        PolicyCommand::Enable { name } => deploy::switch(config, Request::Enable { name }),
        PolicyCommand::Replay(args) => replay::run(config, &args),
        PolicyCommand::Backtest(args) => backtest::run(config, &args),
        PolicyCommand::Diff(args) => diff::run(config, &args),
        PolicyCommand::List => list::run(config),
    }
}
