use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::client::{Client, SOON, World, call, hello, register};
use crate::auth::AuthMethod;
use crate::message::Message;
use crate::router::{
    AuthDecision, AuthRequest, Authenticator, Deciding, Permissions, Router, RouterConfig, Rule, SessionInfo,
    Users,
};
use crate::uri::{Match, error};
use crate::value::{Dict, Value};

const WHY: &str = "things have changed";

/// Where others may log in, and nobody who is there is gone.
const NOBODY: Option<fn(&SessionInfo) -> bool> = Some(|_| false);
/// Where the same may log in as before.
const SAME: Option<fn(&SessionInfo) -> bool> = None;

async fn is_ended(client: &mut Client) {
    assert_eq!(
        client.farewell().await,
        (error::KILLED.to_owned(), WHY.to_owned())
    );
}

/// Whether the router still answers.
async fn goes_on(client: &mut Client) {
    client.send(call(9, "com.nothing", Dict::new())).await;
    assert!(matches!(client.recv().await, Message::Error { request: 9, .. }));
}

/// What an auditor may not do.
fn auditors(change: impl FnOnce(&mut Rule)) -> Permissions {
    let mut rule = Rule {
        uri: "com.app.".to_owned(),
        matching: Match::Prefix,
        ..Rule::default()
    };
    change(&mut rule);
    let mut permissions = Permissions::default();
    permissions.add("auditor", rule).unwrap();
    permissions
}

#[tokio::test]
async fn those_end_who_may_not_be_there_and_the_others_go_on() {
    let world = World::new(RouterConfig::default()).await;
    let mut alice = world.login("alice", "secret").await;
    let mut operator = world.login("op", "op-secret").await;
    let mut stranger = world.join().await;
    let gone = |session: &SessionInfo| session.authid == "alice";
    assert_eq!(world.router.revise(Permissions::default(), Some(gone), WHY), 1);
    is_ended(&mut alice).await;
    goes_on(&mut operator).await;
    goes_on(&mut stranger).await;
}

#[tokio::test]
async fn other_rules_end_those_who_have_what_they_refuse_and_hold_for_the_rest() {
    let world = World::new(RouterConfig::default()).await;
    let mut serving = world.login("au", "au-secret").await;
    serving.serve("com.app.get").await;
    let mut hearing = world.login("au", "au-secret").await;
    let subscribe = Message::Subscribe {
        request: 1,
        options: Dict::new(),
        topic: "com.app.news".into(),
    };
    hearing.send(subscribe).await;
    assert!(matches!(hearing.recv().await, Message::Subscribed { .. }));
    let mut auditor = world.login("au", "au-secret").await;

    let silent = auditors(|rule| rule.publish = Some(false));
    assert_eq!(world.router.revise(silent.clone(), SAME, WHY), 0);
    let publish = Message::Publish {
        request: 1,
        options: Dict::from([("acknowledge".into(), true.into())]),
        topic: "com.app.news".into(),
        payload: None,
    };
    auditor.send(publish).await;
    assert_eq!(auditor.error().await, (1, error::NOT_AUTHORIZED.to_owned()));

    let deaf = auditors(|rule| rule.subscribe = Some(false));
    assert_eq!(world.router.revise(deaf, SAME, WHY), 1);
    is_ended(&mut hearing).await;
    let idle = auditors(|rule| rule.register = Some(false));
    assert_eq!(world.router.revise(idle, SAME, WHY), 1);
    is_ended(&mut serving).await;
    goes_on(&mut auditor).await;
}

#[tokio::test]
async fn what_a_session_sent_before_it_was_told_to_go_is_not_carried_out_after() {
    let world = World::new(RouterConfig::default()).await;
    let mut callee = world.join().await;
    callee.serve("com.app.get").await;
    let alice = world.login("alice", "secret").await;
    let gone = |session: &SessionInfo| session.authid == "alice";
    // On this test's one thread nothing is read between the two.
    for request in 1..=50 {
        let queued = alice.out.try_send(call(request, "com.app.get", Dict::new()));
        queued.unwrap();
    }
    assert_eq!(world.router.revise(Permissions::default(), Some(gone), WHY), 1);
    assert_eq!(
        world.router.revise(Permissions::default(), Some(gone), WHY),
        0,
        "it ends once"
    );
    world.gone(alice.id).await;
    assert!(callee.is_silent().await);
}

/// Lets everybody in as before, and has one more name of its own once it is told to.
struct Later {
    users: Users,
    reserves: AtomicBool,
}

impl Authenticator for Later {
    fn methods(&self) -> Vec<AuthMethod> {
        self.users.methods()
    }

    fn authenticate<'a>(&'a self, request: &'a AuthRequest) -> Deciding<'a> {
        self.users.authenticate(request)
    }

