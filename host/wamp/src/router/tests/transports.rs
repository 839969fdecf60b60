//! Every way of connecting, from the URL to an answered call.

use super::client::{Client, World, answer, call};
use crate::auth::{Auth, CryptosignKey};
use crate::codec::Serializer;
use crate::link::authority::Authority;
use crate::link::{ConnectOptions, Link, RouterUrl, connect};
use crate::message::Message;
use crate::router::{RouterConfig, SocketMode};
use crate::session::{JoinOptions, Session};
use crate::value::Dict;
use std::net::SocketAddr;

/// A router on every transport, and the URLs of them.
struct Everywhere {
    world: World,
    authority: Authority,
    urls: Vec<RouterUrl>,
    _folder: tempfile::TempDir,
}

impl Everywhere {
    async fn new() -> Self {
        let world = World::new(RouterConfig::default()).await;
        let authority = Authority::new();
        let tls = authority.server("localhost");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let wss = world.router.listen_wss(any, "/ws", &tls).await.unwrap().port();
        let rss = world.router.listen_rss(any, &tls).await.unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("wamp.sock");
        world
            .router
            .listen_unix(&socket, SocketMode::Owner, "/ws")
            .await
            .unwrap();
        let socket = socket.display();
        let urls = [
            format!("ws://{}/ws", world.ws),
            format!("rs://{}", world.rs),
            format!("wss://localhost:{wss}/ws"),
            format!("rss://localhost:{rss}"),
            format!("unix://{socket}"),
            format!("ws+unix://{socket}"),
        ];
        Self {
            world,
            authority,
            urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
            _folder: folder,
        }
    }

    async fn link(&self, url: &RouterUrl, serializer: Serializer) -> Link {
        let options = ConnectOptions {
            tls: Some(self.authority.client()),
            ..ConnectOptions::with_serializer(serializer)
        };
        connect(url, &options)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    async fn join(&self, url: &RouterUrl, serializer: Serializer) -> Client {
        let mut client = Client::new(self.link(url, serializer).await);
        client.hello().await;
        client
    }
}

#[tokio::test]
async fn a_call_goes_over_every_transport_with_every_serializer() {
    let everywhere = Everywhere::new().await;
    for url in &everywhere.urls {
        for serializer in Serializer::ALL {
            let mut callee = everywhere.join(url, serializer).await;
            let mut caller = everywhere.join(url, serializer).await;
            callee.serve("com.app.echo").await;
            caller.send(call(1, "com.app.echo", Dict::new())).await;
            let (invocation, _) = callee.invocation().await;
            callee.send(answer(invocation, vec![7_u8; 100_000])).await;
            match caller.recv().await {
                Message::Result {
                    payload: Some(payload),
                    ..
                } => {
                    assert_eq!(payload.args, vec![vec![7_u8; 100_000].into()], "{url}");
                }
                other => panic!("{url}: {other:?}"),
            }
            callee.out.close(None);
            while everywhere.world.router.callee("com.app.echo").is_some() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_channel_has_an_id_under_tls_alone() {
    let everywhere = Everywhere::new().await;
    for url in &everywhere.urls {
        let link = everywhere.link(url, Serializer::Cbor).await;
        assert_eq!(link.channel_id().is_some(), url.is_tls(), "{url}");
    }
}

#[tokio::test]
async fn whoever_cannot_be_connected_to_is_named_with_why() {
    let everywhere = Everywhere::new().await;
    let [_, rs, wss, ..] = &everywhere.urls[..] else {
        panic!("there are six");
    };
    let mut wrong = vec![(wss.to_string(), "certificate")];
    wrong.push((wss.to_string().replace("/ws", "/elsewhere"), "404"));
    wrong.push((rs.to_string().replace("rs://", "ws://"), "failed"));
    wrong.push((rs.to_string().replace("rs://", "rss://"), "TLS"));
    wrong.push(("unix:///nowhere/to/be.found".to_owned(), "No such file"));
    for (number, (url, why)) in wrong.into_iter().enumerate() {
        let options = ConnectOptions {
            // The first client knows nothing of our authority.
            tls: Some(if number == 0 {
                Authority::new().client()
            } else {
                everywhere.authority.client()
            }),
            ..ConnectOptions::default()
        };
        let error = connect(&url.parse().unwrap(), &options)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(&url) && error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_login_is_bound_to_its_connection_where_there_is_tls() {
    let everywhere = Everywhere::new().await;
    let key = CryptosignKey::from_seed(&[7; 32]);
    for url in everywhere.urls.iter().filter(|url| url.is_tls()) {
        let options = JoinOptions {
            authid: Some("signer".to_owned()),
            auth: Auth::Cryptosign(key.clone()),
            channel_binding: true,
            ..JoinOptions::default()
        };
        let link = everywhere.link(url, Serializer::Cbor).await;
        let session = Session::join(link, options).await.unwrap();
        assert_eq!(session.authid(), "signer", "{url}");
    }
}
