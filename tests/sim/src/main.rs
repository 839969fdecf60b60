//! `cargo xtask sim`: plays seeds until one fails, or none does.

#![allow(clippy::unwrap_used, reason = "a simulator stops at its first surprise")]

use bourse_market::plant::Bug;
use bourse_sim::{Run, Summary, run};
use clap::Parser;
use parking_lot::Mutex;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Plays the market under seeded schedules and faults.
#[derive(Parser)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Things that happen in each
    #[arg(long, default_value_t = 200)]
    operations: u64,
    /// Switches a known bug on: W-20, W-22 or W-24. Then every run that finds it is a failure, and one must
    #[arg(long, value_parser = bug)]
    plant: Option<Bug>,
}

fn bug(text: &str) -> Result<Bug, String> {
    match text {
        "W-20" => Ok(Bug::W20),
        "W-22" => Ok(Bug::W22),
        "W-24" => Ok(Bug::W24),
        other => Err(format!("{other} is none of W-20, W-22 and W-24")),
    }
}

/// Failing seeds that are told in full; of more only the numbers.
const TOLD: usize = 3;
/// Lines of a failing run's trace that are shown.
const TRACE: usize = 60;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let total = Mutex::new(Summary::default());
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let run = Run {
                        seed,
                        operations: arguments.operations,
                        plant: arguments.plant,
                    };
                    play(run, &total, &failed);
                }
            });
        }
    });
    let (total, failed) = (total.into_inner(), failed.into_inner());
    println!(
        "{} operations, {} sales, {} of them paid before, {} crashes, {} purchases found under way; {:.1} s",
        total.operations,
        total.sales,
        total.netted,
        total.crashes,
        total.recovered,
        started.elapsed().as_secs_f64()
    );
    let failures = u64::try_from(failed.len()).unwrap();
    println!("{} passed, {failures} failed", arguments.seeds - failures);
    match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn play(what: Run, total: &Mutex<Summary>, failed: &Mutex<Vec<u64>>) {
    let outcome = std::panic::catch_unwind(|| run(what));
    let Run { seed, operations, .. } = what;
    let mut failed = match outcome {
        Ok(Ok(summary)) => {
            let mut total = total.lock();
            total.operations += summary.operations;
            total.sales += summary.sales;
            total.netted += summary.netted;
            total.crashes += summary.crashes;
            total.recovered += summary.recovered;
            return;
        }
        Ok(Err(failure)) => {
            let failed = failed.lock();
            if failed.len() < TOLD {
                let skipped = failure.trace.len().saturating_sub(TRACE);
                for line in failure.trace.iter().skip(skipped) {
                    println!("  {line}");
                }
                for violation in failure.violations.iter().take(TOLD) {
                    println!("seed {seed}: {violation}");
                }
            }
            failed
        }
        // The panic has told its story.
        Err(_) => failed.lock(),
    };
    println!("seed {seed} FAILED; again: cargo xtask sim --from {seed} --seeds 1 --operations {operations}");
    failed.push(seed);
}
