//! Private keys on disk, in files that only their owners can read: 64 hex digits, 32 raw bytes, or an encrypted keystore.

use crate::{KeyError, KeystoreError, Passphrase, Signer, keystore};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Read and write for the owner, nothing for anybody else.
const MODE: u32 = 0o600;
/// The same, for the folders that are made for a key.
const FOLDER_MODE: u32 = 0o700;
/// More bytes than any key or passphrase takes, keystores included, of which none has a thousand: what is longer is
/// another file, and need not be read to its end.
const MAX_BYTES: usize = 16 << 10;

/// Why there is no key, or no passphrase, at a path.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file is missing, or the system does not let it be read.
    #[error("cannot read the {what} {path}: {error}")]
    Unreadable {
        /// A key or a passphrase.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Whatever is in the file, it may be somebody's only key.
    #[error("{path} exists already, and no key is written over another file: choose another name")]
    There {
        /// Where.
        path: PathBuf,
    },
    /// The system does not let the file be made.
    #[error("cannot create the key {path}: {error}")]
    Uncreated {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A secret that others can read is theirs as well.
    #[error("the {what} {path} can be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Shared {
        /// A key or a passphrase.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Some other file.
    #[error("{path} holds no {what}: it is longer than {MAX_BYTES} bytes")]
    TooLong {
        /// A key or a passphrase.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Something else than 32 bytes in one of three forms.
    #[error("{path} holds no key: expected 64 hex digits, 32 raw bytes, or a keystore file in JSON")]
    NotHex {
        /// Where.
        path: PathBuf,
    },
    /// 32 bytes that are no key.
    #[error("{path} holds no key: {error}")]
    NoKey {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: KeyError,
    },
    /// A keystore, and nothing to open it with.
    #[error("the key {path} is encrypted, and no passphrase was given")]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// A keystore that does not open, or that cannot be made.
    #[error("the keystore {path} does not open: {error}")]
    Keystore {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: KeystoreError,
    },
    /// A passphrase file without a passphrase.
    #[error("{path} holds no passphrase: it is empty")]
    NoPassphrase {
        /// Where.
        path: PathBuf,
    },
}

/// Reads a key that needs no passphrase: 64 hex digits, with or without `0x`, white space around them ignored; or
/// exactly 32 bytes, taken as they are, whatever they look like.
///
/// # Errors
///
/// If the file cannot be read, others can read it, it is encrypted, or it holds no key.
pub fn load_key(path: &Path) -> Result<Signer, KeyFileError> {
    unlock_key(path, None)
}

/// Reads a key, also from a keystore file: Web3 Secret Storage, version 3. Opening one takes a second and 256 MiB, and
/// never more than a few of each.
///
/// # Errors
///
/// As [`load_key`]; and if the passphrase is missing where one is needed, or the wrong one.
pub fn unlock_key(path: &Path, passphrase: Option<&Passphrase>) -> Result<Signer, KeyFileError> {
    let bytes = read_private(path, "key")?;
    let no_key = |error| KeyFileError::NoKey {
        path: path.to_owned(),
        error,
    };
    if let Ok(raw) = <&[u8; 32]>::try_from(bytes.as_slice()) {
        return Signer::from_bytes(raw).map_err(no_key);
    }
    let text = bytes.trim_ascii();
    if text.starts_with(b"{") {
        let passphrase = passphrase.ok_or_else(|| KeyFileError::Locked {
            path: path.to_owned(),
        })?;
        return keystore::open(text, passphrase).map_err(|error| KeyFileError::Keystore {
            path: path.to_owned(),
            error,
        });
    }
    let mut raw = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.strip_prefix(b"0x").unwrap_or(text), raw.as_mut_slice()).map_err(|_| {
        KeyFileError::NotHex {
            path: path.to_owned(),
        }
    })?;
    Signer::from_bytes(&raw).map_err(no_key)
}

/// The bytes of a file that only its owner can read; wiped when dropped.
pub(crate) fn read_private(path: &Path, what: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let unreadable = |error| KeyFileError::Unreadable {
        what,
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Shared {
            what,
            path: path.to_owned(),
            mode,
        });
    }
    // One byte more than is allowed. There is room for all of it from the start, so that none is left behind in a buffer
    // that was too small.
    let most = MAX_BYTES.saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most.saturating_mul(2)));
    file.take(u64::try_from(most).unwrap_or(u64::MAX))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err(KeyFileError::TooLong {
            what,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Makes a fresh key and writes it in hex, never over another file, with the folders it lies in. It is durable on return:
/// money will hang on it.
///
/// # Errors
///
/// If the file exists or cannot be written.
pub fn create_key(path: &Path) -> Result<Signer, KeyFileError> {
    let signer = Signer::generate();
    save_key(path, &signer, None)?;
    Ok(signer)
}

/// Writes a key, never over another file, with the folders it lies in: as a keystore file if there is a passphrase, in hex
/// if there is none. It is durable on return.
///
/// # Errors
///
/// If the file exists or cannot be written.
pub fn save_key(path: &Path, signer: &Signer, passphrase: Option<&Passphrase>) -> Result<(), KeyFileError> {
    let text = match passphrase {
        Some(passphrase) => keystore::seal(signer, passphrase).map_err(|error| KeyFileError::Keystore {
            path: path.to_owned(),
            error,
        })?,
        None => format!("{}\n", *Zeroizing::new(hex::encode(signer.to_bytes().as_slice()))),
    };
    write(path, &Zeroizing::new(text)).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::AlreadyExists => KeyFileError::There { path },
            _ => KeyFileError::Uncreated { path, error },
        }
    })
}

