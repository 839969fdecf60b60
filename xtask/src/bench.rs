//! Measuring: the benchmark itself is a binary of the `tests` crate, so that it drives what the tests drive.

use crate::step::cargo;
use crate::{crossbar, gates};
use anyhow::Result;

/// How the lines begin that are measured on a chain.
const CHAIN: &str = "chain.follow";
/// How those begin that are measured on another router.
const CROSSBAR: &str = "crossbar.echo";

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
    // What follows a chain needs a node, and an echo is measured beside Crossbar.io's where that can be had.
    let wants_chain = filter.is_none_or(|filter| CHAIN.contains(filter) || filter.contains(CHAIN));
    let wants_crossbar = filter.is_none_or(|filter| CROSSBAR.contains(filter) || filter.contains(CROSSBAR));
    let mut variables = Vec::new();
    if wants_chain {
        variables = gates::everything()?;
    } else if wants_crossbar {
        gates::or_say(&mut variables, "the echo of Crossbar.io", crossbar::environment());
    }
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    cargo(&arguments, &environment)
}
