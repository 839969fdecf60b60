//! TLS with OpenSSL on the other side, under the older version too.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use bourse_wamp::{
    Auth, Credential, CryptosignKey, JoinError, JoinOptions, Router, RouterConfig, Session, Users, connect,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::autobahn::{assert_ok, script};
use crate::pki::Pki;
use crate::support::{call, echo, soon};

/// What stands before a router and speaks TLS for it, from this crate's folder.
const FRONT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/tls_front.py");

fn key() -> CryptosignKey {
    CryptosignKey::from_seed(&[7; 32])
}

/// A router that echoes, and knows a key.
async fn router() -> (Router, Session) {
    let users = Users::new(true).with("signer", "delegate", Credential::PublicKey(key().public_key()));
    let router = Router::new(RouterConfig::default(), Arc::new(users));
    let market = Session::join(router.local_link(), JoinOptions::default())
        .await
        .unwrap();
    market.register("bourse.echo", echo).await.unwrap();
    (router, market)
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A process of OpenSSL's that takes one version of TLS and passes what comes on to a WebSocket listener: its URL. None where
/// there is no Python to run it.
async fn front(pki: &Pki, version: &str, behind: SocketAddr) -> Option<(Child, String)> {
    let Some(python) = std::env::var_os("BOURSE_PYTHON") else {
        println!("NOT CHECKED: OpenSSL; `cargo xtask test` sets it up");
        return None;
    };
    let mut front = Command::new(python)
        .arg(FRONT)
        .args([pki.certificate(), pki.key()])
        .arg(version)
        .arg(behind.port().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(front.stdout.take().unwrap()).lines();
    let port = soon(lines.next_line()).await.unwrap().unwrap();
    Some((front, format!("wss://localhost:{port}/ws")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_calls_over_tls_1_2_and_1_3() {
    let pki = Pki::new();
    let (router, _market) = router().await;
    let tls = pki.server();
    let wss = router.listen_wss(any(), "/ws", &tls).await.unwrap().port();
    let rss = router.listen_rss(any(), &tls).await.unwrap().port();
    for url in [
        format!("wss://localhost:{wss}/ws"),
        format!("rss://localhost:{rss}"),
    ] {
        for version in ["TLSv1_2", "TLSv1_3"] {
            let Some(mut script) = script(&url, &pki) else {
                return;
            };
            // It fails unless that is what both sides agreed on.
            let output = script.arg(version).output().await.unwrap();
            assert_ok(&format!("{url} under {version}"), &output);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_calls_over_tls_1_2_and_binds_no_login_to_a_channel_that_somebody_else_ends() {
    let pki = Pki::new();
    let (router, _market) = router().await;
    let plain = router.listen_ws(any(), "/ws").await.unwrap();
    for (version, has_id) in [("TLSv1_2", false), ("TLSv1_3", true)] {
        let Some((_front, url)) = front(&pki, version, plain).await else {
            return;
        };
        let join = async |auth: Auth, channel_binding: bool| {
            let link = connect(&url.parse().unwrap(), &pki.client()).await.unwrap();
            assert_eq!(link.channel_id().is_some(), has_id, "{version}");
            let options = JoinOptions {
                auth,
                channel_binding,
                ..JoinOptions::default()
            };
            Session::join(link, options).await
        };
        for auth in [Auth::Anonymous, Auth::Cryptosign(key())] {
            let session = join(auth, false).await.unwrap();
            let echoed = call(&session, "bourse.echo", vec![vec![7_u8; 65].into()])
                .await
                .unwrap();
            assert_eq!(echoed.args, vec![vec![7_u8; 65].into()], "{version}");
        }
        // Under 1.2 our side does not even ask; under 1.3 the router has no TLS to bind anything to.
        let refused = join(Auth::Cryptosign(key()), true).await.unwrap_err();
        assert!(refused.to_string().contains("TLS 1.3"), "{refused}");
        assert_eq!(matches!(refused, JoinError::Refused { .. }), has_id, "{refused}");
    }
}
