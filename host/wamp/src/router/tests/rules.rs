use super::client::{Client, World, call, register};
use crate::message::{Message, payload};
use crate::router::{Permissions, RouterConfig, Rule};
use crate::uri::Match;
use crate::value::{Dict, Value};

fn rule(uri: &str, matching: Match) -> Rule {
    Rule {
        uri: uri.into(),
        matching,
        ..Rule::default()
    }
}

/// Delegates may do nothing but what is said; auditors are told of and tell of nobody.
async fn world() -> World {
    let shut = Rule {
        call: Some(false),
        register: Some(false),
        publish: Some(false),
        subscribe: Some(false),
        ..rule("", Match::Prefix)
    };
    let calls = Rule {
        call: Some(true),
        ..rule("xbr.marketmaker.", Match::Prefix)
    };
    let not_this = Rule {
        call: Some(false),
        ..rule("xbr.marketmaker.buy_key", Match::Exact)
    };
    let app = Rule {
        call: Some(true),
        register: Some(true),
        publish: Some(true),
        subscribe: Some(true),
        ..rule("com.app.", Match::Prefix)
    };
    let secret = Rule {
        subscribe: Some(false),
        register: Some(false),
        ..rule("com.app.secret", Match::Exact)
    };
    let quiet = Rule {
        disclose_caller: Some(false),
        ..rule("", Match::Prefix)
    };
    let loud = Rule {
        disclose_publisher: Some(true),
        ..rule("com.loud", Match::Exact)
    };
    let mute = Rule {
        disclose_publisher: Some(false),
        ..rule("com.mute", Match::Exact)
    };
    let mut permissions = Permissions::default();
    for (role, rules) in [
        ("delegate", vec![shut, calls, not_this, app, secret]),
        ("auditor", vec![quiet, loud, mute]),
    ] {
        for rule in rules {
            permissions.add(role, rule).unwrap();
        }
    }
    World::new(RouterConfig {
        permissions,
        ..RouterConfig::default()
    })
    .await
}

/// The URI of the error that answers a request; none if it is another answer.
async fn answer(client: &mut Client, message: Message) -> Option<String> {
    client.send(message).await;
    match client.recv().await {
        Message::Error { uri, .. } => Some(uri),
        _ => None,
    }
}

fn with_match(matching: Match) -> Dict {
    Dict::from([("match".into(), matching.name().into())])
}

#[tokio::test]
async fn the_rules_of_a_role_shut_what_is_open_and_open_nothing_that_is_shut() {
    let world = world().await;
    let mut delegate = world.login("alice", "secret").await;
    let denied = Some("wamp.error.not_authorized".to_owned());
    let missing = Some("wamp.error.no_such_procedure".to_owned());
    for (procedure, expected) in [
        ("xbr.marketmaker.get_quote", &missing),
        ("xbr.marketmaker.buy_key", &denied),
        ("bourse.dev.fund", &denied),
        ("com.app.get", &missing),
        ("com.other", &denied),
        ("xbr.provider.x.sell", &denied),
        ("wamp.session.count", &denied),
    ] {
        assert_eq!(
            &answer(&mut delegate, call(1, procedure, Dict::new())).await,
            expected,
            "{procedure}"
        );
    }
    for (uri, matching, allowed) in [
        ("com.app.get", Match::Exact, true),
        ("com.app.secret", Match::Exact, false),
        ("com.app.", Match::Prefix, false),
        ("com.app.list.", Match::Prefix, true),
        ("com.app.", Match::Wildcard, false),
        ("com.", Match::Prefix, false),
        ("org.app", Match::Exact, false),
    ] {
        let subscribe = Message::Subscribe {
            request: 2,
            options: with_match(matching),
            topic: uri.into(),
        };
        let expected = if allowed { &None } else { &denied };
        assert_eq!(&answer(&mut delegate, subscribe).await, expected, "{uri}");
        let register = Message::Register {
            request: 3,
            options: with_match(matching),
            procedure: uri.into(),
        };
        assert_eq!(&answer(&mut delegate, register).await, expected, "{uri}");
        if matching == Match::Exact {
            let publish = Message::Publish {
                request: 4,
                options: Dict::from([("acknowledge".into(), true.into())]),
                topic: uri.into(),
                payload: None,
            };
            let expected = if uri.starts_with("com.app.") {
                &None
            } else {
                &denied
            };
            assert_eq!(&answer(&mut delegate, publish).await, expected, "{uri}");
        }
    }
    // The market's own URIs stay the market maker's, and other roles are as ever.
    let mut anonymous = world.join().await;
    assert_eq!(
        answer(&mut anonymous, register(5, "xbr.marketmaker.x")).await,
        denied
    );
    assert_eq!(answer(&mut anonymous, register(6, "org.app")).await, None);
}

