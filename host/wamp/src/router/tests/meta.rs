use super::client::{Client, World, call, register};
use crate::message::{Message, payload};
use crate::router::{Permissions, RouterConfig, Rule};
use crate::uri::Match;
use crate::value::{Dict, Value};

/// A world whose role `auditor` may ask about registrations, and nothing else under `wamp.`.
async fn world() -> World {
    let mut permissions = Permissions::default();
    let rule = Rule {
        uri: "wamp.registration.".into(),
        matching: Match::Prefix,
        call: Some(true),
        subscribe: Some(true),
        ..Rule::default()
    };
    permissions.add("auditor", rule).unwrap();
    World::new(RouterConfig {
        permissions,
        ..RouterConfig::default()
    })
    .await
}

/// What a call of the router's own procedure answers: its value, or the URI of its error.
async fn ask(client: &mut Client, procedure: &str, args: Vec<Value>, kwargs: Dict) -> Result<Value, String> {
    client
        .send(Message::Call {
            request: 99,
            options: Dict::new(),
            procedure: procedure.into(),
            payload: payload(args, kwargs),
        })
        .await;
    loop {
        match client.recv().await {
            Message::Result {
                request: 99, payload, ..
            } => {
                let mut args = payload
                    .map(|arguments| arguments.args.clone())
                    .unwrap_or_default();
                assert_eq!(args.len(), 1);
                return Ok(args.remove(0));
            }
            Message::Error { request: 99, uri, .. } => return Err(uri),
            Message::Event { .. } => {}
            other => panic!("not an answer: {other:?}"),
        }
    }
}

async fn subscribe(client: &mut Client, topic: &str, matching: &str) -> Result<u64, String> {
    client
        .send(Message::Subscribe {
            request: 98,
            options: Dict::from([("match".into(), matching.into())]),
            topic: topic.into(),
        })
        .await;
    match client.recv().await {
        Message::Subscribed { subscription, .. } => Ok(subscription),
        Message::Error { uri, .. } => Err(uri),
        other => panic!("not subscribed: {other:?}"),
    }
}

/// The event that comes next: its topic, if it is told, and its arguments.
async fn event(client: &mut Client) -> (Option<String>, Vec<Value>) {
    match client.recv().await {
        Message::Event { details, payload, .. } => (
            details.get("topic").and_then(Value::as_str).map(str::to_owned),
            payload
                .map(|arguments| arguments.args.clone())
                .unwrap_or_default(),
        ),
        other => panic!("not an event: {other:?}"),
    }
}

fn list(ids: &[u64]) -> Value {
    ids.iter().map(|id| Value::from(*id)).collect::<Vec<_>>().into()
}

fn lists(exact: &[u64], prefix: &[u64]) -> Value {
    Dict::from([
        ("exact".into(), list(exact)),
        ("prefix".into(), list(prefix)),
        ("wildcard".into(), list(&[])),
    ])
    .into()
}

#[tokio::test]
async fn an_operator_learns_who_is_there_and_others_do_not() {
    let world = world().await;
    let mut operator = world.login("op", "op-secret").await;
    let mut anonymous = world.join().await;
    let mut ids = [operator.id, anonymous.id];
    ids.sort_unstable();
    let none = Dict::new;
    assert_eq!(
        ask(&mut operator, "wamp.session.list", vec![], none()).await,
        Ok(list(&ids))
    );
    assert_eq!(
        ask(&mut operator, "wamp.session.count", vec![], none()).await,
        Ok(2_u64.into())
    );
    let filter = vec![vec![Value::from("operator")].into()];
    assert_eq!(
        ask(&mut operator, "wamp.session.list", filter, none()).await,
        Ok(list(&[operator.id]))
    );
    let by_name = Dict::from([("filter_authroles".into(), Value::List(Vec::new()))]);
    assert_eq!(
        ask(&mut operator, "wamp.session.count", vec![], by_name).await,
        Ok(0_u64.into())
    );
    let own = vec![operator.id.into()];
    let details = ask(&mut operator, "wamp.session.get", own, none()).await.unwrap();
    let text = |name: &str| details.as_map().unwrap()[name].as_str().unwrap().to_owned();
    assert_eq!(
        [
            text("realm"),
            text("authid"),
            text("authrole"),
            text("authmethod"),
            text("authprovider")
        ],
        ["realm1", "op", "operator", "ticket", "bourse"]
    );
    let transport = details.as_map().unwrap()["transport"].as_map().unwrap();
    assert!(transport["peer"].as_str().unwrap().starts_with("tcp4:127.0.0.1:"));
    assert_eq!(transport["channel_framing"].as_str(), Some("websocket"));
    for (args, expected) in [
        (vec![7_u64.into()], "wamp.error.no_such_session"),
        (vec!["7".into()], "wamp.error.invalid_argument"),
        (vec![], "wamp.error.invalid_argument"),
    ] {
        assert_eq!(
            ask(&mut operator, "wamp.session.get", args, none()).await,
            Err(expected.into())
        );
    }
    for procedure in [
        "wamp.session.list",
        "wamp.registration.list",
        "wamp.session.kill",
        "wamp.none",
    ] {
        assert_eq!(
            ask(&mut anonymous, procedure, vec![], none()).await,
            Err("wamp.error.not_authorized".into())
        );
    }
    for procedure in ["wamp.session.none", "wamp.none", "wamp.registration.kill"] {
        assert_eq!(
            ask(&mut operator, procedure, vec![], none()).await,
            Err("wamp.error.no_such_procedure".into())
        );
    }
}

