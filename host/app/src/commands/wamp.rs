//! `bourse wamp …`: what the router of the market needs to know of its users.

use crate::logins::{CraFile, ScramFile};
use anyhow::{Context, ensure};
use bourse_policy::create_signing_key;
use bourse_wamp::Secret;
use clap::{Subcommand, ValueEnum};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of the longest password read.
const MAX_PASSWORD: u64 = 1 << 10;
/// Rounds of PBKDF2 for WAMP-CRA. The client goes through them at each login.
const ITERATIONS: u32 = 100_000;

/// `bourse wamp`
#[derive(Debug, Subcommand)]
pub(crate) enum WampCommand {
    /// Read a password from standard input and print what the router keeps of it, for cra_file or scram_file of a
    /// [[wamp.user]].
    Hash {
        /// How the user logs in.
        #[arg(long, value_enum)]
        method: Method,
    },
    /// Make a private key for WAMP-cryptosign and print the public one, for public_keys of a [[wamp.user]], or for the
    /// router that the market joins. The file fits wamp.login.file.
    Keygen {
        /// Where. A file that is there stays as it is.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// The methods that keep something else than the secret.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Method {
    /// WAMP-CRA, salted. Whoever reads the record can log in with it, but does not know the password.
    Wampcra,
    /// WAMP-SCRAM. Whoever reads the record cannot log in with it.
    WampScram,
}

pub(crate) fn wamp(command: &WampCommand) -> anyhow::Result<ExitCode> {
    match command {
        WampCommand::Hash { method } => hash(*method),
        WampCommand::Keygen { file } => {
            say!("{}", keygen(file)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Makes a key, and gives its public half in hex.
fn keygen(file: &Path) -> anyhow::Result<String> {
    Ok(create_signing_key(file)?.verifying_key().to_string())
}

fn hash(method: Method) -> anyhow::Result<ExitCode> {
    let mut text = zeroize::Zeroizing::new(String::new());
    std::io::stdin()
        .take(MAX_PASSWORD + 1)
        .read_to_string(&mut text)
        .context("cannot read a password from standard input")?;
    ensure!(
        text.len() as u64 <= MAX_PASSWORD,
        "the password on standard input is longer than {MAX_PASSWORD} bytes"
    );
    let password = text.trim_end_matches(['\r', '\n']);
    ensure!(!password.is_empty(), "there is no password on standard input");
    let (password, salt) = (Secret::from(password), rand::random());
    let record = match method {
        Method::Wampcra => serde_json::to_string(&CraFile::derive(&password, salt, ITERATIONS)?)?,
        Method::WampScram => serde_json::to_string(&ScramFile::derive(&password, salt)?)?,
    };
    say!("{record}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_wamp::CryptosignKey;

    #[test]
    fn a_key_that_was_made_logs_in_and_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("market.key");
        let public = keygen(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(CryptosignKey::from_hex(text.trim()).unwrap().public_hex(), public);
        keygen(&file).unwrap_err();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}
