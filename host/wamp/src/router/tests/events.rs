//! Who hears of what is published, and what each is told.

use super::client::{Client, World};
use crate::limits::MAX_WILDCARD;
use crate::message::{Message, payload};
use crate::router::RouterConfig;
use crate::value::{Dict, Value};

async fn subscribe(client: &mut Client, topic: &str, matching: &str) -> u64 {
    let options = Dict::from([("match".into(), matching.into())]);
    let topic = topic.into();
    client
        .send(Message::Subscribe {
            request: 1,
            options,
            topic,
        })
        .await;
    match client.recv().await {
        Message::Subscribed { subscription, .. } => subscription,
        other => panic!("not subscribed: {other:?}"),
    }
}

fn publication<const N: usize>(topic: &str, number: u64, options: [(&str, Value); N]) -> Message {
    let mut options = Dict::from(options.map(|(name, value)| (name.to_owned(), value)));
    options.insert("acknowledge".into(), true.into());
    Message::Publish {
        request: 1,
        options,
        topic: topic.into(),
        payload: payload(vec![number.into()], Dict::new()),
    }
}

/// The publication that the router has sent on.
async fn published(client: &mut Client) -> u64 {
    match client.recv().await {
        Message::Published { publication, .. } => publication,
        other => panic!("not published: {other:?}"),
    }
}

/// Publishes a number, and waits until the router has sent it on. Returns the publication.
async fn publish<const N: usize>(
    client: &mut Client,
    topic: &str,
    number: u64,
    options: [(&str, Value); N],
) -> u64 {
    client.send(publication(topic, number, options)).await;
    published(client).await
}

/// The event that comes next: its subscription, its publication, its details and its number.
async fn event(client: &mut Client) -> (u64, u64, Dict, u64) {
    match client.recv().await {
        Message::Event {
            subscription,
            publication,
            details,
            payload,
        } => {
            let number = payload.and_then(|arguments| arguments.args[0].as_u64());
            (subscription, publication, details, number.unwrap())
        }
        other => panic!("not an event: {other:?}"),
    }
}

/// The numbers of the events that came before the one of number 0.
async fn numbers(client: &mut Client) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match event(client).await.3 {
            0 => return numbers,
            number => numbers.push(number),
        }
    }
}

fn list<T: Into<Value>, const N: usize>(items: [T; N]) -> Value {
    Value::List(items.map(Into::into).into())
}

#[tokio::test]
async fn each_subscription_that_matches_brings_an_event_and_patterns_tell_its_topic() {
    let world = World::new(RouterConfig::default()).await;
    let (mut publisher, mut listener, mut other) =
        (world.join().await, world.join().await, world.join().await);
    let exact = subscribe(&mut listener, "com.app.news", "exact").await;
    let short = subscribe(&mut listener, "com.", "prefix").await;
    let long = subscribe(&mut listener, "com.app.n", "prefix").await;
    let wildcard = subscribe(&mut listener, "com..news", "wildcard").await;
    for (topic, matching) in [
        ("com.app.new", "exact"),
        ("com.app.news.", "prefix"),
        ("com..old", "wildcard"),
        ("com.app", "wildcard"),
    ] {
        subscribe(&mut listener, topic, matching).await;
    }
    assert_eq!(subscribe(&mut other, "com.app.news", "exact").await, exact);
    assert_eq!(
        subscribe(&mut other, "com.app.news", "exact").await,
        exact,
        "once more is the same"
    );

    let publication = publish(&mut publisher, "com.app.news", 7, []).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let (subscription, of, details, number) = event(&mut listener).await;
        assert_eq!((of, number), (publication, 7));
        told.push((subscription, details));
    }
    told.sort_unstable_by_key(|(subscription, _)| *subscription);
    let topic = Dict::from([("topic".to_owned(), "com.app.news".into())]);
    let mut expected = vec![
        (exact, Dict::new()),
        (short, topic.clone()),
        (long, topic.clone()),
        (wildcard, topic),
    ];
    expected.sort_unstable_by_key(|(subscription, _)| *subscription);
    assert_eq!(told, expected);
    assert_eq!(event(&mut other).await, (exact, publication, Dict::new(), 7));
    assert!(listener.is_silent().await && other.is_silent().await);
    assert_eq!(world.router.stats().events, 5);
}

#[tokio::test]
async fn whoever_unsubscribes_hears_no_more_and_the_others_do() {
    let world = World::new(RouterConfig::default()).await;
    let (mut publisher, mut one, mut other) = (world.join().await, world.join().await, world.join().await);
    for (topic, matching) in [
        ("com.app.news", "exact"),
        ("com.", "prefix"),
        ("..news", "wildcard"),
    ] {
        let subscription = subscribe(&mut one, topic, matching).await;
        subscribe(&mut other, topic, matching).await;
        publish(&mut publisher, "com.app.news", 1, []).await;
        for client in [&mut one, &mut other] {
            assert_eq!(event(client).await.0, subscription);
        }
        let unsubscribe = || Message::Unsubscribe {
            request: 2,
            subscription,
        };
        one.send(unsubscribe()).await;
        assert!(matches!(one.recv().await, Message::Unsubscribed { request: 2 }));
        one.send(unsubscribe()).await;
        assert_eq!(
            one.error().await,
            (2, "wamp.error.no_such_subscription".to_owned())
        );
        publish(&mut publisher, "com.app.news", 2, []).await;
        assert_eq!(event(&mut other).await.3, 2);
        other.send(unsubscribe()).await;
        other.recv().await;
        let again = subscribe(&mut other, topic, matching).await;
        assert_ne!(again, subscription, "a number is not given twice");
        other
            .send(Message::Unsubscribe {
                request: 2,
                subscription: again,
            })
            .await;
        other.recv().await;
    }
    publish(&mut publisher, "com.app.news", 3, []).await;
    assert!(one.is_silent().await && other.is_silent().await);
    assert_eq!(world.router.stats().subscriptions, 0);
}

