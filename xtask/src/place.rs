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

/// Whether this machine has a copy of the database of advisories, which cargo-deny keeps in cargo's own folder.
pub(crate) fn has_advisories() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let copies = home.and_then(|home| home.join("advisory-dbs").read_dir().ok());
    copies.is_some_and(|mut copies| copies.any(|copy| copy.is_ok_and(|copy| copy.path().is_dir())))
}
