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

fn nobody(_: &SessionInfo) -> bool {
    false
}

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

#[tokio::test]
async fn those_end_who_may_not_be_there_and_those_whose_role_has_other_rules() {
    let world = World::new(RouterConfig::default()).await;
    let mut alice = world.login("alice", "secret").await;
    let mut operator = world.login("op", "op-secret").await;
    let mut auditor = world.login("au", "au-secret").await;
    let mut stranger = world.join().await;
    let mut permissions = Permissions::default();
    let rule = Rule {
        uri: "com.app.".to_owned(),
        matching: Match::Prefix,
        publish: Some(false),
        ..Rule::default()
    };
    permissions.add("auditor", rule).unwrap();
    let ended = world.router.revise(
        permissions.clone(),
        |session: &SessionInfo| session.authid == "alice",
        WHY,
    );
    assert_eq!(ended, 2);
    is_ended(&mut alice).await;
    is_ended(&mut auditor).await;
    goes_on(&mut operator).await;
    goes_on(&mut stranger).await;
    // The new rules are in force, and the same ones again end nobody.
    let mut auditor = world.login("au", "au-secret").await;
    assert_eq!(world.router.revise(permissions, nobody, WHY), 0);
    let publish = Message::Publish {
        request: 1,
        options: Dict::from([("acknowledge".into(), true.into())]),
        topic: "com.app.news".into(),
        payload: None,
    };
    auditor.send(publish).await;
    assert_eq!(auditor.error().await, (1, error::NOT_AUTHORIZED.to_owned()));
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
    assert_eq!(world.router.revise(Permissions::default(), nobody, WHY), 1);
    is_ended(&mut squatter).await;
    goes_on(&mut other).await;
    world.gone(squatter.id).await;
    other.send(register(2, "xbr.provider.corn.sell")).await;
    assert_eq!(other.error().await, (2, error::NOT_AUTHORIZED.to_owned()));
}

#[tokio::test]
async fn a_login_decided_before_is_not_let_in_after() {
    let world = World::new(RouterConfig::default()).await;
    let mut client = world.ws().await;
    let Message::Hello { realm, mut details } = hello("realm1") else {
        unreachable!();
    };
    details.insert("authmethods".into(), vec![Value::from("ticket")].into());
    details.insert("authid".into(), "alice".into());
    client.send(Message::Hello { realm, details }).await;
    assert!(matches!(client.recv().await, Message::Challenge { .. }));
    world.router.revise(Permissions::default(), nobody, WHY);
    let (signature, extra) = ("secret".to_owned(), Dict::new());
    client.send(Message::Authenticate { signature, extra }).await;
    let (reason, _) = client.farewell().await;
    assert_eq!(reason, error::UNAVAILABLE);
    // The next try is decided by what holds now.
    world.login("alice", "secret").await;
}

/// The market's own session is asked for by those who have the router in hand: it stays.
#[tokio::test]
async fn the_market_maker_stays() {
    let world = World::new(RouterConfig::default()).await;
    let mut trusted = Client::new(world.router.local_link());
    trusted.hello().await;
    let everybody = |_: &SessionInfo| true;
    assert_eq!(world.router.revise(Permissions::default(), everybody, WHY), 0);
    let served = tokio::time::timeout(SOON, trusted.serve("xbr.marketmaker.get_config"));
    served.await.unwrap();
}

#[tokio::test]
async fn users_know_what_is_not_as_it_was() {
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
