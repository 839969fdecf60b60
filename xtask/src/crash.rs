//! Real crashes: the harness is a binary of the `tests` crate; here it is built with a host that has places to die at.

use crate::place;
use crate::step::cargo;
use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::process::Command;

/// Kills in the gate of every change: one market's life, some ten seconds.
pub(crate) const SHORT: u64 = 10;
/// Kills in the gate of a release.
pub(crate) const LONG: u64 = 60;
/// Kills within which the planted bug must be found. One is usually enough.
const PLANTED: u64 = 4;

/// What both binaries are built with, and nothing that ships.
const BUILT: [&str; 5] = ["--quiet", "-p", "bourse-tests", "--features", "crash-points"];

/// Kills the host so many times, with the seeds from `from` on, and with a bug if one is named.
///
/// # Errors
///
/// If the harness does not build, or finds something.
pub(crate) fn run(kills: u64, from: u64, plant: Option<&str>) -> Result<()> {
    let host = ["--bin", "bourse-host"];
    cargo(&[&["build"], &BUILT[..], &host[..]].concat(), &[])?;
    let (kills, from) = (kills.to_string(), from.to_string());
    let mut arguments = vec!["--bin", "crash", "--", "--kills", &kills, "--from", &from];
    arguments.extend(plant.into_iter().flat_map(|bug| ["--plant", bug]));
    cargo(&[&["run"], &BUILT[..], &arguments].concat(), &[])
}

/// Has a host die at each step of a transaction to a chain, told where that is by `variables`.
///
/// # Errors
///
/// If a transaction is lost, or sent twice.
pub(crate) fn transactions(variables: &[(&'static str, OsString)]) -> Result<()> {
    let variables: Vec<(&str, &OsStr)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    let test = [
        "--test",
        "outbox",
        "--test",
        "settling",
        "--test",
        "chain_consents",
        "a_death_at_any_step",
    ];
    cargo(&[&["test"], &BUILT[..], &test[..]].concat(), &variables)
}

/// Has the harness, built by [`run`], find a host that replies before POST is durable: one that finds nothing proves
/// nothing.
///
/// # Errors
///
/// If it does not, or fails for another reason.
pub(crate) fn finds_the_planted_bug() -> Result<()> {
    /// What it says of a receipt that was given and not kept.
    const LOST: &str = "and the ledger does not";
    let harness = place::target()?.join("debug/crash");
    let output = Command::new(&harness)
        .args(["--kills", &PLANTED.to_string(), "--plant", "early-reply"])
        .output()
        .with_context(|| format!("{} did not start", harness.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    if output.status.success() || !said.contains(LOST) {
        bail!("{PLANTED} kills of a host that replies before it has written lost no receipt");
    }
    println!("the planted bug was found, as it must be");
    Ok(())
}
