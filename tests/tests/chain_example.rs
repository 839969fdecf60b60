//! `examples/chain_life.py` as a newcomer runs it, by the command at its head: a chain, a market on it, the original
//! clients, and a payout.
//!
//! It needs the environment that `cargo xtask test` makes; where `BOURSE_PYTHON` or `BOURSE_ANVIL` is unset this test says
//! that it checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop"
)]

use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// What the example's own head says starts it.
const INTERPRETER: &str = "target/python/bin/python";
const SCRIPT: &str = "examples/chain_life.py";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_of_a_trade_on_a_chain_runs_by_the_command_at_its_head_and_every_unit_agrees() {
    let (Some(interpreter), Some(anvil)) = (
        std::env::var_os("BOURSE_PYTHON"),
        std::env::var_os("BOURSE_ANVIL"),
    ) else {
        eprintln!("NOT CHECKED: BOURSE_PYTHON or BOURSE_ANVIL is unset; `cargo xtask test` sets both");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let head = std::fs::read_to_string(root.join(SCRIPT)).unwrap();
    let command = head
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(INTERPRETER))
        .expect("the head of the example says how it is started");
    let arguments = command.trim_start_matches(INTERPRETER).split_whitespace();
    // A newcomer has built the program, and the node is fetched for it: here both are there already.
    let output = Command::new(interpreter)
        .args(arguments)
        .arg("--bourse")
        .arg(bourse_tests::binary())
        .arg("--anvil")
        .arg(anvil)
        .current_dir(root)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    // Five keys at 3.5 tokens. The seller is credited with 99 of 100, of which the contract keeps one of 100 again.
    for line in [
        "buyer         -17.5 tokens",
        "seller        +17.15175 tokens",
        "market maker  +0 tokens",
    ] {
        assert!(lines.contains(&line), "{line}:\n{said}");
    }
    let last = "done: 5 keys sold, 0 transactions for them, and every unit is where the sales say";
    assert_eq!(lines.last(), Some(&last), "{said}");
}
