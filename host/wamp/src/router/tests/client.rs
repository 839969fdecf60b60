//! A client that sends what it is told and shows what it gets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Credential, CryptosignKey};
use crate::codec::Serializer;
use crate::link::{Incoming, Link, Outgoing, QueueLimits, connect_rs, connect_ws};
use crate::message::{Message, payload};
use crate::router::{Router, RouterConfig, Users};
use crate::value::{Dict, Value};

pub(super) const SOON: Duration = Duration::from_secs(10);

pub(super) struct World {
    pub(super) router: Router,
    pub(super) ws: SocketAddr,
    pub(super) rs: SocketAddr,
}

impl World {
    pub(super) async fn new(config: RouterConfig) -> Self {
        let signer = CryptosignKey::from_seed(&[7; 32]);
        let router = Router::new(
            config,
            Arc::new(
                Users::new(true)
                    .with_ticket("alice", "delegate", "secret")
                    .with_ticket("op", "operator", "op-secret")
                    .with_ticket("au", "auditor", "au-secret")
                    .with("signer", "delegate", Credential::PublicKey(signer.public_key())),
            ),
        );
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ws = router.listen_ws(any, "/ws").await.unwrap();
        let rs = router.listen_rs(any).await.unwrap();
        Self { router, ws, rs }
    }

    pub(super) async fn ws(&self) -> Client {
        Client::new(
            connect_ws(&format!("ws://{}/ws", self.ws), Serializer::Cbor)
                .await
                .unwrap(),
        )
    }

    pub(super) async fn rs(&self, serializer: Serializer) -> Client {
        Client::new(connect_rs(self.rs, serializer).await.unwrap())
    }

    /// A joined session that announces every feature.
    pub(super) async fn join(&self) -> Client {
        let mut client = self.ws().await;
        client.hello().await;
        client
    }

    /// As [`World::join`], with a ticket.
    pub(super) async fn login(&self, authid: &str, ticket: &str) -> Client {
        let mut client = self.ws().await;
        let Message::Hello { realm, mut details } = hello("realm1") else {
            unreachable!();
        };
        details.insert("authmethods".into(), vec![Value::from("ticket")].into());
        details.insert("authid".into(), authid.into());
        client.send(Message::Hello { realm, details }).await;
        assert!(matches!(client.recv().await, Message::Challenge { .. }));
        let (signature, extra) = (ticket.to_owned(), Dict::new());
        client.send(Message::Authenticate { signature, extra }).await;
        match client.recv().await {
            Message::Welcome { session, .. } => client.id = session,
            other => panic!("not welcome: {other:?}"),
        }
        client
    }

    /// Waits until a session has left.
    pub(super) async fn gone(&self, session: u64) {
        let gone = async {
            while self.router.session(session).is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, gone).await.expect("the session stays");
    }

    /// Waits until no call waits for its answer.
    pub(super) async fn settled(&self) {
        let settled = async {
            while self.router.stats().pending_calls > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, settled)
            .await
            .expect("calls are left over");
    }
}

pub(super) struct Client {
    pub(super) incoming: Incoming,
    pub(super) out: Outgoing,
    pub(super) id: u64,
}

pub(super) fn hello(realm: &str) -> Message {
    let features = |names: &[&str]| {
        let features = names
            .iter()
            .map(|name| ((*name).to_owned(), Value::from(true)))
            .collect::<Dict>();
        Value::from(Dict::from([("features".to_owned(), features.into())]))
    };
    let roles = Dict::from([
        ("caller".to_owned(), features(&[])),
        (
            "callee".to_owned(),
            features(&["call_canceling", "registration_revocation"]),
        ),
    ]);
    Message::Hello {
        realm: realm.into(),
        details: Dict::from([("roles".into(), roles.into())]),
    }
}

pub(super) fn call(request: u64, procedure: &str, options: Dict) -> Message {
    Message::Call {
        request,
        options,
        procedure: procedure.into(),
        payload: None,
    }
}

pub(super) fn register(request: u64, procedure: &str) -> Message {
    Message::Register {
        request,
        options: Dict::new(),
        procedure: procedure.into(),
    }
}

pub(super) fn answer(request: u64, value: impl Into<Value>) -> Message {
    Message::Yield {
        request,
        options: Dict::new(),
        payload: payload(vec![value.into()], Dict::new()),
    }
}

impl Client {
    pub(super) fn new(link: Link) -> Self {
        let limits = QueueLimits {
            messages: 1 << 16,
            bytes: 1 << 30,
        };
        let (incoming, out) = link.start(
            limits,
            Box::new(|message, why| panic!("{} cannot be sent: {why}", message.name())),
        );
        Self { incoming, out, id: 0 }
    }

    pub(super) async fn hello(&mut self) {
        self.send(hello("realm1")).await;
        match self.recv().await {
            Message::Welcome { session, .. } => self.id = session,
            other => panic!("not welcome: {other:?}"),
        }
    }

    pub(super) async fn send(&self, message: Message) {
        assert!(self.out.send(message).await, "the link is closed");
    }

    pub(super) async fn recv(&mut self) -> Message {
        self.recv_or_end().await.expect("the router hung up")
    }

    pub(super) async fn recv_or_end(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(SOON, self.incoming.next());
        next.await.expect("the router is silent").unwrap_or_default()
    }

    /// Whether nothing comes for a moment.
    pub(super) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(150), self.incoming.next())
            .await
            .is_err()
    }

    pub(super) async fn serve(&mut self, procedure: &str) -> u64 {
        self.send(register(1, procedure)).await;
        match self.recv().await {
            Message::Registered { registration, .. } => registration,
            other => panic!("not registered: {other:?}"),
        }
    }

    /// The invocation that comes next: its number and details.
    pub(super) async fn invocation(&mut self) -> (u64, Dict) {
        match self.recv().await {
            Message::Invocation { request, details, .. } => (request, details),
            other => panic!("not an invocation: {other:?}"),
        }
    }

    /// The error that comes next: the request and its URI.
    pub(super) async fn error(&mut self) -> (u64, String) {
        match self.recv().await {
            Message::Error { request, uri, .. } => (request, uri),
            other => panic!("not an error: {other:?}"),
        }
    }

    /// The interrupt that comes next: its invocation and mode.
    pub(super) async fn interrupt(&mut self) -> (u64, String) {
        match self.recv().await {
            Message::Interrupt { request, options } => (
                request,
                options
                    .get("mode")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            ),
            other => panic!("not an interrupt: {other:?}"),
        }
    }

    /// The reason and the sentence with which the router ends the session.
    pub(super) async fn farewell(&mut self) -> (String, String) {
        loop {
            match self.recv().await {
                Message::Abort { details, reason } | Message::Goodbye { details, reason } => {
                    let text = details.get("message").and_then(Value::as_str).unwrap_or_default();
                    return (reason, text.to_owned());
                }
                _ => {}
            }
        }
    }
}
