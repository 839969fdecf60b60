//! `cargo xtask ...`: what a developer of this repository runs. `cargo xtask --help` lists it.

mod bench;
mod chain;
mod chromium;
mod crash;
mod crossbar;
mod delegate;
mod dist;
mod fuzz;
mod gates;
mod node;
mod place;
mod policies;
mod prometheus;
mod python;
mod sim;
mod step;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Set-up, checks and gates of the Bourse workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Sets up what the tests need, then runs all of them
    Test {
        /// Passed on to `cargo nextest run`; without `-p` it covers the workspace
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        nextest: Vec<String>,
    },
    /// The gate of every change: tidy, format, lints, policies, dependencies, crashes, tests
    Ci,
    /// The gate of a release: `ci` with crashes and tests at full figures, then fuzzing
    Long,
    /// The rules of the house that no compiler holds: who may import what, sizes, heads of files
    Tidy,
    /// Rebuilds policies/dist with the pinned compiler
    Policies {
        /// Only compares policies/dist with its checksums and, where the compiler can be had, with a rebuild
        #[arg(long, conflicts_with = "build")]
        check: bool,
        /// Builds the policy in this folder into ./NAME.wasm instead, with rustup's compiler where it has the target
        #[arg(long, value_name = "FOLDER")]
        build: Option<PathBuf>,
    },
    /// Fuzzes, led by coverage: each target for BOURSE_FUZZ_SECONDS, 300 unless set
    Fuzz {
        /// Only this one: component, answers, record or cases
        target: Option<String>,
        /// Puts a sample of the inputs found so far into tests/fuzz/corpus, instead
        #[arg(long)]
        keep: bool,
    },
    /// Plays the market under seeded schedules and faults; ends with `N passed, N failed`
    Sim {
        /// Passed on to the simulator: --seeds N, --from SEED, --operations N, --plant W-20|W-22|W-24
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kills a real host with -9, under load and again and again, and counts every unit after each kill
    Crash {
        /// How often
        #[arg(long, value_name = "N", default_value_t = crash::SHORT)]
        kills: u64,
        /// The first kill's seed; each of the others has the next
        #[arg(long, value_name = "SEED", default_value_t = 0)]
        from: u64,
        /// With a bug that must be found: early-reply, which answers before POST is durable
        #[arg(long, value_name = "BUG", value_parser = ["early-reply"])]
        plant: Option<String>,
    },
    /// Packs what an operator installs: a tarball and a Debian package
    Dist {
        /// Also unpacks them and has what is in them trade
        #[arg(long)]
        check: bool,
    },
    /// Measures; prints one line per figure
    Bench {
        /// Only the figures whose name contains this
        filter: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test { nextest } => gates::test(&nextest),
        Task::Ci => gates::ci(),
        Task::Long => gates::long(),
        Task::Tidy => tidy::run(&place::root()?),
        Task::Policies {
            build: Some(folder), ..
        } => policies::build(&folder),
        Task::Policies { check, .. } => policies::rebuild(check),
        Task::Fuzz { target, keep: true } => fuzz::keep(target.as_deref()),
        Task::Fuzz { target, .. } => fuzz::run(target.as_deref()),
        Task::Sim { arguments } => sim::run(&arguments),
        Task::Crash { kills, from, plant } => crash::run(kills, from, plant.as_deref()),
        Task::Dist { check: true } => dist::check(),
        Task::Dist { check: false } => dist::run().map(drop),
        Task::Bench { filter } => bench::run(filter.as_deref()),
    }
}
