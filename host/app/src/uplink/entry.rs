//! Where the router is, and who the market says it is there.

use super::Failure;
use crate::config::{Config, LoginMethod};
use crate::wire::uri;
use anyhow::{Context, bail, ensure};
use bourse_wamp::{
    Auth, ClientTls, ClientTlsFiles, ConnectOptions, CryptosignKey, JoinError, JoinOptions, RouterUrl,
    Session, connect,
};
use std::path::Path;

/// Calls the market works on at a time; most of them wait for a seller.
const MAX_INVOCATIONS: usize = 8_192;

/// A router's address and a login.
pub(super) struct Entry {
    pub(super) url: String,
    router: RouterUrl,
    connect: ConnectOptions,
    options: JoinOptions,
}

impl Entry {
    /// Reads the login, once.
    pub(super) fn new(config: &Config, url: &str) -> anyhow::Result<Self> {
        let login = &config.wamp.login;
        let auth = match login.method {
            LoginMethod::Anonymous => Auth::Anonymous,
            LoginMethod::Ticket => Auth::Ticket(secret(login.file.as_deref())?.into()),
            LoginMethod::Cra => Auth::Cra(secret(login.file.as_deref())?.into()),
            LoginMethod::Scram => Auth::Scram(secret(login.file.as_deref())?.into()),
            LoginMethod::Cryptosign => {
                let key = CryptosignKey::from_hex(&secret(login.file.as_deref())?);
                Auth::Cryptosign(key.context("wamp.login.file holds no private key: expected 64 hex digits")?)
            }
        };
        let mut connect = ConnectOptions::with_serializer(config.wamp.serializer.into());
        if let Some(authorities) = &config.wamp.connect_ca {
            let files = ClientTlsFiles {
                authorities: Some(authorities.clone()),
                ..ClientTlsFiles::default()
            };
            connect.tls = Some(ClientTls::from_files(&files).context("wamp.connect_ca")?);
        }
        Ok(Self {
            url: url.to_owned(),
            router: url.parse().context("wamp.connect")?,
            connect,
            options: JoinOptions {
                realm: config.realm.name.clone(),
                authid: login.authid.clone(),
                auth,
                channel_binding: login.channel_binding,
                max_invocations: MAX_INVOCATIONS,
                busy_error: uri::OVERLOADED.to_owned(),
                ..JoinOptions::default()
            },
        })
    }

    /// Connects and joins.
    pub(super) async fn open(&self) -> Result<Session, Failure> {
        let link = connect(&self.router, &self.connect)
            .await
            .map_err(|error| Failure::Unreached(error.to_string()))?;
        Session::join(link, self.options.clone())
            .await
            .map_err(|error| match error {
                JoinError::Refused { .. } => Failure::Refused(format!(
                    "{error}; the market asks for the realm `{}`{}",
                    self.options.realm,
                    match &self.options.authid {
                        Some(authid) => format!(" as `{authid}`"),
                        None => String::new(),
                    }
                )),
                error => Failure::Unreached(error.to_string()),
            })
    }
}

/// What a file says, without the white space around it.
fn secret(file: Option<&Path>) -> anyhow::Result<String> {
    let Some(file) = file else {
        bail!("wamp.login.file is missing: name the file that holds the secret");
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read wamp.login.file, {}", file.display()))?;
    let secret = text.trim();
    ensure!(
        !secret.is_empty(),
        "wamp.login.file, {}, is empty",
        file.display()
    );
    Ok(secret.to_owned())
}
