//! `bourse policy …`: what authors and operators do with policies.
//!
//! What lives here: one file for each command, which reads its arguments, calls the crate that does the work and prints
//! the answer through [`output`](crate::output). What never does: the check, the sandbox and the library of policies
//! (`bourse-policy`), and the building of components (`bourse-build`).

mod backtest;
mod bench;
mod build;
mod check;
mod deploy;
mod diff;
mod inspect;
mod list;
mod log;
mod new;
mod profile;
mod project;
mod question;
mod replay;
mod run;
mod sign;
mod test;

pub(super) use project::caches;

use crate::config::Config;
use crate::policies::Request;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// The commands about policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Start the project of a policy, in a new folder of its name. It builds and tests at once.
    New(new::NewArgs),
    /// Build the project in the present folder, or in DIR, to ./NAME.wasm.
    Build(build::BuildArgs),
    /// Check a component as the host does when it loads it. Exit code 1 with the reason if the host would refuse it.
    Check(check::CheckArgs),
    /// Show what a component says of itself: hooks, imports, parameters.
    Inspect(inspect::InspectArgs),
    /// Ask a component one question. Shows the answer, its fuel and its time.
    Run(run::RunArgs),
    /// Ask a component with the case files of its project. Exit code 1 if an answer is not as expected.
    Test(test::TestArgs),
    /// Measure calls of a component.
    Bench(bench::BenchArgs),
    /// Make a key that signs components.
    Keygen(sign::KeygenArgs),
    /// Sign a component under its name.
    Sign(sign::SignArgs),
    /// Check the signature of a component. Exit code 1 if it does not count.
    Verify(sign::VerifyArgs),
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
    /// Show where the fuel of a policy goes, as a flame graph.
    Profile(profile::ProfileArgs),
    /// Show on which recorded decisions two revisions differ.
    Diff(diff::DiffArgs),
    /// List the policies of the running market of this data folder.
    List,
}

/// Runs one of them. Exit codes as everywhere: 0 done, 1 a check failed, 2 usage, 3 no host.
pub(crate) async fn run(config: &Config, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::New(args) => new::run(&args),
        PolicyCommand::Build(args) => build::run(config, &args),
        PolicyCommand::Check(args) => check::run(config, &args),
        PolicyCommand::Inspect(args) => inspect::run(config, &args),
        PolicyCommand::Run(args) => run::run(config, &args),
        PolicyCommand::Test(args) => test::run(config, &args),
        PolicyCommand::Bench(args) => bench::run(config, &args),
        PolicyCommand::Keygen(args) => sign::keygen(&args),
        PolicyCommand::Sign(args) => sign::sign_file(config, &args),
        PolicyCommand::Verify(args) => sign::verify_file(config, &args),
        PolicyCommand::Deploy { file, shadow } => deploy::deploy(config, file.as_deref(), shadow),
        PolicyCommand::Promote { name } => deploy::switch(config, Request::Promote { name }),
        PolicyCommand::Rollback { name } => deploy::switch(config, Request::Rollback { name }),
        PolicyCommand::Disable { name } => deploy::disable(config, name),
        PolicyCommand::Enable { name } => deploy::switch(config, Request::Enable { name }),
        PolicyCommand::Replay(args) => replay::run(config, &args),
        PolicyCommand::Backtest(args) => backtest::run(config, &args),
        PolicyCommand::Profile(args) => profile::run(config, &args),
        PolicyCommand::Diff(args) => diff::run(config, &args),
        PolicyCommand::List => list::run(config),
    }
}
