//! `examples/delegate-rs`, a workspace of its own that pulls hundreds of crates: for the long gate alone.

use crate::{place, step};
use anyhow::Result;
use std::ffi::OsString;

/// Its manifest.
pub(crate) const MANIFEST: &str = "examples/delegate-rs/Cargo.toml";

/// Runs its own tests, builds it, and tells the tests where it is in the variable `BOURSE_DELEGATE_RS`.
///
/// # Errors
///
/// If it does not build, or a test fails.
pub(crate) fn environment() -> Result<Vec<(&'static str, OsString)>> {
    let target = place::target()?.join("delegate-rs");
    let variables = [("CARGO_TARGET_DIR", target.as_os_str())];
    for task in ["test", "build"] {
        step::cargo(
            &[task, "--quiet", "--locked", "--manifest-path", MANIFEST],
            &variables,
        )?;
    }
    let program = target.join("debug/delegate-rs");
    Ok(vec![("BOURSE_DELEGATE_RS", program.into_os_string())])
}
