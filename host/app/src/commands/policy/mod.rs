//! `bourse policy …`: what authors and operators do with policies.
//!
//! What lives here: one file for each command, which reads its arguments, calls the crate that does the work and prints
//! the answer through [`output`](crate::output). What never does: the check, the sandbox and the library of policies
//! (`bourse-policy`), and the building of components (`bourse-build`).

mod check;

use crate::config::Config;
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
}

/// Runs one of them. Exit codes as everywhere: 0 done, 1 a check failed, 2 usage, 3 no host.
pub(crate) async fn run(_config: &Config, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check { file } => check::run(&file),
    }
}
