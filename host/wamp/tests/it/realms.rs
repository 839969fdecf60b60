use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use bourse_wamp::{
    Auth, CallResult, JoinError, JoinOptions, Realm, RealmConfig, Router, RouterConfig, RouterObserver,
    Serializer, Session, SessionInfo, Users,
};
use parking_lot::Mutex;

use crate::support::{Over, World, call, soon, until, uri, world};

const WS: Over = Over::Ws(Serializer::Cbor);
const RS: Over = Over::Rs(Serializer::Json);

fn second(world: &World) -> Realm {
    let tickets = Users::new(true).with_ticket("alice", "broker", "secret-2");
    world
        .router
        .add_realm(RealmConfig::new("realm2"), Arc::new(tickets))
        .unwrap()
}

fn into(realm: &str) -> JoinOptions {
    JoinOptions {
        realm: realm.into(),
        ..JoinOptions::default()
    }
}

async fn join(world: &World, over: Over, realm: &str) -> Session {
    Session::join(world.link(over).await, into(realm)).await.unwrap()
}

async fn refused(world: &World, options: JoinOptions) -> String {
    match Session::join(world.link(WS).await, options).await {
        Err(JoinError::Refused { reason, text }) => format!("{reason}: {}", text.unwrap_or_default()),
        other => panic!("not refused: {other:?}"),
    }
}

/// A market maker that says of which realm it is.
async fn market_maker(realm: &Realm) -> Session {
    let session = Session::join(realm.local_link(), into(realm.name()))
        .await
        .unwrap();
    let name = realm.name().to_owned();
    session
        .register("bourse.whose", move |_| {
            let name = name.clone();
            async move { Ok(CallResult::one(name)) }
        })
        .await
        .unwrap();
    session
}

#[tokio::test]
async fn hello_picks_one_of_several_realms_behind_the_same_listeners() {
    let world = world().await;
    let realm2 = second(&world);
    let makers = [
        market_maker(&world.router.realm("realm1").unwrap()).await,
        market_maker(&realm2).await,
    ];
    for (over, realm, maker) in [(WS, "realm1", &makers[0]), (RS, "realm2", &makers[1])] {
        let client = join(&world, over, realm).await;
        assert_eq!((client.realm(), maker.authrole()), (realm, "marketmaker"));
        let answer = call(&client, "bourse.whose", vec![]).await.unwrap();
        assert_eq!(answer, CallResult::one(realm));
    }
    // What one realm has, the other knows nothing of.
    let client = join(&world, WS, "realm1").await;
    client
        .register("com.app.here", async |_| Ok(CallResult::one(1_u64)))
        .await
        .unwrap();
    let other = join(&world, WS, "realm2").await;
    assert_eq!(
        uri(call(&other, "com.app.here", vec![]).await),
        "wamp.error.no_such_procedure"
    );
    assert!(realm2.session(client.id()).is_none() && world.router.session(client.id()).is_some());
    assert_eq!(realm2.callee("com.app.here"), None);
}

#[tokio::test]
async fn each_realm_has_its_own_authenticator_and_a_stranger_is_not_told_the_names_of_all() {
    let world = world().await;
    let _realm2 = second(&world);
    let ticket = |realm: &str, secret: &str| JoinOptions {
        authid: Some("alice".into()),
        auth: Auth::Ticket(secret.into()),
        ..into(realm)
    };
    for (realm, secret, role) in [
        ("realm1", "secret-a", "delegate"),
        ("realm2", "secret-2", "broker"),
    ] {
        let session = Session::join(world.link(WS).await, ticket(realm, secret))
            .await
            .unwrap();
        assert_eq!(session.authrole(), role);
    }
    let answer = refused(&world, ticket("realm2", "secret-a")).await;
    assert!(answer.starts_with("wamp.error.authentication_failed"), "{answer}");
    assert_eq!(
        refused(&world, into("realm3")).await,
        "wamp.error.no_such_realm: there is no realm \"realm3\" here"
    );
}

