//! `bourse keys …`: the market maker's key, made, taken over and looked at. Only addresses are ever printed.

use crate::config::Config;
use crate::keyfile;
use anyhow::{Context, ensure};
use bourse_chain::{Signer, checksum, save_key};
use bourse_store::Store;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `bourse keys`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a fresh key and print its address.
    New {
        #[command(flatten)]
        target: Target,
        /// Read the passphrase from this file, which only its owner can read. By default it comes from the environment
        /// variable BOURSE_KEY_PASSPHRASE, or from chain.key_passphrase_file.
        #[arg(long, value_name = "FILE", requires = "encrypt")]
        passphrase_file: Option<PathBuf>,
    },
    /// Take over a key: 64 hex digits, 32 raw bytes as the old market maker wrote them, or a keystore file.
    Import {
        /// The key, in a file that only its owner can read. It stays as it is.
        file: PathBuf,
        #[command(flatten)]
        target: Target,
        /// Read the passphrase from this file: the one that opens a keystore file, and encrypts the key anew. By default as
        /// in `new`.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Print the address of a key.
    ShowAddress {
        /// The key; by default the market maker's.
        file: Option<PathBuf>,
        /// Read the passphrase of a keystore file from this file. By default as in `new`.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// Where a key goes, and how.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Where to write the key; nothing is ever written over. By default where the market maker's is looked for: chain.key,
    /// or marketmaker.key in the data folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Encrypt it with a passphrase, as a keystore file (Web3 Secret Storage, version 3). In hex if not.
    #[arg(long)]
    encrypt: bool,
}

pub(crate) fn keys(config: &Config, command: KeysCommand) -> anyhow::Result<ExitCode> {
    let signer = match command {
        KeysCommand::New {
            target,
            passphrase_file,
        } => {
            let signer = Signer::generate();
            target.write(config, &signer, passphrase_file.as_deref())?;
            signer
        }
        KeysCommand::Import {
            file,
            target,
            passphrase_file,
        } => {
            let signer = keyfile::open(config, &file, passphrase_file.as_deref())?;
            target.write(config, &signer, passphrase_file.as_deref())?;
            signer
        }
        KeysCommand::ShowAddress {
            file,
            passphrase_file,
        } => {
            let file = file.unwrap_or_else(|| config.key_path());
            keyfile::open(config, &file, passphrase_file.as_deref())?
        }
    };
    say!("{}", checksum(signer.address()));
    Ok(ExitCode::SUCCESS)
}

impl Target {
    fn write(&self, config: &Config, signer: &Signer, passphrase_file: Option<&Path>) -> anyhow::Result<()> {
        let path = self.out.clone().unwrap_or_else(|| config.key_path());
        if path == config.key_path() {
            fits_ledger(config, signer)?;
        }
        let passphrase = if self.encrypt {
            let passphrase = keyfile::passphrase(config, passphrase_file)?;
            Some(passphrase.with_context(|| {
                format!(
                    "there is no passphrase to encrypt the key with: {}, or name such a file with --passphrase-file",
                    keyfile::HOW_TO_GIVE
                )
            })?)
        } else {
            None
        };
        Ok(save_key(&path, signer, passphrase.as_ref())?)
    }
}

/// A ledger is its market maker's for ever: no other key is put beside it.
fn fits_ledger(config: &Config, signer: &Signer) -> anyhow::Result<()> {
    if let Some(stamp) = Store::stamp(&config.store.path)? {
        ensure!(
            stamp.marketmaker == signer.address(),
            "the ledger in {} belongs to market maker {}, whose key no other can stand in for: write this one elsewhere \
             with --out, or import that one",
            config.store.path.display(),
            checksum(stamp.marketmaker)
        );
    }
    Ok(())
}
