//! The operator's token: whoever has it may change the markets through the console.

use anyhow::{Context, ensure};
use rand::RngCore;
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use subtle::ConstantTimeEq;

/// Fewer characters could be guessed.
const LEAST: usize = 16;
/// More are no token.
const MOST: usize = 512;

/// What is kept of a token: a hash, so that nothing that prints this can print the token.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    hash: [u8; 32],
}

impl Operator {
    /// Reads the token from its file; where there is none, one is made there, for its owner alone.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or made, if others may read it, or if what is in it is no token.
    pub(crate) fn load(file: &Path) -> anyhow::Result<Self> {
        let there = file
            .try_exists()
            .with_context(|| format!("cannot look for the operator's token {}", file.display()))?;
        if !there {
            return make(file)
                .with_context(|| format!("cannot make the operator's token {}", file.display()));
        }
        let cannot = || format!("cannot read the operator's token {}", file.display());
        let mode = std::fs::metadata(file).with_context(cannot)?.permissions().mode();
        ensure!(
            mode & 0o077 == 0,
            "the operator's token {} has mode {:03o}, so that others than its owner may use it: make that 600",
            file.display(),
            mode & 0o777
        );
        let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).with_context(cannot)?);
        let token = text.trim();
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            plain && (LEAST..=MOST).contains(&token.len()),
            "the operator's token in {} is none: expected {LEAST} to {MOST} letters, digits and signs, without spaces",
            file.display()
        );
        Ok(Self::of(token))
    }

    fn of(token: &str) -> Self {
        Self {
            hash: Sha256::digest(token).into(),
        }
    }

    /// Whether `token` is the operator's. Takes the same time whatever it is.
    pub(crate) fn is(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.hash.ct_eq(&hash).into()
    }
}

fn make(file: &Path) -> anyhow::Result<Operator> {
    let mut secret = zeroize::Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut *secret);
    let token = zeroize::Zeroizing::new(hex::encode(secret.as_slice()));
    let mut made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    made.write_all(token.as_bytes())?;
    made.write_all(b"\n")?;
    made.sync_all()?;
    Ok(Operator::of(&token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.token");
        Operator::load(&file).unwrap();
        let token = std::fs::read_to_string(&file).unwrap();
        assert_eq!(token.trim().len(), 64);
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let read = Operator::load(&file).unwrap();
        assert!(read.is(token.trim()));
        assert!(!read.is(&token) && !read.is("") && !read.is(token.trim().get(1..).unwrap()));
        assert!(!format!("{read:?}").contains(token.trim()));
    }

    #[test]
    fn a_token_that_others_may_read_or_that_could_be_guessed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.token");
        Operator::load(&file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let said = Operator::load(&file).unwrap_err().to_string();
        assert!(said.contains("mode 640"), "{said}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "short", "two words of many letters", &"x".repeat(513)] {
            std::fs::write(&file, bad).unwrap();
            let said = Operator::load(&file).unwrap_err().to_string();
            assert!(said.contains("expected 16 to 512"), "{said}");
        }
    }
}
