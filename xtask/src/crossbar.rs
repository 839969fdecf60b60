//! Crossbar.io, the router that the tests put beside the embedded one, under the target folder.

use crate::{python, step};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::process::Command;

/// What the tests need to know: the variable `BOURSE_CROSSBAR` names the program.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment() -> Result<Vec<(&'static str, OsString)>> {
    let interpreter = python::environment("crossbar", "tests/python/requirements-crossbar.txt")?;
    let program = interpreter.with_file_name("crossbar");
    if !step::works(Command::new(&program).arg("version")) {
        bail!(
            "{} is there and does not run; remove its environment to have it made anew",
            program.display()
        );
    }
    Ok(vec![("BOURSE_CROSSBAR", program.into_os_string())])
}
