//! Peers that write frames, read frames, and do nothing else: what they take is as little as what the peers of a bare WebSocket
//! take, so that what is left is the router's.

use crate::process::{Running, start};
use bourse_wamp::testing::{read, write};
use bourse_wamp::{Dict, Integer, Serializer, Value};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The argument that makes this program a callee; the router's URL follows, and the serializer's subprotocol.
pub(crate) const CALLEE: &str = "--callee";

/// Types of messages, as the WAMP specification numbers them.
mod kind {
    pub(super) const HELLO: u64 = 1;
    pub(super) const WELCOME: u64 = 2;
    pub(super) const CALL: u64 = 48;
    pub(super) const RESULT: u64 = 50;
    pub(super) const REGISTER: u64 = 64;
    pub(super) const REGISTERED: u64 = 65;
    pub(super) const INVOCATION: u64 = 68;
    pub(super) const YIELD: u64 = 70;
}

/// An anonymous session of `realm1`.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    serializer: Serializer,
}

impl Peer {
    /// Joins at a URL `ws://HOST:PORT/PATH`.
    async fn join(url: &str, serializer: Serializer) -> Self {
        let mut request = url.into_client_request().unwrap();
        let subprotocol = HeaderValue::from_static(serializer.subprotocol());
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", subprotocol);
        let stream = TcpStream::connect(request.uri().authority().unwrap().as_str())
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let mut peer = Self { socket, serializer };
        let roles = ["caller", "callee"].map(|role| (role.to_owned(), Value::Map(Dict::new())));
        let details = Dict::from([("roles".to_owned(), Value::Map(Dict::from(roles)))]);
        peer.say(&[number(kind::HELLO), "realm1".into(), Value::Map(details)])
            .await;
        peer.hear(kind::WELCOME).await;
        peer
    }

    fn frame(&self, elements: &[Value]) -> Message {
        let frame = write(self.serializer, elements).unwrap();
        match self.serializer.is_text() {
            true => Message::text(String::from_utf8(frame).unwrap()),
            false => Message::binary(frame),
        }
    }

    async fn say(&mut self, elements: &[Value]) {
        let frame = self.frame(elements);
        self.socket.send(frame).await.unwrap();
    }

    /// The elements of the next message, which is of this type.
    async fn hear(&mut self, expected: u64) -> Vec<Value> {
        loop {
            let frame = self.socket.next().await.unwrap().unwrap();
            if let Some(elements) = self.elements(&frame, expected) {
                return elements;
            }
        }
    }

    /// What a frame says; nothing if it is one of the connection's own.
    fn elements(&self, frame: &Message, expected: u64) -> Option<Vec<Value>> {
        if !frame.is_binary() && !frame.is_text() {
            return None;
        }
        let elements = read(self.serializer, &frame.clone().into_data()).unwrap();
        assert_eq!(elements[0], number(expected), "{elements:?}");
        Some(elements)
    }
}

fn number(number: u64) -> Value {
    Value::Int(Integer::from(number))
}

/// A caller of a procedure that another peer serves.
pub(crate) struct Caller {
    peer: Peer,
    procedure: Arc<str>,
    calls: u64,
}

/// So many callers, and the one callee of them all, in a process of its own as callees are in life: its time is not theirs.
pub(crate) async fn callers(url: &str, serializer: Serializer, n: usize) -> (Running, Vec<Caller>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = command.args([CALLEE, url, serializer.subprotocol()]);
    let (callee, procedure) = start(command, |line| Some(Arc::<str>::from(line)));
    let mut callers = Vec::with_capacity(n);
    for _ in 0..n {
        callers.push(Caller {
            peer: Peer::join(url, serializer).await,
            procedure: Arc::clone(&procedure),
            calls: 0,
        });
    }
    (callee, callers)
}

/// The callee: prints the procedure that it serves, then gives back what it is given until it is killed.
pub(crate) fn serve_callee(url: &str, serializer: &str) {
    let serializer = Serializer::from_subprotocol(serializer).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let procedure = format!("com.example.bench.bare{}", rand::random::<u32>());
        let mut callee = Peer::join(url, serializer).await;
        let register = [
            number(kind::REGISTER),
            number(1),
            Value::Map(Dict::new()),
            procedure.as_str().into(),
        ];
        callee.say(&register).await;
        callee.hear(kind::REGISTERED).await;
        println!("{procedure}");
        serve(callee).await;
    });
}

/// Answers what has come before it writes what it has to say, as any callee does whose socket is buffered.
async fn serve(mut callee: Peer) {
    while let Some(frame) = callee.socket.next().await {
        let mut next = Some(Some(frame));
        while let Some(Some(frame)) = next {
            if let Some(invocation) = callee.elements(&frame.unwrap(), kind::INVOCATION) {
                let [_, request, _, _, args, ..] = &invocation[..] else {
                    panic!("an invocation without arguments: {invocation:?}");
                };
                let result = [
                    number(kind::YIELD),
                    request.clone(),
                    Value::Map(Dict::new()),
                    args.clone(),
                ];
                let result = callee.frame(&result);
                callee.socket.feed(result).await.unwrap();
            }
            next = callee.socket.next().now_or_never();
        }
        callee.socket.flush().await.unwrap();
    }
}

/// A call through the router to the callee and back.
pub(crate) async fn call(mut caller: Caller) -> (Caller, Duration) {
    caller.calls += 1;
    let argument = Value::Bytes(vec![7; 32]);
    let call = [
        number(kind::CALL),
        number(caller.calls),
        Value::Map(Dict::new()),
        (&*caller.procedure).into(),
        Value::List(vec![argument]),
    ];
    let begun = Instant::now();
    caller.peer.say(&call).await;
    let result = caller.peer.hear(kind::RESULT).await;
    let took = begun.elapsed();
    assert_eq!(result[1], number(caller.calls));
    (caller, took)
}
