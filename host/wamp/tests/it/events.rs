use bourse_wamp::{Dict, Event, PublishOptions, Serializer, Session};
use tokio::sync::mpsc;

use crate::support::{Over, soon, uri, world};

async fn listen(session: &Session, topic: &str) -> mpsc::UnboundedReceiver<Event> {
    let (events, received) = mpsc::unbounded_channel();
    session
        .subscribe(topic, move |event| events.send(event).unwrap())
        .await
        .unwrap();
    received
}

fn acknowledged() -> PublishOptions {
    PublishOptions {
        acknowledge: true,
        ..PublishOptions::default()
    }
}

#[tokio::test]
async fn an_event_reaches_subscribers_over_every_link_and_not_its_publisher() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    let mut own = listen(&market_maker, "xbr.marketmaker.on_offer_placed").await;
    let mut subscribers = Vec::new();
    for over in Over::all().into_iter().skip(1) {
        let session = world.join(over).await;
        let events = listen(&session, "xbr.marketmaker.on_offer_placed").await;
        subscribers.push((session, events));
    }
    let args = vec![[1_u8; 16].into(), 7_u64.into()];
    let kwargs = Dict::from([("k".into(), "v".into())]);
    market_maker
        .publish(
            "xbr.marketmaker.on_offer_placed",
            args.clone(),
            kwargs.clone(),
            acknowledged(),
        )
        .await
        .unwrap();
    for (_session, events) in &mut subscribers {
        let event = soon(events.recv()).await.unwrap();
        assert_eq!((&event.args, &event.kwargs), (&args, &kwargs));
        assert_eq!(event.topic, "xbr.marketmaker.on_offer_placed");
        assert_eq!(event.publisher, None);
    }
    assert!(own.try_recv().is_err());
    let options = PublishOptions {
        include_me: true,
        disclose_me: true,
        ..acknowledged()
    };
    market_maker
        .publish("xbr.marketmaker.on_offer_placed", args, kwargs, options)
        .await
        .unwrap();
    assert_eq!(soon(own.recv()).await.unwrap().publisher, Some(market_maker.id()));
}

#[tokio::test]
async fn an_event_reaches_only_those_who_may_have_it() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    let over = Over::Ws(Serializer::Cbor);
    let alice = world.join_as(over, "alice", "secret-a").await;
    let bob = world.join_as(over, "bob", "secret-b").await;
    let anonymous = world.join(over).await;
    let mut heard = Vec::new();
    for session in [&alice, &bob, &anonymous] {
        heard.push(listen(session, "bourse.news").await);
    }
    let everybody = [true, true, true];
    let check = async |options: PublishOptions,
                       expected: [bool; 3],
                       heard: &mut Vec<mpsc::UnboundedReceiver<Event>>| {
        market_maker
            .publish("bourse.news", vec!["restricted".into()], Dict::new(), options)
            .await
            .unwrap();
        // Events of one publisher come in order, so this one closes the round.
        market_maker
            .publish("bourse.news", vec!["end".into()], Dict::new(), acknowledged())
            .await
            .unwrap();
        for (received, expected) in heard.iter_mut().zip(expected) {
            let mut restricted = false;
            while soon(received.recv()).await.unwrap().args != vec!["end".into()] {
                restricted = true;
            }
            assert_eq!(restricted, expected);
        }
    };
    let default = PublishOptions::default;
    check(default(), everybody, &mut heard).await;
    let eligible = Some(vec![bob.id(), anonymous.id()]);
    check(
        PublishOptions {
            eligible,
            ..default()
        },
        [false, true, true],
        &mut heard,
    )
    .await;
    check(
        PublishOptions {
            eligible: Some(vec![]),
            ..default()
        },
        [false; 3],
        &mut heard,
    )
    .await;
    check(
        PublishOptions {
            exclude: vec![bob.id()],
            ..default()
        },
        [true, false, true],
        &mut heard,
    )
    .await;
    let eligible_authid = Some(vec!["alice".into()]);
    check(
        PublishOptions {
            eligible_authid,
            ..default()
        },
        [true, false, false],
        &mut heard,
    )
    .await;
    let exclude_authid = vec!["alice".into()];
    check(
        PublishOptions {
            exclude_authid,
            ..default()
        },
        [false, true, true],
        &mut heard,
    )
    .await;
    let eligible_authrole = Some(vec!["delegate".into()]);
    check(
        PublishOptions {
            eligible_authrole,
            ..default()
        },
        [true, true, false],
        &mut heard,
    )
    .await;
    let exclude_authrole = vec!["delegate".into()];
    check(
        PublishOptions {
            exclude_authrole,
            ..default()
        },
        [false, false, true],
        &mut heard,
    )
    .await;
}

#[tokio::test]
async fn a_refused_publication_says_so_when_asked_to() {
    let world = world().await;
    let session = world.join(Over::Rs(Serializer::Cbor)).await;
    let answer = session
        .publish("xbr.marketmaker.on_status", vec![], Dict::new(), acknowledged())
        .await;
    assert_eq!(uri(answer), "wamp.error.not_authorized");
    let answer = session.publish("a..b", vec![], Dict::new(), acknowledged()).await;
    assert_eq!(uri(answer), "wamp.error.invalid_uri");
    session
        .publish("com.app.data", vec![], Dict::new(), acknowledged())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_event_that_a_serializer_cannot_carry_is_missed_by_that_subscriber_alone() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    let cbor = world.join(Over::Ws(Serializer::Cbor)).await;
    let msgpack = world.join(Over::Ws(Serializer::MsgPack)).await;
    let (mut in_cbor, mut in_msgpack) = (
        listen(&cbor, "bourse.n").await,
        listen(&msgpack, "bourse.n").await,
    );
    let huge = 35_000_000_000_000_000_000_u128;
    for value in [huge, 1] {
        market_maker
            .publish("bourse.n", vec![value.into()], Dict::new(), acknowledged())
            .await
            .unwrap();
    }
    assert_eq!(soon(in_cbor.recv()).await.unwrap().args, vec![huge.into()]);
    assert_eq!(soon(in_cbor.recv()).await.unwrap().args, vec![1_u128.into()]);
    assert_eq!(soon(in_msgpack.recv()).await.unwrap().args, vec![1_u128.into()]);
}

#[tokio::test]
async fn a_session_whose_event_handler_panics_ends_rather_than_hangs() {
    let world = world().await;
    let session = world.join(Over::Ws(Serializer::Cbor)).await;
    session
        .subscribe("com.app.data", |_| panic!("on purpose"))
        .await
        .unwrap();
    let publisher = world.join(Over::Rs(Serializer::Cbor)).await;
    publisher
        .publish("com.app.data", vec![], Dict::new(), acknowledged())
        .await
        .unwrap();
    soon(session.closed()).await;
    crate::support::until(|| world.router.session(session.id()).is_none()).await;
}
