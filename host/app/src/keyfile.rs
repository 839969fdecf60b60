//! The market maker's key: made at the first start, and never again.

use anyhow::{Context, bail};
use bourse_chain::{Signer, create_key, load_key};
use std::path::Path;

/// Name of the key in the data folder.
pub(crate) const FILE: &str = "marketmaker.key";

/// The key of a data folder: loaded, or made if the folder has no ledger yet.
///
/// # Errors
///
/// If the key cannot be read or made; and if a ledger is there whose key is gone.
pub(crate) fn load_or_create(folder: &Path, has_ledger: bool) -> anyhow::Result<Signer> {
    let path = folder.join(FILE);
    let there = path
        .try_exists()
        .with_context(|| format!("cannot look for the key {}", path.display()))?;
    match (there, has_ledger) {
        (true, _) => Ok(load_key(&path)?),
        (false, false) => Ok(create_key(&path)?),
        (false, true) => bail!(
            "{} is missing, but the ledger beside it was made with it: put the key back; a new one could sign for \
             none of its channels",
            path.display()
        ),
    }
}

/// The key of a data folder, if there is one.
///
/// # Errors
///
/// If it cannot be read.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Option<Signer>> {
    let path = folder.join(FILE);
    let there = path
        .try_exists()
        .with_context(|| format!("cannot look for the key {}", path.display()))?;
    there.then(|| Ok(load_key(&path)?)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let made = load_or_create(folder.path(), false).unwrap();
        let read = load_or_create(folder.path(), true).unwrap();
        assert_eq!(made.address(), read.address());
    }

    #[test]
    fn a_ledger_without_its_key_is_never_given_another() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            load_or_create(folder.path(), true)
                .unwrap_err()
                .to_string()
                .contains("is missing")
        );
    }
}
