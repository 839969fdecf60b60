//! Private keys on disk: 64 hex digits in a file that only its owner can read.

use crate::{KeyError, Signer};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Read and write for the owner, nothing for anybody else.
const MODE: u32 = 0o600;
/// More bytes than any key takes: what is longer is another file, and need not be read to its end.
const MAX_BYTES: u64 = 1024;

/// Why there is no key at a path.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file is missing, or the system does not let it be read.
    #[error("cannot read the key {path}: {error}")]
    Unreadable {
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
    /// A key that others can read is theirs as well.
    #[error("the key {path} can be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Shared {
        /// Where.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Something else than 32 bytes in hex.
    #[error("{path} holds no key: expected 64 hex digits")]
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
}

/// Reads a key: 64 hex digits, with or without `0x`, white space around them ignored.
///
/// # Errors
///
/// If the file cannot be read, others can read it, or it holds no key.
pub fn load_key(path: &Path) -> Result<Signer, KeyFileError> {
    let unreadable = |error| KeyFileError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Shared {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let digits = text.trim();
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut bytes).map_err(|_| {
        KeyFileError::NotHex {
            path: path.to_owned(),
        }
    })?;
    Signer::from_bytes(&bytes).map_err(|error| KeyFileError::NoKey {
        path: path.to_owned(),
        error,
    })
}

/// Makes a fresh key and writes it, never over another file, with the folders it lies in. It is durable on return:
/// money will hang on it.
///
/// # Errors
///
/// If the file exists or cannot be written.
pub fn create_key(path: &Path) -> Result<Signer, KeyFileError> {
    let signer = Signer::generate();
    write(path, &signer).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::AlreadyExists => KeyFileError::There { path },
            _ => KeyFileError::Uncreated { path, error },
        }
    })?;
    Ok(signer)
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

fn write(path: &Path, signer: &Signer) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)?;
    }
    // Written aside and linked into its place whole: a crash in between leaves no half of a key, and no name is ever
    // taken from another file.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&aside)?;
    let linked = writeln!(file, "{}", hex::encode(signer.to_bytes().as_slice()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&aside, path));
    std::fs::remove_file(&aside)?;
    linked?;
    folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(text: &str) -> (tempfile::TempDir, PathBuf) {
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
        let (_folder, path) = holding(&format!("  0x{}\n\n", "11".repeat(32)));
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
}
