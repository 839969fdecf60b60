//! Samples, their figures, and the lines.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Runs of each measurement; the line shows their medians.
pub(crate) const RUNS: usize = 9;
/// How long each run lasts.
pub(crate) const RUN: Duration = Duration::from_millis(800);

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) ops_per_s: f64,
    pub(crate) cpu_us_per_op: f64,
}

impl Figures {
    /// From the duration of each operation, of the run, and the processor time it took.
    pub(crate) fn of(mut samples: Vec<Duration>, elapsed: Duration, cpu: Duration) -> Self {
        assert!(!samples.is_empty(), "a run without a single operation");
        samples.sort_unstable();
        let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
        let count = samples.len() as f64;
        Self {
            p50_us: at(0.5),
            p99_us: at(0.99),
            ops_per_s: count / elapsed.as_secs_f64(),
            cpu_us_per_op: cpu.as_secs_f64() * 1e6 / count,
        }
    }

    fn median(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(runs.iter().map(figure));
        Self {
            p50_us: of(|run| run.p50_us),
            p99_us: of(|run| run.p99_us),
            ops_per_s: of(|run| run.ops_per_s),
            cpu_us_per_op: of(|run| run.cpu_us_per_op),
        }
    }
}

/// The one in the middle.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// What a ratio compares.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ratio {
    /// Processor time of an operation.
    Cpu,
    /// The median duration of an operation.
    P50,
    /// Wall time of an operation with everything in flight.
    Throughput,
}

impl Ratio {
    fn of(self, run: &Figures, limit: &Figures) -> f64 {
        match self {
            Self::Cpu => run.cpu_us_per_op / limit.cpu_us_per_op,
            Self::P50 => run.p50_us / limit.p50_us,
            Self::Throughput => limit.ops_per_s / run.ops_per_s,
        }
    }
}

/// The lines so far, each with its runs.
pub(crate) struct Report {
    filter: Option<String>,
    runs: HashMap<String, Vec<Figures>>,
}

impl Report {
    pub(crate) fn new(filter: Option<String>) -> Self {
        Self {
            filter,
            runs: HashMap::new(),
        }
    }

    /// Whether a line is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| name.contains(filter))
    }

    /// Prints a line and keeps its runs for those that refer to it.
    ///
    /// The ratio is the median of those of each run to the limit's run of the same number: where both were measured in
    /// turn, whatever else the machine did fell on both.
    pub(crate) fn line(&mut self, name: &str, runs: &[Figures], limit: Option<(&str, Ratio)>) {
        let figures = Figures::median(runs);
        let of_limit = limit.and_then(|(limit, ratio)| Some((limit, self.ratio(runs, limit, ratio)?)));
        let (limit, ratio) = match of_limit {
            None => ("null".to_owned(), "null".to_owned()),
            Some((limit, ratio)) => (format!("\"{limit}\""), format!("{ratio:.2}")),
        };
        self.runs.insert(name.to_owned(), runs.to_vec());
        println!(
            "{{\"name\": \"{name}\", \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"ops_per_s\": {:.0}, \"cpu_us_per_op\": {:.2}, \
             \"limit\": {limit}, \"ratio_to_limit\": {ratio}}}",
            figures.p50_us, figures.p99_us, figures.ops_per_s, figures.cpu_us_per_op
        );
    }
}

impl Report {
    fn ratio(&self, runs: &[Figures], limit: &str, ratio: Ratio) -> Option<f64> {
        let limits = self.runs.get(limit)?;
        Some(median(
            runs.iter().zip(limits).map(|(run, limit)| ratio.of(run, limit)),
        ))
    }

    /// Prints the operations in a second of one line as a share of another's, both printed and measured in turn.
    pub(crate) fn share(&self, name: &str, of: &str, whole: &str) {
        let share = self
            .runs
            .get(of)
            .and_then(|runs| self.ratio(runs, whole, Ratio::Throughput));
        if let Some(share) = share {
            self.value(name, 100.0 / share, "%");
        }
    }

    /// Prints a figure that is no duration of an operation.
    pub(crate) fn value(&self, name: &str, value: f64, unit: &str) {
        println!("{{\"name\": \"{name}\", \"value\": {value:.1}, \"unit\": \"{unit}\"}}");
    }
}

/// Repeats `operation` on this thread for one run, and measures the processor time of this process.
pub(crate) fn repeat(mut operation: impl FnMut()) -> Figures {
    let own = crate::process::cpu_of_self();
    let started = Instant::now();
    let samples = samples(started, &mut operation);
    let elapsed = started.elapsed();
    Figures::of(samples, elapsed, crate::process::cpu_of_self() - own)
}

/// Like [`repeat`], on `threads` threads at once; the operations of all count together.
pub(crate) fn repeat_on(threads: usize, operation: impl Fn() + Sync) -> Figures {
    let own = crate::process::cpu_of_self();
    let started = Instant::now();
    let samples = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| samples(started, &mut || operation())))
            .collect();
        let ended = running.into_iter().map(|thread| thread.join().unwrap());
        ended.collect::<Vec<_>>().concat()
    });
    let elapsed = started.elapsed();
    Figures::of(samples, elapsed, crate::process::cpu_of_self() - own)
}

fn samples(started: Instant, operation: &mut impl FnMut()) -> Vec<Duration> {
    let mut samples = Vec::new();
    while started.elapsed() < RUN {
        let begun = Instant::now();
        operation();
        samples.push(begun.elapsed());
    }
    samples
}
