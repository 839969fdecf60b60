//! The two gates and the test command.

use crate::step::{self, cargo, step};
use crate::{
    chain, chromium, crash, crossbar, delegate, dist, fuzz, node, place, policies, prometheus, python, sim,
    tidy,
};
use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::process::Command;

/// The shipped policies are a workspace of their own, since they are built for another target.
const POLICIES: &str = "policies/Cargo.toml";
/// So is what libFuzzer runs, since it is built with counters.
const GUIDED: &str = "tests/fuzz/guided/Cargo.toml";

/// `cargo xtask test`: sets up what it can, says what it cannot, runs all tests.
///
/// # Errors
///
/// If a test fails.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    let mut variables = Variables::new();
    match python::clients() {
        Ok(interpreter) => {
            or_say(
                &mut variables,
                "settlement on a real chain",
                chain::environment(&interpreter),
            );
            variables.push(("BOURSE_PYTHON", interpreter.into_os_string()));
        }
        Err(error) => {
            println!("NOT CHECKED: trades with the real XBR clients, settlement on a real chain: {error:#}");
        }
    }
    or_say(
        &mut variables,
        "the market behind Crossbar.io",
        crossbar::environment(),
    );
    or_say(&mut variables, "clients in JavaScript", node::environment());
    or_say(
        &mut variables,
        "the console in a browser",
        chromium::environment(),
    );
    or_say(&mut variables, "alerts, in drills", prometheus::environment());
    nextest(variables, arguments.iter().map(String::as_str).collect(), false)
}

/// Adds what could be set up, or says what is not checked without it.
pub(crate) fn or_say(variables: &mut Variables, what: &str, found: Result<Variables>) {
    match found {
        Ok(found) => variables.extend(found),
        Err(error) => println!("NOT CHECKED: {what}: {error:#}"),
    }
}

/// What tests are told through their environment.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// All that tests need, or an error: for gates.
pub(crate) fn everything() -> Result<Variables> {
    let interpreter = python::clients()?;
    let mut variables = chain::environment(&interpreter)?;
    variables.extend(crossbar::environment()?);
    variables.extend(node::environment()?);
    // A browser and Prometheus are no part of any toolchain: where there is none, a gate says so and goes on.
    or_say(
        &mut variables,
        "the console in a browser",
        chromium::environment(),
    );
    or_say(&mut variables, "alerts, in drills", prometheus::environment());
    variables.push(("BOURSE_PYTHON", interpreter.into_os_string()));
    Ok(variables)
}

/// `cargo xtask ci`. A gate checks everything or fails: here a missing Python or node is an error.
///
/// # Errors
///
/// The first step that fails.
pub(crate) fn ci() -> Result<()> {
    checks()?;
    step("simulator", || sim::run(&["--seeds", sim::SEEDS]))?;
    step("faults, one by one", || sim::run(&sim::EACH))?;
    step("crashes", || crash::run(crash::SHORT, 0, None))?;
    step("crashes of transactions", || crash::transactions(&everything()?))?;
    step("tests", || nextest(everything()?, Vec::new(), false))
}

/// `cargo xtask long`: the steps of `ci`, crashes and tests at full figures, then fuzzing.
///
/// # Errors
///
/// The first step that fails.
pub(crate) fn long() -> Result<()> {
    checks()?;
    step("simulator, long", || sim::run_long(&["--seeds", sim::SEEDS_LONG]))?;
    step("faults, one by one, long", || sim::run_long(&sim::EACH_LONG))?;
    step("crashes, long", || crash::run(crash::LONG, 0, None))?;
    step("crashes of transactions", || crash::transactions(&everything()?))?;
    step("crashes, planted", crash::finds_the_planted_bug)?;
    step("signers recovered in C", || {
        cargo(
            &["nextest", "run", "-p", "bourse-chain", "--features", "c-recovery"],
            &[],
        )
    })?;
    step("tests, long", || {
        let mut variables = everything()?;
        variables.extend(delegate::environment()?);
        nextest(variables, Vec::new(), true)
    })?;
    step("packages", dist::check)?;
    step("fuzzing", || fuzz::run(None))
}