#[tokio::test]
async fn a_realm_that_closes_leaves_the_others_alone() {
    let world = world().await;
    let realm2 = second(&world);
    let (stays, goes) = (
        market_maker(&world.router.realm("realm1").unwrap()).await,
        market_maker(&realm2).await,
    );
    let clients = [join(&world, WS, "realm1").await, join(&world, RS, "realm2").await];
    realm2.close();
    for session in [&goes, &clients[1]] {
        soon(session.closed()).await;
        assert_eq!(session.close_reason().as_deref(), Some("wamp.close.close_realm"));
    }
    until(|| realm2.stats().sessions == 0).await;
    let answer = refused(&world, into("realm2")).await;
    assert!(answer.starts_with("wamp.error.no_such_realm"), "{answer}");
    assert!(
        Session::join(realm2.local_link(), into("realm2")).await.is_err(),
        "nobody joins a closed realm"
    );
    call(&clients[0], "bourse.whose", vec![]).await.unwrap();
    // The name is free again, and closing the old realm once more is nothing to the new one.
    let again = second(&world);
    realm2.close();
    let _maker = market_maker(&again).await;
    let client = join(&world, RS, "realm2").await;
    call(&client, "bourse.whose", vec![]).await.unwrap();
    soon(world.router.shutdown()).await;
    for session in [&stays, &client] {
        soon(session.closed()).await;
    }
}

/// Notes on which threads the router lets sessions in.
#[derive(Default)]
struct Threads(Mutex<Vec<String>>);

impl RouterObserver for Threads {
    fn joined(&self, _: &SessionInfo) {
        let thread = std::thread::current();
        self.0.lock().push(thread.name().unwrap_or_default().to_owned());
    }

    fn left(&self, _: u64) {}

    fn registered(&self, _: u64, _: &str) {}

    fn unregistered(&self, _: u64, _: &str) {}
}

#[tokio::test]
async fn an_in_process_link_is_served_where_connections_are() {
    let router = Router::new(RouterConfig::default(), Arc::new(Users::new(true)));
    let threads = Arc::new(Threads::default());
    router.observe(threads.clone());
    // Without threads for connections, beside its user.
    let beside = Session::join(router.local_link(), into("realm1")).await.unwrap();
    router.start_threads().unwrap();
    let there = Session::join(router.local_link(), into("realm1")).await.unwrap();
    let here = std::thread::current();
    let here = here.name().unwrap_or_default().to_owned();
    assert_eq!(*threads.0.lock(), [here, "wamp-sockets".to_owned()]);
    soon(router.shutdown()).await;
    for session in [beside, there] {
        soon(session.closed()).await;
    }
}

#[tokio::test]
async fn an_in_process_link_leads_to_its_own_realm_alone() {
    let world = world().await;
    let realm2 = second(&world);
    match Session::join(realm2.local_link(), into("realm1")).await {
        Err(JoinError::Refused { reason, .. }) => assert_eq!(reason, "wamp.error.no_such_realm"),
        other => panic!("it should stay out: {other:?}"),
    }
}

#[tokio::test]
async fn a_realm_needs_a_name_of_its_own_and_is_no_way_around_the_rule_for_anonymous_listeners() {
    let world = world().await;
    let add = |router: &Router, name: &str, anonymous| {
        let tickets = Users::new(anonymous).with_ticket("a", "delegate", "s");
        router
            .add_realm(RealmConfig::new(name), Arc::new(tickets))
            .map_err(|error| error.kind())
            .map(|realm| realm.name().to_owned())
    };
    assert_eq!(add(&world.router, "realm1", true), Err(ErrorKind::AlreadyExists));
    for malformed in ["", "a b", "a..b"] {
        assert_eq!(
            add(&world.router, malformed, true),
            Err(ErrorKind::InvalidInput),
            "{malformed:?}"
        );
    }
    assert_eq!(add(&world.router, "realm3", true), Ok("realm3".into()));

    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let tickets = || Arc::new(Users::new(false).with_ticket("a", "delegate", "s"));
    let router = Router::new(RouterConfig::default(), tickets());
    router.listen_rs(everywhere).await.unwrap();
    assert_eq!(add(&router, "open", true), Err(ErrorKind::PermissionDenied));
    assert_eq!(add(&router, "shut", false), Ok("shut".into()));
    let router = Router::new(RouterConfig::default(), tickets());
    assert_eq!(add(&router, "open", true), Ok("open".into()));
    let error = router.listen_rs(everywhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}