/// The key at `path`, made if there is none.
///
/// # Errors
///
/// As [`load_key`] and [`create_key`].
pub fn load_or_create_key(path: &Path) -> Result<Signer, KeyFileError> {
    match path.try_exists() {
        Ok(false) => create_key(path),
        // An error comes up again in reading, with its reason.
        Ok(true) | Err(_) => load_key(path),
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)?;
    }
    // Written aside and linked into its place whole: a crash in between leaves no half of a key, and no name is ever
    // taken from another file.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&aside)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&aside, path));
    std::fs::remove_file(&aside)?;
    linked?;
    folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_key(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_key_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo/seller.key");
        let made = load_or_create_key(&path).unwrap();
        assert_eq!(load_or_create_key(&path).unwrap().address(), made.address());
        assert!(create_key(&path).unwrap_err().to_string().contains("exists"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_key(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = load_key(&path).unwrap_err().to_string();
        assert!(
            text.contains("(mode 644)") && text.contains("chmod 600"),
            "{text}"
        );
    }

    #[test]
    fn a_key_may_be_written_by_hand() {
        let (_folder, path) = holding(format!("  0x{}\n\n", "11".repeat(32)));
        let expected = Signer::from_bytes(&[0x11; 32]).unwrap();
        assert_eq!(load_key(&path).unwrap().address(), expected.address());
    }

    #[test]
    fn what_is_no_key_is_named_and_never_repeated() {
        for (text, why) in [
            ("not a key", "expected 64 hex digits"),
            (&"ab".repeat(31), "expected 64 hex digits"),
            (&"00".repeat(32), "no private key of secp256k1"),
        ] {
            let (_folder, path) = holding(text);
            let error = load_key(&path).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains(text), "{error}");
        }
    }

    #[test]
    fn exactly_32_bytes_are_a_key_whatever_they_look_like() {
        for raw in [
            [0x11; 32],
            *b"this is a key that looks like it",
            *b"0x11111111111111111111111111111a",
            *b"11111111111111111111111111111111",
            *b"{\"crypto\":{},\"version\":3      }\n",
            *b"  \n  white space is part of it \n",
            [0xfe; 32],
        ] {
            let (_folder, path) = holding(raw);
            let expected = Signer::from_bytes(&raw).unwrap();
            assert_eq!(load_key(&path).unwrap().address(), expected.address());
            // One byte more or less, and it is no raw key any more.
            for other in [&raw[..31], &[&raw[..], b"\n"].concat()] {
                let (_folder, path) = holding(other);
                load_key(&path).unwrap_err();
            }
        }
        for raw in [[0; 32], [0xff; 32]] {
            let (_folder, path) = holding(raw);
            let error = load_key(&path).unwrap_err().to_string();
            assert!(error.contains("no private key of secp256k1"), "{error}");
        }
    }

    #[test]
    fn a_keystore_opens_with_its_passphrase_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder/key.json");
        let (signer, right) = (Signer::generate(), Passphrase::new(b"right".to_vec()).unwrap());
        save_key(&path, &signer, Some(&right)).unwrap();
        for (made, mode) in [(path.as_path(), MODE), (path.parent().unwrap(), FOLDER_MODE)] {
            assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(
            unlock_key(&path, Some(&right)).unwrap().address(),
            signer.address()
        );
        let locked = load_key(&path).unwrap_err().to_string();
        assert!(locked.contains("is encrypted"), "{locked}");
        let wrong = Passphrase::new(b"wrong".to_vec()).unwrap();
        let error = unlock_key(&path, Some(&wrong)).unwrap_err().to_string();
        assert!(
            error.contains("the passphrase is wrong") && !error.contains("right"),
            "{error}"
        );
        let there = save_key(&path, &Signer::generate(), Some(&wrong)).unwrap_err();
        assert!(matches!(there, KeyFileError::There { .. }), "{there}");
        assert_eq!(
            unlock_key(&path, Some(&right)).unwrap().address(),
            signer.address()
        );
    }

    #[test]
    fn every_form_is_refused_if_others_can_read_it() {
        let hex = "11".repeat(32);
        for content in [hex.as_bytes(), &[0x11; 32], b"{\"version\": 3}"] {
            for mode in [0o640, 0o604, 0o644, 0o610, 0o666] {
                let (_folder, path) = holding(content);
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
                let error = load_key(&path).unwrap_err();
                assert!(
                    matches!(error, KeyFileError::Shared { mode: shown, .. } if shown == mode),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_no_key() {
        let hex = format!("{}{}", "11".repeat(32), " ".repeat(MAX_BYTES));
        let (_folder, path) = holding(hex);
        let error = load_key(&path).unwrap_err().to_string();
        assert!(error.contains("longer than 16384 bytes"), "{error}");
    }
}