#[tokio::test]
async fn a_refusal_says_what_the_role_may_not() {
    let world = world().await;
    let mut delegate = world.login("alice", "secret").await;
    delegate.send(call(1, "com.other", Dict::new())).await;
    let Message::Error {
        payload: Some(arguments),
        ..
    } = delegate.recv().await
    else {
        panic!("not refused");
    };
    assert_eq!(
        arguments.args,
        vec!["the role delegate may not call com.other".into()]
    );
}

#[tokio::test]
async fn rules_say_whether_callers_and_publishers_are_named() {
    let world = world().await;
    let mut market_maker = Client::new(world.router.local_link());
    market_maker.hello().await;
    market_maker.serve("xbr.marketmaker.get_quote").await;
    let mut callee = world.join().await;
    callee.serve("com.app.get").await;
    let auditor = world.login("au", "au-secret").await;
    auditor.send(call(1, "com.app.get", Dict::new())).await;
    let (_, details) = callee.invocation().await;
    assert!(
        details.keys().all(|name| !name.starts_with("caller")),
        "{details:?}"
    );
    // The market answers by who asks, whatever the rules say.
    auditor
        .send(call(2, "xbr.marketmaker.get_quote", Dict::new()))
        .await;
    let (_, details) = market_maker.invocation().await;
    assert_eq!(details["caller"], auditor.id.into());
    assert_eq!(details["caller_authid"], "au".into());

    for (topic, asked, told) in [
        ("com.loud", false, true),
        ("com.mute", true, false),
        ("com.other", true, true),
        ("com.other", false, false),
    ] {
        callee
            .send(Message::Subscribe {
                request: 9,
                options: Dict::new(),
                topic: topic.into(),
            })
            .await;
        callee.recv().await;
        auditor
            .send(Message::Publish {
                request: 3,
                options: Dict::from([("disclose_me".into(), asked.into())]),
                topic: topic.into(),
                payload: None,
            })
            .await;
        let Message::Event { details, .. } = callee.recv().await else {
            panic!("no event on {topic}");
        };
        assert_eq!(details.contains_key("publisher"), told, "{topic}");
    }
}

