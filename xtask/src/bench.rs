//! Measuring: the benchmark itself is a binary of the `tests` crate, so that it drives what the tests drive.

use crate::step::cargo;
use anyhow::Result;

/// Builds the benchmark with the release profile and runs it.
///
/// # Errors
///
/// If it does not build, or says that a measurement failed.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    // The benchmark starts the host as its users do, from the binary beside it.
    cargo(&["build", "--release", "--quiet", "-p", "bourse-app"], &[])?;
    let mut arguments = vec![
        "run",
        "--release",
        "--quiet",
        "-p",
        "bourse-tests",
        "--bin",
        "bench",
        "--",
    ];
    arguments.extend(filter);
    cargo(&arguments, &[])
}
