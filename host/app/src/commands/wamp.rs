//! `bourse wamp …`: what the router of the market needs to know of its users.

use crate::logins::{CraFile, ScramFile};
use anyhow::{Context, ensure};
use bourse_wamp::Secret;
use clap::{Subcommand, ValueEnum};
use std::io::Read;
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
    let WampCommand::Hash { method } = command;
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
