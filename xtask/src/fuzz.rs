//! Fuzzing led by coverage: the targets of `tests/fuzz` under libFuzzer, everything below them built with counters.
//!
//! Neither a nightly compiler nor cargo-fuzz is needed: the counters are a pass of LLVM that the stable compiler runs when
//! it is asked to, and libFuzzer itself is C++ in the crate `libfuzzer-sys`. No sanitizer: what is ours forbids unsafe
//! code, and the sandbox's memory is mapped in ways that the address sanitizer does not know.

use crate::{place, step};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Seconds for each target, unless the variable says otherwise.
const SECONDS: u64 = 300;

/// The variable that says for how many seconds each target runs.
const VARIABLE: &str = "BOURSE_FUZZ_SECONDS";

/// What the compiler adds to each edge and each comparison, for libFuzzer.
const COUNTERS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// A function under test.
struct Target {
    name: &'static str,
    /// Bytes of its longest input.
    longest: u32,
    /// How many times the seconds of the others it gets.
    share: u64,
}

impl Target {
    const fn new(name: &'static str, longest: u32) -> Self {
        let share = 1;
        Self { name, longest, share }
    }
}

/// The longest first, so that no processor waits for it at the end.
const TARGETS: [Target; 9] = [
    // Its inputs choose among three serializers and two transports.
    Target {
        share: 6,
        ..Target::new("router", 2 << 10)
    },
    Target::new("component", 16 << 10),
    Target::new("answers", 1100),
    Target::new("record", 4 << 10),
    Target::new("cases", 4 << 10),
    Target::new("voucher", 2 << 10),
    Target::new("ledger", 2 << 10),
    Target::new("query", 2 << 10),
    Target::new("receipts", 2 << 10),
];

/// Seconds for one input. Building a component of 16 KiB takes a tenth of one.
const TIMEOUT: u32 = 20;

/// Megabytes of memory for a target.
const MEMORY: u32 = 4096;

/// Inputs of a target that the repository keeps.
const MAX_KEPT: usize = 100;

/// Bytes of all of them.
const MAX_KEPT_BYTES: u64 = 256 << 10;

/// Lines of a failed target's log that are shown.
const TAIL: usize = 40;

/// Runs all targets, or one, as many at a time as there are processors.
///
/// # Errors
///
/// If a target cannot be built, or one finds an input that it should have survived; the error names the file that
/// holds it.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let targets = chosen(only)?;
    let Some(program) = build()? else {
        return Ok(());
    };
    let seconds = seconds()?;
    let lanes = thread::available_parallelism().map_or(1, |lanes| lanes.get());
    let targets = Mutex::new(targets.into_iter());
    let next = || targets.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        let running: Vec<_> = (0..lanes)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while let Some(target) = next() {
                        fuzz(&program, &target, seconds).inspect_err(|_| while next().is_some() {})?;
                    }
                    Ok(())
                })
            })
            .collect();
        running
            .into_iter()
            .try_for_each(|lane| lane.join().unwrap_or_else(|_| bail!("a lane panicked")))
    })
}

/// Puts into `tests/fuzz/corpus` a sample of the fewest inputs found so far that reach every place that any reaches.
///
/// # Errors
///
/// If a target cannot be built, or an input that was found is no longer survived.
pub(crate) fn keep(only: Option<&str>) -> Result<()> {
    let targets = chosen(only)?;
    let Some(program) = build()? else {
        return Ok(());
    };
    for Target { name, .. } in targets {
        let folders = Folders::of(name)?;
        let merged = folders.work.join("merged");
        if merged.exists() {
            fs::remove_dir_all(&merged)?;
        }
        fs::create_dir_all(&merged)?;
        let mut command = command_of(&program, name, &folders);
        // Places alone: how often each is reached is worth another input to a search, and not to a test.
        command.args(["-set_cover_merge=1", "-use_counters=0"]);
        command.arg(&merged).arg(&folders.kept).arg(&folders.found);
        logged(command, name, &folders)?;
        let mut inputs = Vec::new();
        for entry in fs::read_dir(&merged)? {
            let entry = entry?;
            inputs.push((entry.metadata()?.len(), entry.file_name()));
        }
        let all = inputs.len();
        let inputs = sample(inputs);
        fs::remove_dir_all(&folders.kept)?;
        fs::create_dir_all(&folders.kept)?;
        for (_, input) in &inputs {
            fs::copy(merged.join(input), folders.kept.join(input))?;
        }
        let (kept, bytes) = (inputs.len(), inputs.iter().map(|(size, _)| size).sum::<u64>());
        println!(
            "{name}: {kept} of {all} inputs, {bytes} bytes, in {}",
            folders.kept.display()
        );
    }
    Ok(())
}

/// Every so-manieth input by size, so that small and large ones stay and the corpus is one that a repository can hold.
fn sample(mut inputs: Vec<(u64, OsString)>) -> Vec<(u64, OsString)> {
    inputs.sort();
    let mut step = 1;
    loop {
        // From the largest on, which reaches the most.
        let some: Vec<_> = inputs.iter().rev().step_by(step).cloned().collect();
        if some.len() <= MAX_KEPT && some.iter().map(|(size, _)| size).sum::<u64>() <= MAX_KEPT_BYTES {
            return some;
        }
        step += 1;
    }
}