#[tokio::test]
async fn an_operator_ends_sessions_but_neither_its_own_nor_the_market_makers() {
    let world = world().await;
    let mut operator = world.login("op", "op-secret").await;
    let mut market_maker = Client::new(world.router.local_link());
    market_maker.hello().await;
    let kill = async |operator: &mut Client, name: &str, args: Vec<Value>, kwargs: Dict| {
        ask(operator, &format!("wamp.session.{name}"), args, kwargs).await
    };
    let words = Dict::from([
        ("reason".into(), "com.app.bye".into()),
        ("message".into(), "enough".into()),
    ]);

    let mut victim = world.join().await;
    assert_eq!(
        kill(&mut operator, "kill", vec![victim.id.into()], words).await,
        Ok(Value::Null)
    );
    assert_eq!(victim.farewell().await, ("com.app.bye".into(), "enough".into()));
    world.gone(victim.id).await;

    let (mut one, mut other) = (
        world.login("alice", "secret").await,
        world.login("alice", "secret").await,
    );
    let mut both = [one.id, other.id];
    both.sort_unstable();
    let killed = kill(&mut operator, "kill_by_authid", vec!["alice".into()], Dict::new()).await;
    let mut killed: Vec<_> = killed
        .unwrap()
        .as_list()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect();
    killed.sort_unstable();
    assert_eq!(killed, both);
    for client in [&mut one, &mut other] {
        assert_eq!(
            client.farewell().await,
            ("wamp.close.killed".into(), String::new())
        );
    }

    let mut victim = world.join().await;
    let by_role = vec!["anonymous".into()];
    assert_eq!(
        kill(&mut operator, "kill_by_authrole", by_role, Dict::new()).await,
        Ok(1_u64.into())
    );
    victim.farewell().await;

    let mut victim = world.join().await;
    assert_eq!(
        kill(&mut operator, "kill_all", vec![], Dict::new()).await,
        Ok(1_u64.into())
    );
    victim.farewell().await;

    let (own, makers) = (operator.id, market_maker.id);
    let badly = Dict::from([("reason".into(), "no uri".into())]);
    for (name, args, kwargs, expected) in [
        (
            "kill",
            vec![own.into()],
            Dict::new(),
            "wamp.error.no_such_session",
        ),
        (
            "kill",
            vec![1_u64.into()],
            Dict::new(),
            "wamp.error.no_such_session",
        ),
        (
            "kill",
            vec![makers.into()],
            Dict::new(),
            "wamp.error.not_authorized",
        ),
        ("kill_all", vec![], badly, "wamp.error.invalid_uri"),
        (
            "kill_by_authid",
            vec![],
            Dict::new(),
            "wamp.error.invalid_argument",
        ),
    ] {
        assert_eq!(
            kill(&mut operator, name, args, kwargs).await,
            Err(expected.into()),
            "{name}"
        );
    }
    let nobody = kill(
        &mut operator,
        "kill_by_authrole",
        vec!["operator".into()],
        Dict::new(),
    )
    .await;
    assert_eq!(nobody, Ok(0_u64.into()));
    let nobody = kill(
        &mut operator,
        "kill_by_authrole",
        vec!["marketmaker".into()],
        Dict::new(),
    )
    .await;
    assert_eq!(nobody, Ok(0_u64.into()));
    assert!(world.router.session(makers).is_some() && world.router.session(own).is_some());
}

