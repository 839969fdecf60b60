//! What opens an encrypted key.

use crate::KeyFileError;
use crate::keyfile::read_private;
use core::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// A passphrase: bytes, never empty. Never printed, and wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes these bytes as they are; none if there are none.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// Reads a passphrase from a file that only its owner can read. One end of line at its end is no part of it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, others can read it, or it holds none.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = read_private(path, "passphrase")?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Self::new(line.to_vec()).ok_or_else(|| KeyFileError::NoPassphrase {
            path: path.to_owned(),
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Nothing of it.
impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn loaded(bytes: &[u8], mode: u32) -> Result<Passphrase, KeyFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Passphrase::load(&path)
    }

    #[test]
    fn one_end_of_line_is_no_part_of_it() {
        for (bytes, expected) in [
            (b"open sesame".as_slice(), b"open sesame".as_slice()),
            (b"open sesame\n", b"open sesame"),
            (b"open sesame\r\n", b"open sesame"),
            (b" open\n\n", b" open\n"),
            (b"\xff\x00", b"\xff\x00"),
        ] {
            assert_eq!(loaded(bytes, 0o600).unwrap().as_bytes(), expected);
        }
    }

    #[test]
    fn a_file_that_holds_none_or_that_others_can_read_is_refused() {
        for bytes in [b"".as_slice(), b"\n", b"\r\n"] {
            let error = loaded(bytes, 0o600).unwrap_err().to_string();
            assert!(error.contains("holds no passphrase"), "{error}");
        }
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let error = loaded(b"open sesame", mode).unwrap_err().to_string();
            assert!(
                error.contains("the passphrase") && error.contains("chmod 600"),
                "{error}"
            );
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn debug_output_never_holds_it() {
        let passphrase = Passphrase::new(b"sesame".to_vec()).unwrap();
        assert_eq!(format!("{passphrase:?} {passphrase:#?}"), "Passphrase Passphrase");
    }
}
