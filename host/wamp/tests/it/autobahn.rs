//! The original library as client, over every transport that the router listens on.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bourse_wamp::{JoinOptions, Router, RouterConfig, Session, SocketMode, Users, connect};
use tokio::process::Command;

use crate::pki::Pki;
use crate::support::{call, echo};

/// The script, from this crate's folder.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/transports.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_and_our_client_call_over_every_transport() {
    let pki = Pki::new();
    let mut config = RouterConfig::default();
    // Far less than the script is idle for.
    config.limits.ping = Duration::from_millis(200);
    let router = Router::new(config, Arc::new(Users::new(true)));
    let market = Session::join(router.local_link(), JoinOptions::default())
        .await
        .unwrap();
    market.register("bourse.echo", echo).await.unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (tls, socket) = (pki.server(), pki.file("wamp.sock"));
    router
        .listen_unix(&socket, SocketMode::Owner, "/ws")
        .await
        .unwrap();
    let urls = [
        format!("ws://{}/ws", router.listen_ws(any, "/ws").await.unwrap()),
        format!("rs://{}", router.listen_rs(any).await.unwrap()),
        format!(
            "wss://localhost:{}/ws",
            router.listen_wss(any, "/ws", &tls).await.unwrap().port()
        ),
        format!(
            "rss://localhost:{}",
            router.listen_rss(any, &tls).await.unwrap().port()
        ),
        format!("unix://{}", socket.display()),
        format!("ws+unix://{}", socket.display()),
    ];

    let options = pki.client();
    for url in &urls {
        let link = connect(&url.parse().unwrap(), &options)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let session = Session::join(link, JoinOptions::default()).await.unwrap();
        let echoed = call(&session, "bourse.echo", vec![vec![7_u8; 65].into()])
            .await
            .unwrap();
        assert_eq!(echoed.args, vec![vec![7_u8; 65].into()], "{url}");
        session.leave().await;
    }

    let mut clients = tokio::task::JoinSet::new();
    for url in urls {
        let Some(mut script) = script(&url, &pki) else {
            return;
        };
        clients.spawn(async move { (url, script.output().await.unwrap()) });
    }
    while let Some(done) = clients.join_next().await {
        let (url, output) = done.unwrap();
        assert_ok(&url, &output);
    }
}

/// The script that is a client at `url`. None where there is no Python to run it.
pub(crate) fn script(url: &str, pki: &Pki) -> Option<Command> {
    let Some(python) = std::env::var_os("BOURSE_PYTHON") else {
        println!("NOT CHECKED: autobahn-python; `cargo xtask test` sets it up");
        return None;
    };
    let mut script = Command::new(python);
    script
        .arg(SCRIPT)
        .arg(url)
        .arg(pki.authority())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Some(script)
}

pub(crate) fn assert_ok(url: &str, output: &Output) {
    assert!(
        output.stdout == b"ok\n",
        "{url}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