#[tokio::test]
async fn registrations_and_subscriptions_can_be_looked_up() {
    let world = world().await;
    let mut operator = world.login("op", "op-secret").await;
    let mut auditor = world.login("au", "au-secret").await;
    let (mut one, mut other) = (world.join().await, world.join().await);
    let exact = one.serve("com.app.get").await;
    let options = |matching: &str| {
        Dict::from([
            ("match".into(), matching.into()),
            ("invoke".into(), "roundrobin".into()),
        ])
    };
    let mut prefix = 0;
    for client in [&mut one, &mut other] {
        let procedure = "com.".to_owned();
        client
            .send(Message::Register {
                request: 2,
                options: options("prefix"),
                procedure,
            })
            .await;
        let Message::Registered { registration, .. } = client.recv().await else {
            panic!("not registered");
        };
        prefix = registration;
    }
    let topic = subscribe(&mut one, "com.app.news", "exact").await.unwrap();
    let pattern = subscribe(&mut other, "com.", "prefix").await.unwrap();

    let none = Dict::new;
    let of = |id: u64| vec![id.into()];
    let uri = |uri: &str| vec![Value::from(uri)];
    let looked_up = |uri: &str, matching: &str| vec![Value::from(uri), options(matching).into()];
    let mut both = [one.id, other.id];
    both.sort_unstable();
    for asker in [&mut operator, &mut auditor] {
        for (name, args, expected) in [
            ("list", vec![], Ok(lists(&[exact], &[prefix]))),
            ("list", of(other.id), Ok(lists(&[], &[prefix]))),
            ("list", of(1), Err("wamp.error.no_such_session".into())),
            ("lookup", uri("com.app.get"), Ok(exact.into())),
            ("lookup", looked_up("com.", "prefix"), Ok(prefix.into())),
            ("lookup", uri("com."), Ok(Value::Null)),
            (
                "lookup",
                looked_up("com.", "some"),
                Err("wamp.error.invalid_argument".into()),
            ),
            ("match", uri("com.app.get"), Ok(exact.into())),
            ("match", uri("com.app.set"), Ok(prefix.into())),
            ("match", uri("org.app"), Ok(Value::Null)),
            ("list_callees", of(prefix), Ok(list(&both))),
            ("count_callees", of(prefix), Ok(2_u64.into())),
            (
                "count_callees",
                of(prefix + 1),
                Err("wamp.error.no_such_registration".into()),
            ),
        ] {
            let answer = ask(asker, &format!("wamp.registration.{name}"), args, none()).await;
            assert_eq!(answer, expected, "{name}");
        }
        let details = ask(asker, "wamp.registration.get", of(prefix), none())
            .await
            .unwrap();
        let details = details.as_map().unwrap();
        for (name, expected) in [("uri", "com."), ("match", "prefix"), ("invoke", "roundrobin")] {
            assert_eq!(details[name].as_str(), Some(expected));
        }
        assert!(details["created"].as_str().unwrap().starts_with("20"));
        assert_eq!(details["id"], prefix.into());
    }
    for (name, args, expected) in [
        ("list", vec![], Ok(lists(&[topic], &[pattern]))),
        ("lookup", uri("com.app.news"), Ok(topic.into())),
        ("match", uri("com.app.news"), Ok(list(&[topic, pattern]))),
        ("match", uri("org.news"), Ok(Value::Null)),
        ("match", uri("com..news"), Ok(list(&[pattern]))),
        ("match", uri(""), Ok(Value::Null)),
        ("list_subscribers", of(topic), Ok(list(&[one.id]))),
        ("count_subscribers", of(pattern), Ok(1_u64.into())),
        (
            "get",
            of(pattern + 1),
            Err("wamp.error.no_such_subscription".into()),
        ),
        (
            "list_callees",
            of(topic),
            Err("wamp.error.no_such_procedure".into()),
        ),
    ] {
        let answer = ask(
            &mut operator,
            &format!("wamp.subscription.{name}"),
            args.clone(),
            none(),
        )
        .await;
        assert_eq!(answer, expected, "{name}");
        let answer = ask(&mut auditor, &format!("wamp.subscription.{name}"), args, none()).await;
        assert_eq!(answer, Err("wamp.error.not_authorized".into()), "{name}");
    }
    drop((one, other));
    let emptied = async {
        while world.router.stats().sessions > 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::client::SOON, emptied).await.unwrap();
    for family in ["registration", "subscription"] {
        let answer = ask(&mut operator, &format!("wamp.{family}.list"), vec![], none()).await;
        assert_eq!(answer, Ok(lists(&[], &[])), "{family}");
    }
}

