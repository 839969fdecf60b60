//! The original library as client, over every transport that the router listens on.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bourse_wamp::{
    ClientTls, ClientTlsFiles, ConnectOptions, JoinOptions, Router, RouterConfig, ServerTls, Session,
    SocketMode, Users, connect,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{call, echo};

/// The script, from this crate's folder.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/transports.py");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autobahn_and_our_client_call_over_every_transport() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut params = CertificateParams::new(vec!["authority".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // OpenSSL takes a certificate with its authority's own name for the authority's.
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    std::fs::write(file("ca.pem"), authority.pem()).unwrap();
    std::fs::write(file("certificate.pem"), certificate.pem()).unwrap();
    std::fs::write(file("key.pem"), key.serialize_pem()).unwrap();

    let mut config = RouterConfig::default();
    // Far less than the script is idle for.
    config.limits.ping = Duration::from_millis(200);
    let router = Router::new(config, Arc::new(Users::new(true)));
    let market = Session::join(router.local_link(), JoinOptions::default())
        .await
        .unwrap();
    market.register("bourse.echo", echo).await.unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let tls = ServerTls::from_files(&file("certificate.pem"), &file("key.pem")).unwrap();
    let socket = file("wamp.sock");
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

    let mut options = ConnectOptions::default();
    let files = ClientTlsFiles {
        authorities: Some(file("ca.pem")),
        identity: None,
    };
    options.tls = Some(ClientTls::from_files(&files).unwrap());
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

    let Some(python) = std::env::var_os("BOURSE_PYTHON") else {
        println!("NOT CHECKED: autobahn-python; `cargo xtask test` sets it up");
        return;
    };
    let mut clients = tokio::task::JoinSet::new();
    for url in urls {
        let mut script = tokio::process::Command::new(&python);
        script
            .arg(SCRIPT)
            .arg(&url)
            .arg(file("ca.pem"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        clients.spawn(async move { (url, script.output().await.unwrap()) });
    }
    while let Some(done) = clients.join_next().await {
        let (url, output) = done.unwrap();
        assert!(
            output.stdout == b"ok\n",
            "{url}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
