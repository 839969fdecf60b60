//! The market maker's key: made at the first start, and never again; and the passphrase that opens it.

use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use bourse_chain::{KeyFileError, Passphrase, Signer, save_key, unlock_key};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The passphrase itself. It is no setting, so that nothing that prints settings can print it.
const PASSPHRASE: &str = "BOURSE_KEY_PASSPHRASE";
/// What to do where a passphrase is missing.
pub(crate) const HOW_TO_GIVE: &str = "put the passphrase into a file of mode 600 that chain.key_passphrase_file names, or \
                                      into the environment variable BOURSE_KEY_PASSPHRASE";

/// The market maker's key: loaded or, if no other file is configured and there is no ledger yet, made; encrypted, if there
/// is a passphrase.
///
/// # Errors
///
/// If the key cannot be read, opened or made; if its file is configured and missing; and if a ledger is there whose key is
/// gone.
pub(crate) fn load_or_create(config: &Config, has_ledger: bool) -> anyhow::Result<Signer> {
    if let Some(signer) = load(config)? {
        return Ok(signer);
    }
    let path = config.key_path();
    if config.chain.key.is_some() {
        bail!(
            "chain.key is {}, and there is no such file: put the market maker's key there, or make one with `bourse keys \
             new`; a configured key is never made by itself",
            path.display()
        );
    }
    if has_ledger {
        bail!(
            "{} is missing, but the ledger beside it was made with it: put the key back; a new one could sign for \
             none of its channels",
            path.display()
        );
    }
    // Who gives a passphrase expects that the key cannot be had without it.
    let passphrase = passphrase(config, None)?;
    let signer = Signer::generate();
    save_key(&path, &signer, passphrase.as_ref())?;
    Ok(signer)
}

/// The market maker's key, if there is one.
///
/// # Errors
///
/// If it cannot be read or opened.
pub(crate) fn load(config: &Config) -> anyhow::Result<Option<Signer>> {
    let path = config.key_path();
    let there = path
        .try_exists()
        .with_context(|| format!("cannot look for the key {}", path.display()))?;
    there.then(|| open(config, &path, None)).transpose()
}

/// The key at `path`, with the passphrase for it if there is one.
///
/// # Errors
///
/// If the key or the passphrase cannot be read, or do not fit together.
pub(crate) fn open(config: &Config, path: &Path, passphrase_file: Option<&Path>) -> anyhow::Result<Signer> {
    let passphrase = passphrase(config, passphrase_file)?;
    unlock_key(path, passphrase.as_ref()).map_err(|error| match error {
        KeyFileError::Locked { .. } => anyhow!("{error}: {HOW_TO_GIVE}"),
        other => other.into(),
    })
}

/// The passphrase: of the file that the command names, of the environment, or of the file that the configuration names.
///
/// # Errors
///
/// If the one that is named first cannot be read.
pub(crate) fn passphrase(config: &Config, file: Option<&Path>) -> anyhow::Result<Option<Passphrase>> {
    if let Some(file) = file {
        return Ok(Some(Passphrase::load(file)?));
    }
    // An empty variable is how some tools leave one out.
    let variable = std::env::var_os(PASSPHRASE).and_then(|value| Passphrase::new(value.into_vec()));
    match (variable, &config.chain.key_passphrase_file) {
        (Some(passphrase), _) => Ok(Some(passphrase)),
        (None, Some(file)) => {
            let passphrase = Passphrase::load(file).context("in chain.key_passphrase_file")?;
            Ok(Some(passphrase))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_chain::{create_key, load_key};

    fn in_folder(folder: &tempfile::TempDir) -> Config {
        let mut config = Config::default();
        config.store.path = folder.path().join("data");
        config
    }

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let config = in_folder(&folder);
        let made = load_or_create(&config, false).unwrap();
        let read = load_or_create(&config, true).unwrap();
        assert_eq!(made.address(), read.address());
    }

    #[test]
    fn a_ledger_without_its_key_is_never_given_another() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            load_or_create(&in_folder(&folder), true)
                .unwrap_err()
                .to_string()
                .contains("is missing")
        );
    }

    #[test]
    fn a_configured_key_is_never_made_not_even_at_the_usual_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = in_folder(&folder);
        for path in [folder.path().join("elsewhere.key"), config.key_path()] {
            config.chain.key = Some(path.clone());
            for has_ledger in [false, true] {
                let said = load_or_create(&config, has_ledger).unwrap_err().to_string();
                assert!(
                    said.contains("chain.key is") && said.contains("elsewhere.key") | said.contains("data"),
                    "{said}"
                );
            }
            assert!(!path.exists());
        }
        let signer = create_key(&config.key_path()).unwrap();
        assert_eq!(load_or_create(&config, true).unwrap().address(), signer.address());
    }

    #[test]
    fn an_encrypted_key_opens_with_the_passphrase_of_the_configured_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = in_folder(&folder);
        let signer = Signer::generate();
        save_key(
            &config.key_path(),
            &signer,
            Passphrase::new(b"sesame".to_vec()).as_ref(),
        )
        .unwrap();
        let said = format!("{:#}", load_or_create(&config, true).unwrap_err());
        assert!(
            said.contains("chain.key_passphrase_file") && said.contains("is encrypted"),
            "{said}"
        );
        let file = folder.path().join("passphrase");
        config.chain.key_passphrase_file = Some(file.clone());
        let said = format!("{:#}", load_or_create(&config, true).unwrap_err());
        assert!(said.contains("cannot read the passphrase"), "{said}");
        write_passphrase(&file);
        assert_eq!(load_or_create(&config, true).unwrap().address(), signer.address());
    }

    #[test]
    fn a_key_that_is_made_where_there_is_a_passphrase_is_encrypted_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = in_folder(&folder);
        let file = folder.path().join("passphrase");
        config.chain.key_passphrase_file = Some(file.clone());
        // Rather no key than one that is not encrypted.
        load_or_create(&config, false).unwrap_err();
        assert!(!config.key_path().exists());
        write_passphrase(&file);
        let made = load_or_create(&config, false).unwrap();
        assert!(matches!(
            load_key(&config.key_path()),
            Err(KeyFileError::Locked { .. })
        ));
        assert_eq!(load_or_create(&config, true).unwrap().address(), made.address());
    }

    fn write_passphrase(file: &Path) {
        create_key(file).unwrap();
        std::fs::write(file, "sesame\n").unwrap();
    }
}
