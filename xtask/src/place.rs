//! Where things are: the checkout, and the folder for what we build and cache.

use anyhow::{Context, Result};
use std::env;
use std::path::PathBuf;

/// The root of the checkout this task was started in.
///
/// # Errors
///
/// If the folder of this crate cannot be found.
pub(crate) fn root() -> Result<PathBuf> {
    // Cargo sets it for what it runs; the built-in one serves a binary that is started by hand.
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let parent = here
        .parent()
        .with_context(|| format!("{} has no parent folder", here.display()))?;
    Ok(parent.to_path_buf())
}

/// The target folder: `CARGO_TARGET_DIR` where it is set, else `target` in the checkout.
///
/// # Errors
///
/// If the checkout cannot be found.
pub(crate) fn target() -> Result<PathBuf> {
    let root = root()?;
    Ok(match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) if !folder.is_empty() => root.join(folder),
        _ => root.join("target"),
    })
}