#[tokio::test]
async fn who_calls_or_publishes_too_often_is_told_and_stays() {
    let mut config = RouterConfig::default();
    (
        config.limits.calls_per_second,
        config.limits.publications_per_second,
    ) = (2, 2);
    let world = World::new(config).await;
    let mut market_maker = Client::new(world.router.local_link());
    market_maker.hello().await;
    let (mut one, mut other) = (
        world.login("alice", "secret").await,
        world.login("alice", "secret").await,
    );
    let mut stranger = world.join().await;
    let none = |request| call(request, "com.app.none", Dict::new());
    for request in 1..=4 {
        assert_eq!(
            answer(&mut one, none(request)).await.as_deref(),
            Some("wamp.error.no_such_procedure")
        );
    }
    for client in [&mut one, &mut other] {
        assert_eq!(
            answer(client, none(5)).await.as_deref(),
            Some("bourse.error.overloaded"),
            "sessions of an authid share"
        );
    }
    let publish = |request| Message::Publish {
        request,
        options: Dict::from([("acknowledge".into(), true.into())]),
        topic: "com.app.news".into(),
        payload: payload(vec![Value::Null], Dict::new()),
    };
    for request in 6..=9 {
        assert_eq!(answer(&mut one, publish(request)).await, None);
    }
    assert_eq!(
        answer(&mut one, publish(10)).await.as_deref(),
        Some("bourse.error.overloaded")
    );
    assert!(world.router.stats().over_rate >= 3);
    assert_eq!(
        answer(&mut stranger, none(1)).await.as_deref(),
        Some("wamp.error.no_such_procedure")
    );
    for request in 1..=20 {
        assert_eq!(
            answer(&mut market_maker, none(request)).await.as_deref(),
            Some("wamp.error.no_such_procedure"),
            "the market maker serves everybody"
        );
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(
        answer(&mut other, none(6)).await.as_deref(),
        Some("wamp.error.no_such_procedure")
    );
}

#[tokio::test]
async fn who_registers_or_subscribes_too_often_is_told_and_stays() {
    let mut config = RouterConfig::default();
    config.limits.changes_per_second = 2;
    let world = World::new(config).await;
    let (mut one, mut other) = (
        world.login("alice", "secret").await,
        world.login("alice", "secret").await,
    );
    let mut stranger = world.join().await;
    let subscribe = |request| Message::Subscribe {
        request,
        options: Dict::new(),
        topic: "com.app.news".into(),
    };
    let overloaded = Some("bourse.error.overloaded");
    assert_eq!(answer(&mut one, register(1, "com.app.get")).await, None);
    // The same again gives nothing new, and counts: so does what is refused for another reason.
    assert_eq!(answer(&mut one, subscribe(2)).await, None);
    assert_eq!(answer(&mut one, subscribe(3)).await, None);
    assert_eq!(
        answer(&mut one, register(4, "com..app")).await.as_deref(),
        Some("wamp.error.invalid_uri")
    );
    for client in [&mut one, &mut other] {
        assert_eq!(answer(client, subscribe(5)).await.as_deref(), overloaded);
        assert_eq!(
            answer(client, register(6, "com.app.set")).await.as_deref(),
            overloaded,
            "sessions of an authid share"
        );
    }
    assert_eq!(world.router.stats().over_rate, 4);
    assert_eq!(answer(&mut stranger, subscribe(1)).await, None);
    assert_eq!(
        answer(&mut one, call(7, "com.app.none", Dict::new()))
            .await
            .as_deref(),
        Some("wamp.error.no_such_procedure"),
        "it may still call"
    );
    let mut market_maker = Client::new(world.router.local_link());
    market_maker.hello().await;
    for request in 1..=20 {
        let procedure = format!("xbr.marketmaker.p{request}");
        assert_eq!(
            answer(&mut market_maker, register(request, &procedure)).await,
            None,
            "the market maker serves everybody"
        );
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(answer(&mut other, subscribe(8)).await, None);
}

#[tokio::test]
async fn an_event_whose_audience_cannot_be_read_goes_to_nobody() {
    let world = World::new(RouterConfig::default()).await;
    let (mut publisher, mut subscriber) = (world.join().await, world.join().await);
    subscriber
        .send(Message::Subscribe {
            request: 1,
            options: Dict::new(),
            topic: "com.app.news".into(),
        })
        .await;
    subscriber.recv().await;
    for options in [
        Dict::from([("eligible".into(), "all".into())]),
        Dict::from([("eligible_authid".into(), vec![Value::from(7_u64)].into())]),
        Dict::from([("exclude".into(), subscriber.id.into())]),
    ] {
        for acknowledge in [false, true] {
            let mut options = options.clone();
            options.insert("acknowledge".into(), acknowledge.into());
            let publish = Message::Publish {
                request: 2,
                options,
                topic: "com.app.news".into(),
                payload: None,
            };
            if acknowledge {
                assert_eq!(
                    answer(&mut publisher, publish).await.as_deref(),
                    Some("wamp.error.invalid_argument")
                );
            } else {
                publisher.send(publish).await;
            }
        }
    }
    assert!(subscriber.is_silent().await);
}
