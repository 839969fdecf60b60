//! Who may log in: users with what they were given, and anybody where only this machine can knock.
//!
//! Files are read at the start, and when the configuration is read again. What they hold is never printed, not even in an error.

use crate::config::Config;
use anyhow::{Context, anyhow, bail, ensure};
use bourse_wamp::{CraKey, Credential, Kdf, Salting, ScramRecord, Secret, Users};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// What the salts of users that do not exist are made of, together with the secrets of those that do: nobody can tell
/// them apart, and after a restart they are the same. Who knows no secret has no salts to hide among.
const DECOYS: &[u8] = b"bourse decoys";

/// The users that the configuration describes.
pub(crate) fn users(config: &Config) -> anyhow::Result<Users> {
    let mut users = Users::new(config.admits_anonymous());
    let mut seed = Sha256::new_with_prefix(DECOYS);
    for ticket in &config.wamp.ticket {
        let secret = secret(&ticket.authid, "ticket", &ticket.file)?;
        users = users.with(&ticket.authid, &ticket.role, Credential::Ticket(secret));
    }
    for user in &config.wamp.user {
        let mut credentials = Vec::new();
        if let Some(file) = &user.ticket_file {
            credentials.push(Credential::Ticket(secret(&user.authid, "ticket", file)?));
        }
        if let Some(file) = &user.cra_file {
            credentials.push(Credential::Cra(cra(&user.authid, file)?));
        }
        if let Some(file) = &user.scram_file {
            credentials.push(Credential::Scram(scram(&user.authid, file)?));
        }
        credentials.extend(user.keys()?.into_iter().map(Credential::PublicKey));
        for credential in credentials {
            match &credential {
                Credential::Ticket(secret) => seed.update(secret.expose()),
                Credential::Cra(key) => seed.update(key.key().expose()),
                Credential::Scram(record) => seed.update(record.server_key),
                _ => {}
            }
            users = users.with(&user.authid, &user.role, credential);
        }
    }
    Ok(users.with_decoys_of(seed.finalize().into()))
}

/// What a router keeps of a password, as it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CraFile {
    salt: String,
    iterations: u32,
    keylen: u32,
    /// The derived key, in base64.
    secret: String,
}

/// The same of WAMP-SCRAM, in the form of autobahn and Crossbar.io.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ScramFile {
    kdf: String,
    iterations: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u32>,
    /// Hex, like the keys.
    salt: String,
    stored_key: String,
    server_key: String,
}

impl CraFile {
    /// Of a secret and a salt.
    pub(crate) fn derive(secret: &Secret, salt: [u8; 16], iterations: u32) -> anyhow::Result<Self> {
        let salting = Salting {
            salt: hex::encode(salt),
            iterations,
            key_length: 32,
        };
        let key = CraKey::derive(secret, salting.clone()).map_err(|what| anyhow!(what))?;
        Ok(Self {
            salt: salting.salt,
            iterations,
            keylen: salting.key_length,
            secret: String::from_utf8_lossy(key.key().expose()).into_owned(),
        })
    }
}

impl ScramFile {
    /// Of a password and a salt.
    pub(crate) fn derive(password: &Secret, salt: [u8; 16]) -> anyhow::Result<Self> {
        let record = ScramRecord::derive(password, Kdf::RECOMMENDED, &salt).map_err(|what| anyhow!(what))?;
        let (iterations, memory) = match record.kdf {
            Kdf::Pbkdf2 { iterations } => (iterations, None),
            Kdf::Argon2id13 { iterations, memory } => (iterations, Some(memory)),
        };
        Ok(Self {
            kdf: record.kdf.name().to_owned(),
            iterations,
            memory,
            salt: hex::encode(salt),
            stored_key: hex::encode(record.stored_key),
            server_key: hex::encode(record.server_key),
        })
    }

    fn record(&self) -> anyhow::Result<ScramRecord> {
        let key = |name: &str, text: &str| {
            let mut key = [0; 32];
            hex::decode_to_slice(text, &mut key).with_context(|| format!("{name} must be 64 hex digits"))?;
            anyhow::Ok(key)
        };
        let salt = hex::decode(&self.salt).context("salt must be hex")?;
        ensure!(
            (8..=64).contains(&salt.len()),
            "salt has {} bytes, expected 8 to 64",
            salt.len()
        );
        Ok(ScramRecord {
            kdf: Kdf::new(&self.kdf, self.iterations, self.memory).map_err(|what| anyhow!(what))?,
            salt,
            stored_key: key("stored-key", &self.stored_key)?,
            server_key: key("server-key", &self.server_key)?,
        })
    }
}

fn read(authid: &str, what: &str, file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the {what} of {authid} in {}", file.display()))
}

/// The text of a file, without the white space around it.
fn secret(authid: &str, what: &str, file: &Path) -> anyhow::Result<Secret> {
    let text = zeroize::Zeroizing::new(read(authid, what, file)?);
    ensure!(
        !text.trim().is_empty(),
        "the {what} of {authid} in {} is empty",
        file.display()
    );
    Ok(Secret::from(text.trim()))
}

fn cra(authid: &str, file: &Path) -> anyhow::Result<CraKey> {
    let secret = secret(authid, "WAMP-CRA secret", file)?;
    if !secret.expose().starts_with(b"{") {
        return Ok(CraKey::plain(secret));
    }
    let bad = || format!("the WAMP-CRA record of {authid} in {} is none", file.display());
    let record: CraFile = serde_json::from_slice(secret.expose()).with_context(bad)?;
    let salting = Salting {
        salt: record.salt,
        iterations: record.iterations,
        key_length: record.keylen,
    };
    CraKey::salted(record.secret, salting)
        .map_err(|what| anyhow!(what))
        .with_context(bad)
}

fn scram(authid: &str, file: &Path) -> anyhow::Result<ScramRecord> {
    let text = read(authid, "WAMP-SCRAM record", file)?;
    if !text.trim_start().starts_with('{') {
        bail!(
            "the WAMP-SCRAM record of {authid} in {} is none: expected what `bourse wamp hash --method wamp-scram` prints, \
             not a password",
            file.display()
        );
    }
    let record = serde_json::from_str::<ScramFile>(&text)
        .map_err(Into::into)
        .and_then(|file| file.record());
    record.with_context(|| format!("the WAMP-SCRAM record of {authid} in {} is none", file.display()))
}
