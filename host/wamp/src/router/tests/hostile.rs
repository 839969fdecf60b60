use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Frame};

use super::client::{SOON, World, answer, call, hello, register};
use crate::codec::Serializer;
use crate::message::{INVOCATION, Message, REGISTER};
use crate::router::RouterConfig;
use crate::value::{Dict, Value};

/// A RawSocket connection by hand.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    serializer: Serializer,
}

impl Raw {
    pub(super) async fn open(addr: SocketAddr, serializer: Serializer) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let id = match serializer {
            Serializer::Json => 1,
            Serializer::MsgPack => 2,
            Serializer::Cbor => 3,
        };
        stream.write_all(&[0x7f, 0xf0 | id, 0, 0]).await.unwrap();
        let mut answer = [0_u8; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x7f, 0xb0 | id, 0, 0], "1 MiB is announced");
        Self { stream, serializer }
    }

    pub(super) async fn frame(&mut self, kind: u8, payload: &[u8]) {
        let head = (u32::from(kind) << 24 | u32::try_from(payload.len()).unwrap()).to_be_bytes();
        self.stream.write_all(&[&head, payload].concat()).await.unwrap();
    }

    pub(super) async fn send(&mut self, message: &Message) {
        let mut frame = Vec::new();
        message.encode(self.serializer, &mut frame).unwrap();
        self.frame(0, &frame).await;
    }

    pub(super) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0_u8; 4];
        let read = self.stream.read_exact(&mut head);
        tokio::time::timeout(SOON, read)
            .await
            .expect("the router is silent")
            .ok()?;
        let mut payload =
            vec![0; usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3])];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[0], payload))
    }

    pub(super) async fn recv(&mut self) -> Option<Message> {
        let (kind, payload) = self.read().await?;
        assert_eq!(kind, 0);
        Some(Message::decode(self.serializer, &payload).unwrap())
    }
}

pub(super) fn words(message: Option<Message>) -> (String, String) {
    match message {
        Some(Message::Abort { details, reason } | Message::Goodbye { details, reason }) => (
            reason,
            details
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        ),
        other => panic!("no last words: {other:?}"),
    }
}

#[tokio::test]
async fn malformed_frames_end_their_session_with_a_reason_and_no_other() {
    let world = World::new(RouterConfig::default()).await;
    let mut bystander = world.join().await;
    for serializer in Serializer::ALL {
        let deep = match serializer {
            Serializer::Json => "[".repeat(100_000).into_bytes(),
            Serializer::MsgPack => vec![0x91; 100_000],
            Serializer::Cbor => vec![0x81; 100_000],
        };
        let int_keys: &[u8] = match serializer {
            Serializer::Json => b"[48, 1, {1: 2}, \"a\"]",
            Serializer::MsgPack => &[0x94, 48, 1, 0x81, 1, 2, 0xa1, b'a'],
            Serializer::Cbor => &[0x84, 0x18, 48, 1, 0xa1, 1, 2, 0x61, b'a'],
        };
        for frame in [&deep, int_keys, &[], &[0xff; 40], b"[]"] {
            let mut welcomed = Raw::open(world.rs, serializer).await;
            welcomed.send(&hello("realm1")).await;
            assert!(matches!(welcomed.recv().await, Some(Message::Welcome { .. })));
            welcomed.frame(0, frame).await;
            let (reason, text) = words(welcomed.recv().await);
            assert_eq!(reason, "wamp.error.protocol_violation", "{serializer:?}");
            assert!(!text.is_empty());
            assert!(welcomed.read().await.is_none(), "the connection stays open");

            let mut stranger = Raw::open(world.rs, serializer).await;
            stranger.frame(0, frame).await;
            assert_eq!(
                words(stranger.recv().await).0,
                "wamp.error.protocol_violation",
                "{serializer:?}"
            );
        }
    }
    bystander.serve("com.app.still.here").await;
    assert!(world.router.stats().violations >= 15);
}

#[tokio::test]
async fn a_raw_frame_longer_than_announced_is_not_read() {
    let world = World::new(RouterConfig::default()).await;
    let mut client = Raw::open(world.rs, Serializer::Cbor).await;
    client.send(&hello("realm1")).await;
    client.recv().await;
    client.stream.write_all(&[0, 0x10, 0, 1]).await.unwrap();
    let (reason, text) = words(client.recv().await);
    assert_eq!(reason, "wamp.error.payload_size_exceeded");
    assert_eq!(text, "a frame of 1048577 bytes, at most 1048576 are read");
}

#[tokio::test]
async fn a_raw_ping_is_answered_and_strange_greetings_are_refused() {
    let world = World::new(RouterConfig::default()).await;
    let mut client = Raw::open(world.rs, Serializer::Json).await;
    client.frame(1, b"are you there").await;
    assert_eq!(client.read().await, Some((2, b"are you there".to_vec())));
    for (greeting, refusal) in [
        ([0x7f, 0xf4, 0, 0], [0x7f, 0x10, 0, 0]),
        ([0x7f, 0xf1, 1, 0], [0x7f, 0x30, 0, 0]),
    ] {
        let mut stream = TcpStream::connect(world.rs).await.unwrap();
        stream.write_all(&greeting).await.unwrap();
        let mut answer = [0_u8; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, refusal);
    }
    let mut stream = TcpStream::connect(world.rs).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("the router waits");
    assert!(rest.is_empty());
}