#[tokio::test]
async fn whoever_leaves_takes_its_share_of_a_pattern_along_and_no_more() {
    let world = World::new(RouterConfig::default()).await;
    let (mut publisher, mut one, mut other) = (world.join().await, world.join().await, world.join().await);
    for client in [&mut one, &mut other] {
        for (topic, matching) in [("com.", "prefix"), ("com..news", "wildcard")] {
            subscribe(client, topic, matching).await;
        }
    }
    let id = one.id;
    drop(one);
    world.gone(id).await;
    // More are named than listen, and one who left is among them.
    let named = [("eligible", list([id, other.id]))];
    publish(&mut publisher, "com.app.news", 1, named).await;
    for _ in 0..2 {
        assert_eq!(event(&mut other).await.3, 1);
    }
    assert_eq!(world.router.stats().events, 2);
    let ids = [other.id, publisher.id];
    drop((other, publisher));
    for id in ids {
        world.gone(id).await;
    }
    #[cfg(feature = "testing")]
    {
        // The observer may still have to be told that they left.
        let forgotten = async {
            while world.router.remembered() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(super::client::SOON, forgotten)
            .await
            .expect("something is kept");
    }
}

#[tokio::test]
async fn a_wildcard_of_more_components_than_are_looked_for_is_refused() {
    let world = World::new(RouterConfig::default()).await;
    let mut client = world.join().await;
    let options = || Dict::from([("match".into(), "wildcard".into())]);
    for (components, refused) in [(MAX_WILDCARD, false), (MAX_WILDCARD + 1, true)] {
        let uri = vec!["a"; components].join(".");
        let messages = [
            Message::Subscribe {
                request: 1,
                options: options(),
                topic: uri.clone(),
            },
            Message::Register {
                request: 1,
                options: options(),
                procedure: uri,
            },
        ];
        for message in messages {
            client.send(message).await;
            match client.recv().await {
                Message::Error { uri, .. } if refused => assert_eq!(uri, "wamp.error.invalid_uri"),
                Message::Subscribed { .. } | Message::Registered { .. } if !refused => {}
                other => panic!("of {components} components: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn also_publications_that_are_refused_count() {
    let mut config = RouterConfig::default();
    config.limits.publications_per_second = 2;
    let world = World::new(config).await;
    let mut client = world.join().await;
    // All at once: the allowance grows with time. Twice as many may be had for a moment.
    let topics = [
        "com..app",
        "xbr.marketmaker.on_x",
        "com.app.news",
        "com.app.news",
        "com.app.news",
    ];
    for topic in topics {
        let wrong = [("eligible", "all".into())];
        client.send(publication(topic, 1, wrong)).await;
    }
    for expected in [
        "wamp.error.invalid_uri",
        "wamp.error.not_authorized",
        "wamp.error.invalid_argument",
        "wamp.error.invalid_argument",
        "bourse.error.overloaded",
    ] {
        assert_eq!(client.error().await.1, expected);
    }
}

#[tokio::test]
async fn an_event_goes_to_its_audience_alone() {
    let world = World::new(RouterConfig::default()).await;
    let mut publisher = world.login("op", "op-secret").await;
    let mut alice = world.login("alice", "secret").await;
    let mut auditor = world.login("au", "au-secret").await;
    for client in [&mut publisher, &mut alice, &mut auditor] {
        subscribe(client, "com.app.news", "exact").await;
    }
    let (all, few) = ([alice.id, auditor.id, publisher.id, 1, 2], [alice.id]);
    let from = &mut publisher;
    let topic = "com.app.news";
    publish(from, topic, 1, []).await;
    // As many as there are, and more, and fewer.
    publish(from, topic, 2, [("eligible", list(all))]).await;
    publish(from, topic, 3, [("eligible", list(few))]).await;
    publish(from, topic, 4, [("eligible", list::<u64, 0>([]))]).await;
    publish(from, topic, 5, [("exclude", list(few))]).await;
    publish(from, topic, 6, [("eligible_authid", list(["au"]))]).await;
    publish(from, topic, 7, [("eligible_authrole", list(["delegate"]))]).await;
    publish(from, topic, 8, [("exclude_authid", list(["au", "none"]))]).await;
    publish(from, topic, 9, [("exclude_authrole", list(["delegate"]))]).await;
    publish(from, topic, 10, [("eligible", list(all)), ("exclude", list(few))]).await;
    let to_all = [("exclude_me", false.into()), ("disclose_me", true.into())];
    from.send(publication(topic, 0, to_all)).await;
    assert_eq!(numbers(from).await, [] as [u64; 0]);
    let last = published(from).await;
    assert_eq!(numbers(&mut alice).await, [1, 2, 3, 7, 8]);
    let mut heard = Vec::new();
    let details = loop {
        let (_, publication, details, number) = event(&mut auditor).await;
        if number == 0 {
            assert_eq!(publication, last);
            break details;
        }
        assert_eq!(details, Dict::new());
        heard.push(number);
    };
    assert_eq!(heard, [1, 2, 5, 6, 9, 10]);
    let expected = Dict::from([
        ("publisher".to_owned(), publisher.id.into()),
        ("publisher_authid".to_owned(), "op".into()),
        ("publisher_authrole".to_owned(), "operator".into()),
    ]);
    assert_eq!(details, expected);
}
