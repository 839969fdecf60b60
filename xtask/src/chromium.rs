//! The browser that the tests of the console click through.

use crate::step;
use anyhow::{Result, bail};
use std::env;
use std::ffi::OsString;
use std::process::Command;

/// Where the program is named, for those who keep it elsewhere, and for the tests.
const VARIABLE: &str = "BOURSE_CHROMIUM";
/// What it is called by those who package it.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// What the tests need to know: the variable `BOURSE_CHROMIUM` names the program.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment() -> Result<Vec<(&'static str, OsString)>> {
    let given = env::var_os(VARIABLE);
    let names = given.into_iter().chain(NAMES.map(OsString::from));
    for name in names {
        if step::works(Command::new(&name).arg("--version")) {
            return Ok(vec![(VARIABLE, name)]);
        }
    }
    bail!(
        "there is no Chromium: install one (Debian and Ubuntu: `apt install chromium`), or name it in {VARIABLE}"
    );
}