fn chosen(only: Option<&str>) -> Result<Vec<Target>> {
    let targets: Vec<_> = TARGETS
        .into_iter()
        .filter(|target| only.is_none_or(|only| only == target.name))
        .collect();
    if targets.is_empty() {
        let names = TARGETS.map(|target| target.name).join(", ");
        bail!(
            "no target `{}`: expected one of {names}",
            only.unwrap_or_default()
        );
    }
    Ok(targets)
}

fn seconds() -> Result<u64> {
    match env::var(VARIABLE) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{VARIABLE} is `{text}`: expected a number of seconds")),
        Err(_) => Ok(SECONDS),
    }
}

/// Where a target's files are.
struct Folders {
    /// What is thrown away with the target folder.
    work: PathBuf,
    /// Inputs that good code makes, written anew at each start.
    seeds: PathBuf,
    /// Inputs that this machine has found.
    found: PathBuf,
    /// Inputs that the repository keeps.
    kept: PathBuf,
}

impl Folders {
    fn of(name: &str) -> Result<Self> {
        let work = place::target()?.join("fuzz/run").join(name);
        let folders = Self {
            seeds: work.join("seeds"),
            found: work.join("found"),
            kept: place::root()?.join("tests/fuzz/corpus").join(name),
            work,
        };
        for folder in [&folders.seeds, &folders.found, &folders.kept] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(folders)
    }
}

/// Builds the program with all targets; none where there is no compiler for libFuzzer.
fn build() -> Result<Option<PathBuf>> {
    if !step::works(Command::new("c++").arg("--version")) {
        println!("NOT CHECKED: fuzzing: libFuzzer is C++, and there is no `c++`");
        return Ok(None);
    }
    same_versions()?;
    let host = host()?;
    let built = place::target()?.join("fuzz");
    let flags: OsString = COUNTERS.join("\u{1f}").into();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // A named target keeps the counters out of build scripts and macros.
    cargo
        .args(["build", "--quiet", "--release"])
        .args([
            "--manifest-path",
            "tests/fuzz/guided/Cargo.toml",
            "--target",
            &host,
        ])
        .arg("--target-dir")
        .arg(&built)
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    step::run(&mut cargo)?;
    Ok(Some(built.join(host).join("release/bourse-fuzz-guided")))
}

/// Gives the program, which is a workspace of its own, the versions of the workspace's dependencies: cargo takes out of
/// the lock file what it does not need, and adds libFuzzer.
fn same_versions() -> Result<()> {
    let root = place::root()?;
    let (ours, its) = (root.join("Cargo.lock"), root.join("tests/fuzz/guided/Cargo.lock"));
    let written = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    if written(&its) < written(&ours) {
        fs::copy(&ours, &its).with_context(|| format!("cannot write {}", its.display()))?;
    }
    Ok(())
}

/// The triple of this machine.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc does not start")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Runs one target for its time.
fn fuzz(program: &Path, target: &Target, seconds: u64) -> Result<()> {
    let name = target.name;
    let folders = Folders::of(name)?;
    let mut command = command_of(program, name, &folders);
    command
        .arg(format!("-max_total_time={}", seconds * target.share))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", folders.work.display()))
        .arg(format!(
            "-dict={}",
            place::root()?.join("tests/fuzz/json.dict").display()
        ))
        .arg("-print_final_stats=1");
    // New inputs go to the first folder.
    command.args([&folders.found, &folders.kept, &folders.seeds]);
    let log = logged(command, name, &folders)?;
    let done = log
        .lines()
        .rev()
        .find(|line| line.starts_with("Done "))
        .unwrap_or("no figures");
    let reached = log
        .lines()
        .rev()
        .find(|line| line.contains(" cov: "))
        .unwrap_or_default();
    println!("{name}: {done}; {}", reached.trim_start_matches('#').trim());
    Ok(())
}

fn command_of(program: &Path, name: &str, folders: &Folders) -> Command {
    let mut command = Command::new(program);
    command
        .env("BOURSE_FUZZ_TARGET", name)
        .env("BOURSE_FUZZ_SEEDS", &folders.seeds)
        .current_dir(&folders.work);
    command
}

/// Runs a target with its output in a file, which is returned; its end is shown where the target fails.
fn logged(mut command: Command, name: &str, folders: &Folders) -> Result<String> {
    let path = folders.work.join("log");
    let log = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("{} does not start", command.get_program().display()))?;
    // A guest's bytes may be in it.
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    if status.success() {
        return Ok(text);
    }
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        println!("{name}: {line}");
    }
    let input = lines
        .iter()
        .rev()
        .find_map(|line| line.split("written to ").nth(1));
    bail!(
        "the target `{name}` failed ({status}) on {}; tests/fuzz/README.md says how to look into it",
        input.unwrap_or("an input that it did not write")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_few_small_and_large() {
        let inputs: Vec<_> = (1..=250u64)
            .map(|size| (size, OsString::from(size.to_string())))
            .collect();
        let kept = sample(inputs);
        assert!((80..=MAX_KEPT).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.first().map(|(size, _)| *size), Some(250));
        assert!(kept.last().is_some_and(|(size, _)| *size < 5));
        let large = (1..=90u64)
            .map(|number| (8192, OsString::from(number.to_string())))
            .collect();
        let bytes: u64 = sample(large).iter().map(|(size, _)| size).sum();
        assert!(bytes <= MAX_KEPT_BYTES, "{bytes}");
        assert!(sample(Vec::new()).is_empty());
    }
}
