//! Running other programs.

use crate::error::BuildError;
use std::process::{Command, Stdio};

/// What to do about a program that is not there.
fn install(program: &str) -> &'static str {
    match program {
        "cargo" | "rustc" => {
            "install Rust from https://rustup.rs, then `rustup target add wasm32-unknown-unknown`"
        }
        "npm" | "npx" | "node" => "install Node.js 20 or newer from https://nodejs.org",
        _ => "install it with your system's package manager",
    }
}

/// Runs a program to its end, its standard input closed and what it prints on standard error.
///
/// # Errors
///
/// [`BuildError`] if it does not start, or ends with a failure; `hint` is what may help then.
pub(crate) fn run(command: &mut Command, hint: &'static str) -> Result<(), BuildError> {
    // Standard output is the caller's, for its answer.
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status = status.map_err(|source| unstarted(command, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(BuildError::Failed {
            line: line(command),
            status: status.to_string(),
            hint,
        })
    }
}

/// The error of a program that does not start.
pub(crate) fn unstarted(command: &Command, source: std::io::Error) -> BuildError {
    let program = command.get_program().to_string_lossy().into_owned();
    if source.kind() == std::io::ErrorKind::NotFound {
        let install = install(&program);
        BuildError::Missing { program, install }
    } else {
        BuildError::io(format!("start {program}"), source)
    }
}

/// Whether `command` can be run and succeeds; its output is dropped.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The program and its arguments, as one would type them.
pub(crate) fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
