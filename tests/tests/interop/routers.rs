//! Both routers, with the same users.

use crate::cell::{Login, Router, Transport};
use bourse_tests::{Crossbar, Setup};
use bourse_wamp::{
    Auth, CraKey, Credential, CryptosignKey, JoinError, JoinOptions, Kdf, Link, RouterConfig, Salting,
    ScramRecord, Serializer, Session, Users, connect_rs, connect_ws,
};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) const REALM: &str = "realm1";
/// The role of all who log in with something.
const ROLE: &str = "delegate";
const SECRET: &str = "open sesame";
/// Of the salted ones: 16 bytes, as text and as Crossbar.io's configuration has it.
const SALT: &str = "0123456789abcdef";
const SALT_HEX: &str = "30313233343536373839616263646566";
/// What autobahn's `derive_key` makes of secret and salt in 1000 rounds.
const CRA_KEY: &str = "Mqp8wAsrOsjVEIymTD0kATxTpTf4f+0ZMgQPDlukk/w=";
/// What its SCRAM makes of them by argon2id-13 in 16 passes over 512 KiB.
const STORED_KEY: &str = "50d236a2b313b81ef5d9902951c0731c1f51d581ecc39e32f0052e565a88b46c";
const SERVER_KEY: &str = "b7a3d4a4cc567a587d2fcdbc9de655ccbfedd87afdf55224260ceeb85362f9ad";
/// A key of Ed25519, and its public key by autobahn.
const PRIVATE_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const PUBLIC_KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

/// Who logs in like this, and what it shows: a secret, or a private key in hex.
pub(crate) fn user(login: Login) -> (Option<&'static str>, &'static str) {
    match login {
        Login::Anonymous => (None, ""),
        Login::Ticket => (Some("ticket-user"), SECRET),
        Login::Cra => (Some("cra-user"), SECRET),
        Login::SaltedCra => (Some("salted-user"), SECRET),
        Login::Scram => (Some("scram-user"), SECRET),
        Login::Cryptosign => (Some("key-user"), PRIVATE_KEY),
    }
}

/// The role that both routers give.
pub(crate) fn role(login: Login) -> &'static str {
    match login {
        Login::Anonymous => "anonymous",
        _ => ROLE,
    }
}

/// A running router.
pub(crate) enum Running {
    Embedded {
        ws: SocketAddr,
        rs: SocketAddr,
        _router: bourse_wamp::Router,
    },
    Crossbar(Crossbar),
}

impl Running {
    /// Starts one. None where there is no Crossbar.io.
    pub(crate) async fn start(router: Router) -> Option<Self> {
        Some(match router {
            Router::Embedded => embedded().await,
            Router::Crossbar => Self::Crossbar(crossbar()?),
        })
    }

    /// Where clients connect.
    pub(crate) fn url(&self, transport: Transport) -> String {
        match (self, transport) {
            (Self::Embedded { ws, .. }, Transport::WebSocket) => format!("ws://{ws}/ws"),
            (Self::Embedded { rs, .. }, Transport::RawSocket) => format!("rs://{rs}"),
            (Self::Crossbar(crossbar), Transport::WebSocket) => crossbar.url(),
            (Self::Crossbar(crossbar), Transport::RawSocket) => format!("rs://{}", crossbar.rs()),
        }
    }

    /// Our own session, logged in.
    pub(crate) async fn join(
        &self,
        transport: Transport,
        serializer: Serializer,
        login: Login,
    ) -> Result<Session, JoinError> {
        let (authid, secret) = user(login);
        let auth = match login {
            Login::Anonymous => Auth::Anonymous,
            Login::Ticket => Auth::Ticket(secret.into()),
            Login::Cra | Login::SaltedCra => Auth::Cra(secret.into()),
            Login::Scram => Auth::Scram(secret.into()),
            Login::Cryptosign => Auth::Cryptosign(CryptosignKey::from_seed(&bytes(secret))),
        };
        let options = JoinOptions {
            realm: REALM.to_owned(),
            authid: authid.map(str::to_owned),
            auth,
            ..JoinOptions::default()
        };
        Session::join(self.link(transport, serializer).await, options).await
    }

    async fn link(&self, transport: Transport, serializer: Serializer) -> Link {
        let url = self.url(transport);
        match transport {
            Transport::WebSocket => connect_ws(&url, serializer).await.unwrap(),
            Transport::RawSocket => {
                let address = url.trim_start_matches("rs://").parse().unwrap();
                connect_rs(address, serializer).await.unwrap()
            }
        }
    }
}

async fn embedded() -> Running {
    let salting = Salting {
        salt: SALT.to_owned(),
        iterations: 1000,
        key_length: 32,
    };
    let scram = ScramRecord {
        kdf: Kdf::new("argon2id-13", 16, Some(512)).unwrap(),
        salt: hex::decode(SALT_HEX).unwrap(),
        stored_key: bytes(STORED_KEY),
        server_key: bytes(SERVER_KEY),
    };
    let credentials = [
        (Login::Ticket, Credential::Ticket(SECRET.into())),
        (Login::Cra, Credential::Cra(CraKey::plain(SECRET))),
        (
            Login::SaltedCra,
            Credential::Cra(CraKey::salted(CRA_KEY, salting).unwrap()),
        ),
        (Login::Scram, Credential::Scram(scram)),
        (Login::Cryptosign, Credential::PublicKey(bytes(PUBLIC_KEY))),
    ];
    let users = credentials
        .into_iter()
        .fold(Users::new(true), |users, (login, credential)| {
            users.with(user(login).0.unwrap(), ROLE, credential)
        });
    let config = RouterConfig {
        realm: REALM.to_owned(),
        ..RouterConfig::default()
    };
    let router = bourse_wamp::Router::new(config, Arc::new(users));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Running::Embedded {
        ws: router.listen_ws(any, "/ws").await.unwrap(),
        rs: router.listen_rs(any).await.unwrap(),
        _router: router,
    }
}

fn bytes(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn crossbar() -> Option<Crossbar> {
    let auth = json!({
        "anonymous": {"type": "static", "role": "anonymous"},
        "ticket": {"type": "static", "principals": {"ticket-user": {"ticket": SECRET, "role": ROLE}}},
        "wampcra": {"type": "static", "users": {
            "cra-user": {"secret": SECRET, "role": ROLE},
            // It keeps the secret and salts it itself.
            "salted-user": {"secret": SECRET, "role": ROLE, "salt": SALT, "iterations": 1000, "keylen": 32},
        }},
        "scram": {"type": "static", "principals": {"scram-user": {
            "kdf": "argon2id-13", "iterations": 16, "memory": 512, "salt": SALT_HEX,
            "stored-key": STORED_KEY, "server-key": SERVER_KEY, "role": ROLE,
        }}},
        "cryptosign": {"type": "static", "principals": {
            "key-user": {"authorized_keys": [PUBLIC_KEY], "role": ROLE},
        }},
    });
    Crossbar::start(&Setup::open(REALM, &["anonymous", ROLE], auth))
}