    fn reserves(&self, authid: &str) -> bool {
        authid == "corn" && self.reserves.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_stranger_with_the_provider_id_of_a_new_login_ends() {
    let later = Arc::new(Later {
        users: Users::new(true),
        reserves: AtomicBool::new(false),
    });
    let router = Router::new(RouterConfig::default(), later.clone());
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let (ws, rs) = (
        router.listen_ws(any, "/ws").await.unwrap(),
        router.listen_rs(any).await.unwrap(),
    );
    let world = World { router, ws, rs };
    let (mut squatter, mut other) = (world.join().await, world.join().await);
    squatter.serve("xbr.provider.corn.sell").await;
    other.serve("xbr.provider.wheat.sell").await;
    later.reserves.store(true, Ordering::Relaxed);
    assert_eq!(world.router.revise(Permissions::default(), NOBODY, WHY), 1);
    is_ended(&mut squatter).await;
    goes_on(&mut other).await;
    world.gone(squatter.id).await;
    other.send(register(2, "xbr.provider.corn.sell")).await;
    assert_eq!(other.error().await, (2, error::NOT_AUTHORIZED.to_owned()));
}

/// A client of alice's that is challenged.
async fn begin(world: &World) -> Client {
    let mut client = world.ws().await;
    let Message::Hello { realm, mut details } = hello("realm1") else {
        unreachable!();
    };
    details.insert("authmethods".into(), vec![Value::from("ticket")].into());
    details.insert("authid".into(), "alice".into());
    client.send(Message::Hello { realm, details }).await;
    assert!(matches!(client.recv().await, Message::Challenge { .. }));
    client
}

async fn finish(client: &mut Client) {
    let (signature, extra) = ("secret".to_owned(), Dict::new());
    client.send(Message::Authenticate { signature, extra }).await;
}

#[tokio::test]
async fn a_login_decided_before_is_not_let_in_after() {
    let world = World::new(RouterConfig::default()).await;
    let mut client = begin(&world).await;
    assert_eq!(world.router.revise(Permissions::default(), NOBODY, WHY), 0);
    finish(&mut client).await;
    let (reason, _) = client.farewell().await;
    assert_eq!(reason, error::UNAVAILABLE);
    // The next try is decided by what holds now.
    world.login("alice", "secret").await;
}

#[tokio::test]
async fn where_nothing_changed_a_login_goes_on() {
    let world = World::new(RouterConfig::default()).await;
    let before = world.join().await;
    assert_eq!(world.router.revise(Permissions::default(), SAME, WHY), 0);
    assert!(world.router.session(before.id).is_some());
    let mut client = begin(&world).await;
    assert_eq!(world.router.revise(Permissions::default(), SAME, WHY), 0);
    finish(&mut client).await;
    assert!(matches!(client.recv().await, Message::Welcome { .. }));
}

#[tokio::test]
async fn the_market_maker_stays() {
    let world = World::new(RouterConfig::default()).await;
    let mut trusted = Client::new(world.router.local_link());
    trusted.hello().await;
    let everybody = |_: &SessionInfo| true;
    let ended = world.router.revise(Permissions::default(), Some(everybody), WHY);
    assert_eq!(ended, 0);
    let served = tokio::time::timeout(SOON, trusted.serve("xbr.marketmaker.get_config"));
    served.await.unwrap();
}

#[test]
fn users_know_what_is_not_as_it_was() {
    let users = |alice: &str| {
        Users::new(true)
            .with_ticket("alice", "delegate", alice)
            .with_ticket("bob", "delegate", "bob's")
    };
    let session = |authid: &str, method| SessionInfo {
        id: 1,
        authid: authid.to_owned(),
        role: "delegate".to_owned(),
        method,
        transport: crate::router::Transport::WebSocket,
        peer: None,
    };
    let (alice, bob) = (
        session("alice", AuthMethod::Ticket),
        session("bob", AuthMethod::Ticket),
    );
    let before = users("one");
    let same = users("one").with_ticket("carol", "delegate", "new");
    assert_eq!(same.changed_since(&before), ["carol"]);
    assert!(!same.revokes(&before, &alice) && !same.revokes(&before, &bob));

    let another = users("two");
    assert_eq!(another.changed_since(&before), ["alice"]);
    assert!(another.revokes(&before, &alice) && !another.revokes(&before, &bob));
    // The market let this one in, under the same name: what the users were to log in with says nothing of it.
    assert!(!another.revokes(&before, &session("alice", AuthMethod::Cryptosign)));

    let gone = Users::new(false).with_ticket("bob", "operator", "bob's");
    assert_eq!(gone.changed_since(&before), ["alice", "bob"]);
    assert!(gone.revokes(&before, &alice));
    assert!(gone.revokes(&before, &bob), "another role");
    assert!(gone.revokes(&before, &session("~x", AuthMethod::Anonymous)));
    let request = AuthRequest {
        realm: "realm1".to_owned(),
        method: AuthMethod::Anonymous,
        authid: None,
        public_key: None,
        extra: Dict::new(),
        session: 1,
        transport: crate::router::Transport::WebSocket,
        peer: None,
    };
    assert!(matches!(gone.decide(&request), AuthDecision::Deny { .. }));
}
