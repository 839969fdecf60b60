use std::time::Duration;

use super::client::{Client, World, answer, call, register};
use crate::codec::Serializer;
use crate::limits::Limits;
use crate::message::{Message, payload};
use crate::router::RouterConfig;
use crate::value::Dict;

fn limited(change: impl FnOnce(&mut Limits)) -> RouterConfig {
    let mut config = RouterConfig::default();
    change(&mut config.limits);
    config
}

#[tokio::test]
async fn a_session_has_so_many_calls_unanswered_and_no_more() {
    let world = World::new(limited(|limits| limits.outstanding_calls = 2)).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.work").await;
    for request in 1..=3 {
        caller.send(call(request, "com.app.work", Dict::new())).await;
    }
    assert_eq!(caller.error().await, (3, "bourse.error.overloaded".into()));
    let (invocation, _) = callee.invocation().await;
    callee.send(answer(invocation, 1_u64)).await;
    assert!(matches!(caller.recv().await, Message::Result { request: 1, .. }));
    caller.send(call(4, "com.app.work", Dict::new())).await;
    callee.invocation().await;
    assert!(caller.is_silent().await);
}

#[tokio::test]
async fn registrations_and_subscriptions_are_counted() {
    let world = World::new(limited(|limits| {
        (limits.registrations, limits.subscriptions) = (1, 1)
    }))
    .await;
    let mut client = world.join().await;
    client.serve("com.app.one").await;
    client.send(register(2, "com.app.two")).await;
    assert_eq!(
        client.error().await,
        (2, "wamp.error.resource_limit_exceeded".into())
    );
    let subscribe = |request, topic: &str| Message::Subscribe {
        request,
        options: Dict::new(),
        topic: topic.into(),
    };
    client.send(subscribe(3, "com.app.one")).await;
    let Message::Subscribed { subscription, .. } = client.recv().await else {
        panic!("not subscribed");
    };
    client.send(subscribe(4, "com.app.two")).await;
    assert_eq!(
        client.error().await,
        (4, "wamp.error.resource_limit_exceeded".into())
    );
    client
        .send(Message::Unsubscribe {
            request: 5,
            subscription,
        })
        .await;
    assert_eq!(client.recv().await, Message::Unsubscribed { request: 5 });
    client.send(subscribe(6, "com.app.two")).await;
    assert!(matches!(
        client.recv().await,
        Message::Subscribed { request: 6, .. }
    ));
}

#[tokio::test]
async fn connections_of_an_address_beyond_the_limit_are_refused_until_one_ends() {
    let world = World::new(limited(|limits| limits.connections_per_address = 1)).await;
    let first = world.join().await;
    let refused = tokio::net::TcpStream::connect(world.rs).await.unwrap();
    let mut byte = [0_u8; 1];
    let read = tokio::io::AsyncReadExt::read(&mut { refused }, &mut byte).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(first);
    let again = async {
        loop {
            if let Ok(link) = crate::link::connect_rs(world.rs, Serializer::Json).await {
                let mut client = Client::new(link);
                client.hello().await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::client::SOON, again).await.unwrap();
}

#[tokio::test]
async fn a_silent_connection_is_cut_off() {
    let world = World::new(limited(|limits| limits.handshake = Duration::from_millis(100))).await;
    let mut before_greeting = tokio::net::TcpStream::connect(world.rs).await.unwrap();
    let mut byte = [0_u8; 1];
    let read = tokio::io::AsyncReadExt::read(&mut before_greeting, &mut byte);
    assert!(matches!(
        tokio::time::timeout(super::client::SOON, read).await.unwrap(),
        Ok(0) | Err(_)
    ));
    for mut client in [world.ws().await, world.rs(Serializer::MsgPack).await] {
        assert_eq!(client.farewell().await.0, "wamp.error.timeout");
        assert_eq!(client.recv_or_end().await, None);
    }
}

#[tokio::test]
async fn a_websocket_peer_that_vanished_is_noticed_and_an_idle_one_stays() {
    let world = World::new(limited(|limits| limits.ping = Duration::from_millis(60))).await;
    // Reading answers the pings; the first client does not read again.
    let vanished = world.join().await;
    let mut idle = world.join().await;
    let gone = async {
        while world.router.session(vanished.id).is_some() {
            assert!(idle.is_silent().await);
        }
    };
    tokio::time::timeout(super::client::SOON, gone)
        .await
        .expect("the vanished client is still there");
    assert!(world.router.session(idle.id).is_some());
    idle.serve("com.app.still.here").await;
}

/// Fills the path to a client that does not read: first the socket's buffers, then the router's queue.
fn event(bytes: usize) -> Message {
    Message::Publish {
        request: 1,
        options: Dict::new(),
        topic: "com.app.flood".into(),
        payload: payload(vec![vec![7_u8; bytes].into()], Dict::new()),
    }
}

#[tokio::test]
async fn a_session_that_does_not_read_is_dropped_and_the_others_go_on() {
    for config in [
        limited(|limits| limits.outgoing_queue = 8),
        limited(|limits| limits.outgoing_bytes = 1 << 20),
    ] {
        let world = World::new(config).await;
        let mut deaf = world.rs(Serializer::Cbor).await;
        deaf.hello().await;
        let (publisher, mut other) = (world.join().await, world.join().await);
        deaf.send(Message::Subscribe {
            request: 1,
            options: Dict::new(),
            topic: "com.app.flood".into(),
        })
        .await;
        deaf.recv().await;
        let flood = async {
            while world.router.stats().dropped_slow == 0 {
                publisher.send(event(100_000)).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(super::client::SOON, flood)
            .await
            .expect("the deaf session lives on");
        let gone = async {
            while world.router.session(deaf.id).is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(super::client::SOON, gone)
            .await
            .expect("the deaf session is still there");
        other.serve("com.app.echo").await;
    }
}

#[tokio::test]
async fn a_callee_is_not_dropped_for_calls_that_others_pile_up() {
    let world = World::new(limited(|limits| limits.outgoing_queue = 8)).await;
    let mut callee = world.rs(Serializer::Cbor).await;
    callee.hello().await;
    callee.serve("com.app.work").await;
    let mut caller = world.join().await;
    let mut request = 0;
    // The callee does not read: its socket fills, then three quarters of its queue, then callers are turned away.
    let refused = async {
        loop {
            request += 1;
            let payload = payload(vec![vec![7_u8; 500_000].into()], Dict::new());
            let procedure = "com.app.work".to_owned();
            caller
                .send(Message::Call {
                    request,
                    options: Dict::new(),
                    procedure,
                    payload,
                })
                .await;
            if let Ok(Ok(Some(message))) =
                tokio::time::timeout(Duration::from_millis(20), caller.incoming.next()).await
            {
                return message;
            }
        }
    };
    let refused = tokio::time::timeout(super::client::SOON, refused)
        .await
        .expect("nobody is turned away");
    let Message::Error { uri, .. } = refused else {
        panic!("not an error: {refused:?}");
    };
    assert_eq!(uri, "bourse.error.overloaded");
    // Nor for what they give up: interrupts that its queue has no room for are not sent.
    for request in 2..request {
        let options = Dict::new();
        caller.send(Message::Cancel { request, options }).await;
        assert_eq!(caller.error().await, (request, "wamp.error.canceled".into()));
    }
    assert!(world.router.session(callee.id).is_some());
    assert_eq!(world.router.stats().dropped_slow, 0);
    let (invocation, _) = callee.invocation().await;
    callee.send(answer(invocation, 1_u64)).await;
    loop {
        if let Message::Result { request: 1, .. } = caller.recv().await {
            break;
        }
    }
}
