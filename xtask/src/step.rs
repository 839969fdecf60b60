//! Steps of a gate: running a command, and saying how long it took.

use crate::place;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs one step of a gate between a line with its name and a line with its time.
///
/// # Errors
///
/// What the step says, with the step's name.
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(()) => println!("== {name}: ok, {seconds:.1} s"),
        Err(_) => println!("== {name}: failed, {seconds:.1} s"),
    }
    result.with_context(|| format!("step {name}"))
}

/// Runs cargo in the checkout's root and waits for it. Standard input is closed: no gate asks a question.
///
/// # Errors
///
/// If cargo does not start, or ends with a failure.
pub(crate) fn cargo(arguments: &[&str], environment: &[(&str, &OsStr)]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    run(&mut command)
}

/// Runs `command` in the checkout's root and waits for it.
///
/// # Errors
///
/// If it does not start, or ends with a failure.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    command.current_dir(place::root()?).stdin(Stdio::null());
    let line = line(command);
    let status = command
        .status()
        .with_context(|| format!("`{line}` did not start"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Whether `command` can be run, in its own folder or else in the checkout's root, and succeeds; its output is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    if command.get_current_dir().is_none()
        && let Ok(root) = place::root()
    {
        command.current_dir(root);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_runs_in_its_own_folder_if_it_has_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("here"), "").unwrap();
        assert!(works(
            Command::new("test")
                .args(["-e", "here"])
                .current_dir(folder.path())
        ));
        assert!(works(Command::new("test").args(["-e", "Cargo.lock"])));
    }
}
