//! The Prometheus that drills have watch a market.

use crate::step;
use anyhow::{Result, bail};
use std::env;
use std::ffi::OsString;
use std::process::Command;

/// Where the program is named, for those who keep it elsewhere, and for the tests.
const VARIABLE: &str = "BOURSE_PROMETHEUS";

/// What the tests need to know: the variable `BOURSE_PROMETHEUS` names the program.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment() -> Result<Vec<(&'static str, OsString)>> {
    let name = env::var_os(VARIABLE).unwrap_or_else(|| "prometheus".into());
    if step::works(Command::new(&name).arg("--version")) {
        return Ok(vec![(VARIABLE, name)]);
    }
    bail!(
        "there is no Prometheus: install it (Debian and Ubuntu: `apt install prometheus`), or name it in {VARIABLE}"
    );
}
