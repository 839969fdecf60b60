//! Signatures over policies: who vouches for these bytes under this name.
//!
//! A signature covers the policy's name and the hash of its component, so that a signed `surge` cannot be slipped in
//! as `dutch`. It lies beside the component as `NAME.wasm.sig`: the key and the signature, both in hex, on one line.

use ed25519_dalek::Signer;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a signed message starts with, so that no other use of the key can be mistaken for this one.
const CONTEXT: &[u8] = b"bourse-policy-v1";

/// Read and write for the owner, nothing for anybody else.
const MODE: u32 = 0o600;

/// Bytes of a key or signature file that are read: more than either takes.
pub(crate) const MAX_FILE: u64 = 1024;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not the form of a signature file.
    #[error("the signature is not 64 hex digits of a key, a space and 128 hex digits of a signature")]
    Malformed,
    /// A key that nobody listed.
    #[error("it is signed by {key}, which is not among the {known} keys of [policies] keys")]
    UnknownKey {
        /// The key it names.
        key: VerifyingKey,
        /// How many keys count.
        known: usize,
    },
    /// The signature is not over this name and these bytes.
    #[error("the signature by {key} is not for these bytes under the name `{name}`: sign this file again")]
    Wrong {
        /// The key it names.
        key: VerifyingKey,
        /// The policy's name.
        name: String,
    },
}

/// A key that signs policies. Its `Debug` shows the public half only.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(for {})", self.verifying_key())
    }
}

impl SigningKey {
    /// The key of a secret.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// The half that others may know.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key().to_bytes())
    }
}

/// The public half of a key: 64 hex digits in configuration and files.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an Ed25519 public key: expected 64 hex digits of a valid point")]
pub struct BadKey {
    /// The text, cut.
    pub text: String,
}

impl FromStr for VerifyingKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bad = || BadKey {
            text: crate::failure::cut(text.to_owned(), 80),
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| bad())?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes)
            .ok()
            // Under a key of small order, one signature fits many messages.
            .filter(|key| !key.is_weak())
            .map(|_| Self(bytes))
            .ok_or_else(bad)
    }
}

/// What is signed: context, name and the component's hash, each ended so that no two messages can read the same.
fn message(name: &str, bytes: &[u8]) -> Vec<u8> {
    let hash = Sha256::digest(bytes);
    [CONTEXT, &[0], name.as_bytes(), &[0], &hash[..]].concat()
}

/// Signs the component `bytes` under the policy's name: the content of `NAME.wasm.sig`.
pub fn sign(key: &SigningKey, name: &str, bytes: &[u8]) -> Vec<u8> {
    let signature = key.0.sign(&message(name, bytes));
    format!("{} {}\n", key.verifying_key(), hex::encode(signature.to_bytes())).into_bytes()
}

/// Checks the content of `NAME.wasm.sig` against the component, and says whose it is, one of `keys`.
///
/// # Errors
///
/// [`SignatureError`] if it is not a signature of one of `keys` over this name and these bytes.
pub fn verify(
    keys: &[VerifyingKey],
    name: &str,
    bytes: &[u8],
    signature: &[u8],
) -> Result<VerifyingKey, SignatureError> {
    let text = std::str::from_utf8(signature).map_err(|_| SignatureError::Malformed)?;
    let mut words = text.split_ascii_whitespace();
    let (Some(key), Some(signature), None) = (words.next(), words.next(), words.next()) else {
        return Err(SignatureError::Malformed);
    };
    let key: VerifyingKey = key.parse().map_err(|_| SignatureError::Malformed)?;
    let mut raw = [0; 64];
    hex::decode_to_slice(signature, &mut raw).map_err(|_| SignatureError::Malformed)?;
    if !keys.contains(&key) {
        return Err(SignatureError::UnknownKey {
            key,
            known: keys.len(),
        });
    }
    let signature = ed25519_dalek::Signature::from_bytes(&raw);
    ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes())
        .and_then(|key| key.verify_strict(&message(name, bytes), &signature))
        .map_err(|_| SignatureError::Wrong {
            key,
            name: name.to_owned(),
        })?;
    Ok(key)
}

/// Why there is no signing key at a path.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file cannot be read.
    #[error("cannot read the signing key {}: {source}", path.display())]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Whatever is in the file, it may be somebody's only key.
    #[error("{} exists already, and no key is written over another file: choose another name", path.display())]
    There {
        /// Where.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot create the signing key {}: {source}", path.display())]
    Uncreated {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key that others can read is theirs as well.
    #[error(
        "the signing key {} can be read by others (mode {mode:o}): run `chmod 600 {}`",
        path.display(),
        path.display()
    )]
    Shared {
        /// Where.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Something else than 32 bytes in hex.
    #[error("{} holds no signing key: expected 64 hex digits", path.display())]
    NotHex {
        /// Where.
        path: PathBuf,
    },
}

/// Reads a signing key: 64 hex digits, white space around them ignored, in a file that only its owner can read.
///
/// # Errors
///
/// [`SigningKeyError`] if the file cannot be read, others can read it, or it holds no key.
pub fn load_signing_key(path: &Path) -> Result<SigningKey, SigningKeyError> {
    let unreadable = |source| SigningKeyError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SigningKeyError::Shared {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| SigningKeyError::NotHex {
        path: path.to_owned(),
    })?;
    Ok(SigningKey::from_bytes(&secret))
}

