//! `bourse policy keygen|sign|verify`: who vouches for a component.

use super::project;
use crate::config::Config;
use crate::output::{self, Sheet};
use anyhow::{Context, bail};
use bourse_policy::{VerifyingKey, create_signing_key, load_signing_key, sign, verify};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `bourse policy keygen`
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where the secret key goes: a file that does not exist yet. Only its owner will be able to read it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// `bourse policy sign`
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The component, NAME.wasm; that of the present project if none is named. The signature goes into NAME.wasm.sig.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The secret key, as `bourse policy keygen` makes one.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// `bourse policy verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The component, NAME.wasm, with NAME.wasm.sig beside it; that of the present project if none is named.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A public key whose signatures count, 64 hex digits; may be given several times. Those of the configuration if
    /// none is given.
    #[arg(long = "key", value_name = "HEX")]
    keys: Vec<VerifyingKey>,
}

/// Named properties, for people and as JSON.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Facts(serde_json::Map<String, serde_json::Value>);

impl Facts {
    fn of<const N: usize>(facts: [(&str, String); N]) -> Self {
        Self(
            facts
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        )
    }
}

impl Sheet for Facts {
    fn lines(&self) -> Vec<(String, String)> {
        let shown = |(name, value): (&String, &serde_json::Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.replace('_', " "), value)
        };
        self.0.iter().map(shown).collect()
    }
}

pub(super) fn keygen(args: &KeygenArgs) -> anyhow::Result<ExitCode> {
    let key = create_signing_key(&args.file)?;
    output::sheet(&Facts::of([
        ("secret_key", args.file.display().to_string()),
        ("public_key", key.verifying_key().to_string()),
    ]))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn sign_file(config: &Config, args: &SignArgs) -> anyhow::Result<ExitCode> {
    let file = project::component(args.file.as_deref(), ".".as_ref())?;
    let key = load_signing_key(&args.key)?;
    // A signature says that somebody looked; at least the check of hosts did.
    project::load(&project::engine(config)?, &file)?;
    let (name, bytes) = project::read(&file)?;
    let signature = signature_of(&file);
    std::fs::write(&signature, sign(&key, &name, &bytes))
        .with_context(|| format!("cannot write {}", signature.display()))?;
    output::sheet(&Facts::of([
        ("policy", name),
        ("signed_by", key.verifying_key().to_string()),
        ("signature", signature.display().to_string()),
    ]))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn verify_file(config: &Config, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let file = project::component(args.file.as_deref(), ".".as_ref())?;
    let keys = if args.keys.is_empty() {
        config.policies.verifying_keys().collect::<anyhow::Result<_>>()?
    } else {
        args.keys.clone()
    };
    if keys.is_empty() {
        bail!("no key counts: give --key HEX, or list it in [policies] keys of the configuration");
    }
    let (name, bytes) = project::read(&file)?;
    let path = signature_of(&file);
    let signature = std::fs::read(&path)
        .with_context(|| format!("{} is not signed: cannot read {}", file.display(), path.display()))?;
    let signer = verify(&keys, &name, &bytes, &signature)
        .with_context(|| format!("{} does not count", path.display()))?;
    output::sheet(&Facts::of([("policy", name), ("signed_by", signer.to_string())]))?;
    Ok(ExitCode::SUCCESS)
}

/// NAME.wasm.sig beside NAME.wasm.
fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.to_path_buf().into_os_string();
    name.push(".sig");
    PathBuf::from(name)
}
