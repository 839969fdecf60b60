//! The market maker's key: made at the first start, readable by its owner alone.

use anyhow::{Context, bail, ensure};
use bourse_chain::Signer;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Name of the key in the data folder.
pub const FILE: &str = "marketmaker.key";
/// Read and write for the owner, nothing for anybody else.
const MODE: u32 = 0o600;

/// Reads a key: 64 hex digits, with or without `0x`.
///
/// # Errors
///
/// If the file cannot be read, others can read it, or it holds no key.
pub fn load(path: &Path) -> anyhow::Result<Signer> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    let mode = metadata.permissions().mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "the key {} can be read by others (mode {mode:o}): run `chmod 600 {0}`",
        path.display()
    );
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    let mut bytes = [0; 32];
    let digits = text.trim();
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut bytes)
        .with_context(|| format!("{} holds no key: expected 64 hex digits", path.display()))?;
    Signer::from_bytes(&bytes).with_context(|| format!("{} holds no key of secp256k1", path.display()))
}

/// Makes a fresh key and writes it, durably and never over another file.
///
/// # Errors
///
/// If the file exists or cannot be written.
pub fn create(path: &Path) -> anyhow::Result<Signer> {
    let signer = Signer::generate();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)
        .with_context(|| format!("cannot create the key {}", path.display()))?;
    writeln!(file, "{}", hex::encode(signer.to_bytes().as_slice()))?;
    file.sync_all()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(signer)
}

/// The key of a data folder: loaded, or made if the folder has no ledger yet.
///
/// # Errors
///
/// As [`load`] and [`create`]; and if a ledger is there whose key is gone.
pub fn load_or_create(folder: &Path, has_ledger: bool) -> anyhow::Result<Signer> {
    let path = folder.join(FILE);
    match (path.try_exists()?, has_ledger) {
        (true, _) => load(&path),
        (false, false) => create(&path),
        (false, true) => bail!(
            "{} is missing, but the ledger beside it was made with it: put the key back; a new one could sign for \
             none of its channels",
            path.display()
        ),
    }
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
        let mode = std::fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        create(&folder.path().join(FILE)).unwrap();
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.path().join(FILE), open).unwrap();
        assert!(
            load_or_create(folder.path(), true)
                .unwrap_err()
                .to_string()
                .contains("chmod 600")
        );
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
