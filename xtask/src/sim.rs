//! The simulator: a binary of its own crate, so that the feature it plants bugs with stays out of the host.

use crate::step::cargo;
use anyhow::Result;

/// Seeds of the gate of every change.
pub(crate) const SEEDS: &str = "500";
/// Seeds of the gate of a release.
pub(crate) const SEEDS_LONG: &str = "10000";

/// One thing that goes wrong in each run, at every opportunity: of the gate of every change, where a kind has that many.
pub(crate) const EACH: [&str; 7] = ["--each", "--seeds", "2", "--operations", "60", "--most", "40"];
/// At all of them.
pub(crate) const EACH_LONG: [&str; 5] = ["--each", "--seeds", "8", "--operations", "200"];

/// Plays seeds, with the simulator as the tests build it.
///
/// # Errors
///
/// If one failed, or the simulator does not build.
pub(crate) fn run<S: AsRef<str>>(arguments: &[S]) -> Result<()> {
    run_with("dev", arguments)
}

/// Plays many seeds: with a simulator that takes minutes to build, and then plays several times as many in a second.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_long<S: AsRef<str>>(arguments: &[S]) -> Result<()> {
    run_with("sim", arguments)
}

fn run_with<S: AsRef<str>>(profile: &str, arguments: &[S]) -> Result<()> {
    let mut line = vec![
        "run",
        "--quiet",
        "--profile",
        profile,
        "-p",
        "bourse-sim",
        "--bin",
        "bourse-sim",
        "--",
    ];
    line.extend(arguments.iter().map(AsRef::as_ref));
    cargo(&line, &[])
}