/// Makes a signing key from the system's randomness and writes it, readable by its owner only and never over
/// another file. It is durable on return.
///
/// # Errors
///
/// [`SigningKeyError`] if the file exists or cannot be written, or the system gives no randomness.
pub fn create_signing_key(path: &Path) -> Result<SigningKey, SigningKeyError> {
    let mut secret = [0; 32];
    random(&mut secret)
        .and_then(|()| write(path, &secret))
        .map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                ErrorKind::AlreadyExists => SigningKeyError::There { path },
                _ => SigningKeyError::Uncreated { path, source },
            }
        })?;
    Ok(SigningKey::from_bytes(&secret))
}

fn random(mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
        bytes = bytes.get_mut(filled..).unwrap_or_default();
    }
    Ok(())
}

fn write(path: &Path, secret: &[u8; 32]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)?;
    writeln!(file, "{}", hex::encode(secret))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    const BYTES: &[u8] = b"a component";

    #[test]
    fn a_signature_is_good_for_its_name_its_bytes_and_a_listed_key_only() {
        let (key, other) = (key(1), key(2));
        let keys = [other.verifying_key(), key.verifying_key()];
        let signature = sign(&key, "surge", BYTES);
        assert_eq!(verify(&keys, "surge", BYTES, &signature), Ok(key.verifying_key()));
        let wrong = |name: &str, bytes: &[u8]| {
            let error = verify(&keys, name, bytes, &signature).unwrap_err();
            assert!(matches!(error, SignatureError::Wrong { .. }), "{error}");
        };
        wrong("dutch", BYTES);
        wrong("surg", BYTES);
        wrong("surge", b"another component");
        wrong("surge", b"");
        let error = verify(&keys[..1], "surge", BYTES, &signature).unwrap_err();
        let key = key.verifying_key();
        assert_eq!(error, SignatureError::UnknownKey { key, known: 1 });
    }

    #[test]
    fn no_flipped_bit_of_a_signature_file_is_good() {
        let key = key(1);
        let keys = [key.verifying_key()];
        let signature = sign(&key, "surge", BYTES);
        // But for the case of hex digits and what kind of white space stands between them.
        for at in 0..signature.len() {
            for bit in 0..8 {
                let mut bad = signature.clone();
                bad[at] ^= 1 << bit;
                if bad.eq_ignore_ascii_case(&signature) || bad[at].is_ascii_whitespace() {
                    continue;
                }
                assert!(
                    verify(&keys, "surge", BYTES, &bad).is_err(),
                    "bit {bit} of byte {at}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_no_signature_is_malformed() {
        let key = key(1);
        let keys = [key.verifying_key()];
        let good = String::from_utf8(sign(&key, "surge", BYTES)).unwrap();
        for bad in [
            "",
            "\n",
            "signed",
            good.get(..good.len() - 2).unwrap(),
            good.get(..64).unwrap(),
            &good.replace(' ', ""),
            &format!("{good} more"),
            &format!("0x{good}"),
        ] {
            let error = verify(&keys, "surge", BYTES, bad.as_bytes()).unwrap_err();
            assert_eq!(error, SignatureError::Malformed, "{bad:?}");
        }
        assert_eq!(
            verify(&keys, "surge", BYTES, &[0xff; 100]),
            Err(SignatureError::Malformed)
        );
    }

    #[test]
    fn the_form_of_a_signature_never_changes() {
        let text = String::from_utf8(sign(&key(1), "surge", BYTES)).unwrap();
        let (public, signature) = text.trim_end().split_once(' ').unwrap();
        assert_eq!(
            public,
            "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
        );
        // Made with another implementation.
        assert_eq!(
            hex::encode(Sha256::digest(signature)),
            "81ad7eb4509098b83f6eb420c9abdc3352cf432d7eb20b194f88f275b18e58df"
        );
    }

    #[test]
    fn public_keys_are_read_strictly() {
        let key = key(3).verifying_key();
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(format!(" {key}\n").to_uppercase().parse(), Ok(key));
        assert_eq!(serde_json::to_string(&key).unwrap(), format!("\"{key}\""));
        // The neutral element signs everything.
        let weak = format!("01{}", "0".repeat(62));
        for bad in ["", "12", &weak, &"f".repeat(63), &"zz".repeat(32)] {
            let error = bad.parse::<VerifyingKey>().unwrap_err();
            assert!(error.to_string().contains("64 hex digits"), "{error}");
        }
    }

    #[test]
    fn a_signing_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policies.key");
        let made = create_signing_key(&path).unwrap();
        let read = load_signing_key(&path).unwrap();
        assert_eq!(read.verifying_key(), made.verifying_key());
        assert_ne!(
            create_signing_key(&folder.path().join("2"))
                .unwrap()
                .verifying_key(),
            made.verifying_key()
        );
        assert!(matches!(
            create_signing_key(&path),
            Err(SigningKeyError::There { .. })
        ));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE);
        assert!(!format!("{made:?}").contains(std::fs::read_to_string(&path).unwrap().trim()));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = load_signing_key(&path).unwrap_err().to_string();
        assert!(
            error.contains("mode 640") && error.contains("chmod 600"),
            "{error}"
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "key").unwrap();
        assert!(matches!(
            load_signing_key(&path),
            Err(SigningKeyError::NotHex { .. })
        ));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            load_signing_key(&path),
            Err(SigningKeyError::Unreadable { .. })
        ));
    }
}