/// What both gates check before the tests.
fn checks() -> Result<()> {
    step("tidy", || tidy::run(&place::root()?))?;
    step("fmt", || {
        cargo(&["fmt", "--all", "--check"], &[])?;
        cargo(&["fmt", "--all", "--check", "--manifest-path", POLICIES], &[])?;
        cargo(&["fmt", "--check", "--manifest-path", GUIDED], &[])?;
        cargo(&["fmt", "--check", "--manifest-path", delegate::MANIFEST], &[])
    })?;
    step("clippy", || {
        const LINTS: [&str; 5] = ["--all-targets", "--quiet", "--", "-D", "warnings"];
        cargo(&[&["clippy", "--workspace"], &LINTS[..]].concat(), &[])?;
        of_policies(
            &[
                &["clippy", "--workspace", "--manifest-path", POLICIES],
                &LINTS[..],
            ]
            .concat(),
        )
    })?;
    step("policies", || policies::rebuild(true))?;
    step("deny", deny)
}

/// Cargo over the policies' workspace, for this machine: their components are built elsewhere.
fn of_policies(arguments: &[&str]) -> Result<()> {
    let target = place::target()?.join("policies");
    cargo(arguments, &[("CARGO_TARGET_DIR", target.as_os_str())])
}

fn deny() -> Result<()> {
    if !step::works(Command::new("cargo").args(["deny", "--version"])) {
        println!(
            "NOT CHECKED: licences, advisories, duplicates: cargo-deny is missing; `cargo install cargo-deny --locked`"
        );
        return Ok(());
    }
    let check = ["deny", "--log-level", "error", "check", "--hide-inclusion-graph"];
    cargo(&[&check[..], &["licenses", "bans", "sources"]].concat(), &[])?;
    // Only advisories need more than the registry: their database is a repository of its own.
    let reached = step::works(Command::new("cargo").args(["deny", "fetch", "db"]));
    let check = match (reached, place::has_advisories()) {
        (true, _) => &check[..],
        (false, true) => {
            println!(
                "advisories: `cargo deny fetch db` cannot reach their database; this machine's copy is taken"
            );
            &[&["deny", "--offline"], &check[1..]].concat()
        }
        (false, false) => {
            println!("NOT CHECKED: advisories: `cargo deny fetch db` cannot reach their database");
            return Ok(());
        }
    };
    cargo(&[check, &["advisories"]].concat(), &[])
}

/// All tests, those of the policies first, so that the workspace's own summary is the last thing printed. Those that need
/// the XBR clients look for `BOURSE_PYTHON`, those that need a chain for `BOURSE_ANVIL` and `BOURSE_CONTRACTS`, those that
/// need another router for `BOURSE_CROSSBAR`, clients in JavaScript for `BOURSE_NODE`, those that need
/// a browser for `BOURSE_CHROMIUM`, drills for `BOURSE_PROMETHEUS`, and say that they were not run where it is unset; those with a
/// small and a full size look for `BOURSE_LONG`. What is marked ignored is the other process of another test.
fn nextest(variables: Variables, arguments: Vec<&str>, long: bool) -> Result<()> {
    if !step::works(Command::new("cargo").args(["nextest", "--version"])) {
        println!("installing cargo-nextest");
        cargo(&["install", "cargo-nextest", "--locked"], &[])
            .context("cannot install cargo-nextest; see https://nexte.st for ready binaries")?;
    }
    // A filter is meant for the workspace; the policies' few tests would only be in its way.
    if arguments.is_empty() {
        of_policies(&["nextest", "run", "--workspace", "--manifest-path", POLICIES])?;
    }
    let mut line = vec!["nextest", "run"];
    if !arguments
        .iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
    {
        line.push("--workspace");
    }
    line.extend(arguments);
    let mut environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    if long {
        environment.push(("BOURSE_LONG", OsStr::new("1")));
    }
    cargo(&line, &environment)
}