pub(super) async fn ws(addr: SocketAddr, path: &str, protocols: &str) -> Result<Ws, WsError> {
    let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
    if !protocols.is_empty() {
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

pub(super) type Ws = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

#[tokio::test]
async fn websocket_clients_get_the_first_subprotocol_that_is_known() {
    let world = World::new(RouterConfig::default()).await;
    let mut socket = ws(world.ws, "/ws", "wamp.2.flatbuffers, wamp.2.json, wamp.2.cbor")
        .await
        .unwrap();
    socket
        .send(Frame::text(r#"[1,"realm1",{"roles":{"caller":{}}}]"#))
        .await
        .unwrap();
    let Some(Ok(Frame::Text(welcome))) = socket.next().await else {
        panic!("not welcome in JSON");
    };
    assert!(welcome.starts_with("[2,"), "{welcome}");
    for (path, protocols, status) in [
        ("/", "wamp.2.json", 404),
        ("/ws", "", 400),
        ("/ws", "wamp.2.ubjson", 400),
    ] {
        match ws(world.ws, path, protocols).await {
            Err(WsError::Http(response)) => assert_eq!(response.status().as_u16(), status),
            other => panic!("{path} {protocols}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn websocket_frames_of_the_wrong_kind_or_size_end_the_session_with_a_reason() {
    let world = World::new(RouterConfig::default()).await;
    let too_long = Frame::binary(vec![0_u8; (1 << 20) + 1]);
    let cases = [
        (Frame::text("[]"), "wamp.error.protocol_violation"),
        (
            Frame::binary(vec![0xff_u8, 1, 2]),
            "wamp.error.protocol_violation",
        ),
        (too_long, "wamp.error.payload_size_exceeded"),
    ];
    for (frame, expected) in cases {
        let mut socket = ws(world.ws, "/ws", "wamp.2.cbor").await.unwrap();
        let mut greeting = Vec::new();
        hello("realm1").encode(Serializer::Cbor, &mut greeting).unwrap();
        socket.send(Frame::binary(greeting)).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Frame::Binary(_)))));
        socket.send(frame).await.unwrap();
        let Some(Ok(Frame::Binary(goodbye))) = socket.next().await else {
            panic!("no last words for {expected}");
        };
        assert_eq!(
            words(Some(Message::decode(Serializer::Cbor, &goodbye).unwrap())).0,
            expected
        );
        let Some(Ok(Frame::Close(Some(close)))) = socket.next().await else {
            panic!("no close frame for {expected}");
        };
        assert_eq!(close.reason.as_str(), expected);
    }
}

#[tokio::test]
async fn the_first_message_is_hello_for_a_realm_that_exists() {
    let world = World::new(RouterConfig::default()).await;
    let check = async |first: Message, expected: &str| {
        let mut client = world.ws().await;
        client.send(first).await;
        let (reason, text) = client.farewell().await;
        assert_eq!(reason, expected);
        text
    };
    let violation = "wamp.error.protocol_violation";
    assert_eq!(
        check(call(1, "com.app.echo", Dict::new()), violation).await,
        "CALL before HELLO"
    );
    check(register(1, "com.app.echo"), violation).await;
    assert_eq!(
        check(hello("realm2"), "wamp.error.no_such_realm").await,
        "there is no realm \"realm2\" here, only \"realm1\""
    );
    check(hello(""), "wamp.error.no_such_realm").await;
    let without_roles = Message::Hello {
        realm: "realm1".into(),
        details: Dict::new(),
    };
    check(without_roles, violation).await;
    let Message::Hello { realm, mut details } = hello("realm1") else {
        unreachable!();
    };
    details.insert(
        "authmethods".into(),
        vec![Value::from("scram"), "wampcra".into()].into(),
    );
    let text = check(
        Message::Hello { realm, details },
        "wamp.error.no_matching_auth_method",
    )
    .await;
    assert_eq!(
        text,
        "the authentication methods here are cryptosign, ticket, anonymous"
    );
}

#[tokio::test]
async fn a_challenge_is_answered_with_authenticate_and_nothing_else() {
    let world = World::new(RouterConfig::default()).await;
    let Message::Hello { realm, mut details } = hello("realm1") else {
        unreachable!();
    };
    details.insert("authmethods".into(), vec![Value::from("ticket")].into());
    details.insert("authid".into(), "alice".into());
    for reply in [hello("realm1"), call(1, "com.app.echo", Dict::new())] {
        let mut client = world.ws().await;
        client
            .send(Message::Hello {
                realm: realm.clone(),
                details: details.clone(),
            })
            .await;
        assert!(matches!(client.recv().await, Message::Challenge { .. }));
        client.send(reply).await;
        assert_eq!(client.farewell().await.0, "wamp.error.protocol_violation");
    }
}

#[tokio::test]
async fn messages_that_are_not_a_clients_end_the_session() {
    let world = World::new(RouterConfig::default()).await;
    let mut callee = world.join().await;
    callee.serve("com.app.work").await;
    let mut caller = world.join().await;
    caller.send(call(1, "com.app.work", Dict::new())).await;
    let (invocation, _) = callee.invocation().await;
    let error = Message::error(REGISTER, 1, "com.app.error", "x");
    let progressive = Message::Yield {
        request: invocation,
        options: Dict::from([("progress".into(), true.into())]),
        payload: None,
    };
    let bad_cancel = {
        let options = Dict::from([("mode".into(), "now".into())]);
        Message::Cancel { request: 1, options }
    };
    let cases = [
        hello("realm1"),
        Message::Welcome {
            session: 1,
            details: Dict::new(),
        },
        Message::Result {
            request: 1,
            details: Dict::new(),
            payload: None,
        },
        Message::Invocation {
            request: 1,
            registration: 1,
            details: Dict::new(),
            payload: None,
        },
        error,
        answer(invocation, "not my invocation"),
        Message::error(INVOCATION, invocation, "com.app.error", "not my invocation"),
        bad_cancel,
    ];
    for message in cases {
        let mut client = world.join().await;
        let name = message.name();
        client.send(message).await;
        let (reason, text) = client.farewell().await;
        assert_eq!(reason, "wamp.error.protocol_violation", "{name}");
        assert!(!text.is_empty(), "{name}");
    }
    callee.send(progressive).await;
    assert_eq!(callee.farewell().await.0, "wamp.error.protocol_violation");
    assert_eq!(caller.error().await, (1, "wamp.error.canceled".into()));
    caller
        .send(call(
            2,
            "com.app.work",
            Dict::from([("progress".into(), true.into())]),
        ))
        .await;
    assert_eq!(caller.error().await, (2, "wamp.error.option_not_allowed".into()));
}

#[tokio::test]
async fn a_request_number_is_not_used_twice_at_a_time() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.work").await;
    caller.send(call(1, "com.app.work", Dict::new())).await;
    caller.send(call(1, "com.app.work", Dict::new())).await;
    assert_eq!(caller.farewell().await.0, "wamp.error.protocol_violation");
    let (invocation, _) = callee.invocation().await;
    assert_eq!(callee.interrupt().await.0, invocation);
}

/// Seeded, so that a failure repeats.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[tokio::test]
async fn whatever_messages_come_the_router_goes_on() {
    let world = World::new(RouterConfig::default()).await;
    let mut random = Seeded(7);
    let uris = [
        "com.a",
        "com.b",
        "xbr.marketmaker.x",
        "xbr.provider.p.sell",
        "",
        "com..",
        "wamp.x",
    ];
    let matches = ["exact", "prefix", "wildcard", "other"];
    for _ in 0..150 {
        let clients = [world.join().await, world.join().await];
        for _ in 0..100 {
            let client = &clients[usize::try_from(random.below(2)).unwrap()];
            let uri = uris[usize::try_from(random.below(uris.len() as u64)).unwrap()].to_owned();
            let id = random.below(200) + 1;
            let options = match random.below(4) {
                0 => Dict::new(),
                1 => Dict::from([(
                    "match".into(),
                    matches[usize::try_from(random.below(4)).unwrap()].into(),
                )]),
                2 => Dict::from([
                    ("timeout".into(), random.below(3).into()),
                    ("acknowledge".into(), true.into()),
                ]),
                _ => Dict::from([
                    ("invoke".into(), "roundrobin".into()),
                    ("eligible".into(), vec![Value::from(id), Value::Null].into()),
                    ("exclude_me".into(), false.into()),
                ]),
            };
            let request = random.below(500) + 1;
            let message = match random.below(10) {
                0 | 1 => Message::Call {
                    request,
                    options,
                    procedure: uri,
                    payload: None,
                },
                2 | 3 => Message::Register {
                    request,
                    options,
                    procedure: uri,
                },
                4 => Message::Unregister {
                    request,
                    registration: id,
                },
                5 => Message::Subscribe {
                    request,
                    options,
                    topic: uri,
                },
                6 => Message::Unsubscribe {
                    request,
                    subscription: id,
                },
                7 => Message::Publish {
                    request,
                    options,
                    topic: uri,
                    payload: None,
                },
                8 => Message::Cancel {
                    request,
                    options: Dict::new(),
                },
                _ => Message::Yield {
                    request: id,
                    options: Dict::new(),
                    payload: None,
                },
            };
            if !client.out.send(message).await {
                break;
            }
        }
    }
    let mut bystander = world.join().await;
    bystander.serve("com.app.still.here").await;
    let emptied = async {
        loop {
            let stats = world.router.stats();
            if (
                stats.sessions,
                stats.registrations,
                stats.subscriptions,
                stats.pending_calls,
            ) == (1, 1, 0, 0)
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(SOON, emptied).await.is_err() {
        panic!("something is left over: {:?}", world.router.stats());
    }
}