#[tokio::test]
async fn those_who_may_hear_of_sessions_registrations_and_subscriptions_that_come_and_go() {
    let world = world().await;
    let mut operator = world.login("op", "op-secret").await;
    subscribe(&mut operator, "wamp.", "prefix").await.unwrap();
    let mut client = world.login("alice", "secret").await;
    let id = client.id;
    let (topic, args) = event(&mut operator).await;
    assert_eq!(topic.as_deref(), Some("wamp.session.on_join"));
    let details = args[0].as_map().unwrap();
    assert_eq!(
        (&details["session"], &details["authid"]),
        (&id.into(), &"alice".into())
    );

    let expect = async |operator: &mut Client, expected: &[(&str, Vec<Value>)]| {
        for (topic, args) in expected {
            let (heard, mut told) = event(operator).await;
            assert_eq!(heard.as_deref(), Some(*topic));
            // Details end with what differs by the moment.
            if let Some(Value::Map(details)) = told.get_mut(1) {
                assert!(details.remove("created").is_some());
            }
            assert_eq!(told, *args, "{topic}");
        }
    };
    let registration = client.serve("com.app.get").await;
    let pair = |id: u64, thing: u64| vec![Value::from(id), thing.into()];
    let details = |thing: u64, uri: &str, invoke: bool| {
        let mut details = Dict::from([
            ("id".into(), thing.into()),
            ("uri".into(), uri.into()),
            ("match".into(), "exact".into()),
        ]);
        if invoke {
            details.insert("invoke".into(), "single".into());
        }
        vec![Value::from(id), details.into()]
    };
    expect(
        &mut operator,
        &[
            (
                "wamp.registration.on_create",
                details(registration, "com.app.get", true),
            ),
            ("wamp.registration.on_register", pair(id, registration)),
        ],
    )
    .await;
    let subscription = subscribe(&mut client, "com.app.news", "exact").await.unwrap();
    expect(
        &mut operator,
        &[
            (
                "wamp.subscription.on_create",
                details(subscription, "com.app.news", false),
            ),
            ("wamp.subscription.on_subscribe", pair(id, subscription)),
        ],
    )
    .await;
    client
        .send(Message::Unregister {
            request: 5,
            registration,
        })
        .await;
    client
        .send(Message::Unsubscribe {
            request: 6,
            subscription,
        })
        .await;
    expect(
        &mut operator,
        &[
            ("wamp.registration.on_unregister", pair(id, registration)),
            ("wamp.registration.on_delete", pair(id, registration)),
            ("wamp.subscription.on_unsubscribe", pair(id, subscription)),
            ("wamp.subscription.on_delete", pair(id, subscription)),
        ],
    )
    .await;
    assert!(matches!(client.recv().await, Message::Unregistered { .. }));
    assert!(matches!(client.recv().await, Message::Unsubscribed { .. }));
    let registration = client.serve("xbr.provider.alice.sell").await;
    for _ in 0..2 {
        event(&mut operator).await;
    }
    drop(client);
    expect(
        &mut operator,
        &[
            ("wamp.registration.on_unregister", pair(id, registration)),
            ("wamp.registration.on_delete", pair(id, registration)),
            (
                "wamp.session.on_leave",
                vec![id.into(), "alice".into(), "delegate".into()],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn nobody_hears_of_the_router_by_a_pattern_that_covers_it() {
    let world = world().await;
    let (mut eager, mut auditor) = (world.join().await, world.login("au", "au-secret").await);
    for (topic, matching) in [
        ("wamp.session.on_join", "exact"),
        ("wamp.", "prefix"),
        ("wamp..on_join", "wildcard"),
    ] {
        assert_eq!(
            subscribe(&mut eager, topic, matching).await,
            Err("wamp.error.not_authorized".into())
        );
    }
    for client in [&mut eager, &mut auditor] {
        subscribe(client, "", "prefix").await.unwrap();
        subscribe(client, ".session.on_join", "wildcard").await.unwrap();
    }
    // The auditor hears of what its rule is about.
    let mut other = world.join().await;
    let registration = other.serve("com.app.get").await;
    let (topic, _) = event(&mut auditor).await;
    assert_eq!(topic.as_deref(), Some("wamp.registration.on_create"));
    let (topic, args) = event(&mut auditor).await;
    assert_eq!(topic.as_deref(), Some("wamp.registration.on_register"));
    assert_eq!(args, vec![other.id.into(), registration.into()]);
    assert!(eager.is_silent().await);
    // Ordinary events come by the same patterns.
    other
        .send(Message::Publish {
            request: 7,
            options: Dict::new(),
            topic: "com.app.news".into(),
            payload: None,
        })
        .await;
    assert_eq!(event(&mut eager).await.0.as_deref(), Some("com.app.news"));
}

#[tokio::test]
async fn the_routers_own_procedures_are_nobodys_to_serve() {
    let world = world().await;
    let mut operator = world.login("op", "op-secret").await;
    operator.send(register(1, "wamp.session.count")).await;
    assert_eq!(operator.error().await, (1, "wamp.error.not_authorized".into()));
    operator.send(call(2, "wamp.session.count", Dict::new())).await;
    assert!(matches!(
        operator.recv().await,
        Message::Result { request: 2, .. }
    ));
    assert_eq!(world.router.stats().pending_calls, 0);
}
