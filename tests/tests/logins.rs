//! Users of the configuration log in, by every method: with the real autobahn, in Python, and with our own session.
//!
//! Python needs the environment that `cargo xtask test` makes and names in `BOURSE_PYTHON`; where it is unset the test says
//! that it checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use bourse_app::config::{Config, User};
use bourse_tests::{Wire, World, autobahn_logins};
use bourse_wamp::{Auth, CryptosignKey, JoinError, Serializer};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PASSWORD: &str = "open sesame";
const WRONG: &str = "open barley";
const SEED: [u8; 32] = [7; 32];

/// What `bourse wamp hash` prints for the password.
fn hashed(method: &str) -> String {
    let mut child = Command::new(bourse_tests::binary())
        .args(["wamp", "hash", "--method", method])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(PASSWORD.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A user for each way of logging in.
fn users(config: &mut Config) {
    let write = |name: &str, text: &str| -> Option<PathBuf> {
        let file = config.store.path.join(name);
        std::fs::write(&file, text).unwrap();
        Some(file)
    };
    let user = |authid: &str| User {
        authid: authid.to_owned(),
        role: "delegate".to_owned(),
        ..User::default()
    };
    let users = vec![
        User {
            ticket_file: write("ticket", &format!("{PASSWORD}\n")),
            ..user("shows")
        },
        User {
            cra_file: write("cra", PASSWORD),
            ..user("signs")
        },
        User {
            cra_file: write("salted", &hashed("wampcra")),
            ..user("salted")
        },
        User {
            scram_file: write("scram", &hashed("wamp-scram")),
            ..user("proves")
        },
        User {
            public_keys: vec![CryptosignKey::from_seed(&SEED).public_hex()],
            ..user("holds")
        },
    ];
    config.wamp.user = users;
}

/// Authid, method and options of autobahn's authenticators, with a secret.
fn logins(password: &str, seed: [u8; 32]) -> Vec<(&'static str, &'static str, Value)> {
    let seed: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("shows", "ticket", json!({"authid": "shows", "ticket": password})),
        ("signs", "wampcra", json!({"authid": "signs", "secret": password})),
        (
            "salted",
            "wampcra",
            json!({"authid": "salted", "secret": password}),
        ),
        (
            "proves",
            "scram",
            json!({"authid": "proves", "password": password}),
        ),
        ("holds", "cryptosign", json!({"authid": "holds", "privkey": seed})),
        ("holds", "cryptosign", json!({"privkey": seed})),
    ]
}

#[tokio::test]
async fn autobahn_logs_in_by_every_method_and_no_wrong_secret_does() {
    let world = World::with(users).await;
    let urls = [world.url(), format!("rs://{}", world.rs())];
    let mut asked = Vec::new();
    let mut expected = Vec::new();
    for url in &urls {
        for serializer in ["json", "msgpack", "cbor"] {
            for (authid, method, options) in logins(PASSWORD, SEED) {
                asked.push(
                    json!({"url": url, "serializer": serializer, "method": method, "options": options}),
                );
                expected.push((authid, method));
            }
        }
    }
    let right = asked.len();
    for (_, method, options) in logins(WRONG, [8; 32]) {
        asked.push(json!({"url": urls[0], "serializer": "cbor", "method": method, "options": options}));
    }
    let Some(said) = autobahn_logins(asked.clone()).await else {
        return;
    };
    for ((said, asked), (authid, method)) in said.iter().zip(&asked).zip(expected) {
        let told = (
            said["authid"].as_str(),
            said["role"].as_str(),
            said["method"].as_str(),
        );
        assert_eq!(
            told,
            (Some(authid), Some("delegate"), Some(method)),
            "{asked}: {said}"
        );
    }
    for (said, asked) in said.iter().zip(&asked).skip(right) {
        assert_eq!(
            said["refused"], "wamp.error.authentication_failed",
            "{asked}: {said}"
        );
    }
}

#[tokio::test]
async fn our_session_logs_in_as_every_user_of_the_configuration() {
    let world = World::with(users).await;
    let wire = Wire::WebSocket(Serializer::Cbor);
    let logins = |password: &str, seed| {
        [
            ("shows", Auth::Ticket(password.into())),
            ("signs", Auth::Cra(password.into())),
            ("salted", Auth::Cra(password.into())),
            ("proves", Auth::Scram(password.into())),
            ("holds", Auth::Cryptosign(CryptosignKey::from_seed(&seed))),
        ]
    };
    for (authid, auth) in logins(PASSWORD, SEED) {
        let session = world.join(wire, Some(authid.to_owned()), auth).await.unwrap();
        assert_eq!((session.authid(), session.authrole()), (authid, "delegate"));
    }
    for (authid, auth) in logins(WRONG, [8; 32]) {
        let refused = world.join(wire, Some(authid.to_owned()), auth).await;
        assert!(
            matches!(refused, Err(JoinError::Refused { .. })),
            "{authid}: {refused:?}"
        );
    }
}
