//! Peers that are slow, silent or too many: they lose their places, and nobody else does.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::client::{Client, SOON, World, hello, register};
use super::hostile::{Raw, words, ws};
use crate::codec::Serializer;
use crate::limits::Limits;
use crate::link::connect_rs;
use crate::message::Message;
use crate::router::RouterConfig;

async fn world(change: impl FnOnce(&mut Limits)) -> World {
    let mut config = RouterConfig::default();
    change(&mut config.limits);
    World::new(config).await
}

/// Whether the router hangs up before it has said anything, perhaps before the caller knows that it is connected.
async fn is_refused(connected: &mut std::io::Result<TcpStream>) -> bool {
    let Ok(stream) = connected else {
        return true;
    };
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut byte)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn the_eldest_silent_connection_gives_way_and_sessions_stay() {
    let world = world(|limits| limits.handshakes = 2).await;
    let mut joined = world.join().await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(world.rs).await);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut newcomer = Client::new(connect_rs(world.rs, Serializer::Cbor).await.unwrap());
    assert!(is_refused(&mut silent[0]).await, "the eldest is still there");
    assert!(!is_refused(&mut silent[1]).await);
    newcomer.hello().await;
    joined.serve("com.app.still.here").await;
    let stats = world.router.connections();
    assert_eq!((stats.sessions, stats.handshakes, stats.displaced), (2, 1, 1));
}

#[tokio::test]
async fn a_connection_that_got_as_far_as_hello_is_told_that_it_is_too_slow() {
    let world = world(|limits| limits.handshakes = 1).await;
    let mut slow = Client::new(connect_rs(world.rs, Serializer::Cbor).await.unwrap());
    world.join().await;
    assert_eq!(slow.farewell().await.0, "wamp.error.unavailable");
}

#[tokio::test]
async fn a_session_beyond_the_limit_is_told_so() {
    let world = world(|limits| limits.sessions = 1).await;
    let _first = world.join().await;
    let mut second = world.ws().await;
    second.send(hello("realm1")).await;
    let (reason, text) = second.farewell().await;
    assert_eq!(reason, "wamp.error.unavailable");
    assert!(text.contains("too many connections"), "{text}");
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_opens_so_many_in_a_second() {
    let many = world(|limits| limits.connections_per_address = 1).await;
    let kept = many.join().await;
    assert!(is_refused(&mut TcpStream::connect(many.rs).await).await);
    assert_eq!(many.router.connections().refused, 1);
    drop(kept);

    let fast = world(|limits| limits.connection_rate = 1).await;
    let mut opened = Vec::new();
    for _ in 0..6 {
        opened.push(TcpStream::connect(fast.rs).await);
    }
    assert!(is_refused(&mut opened[5]).await);
    assert!(!is_refused(&mut opened[4]).await);
}

#[tokio::test]
async fn a_raw_frame_once_begun_has_a_deadline_and_one_that_is_not_begun_has_none() {
    let mut config = RouterConfig::default();
    config.limits.frame_time = Duration::from_millis(100);
    let world = World::new(config).await;
    let mut idle = Raw::open(world.rs, Serializer::Cbor).await;
    let mut slow = Raw::open(world.rs, Serializer::Cbor).await;
    for client in [&mut idle, &mut slow] {
        client.send(&hello("realm1")).await;
        client.recv().await;
    }
    slow.stream.write_all(&[0, 0, 0, 50]).await.unwrap();
    let drip = async {
        while slow.stream.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(300), drip).await;
    let (reason, text) = words(slow.recv().await);
    assert_eq!(reason, "wamp.error.timeout");
    assert_eq!(text, "a frame that is not whole 100 ms after it began");
    idle.send(&register(1, "com.app.still.here")).await;
    assert!(matches!(idle.recv().await, Some(Message::Registered { .. })));
}

#[tokio::test]
async fn a_raw_peer_that_pings_is_pinged_and_missed_and_one_that_does_not_is_left_alone() {
    let mut config = RouterConfig::default();
    config.limits.ping = Duration::from_millis(60);
    let world = World::new(config).await;
    let mut knows = Raw::open(world.rs, Serializer::Cbor).await;
    let mut ignorant = Raw::open(world.rs, Serializer::Cbor).await;
    for client in [&mut knows, &mut ignorant] {
        client.send(&hello("realm1")).await;
        client.recv().await;
    }
    knows.frame(1, b"here").await;
    assert_eq!(knows.read().await, Some((2, b"here".to_vec())));
    for _ in 0..5 {
        assert_eq!(knows.read().await, Some((1, vec![])));
        knows.frame(2, &[]).await;
    }
    // From now on it is silent.
    while knows.read().await.is_some() {}
    ignorant.send(&register(1, "com.app.still.here")).await;
    assert!(matches!(ignorant.recv().await, Some(Message::Registered { .. })));
    assert_eq!(world.router.stats().sessions, 1);
}

#[tokio::test]
async fn a_websocket_peer_that_sends_a_byte_now_and_then_is_dropped_as_silent() {
    let mut config = RouterConfig::default();
    config.limits.ping = Duration::from_millis(60);
    let world = World::new(config).await;
    let mut socket = ws(world.ws, "/ws", "wamp.2.cbor").await.unwrap();
    let mut frame = Vec::new();
    hello("realm1").encode(Serializer::Cbor, &mut frame).unwrap();
    socket.send(Frame::Binary(frame.into())).await.unwrap();
    socket.next().await.unwrap().unwrap();
    let stream = socket.get_mut();
    // A frame of 125 bytes, masked; they come one by one.
    stream.write_all(&[0x82, 0x80 | 125, 1, 2, 3, 4]).await.unwrap();
    let drip = async {
        for _ in 0..120 {
            if stream.write_all(&[0]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it is still there");
    };
    tokio::time::timeout(SOON, drip).await.unwrap();
}
