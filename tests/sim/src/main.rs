//! `cargo xtask sim`: plays seeds until one fails, or none does.

#![allow(clippy::unwrap_used, reason = "a simulator stops at its first surprise")]

use bourse_market::plant::Bug;
use bourse_sim::faults::{Fault, Trouble};
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
    /// Lets one thing go wrong, and nothing else: a kind of fault, and at which opportunity, as in `Commit:7`
    #[arg(long, value_parser = trouble)]
    trouble: Option<Trouble>,
    /// Lets one thing go wrong in each run, at every opportunity there is: for each kind of fault, as many runs of each
    /// seed as it has opportunities
    #[arg(long)]
    each: bool,
    /// With `--each`: opportunities of each kind that are tried, all if not given
    #[arg(long, requires = "each")]
    most: Option<u64>,
}

fn bug(text: &str) -> Result<Bug, String> {
    match text {
        "W-20" => Ok(Bug::W20),
        "W-22" => Ok(Bug::W22),
        "W-24" => Ok(Bug::W24),
        other => Err(format!("{other} is none of W-20, W-22 and W-24")),
    }
}

fn trouble(text: &str) -> Result<Trouble, String> {
    let (kind, nth) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("`{text}` is not FAULT:NTH"))?;
    let fault = Fault::all().find(|fault| format!("{fault:?}") == kind);
    let fault = fault.ok_or_else(|| {
        let known: Vec<String> = Fault::all().map(|fault| format!("{fault:?}")).collect();
        format!("`{kind}` is none of {}", known.join(", "))
    })?;
    match nth.parse() {
        Ok(nth) if nth > 0 => Ok(Trouble { fault, nth }),
        _ => Err(format!("`{nth}` is not a number from 1")),
    }
}

/// Failing seeds that are told in full; of more only the numbers.
const TOLD: usize = 3;
/// Lines of a failing run's trace that are shown.
const TRACE: usize = 60;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.each {
        return each(&arguments);
    }
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
                        trouble: arguments.trouble,
                    };
                    play(run, &total, &failed);
                }
            });
        }
    });
    let (total, failed) = (total.into_inner(), failed.into_inner());
    println!(
        "{} operations, {} sales, {} of them paid before and {} of keys in escrow, {} channels closed and {} debts settled, {} crashes, {} purchases found under way, {} orders for hidden keys and {} beyond a quota; {:.1} s",
        total.operations,
        total.sales,
        total.netted,
        total.escrowed,
        total.closed,
        total.settled,
        total.crashes,
        total.recovered,
        total.hidden,
        total.withheld,
        started.elapsed().as_secs_f64()
    );
    let failures = u64::try_from(failed.len()).unwrap();
    println!("{} passed, {failures} failed", arguments.seeds - failures);
    match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Everything that can go wrong once, one after the other.
fn each(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let faults = Mutex::new(Fault::all());
    let failed = Mutex::new(Vec::new());
    let runs = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(fault) = { faults.lock().next() } {
                    let tried = exhaust(arguments, fault, &failed);
                    runs.fetch_add(tried, Ordering::Relaxed);
                    println!("{fault:?}: {tried} opportunities");
                }
            });
        }
    });
    let failures = u64::try_from(failed.into_inner().len()).unwrap();
    println!("{:.1} s", started.elapsed().as_secs_f64());
    println!("{} passed, {failures} failed", runs.into_inner() - failures);
    match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// One kind of fault at each opportunity of each seed. Yields how many there were.
fn exhaust(arguments: &Arguments, fault: Fault, failed: &Mutex<Vec<u64>>) -> u64 {
    let mut tried = 0;
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        for nth in 1..=arguments.most.unwrap_or(u64::MAX) {
            let what = Run {
                seed,
                operations: arguments.operations,
                plant: arguments.plant,
                trouble: Some(Trouble { fault, nth }),
            };
            let total = Mutex::new(Summary::default());
            let before = failed.lock().len();
            play(what, &total, failed);
            let failed_now = failed.lock().len() > before;
            // Whatever did not strike had no opportunity left.
            if !total.into_inner().struck && !failed_now {
                break;
            }
            tried += 1;
        }
    }
    tried
}

fn play(what: Run, total: &Mutex<Summary>, failed: &Mutex<Vec<u64>>) {
    let outcome = std::panic::catch_unwind(|| run(what));
    let Run {
        seed,
        operations,
        trouble,
        ..
    } = what;
    let mut failed = match outcome {
        Ok(Ok(summary)) => {
            let mut total = total.lock();
            total.operations += summary.operations;
            total.sales += summary.sales;
            total.netted += summary.netted;
            total.escrowed += summary.escrowed;
            total.settled += summary.settled;
            total.closed += summary.closed;
            total.struck |= summary.struck;
            total.crashes += summary.crashes;
            total.recovered += summary.recovered;
            total.hidden += summary.hidden;
            total.withheld += summary.withheld;
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
    let trouble = trouble.map_or_else(String::new, |Trouble { fault, nth }| {
        format!(" --trouble '{fault:?}:{nth}'")
    });
    println!(
        "seed {seed} FAILED; again: cargo xtask sim --from {seed} --seeds 1 --operations {operations}{trouble}"
    );
    failed.push(seed);
}
