//! `[wamp] connect` and `[wamp.login]`: the router that the market joins, and who it is there.

use super::check::Faults;
use anyhow::Context;
use bourse_wamp::RouterUrl;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How messages are written on the link to the router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serializer {
    /// Carries bytes, and integers of any size.
    #[default]
    Cbor,
    /// Carries bytes, and integers up to 64 bits: sellers that answer with larger ones fail behind it.
    Msgpack,
    /// Carries bytes as text.
    Json,
}

impl From<Serializer> for bourse_wamp::Serializer {
    fn from(serializer: Serializer) -> Self {
        match serializer {
            Serializer::Cbor => Self::Cbor,
            Serializer::Msgpack => Self::MsgPack,
            Serializer::Json => Self::Json,
        }
    }
}

/// `[wamp.login]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// How the market proves who it is.
    pub method: LoginMethod,
    /// Who it is; the router's choice if not given.
    pub authid: Option<String>,
    /// The file that holds the secret, for cryptosign the private key as 64 hex digits; white space around it is ignored.
    pub file: Option<PathBuf>,
    /// Bind a cryptosign login to the TLS connection, where the router knows how.
    pub channel_binding: bool,
}

/// How the market proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginMethod {
    /// Not at all.
    #[default]
    Anonymous,
    /// By showing a shared secret.
    Ticket,
    /// By signing with a shared secret.
    #[serde(rename = "wampcra")]
    Cra,
    /// By a password, which the router proves to know too.
    Scram,
    /// By a private key.
    Cryptosign,
}

impl Login {
    fn check(&self, faults: &mut Faults) {
        // A key says whose it is.
        let nameless = matches!(self.method, LoginMethod::Anonymous | LoginMethod::Cryptosign);
        let anonymous = self.method == LoginMethod::Anonymous;
        for (holds, key, words) in [
            (
                nameless || self.authid.is_some(),
                "wamp.login.authid",
                "wamp.login.authid is missing: name whom the secret proves",
            ),
            (
                anonymous || self.file.is_some(),
                "wamp.login.file",
                "wamp.login.file is missing: name the file that holds the secret",
            ),
            (
                !anonymous || self.file.is_none(),
                "wamp.login.file",
                "wamp.login.file is set, but an anonymous login has no secret: set wamp.login.method too",
            ),
            (
                self.method == LoginMethod::Cryptosign || !self.channel_binding,
                "wamp.login.channel_binding",
                "wamp.login.channel_binding is set: only a cryptosign login can be bound to its connection",
            ),
        ] {
            faults.unless(holds, key, || words);
        }
    }
}

/// Notes what keeps the router at `url` from being joined by `login`.
pub(super) fn check(url: &str, login: &Login, faults: &mut Faults) {
    let url = url.parse::<RouterUrl>().context("wamp.connect");
    faults.check("wamp.connect", url.map(drop));
    login.check(faults);
}

/// Whether the router is on this machine.
pub(super) fn is_local(url: &str) -> bool {
    url.parse::<RouterUrl>().is_ok_and(|url| url.is_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, login: &Login) -> anyhow::Result<()> {
        let mut faults = Faults::default();
        super::check(url, login, &mut faults);
        faults.into_result()
    }

    #[test]
    fn an_address_that_is_none_is_named_beside_one_that_is() {
        let said = format!("{:#}", check("http://router", &Login::default()).unwrap_err());
        assert!(
            said.contains("wamp.connect")
                && said.contains("http://router")
                && said.contains("ws://127.0.0.1:8080/ws"),
            "{said}"
        );
    }

    #[test]
    fn a_login_that_proves_nothing_is_refused() {
        let ticket = Login {
            method: LoginMethod::Ticket,
            ..Login::default()
        };
        let said = check("ws://router/ws", &ticket).unwrap_err().to_string();
        assert!(said.contains("wamp.login.authid"), "{said}");
        let bound = Login {
            channel_binding: true,
            ..Login::default()
        };
        let said = check("wss://router/ws", &bound).unwrap_err().to_string();
        assert!(said.contains("wamp.login.channel_binding"), "{said}");
    }

    #[test]
    fn only_this_machine_is_local() {
        assert!(
            is_local("ws://127.0.0.1:8080/ws") && is_local("rs://localhost:1") && is_local("ws://[::1]:80/")
        );
        assert!(!is_local("ws://10.0.0.1/ws") && !is_local("ws://localhost.evil.example/"));
    }
}
