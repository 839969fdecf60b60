//! Where the router is, and who the market says it is there.

use super::Failure;
use crate::config::{Config, LoginMethod, Wamp};
use crate::home::as_market;
use anyhow::{Context, bail, ensure};
use bourse_wamp::uri::error;
use bourse_wamp::{
    Auth, ClientTls, ClientTlsFiles, ConnectError, ConnectOptions, CryptosignKey, JoinError, JoinOptions,
    RouterUrl, Session, connect,
};
use std::path::Path;

/// Why a router lets nobody in for the moment: it is full, slow or stopping, or whom it asks about logins is not there yet.
const NOT_NOW: [&str; 5] = [
    error::UNAVAILABLE,
    error::TIMEOUT,
    error::SYSTEM_SHUTDOWN,
    error::CLOSE_REALM,
    error::NO_SUCH_PROCEDURE,
];

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
        let files = tls_files(&config.wamp)?;
        if files != ClientTlsFiles::default() {
            let tls = ClientTls::from_files(&files);
            connect.tls = Some(tls.context("TLS towards wamp.connect cannot be set up")?);
        }
        Ok(Self {
            url: url.to_owned(),
            router: url.parse().context("wamp.connect")?,
            connect,
            options: JoinOptions {
                authid: login.authid.clone(),
                auth,
                channel_binding: login.channel_binding,
                ..as_market(config)
            },
        })
    }

    /// Connects and joins.
    pub(super) async fn open(&self) -> Result<Session, Failure> {
        let link = connect(&self.router, &self.connect)
            .await
            .map_err(|error| match error {
                // Of this side, whatever the router does.
                ConnectError::Url(_) | ConnectError::Tls(_) => Failure::Refused(error.to_string()),
                error => Failure::Unreached(error.to_string()),
            })?;
        Session::join(link, self.options.clone())
            .await
            .map_err(|error| self.stayed_out(&error))
    }

    /// What it means that the market is not let in.
    fn stayed_out(&self, error: &JoinError) -> Failure {
        match error {
            JoinError::Refused { reason, .. } if NOT_NOW.contains(&reason.as_str()) => {
                Failure::Unreached(error.to_string())
            }
            JoinError::Refused { .. } => Failure::Refused(format!(
                "{error}; the market asks for the realm `{}`{}",
                self.options.realm,
                match &self.options.authid {
                    Some(authid) => format!(" as `{authid}`"),
                    None => String::new(),
                }
            )),
            // A proof that this link, or this router, cannot give: waiting changes neither.
            JoinError::Protocol { .. } => Failure::Refused(error.to_string()),
            error => Failure::Unreached(error.to_string()),
        }
    }
}

/// Whom the market trusts under TLS, and what it shows of itself.
fn tls_files(wamp: &Wamp) -> anyhow::Result<ClientTlsFiles> {
    let identity = match (&wamp.connect_certificate, &wamp.connect_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        _ => bail!(
            "wamp.connect_certificate and wamp.connect_key are of no use without each other: name both files"
        ),
    };
    Ok(ClientTlsFiles {
        authorities: wamp.connect_ca.clone(),
        identity,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_its_key_is_refused_by_the_names_of_both() {
        let wamp = Wamp {
            connect_certificate: Some("market.pem".into()),
            ..Wamp::default()
        };
        let said = tls_files(&wamp).unwrap_err().to_string();
        assert!(said.contains("wamp.connect_key"), "{said}");
        assert_eq!(tls_files(&Wamp::default()).unwrap(), ClientTlsFiles::default());
    }
}
