use std::sync::Arc;

use bourse_wamp::{
    Auth, AuthDecision, AuthMethod, AuthRequest, Authenticator, Confirming, CraKey, Credential,
    CryptosignKey, Deciding, Dict, Grant, JoinError, JoinOptions, Kdf, Router, RouterConfig, Salting,
    ScramRecord, Secret, Serializer, Session, Users, Value, connect_ws,
};

use crate::support::{Over, SOON, World};

const WS: Over = Over::Ws(Serializer::Cbor);
/// Cheap, for tests.
const KDF: Kdf = Kdf::Argon2id13 {
    iterations: 512,
    memory: 16,
};

fn key() -> CryptosignKey {
    CryptosignKey::from_seed(&[7; 32])
}

/// Who can log in, and with what.
fn logins() -> Vec<(&'static str, Auth, Credential)> {
    let secret = Secret::from("open sesame");
    let salting = Salting {
        salt: "salt123".to_owned(),
        iterations: 100,
        key_length: 32,
    };
    let scram = |kdf| Credential::Scram(ScramRecord::derive(&secret, kdf, b"sixteen bytes...").unwrap());
    vec![
        (
            "ticket",
            Auth::Ticket(secret.clone()),
            Credential::Ticket(secret.clone()),
        ),
        (
            "cra",
            Auth::Cra(secret.clone()),
            Credential::Cra(CraKey::plain(secret.clone())),
        ),
        (
            "salted",
            Auth::Cra(secret.clone()),
            Credential::Cra(CraKey::derive(&secret, salting).unwrap()),
        ),
        ("scram", Auth::Scram(secret.clone()), scram(KDF)),
        (
            "scram.pbkdf2",
            Auth::Scram(secret.clone()),
            scram(Kdf::Pbkdf2 { iterations: 4_096 }),
        ),
        (
            "sign",
            Auth::Cryptosign(key()),
            Credential::PublicKey(key().public_key()),
        ),
    ]
}

fn wrong(auth: &Auth) -> Auth {
    match auth {
        Auth::Ticket(_) => Auth::Ticket("open barley".into()),
        Auth::Cra(_) => Auth::Cra("open barley".into()),
        Auth::Scram(_) => Auth::Scram("open barley".into()),
        _ => Auth::Cryptosign(CryptosignKey::from_seed(&[8; 32])),
    }
}

async fn world(authenticator: Arc<dyn Authenticator>) -> World {
    let router = Router::new(RouterConfig::default(), authenticator);
    let any = ([127, 0, 0, 1], 0).into();
    let ws = router.listen_ws(any, "/ws").await.unwrap();
    let rs = router.listen_rs(any).await.unwrap();
    World { router, ws, rs }
}

async fn users() -> World {
    let users = logins()
        .into_iter()
        .fold(Users::new(false), |users, (authid, _, credential)| {
            users.with(authid, format!("role.{authid}"), credential)
        });
    world(Arc::new(users)).await
}

fn options(authid: &str, auth: Auth) -> JoinOptions {
    JoinOptions {
        authid: Some(authid.to_owned()),
        auth,
        handshake: SOON,
        ..JoinOptions::default()
    }
}

async fn refused(world: &World, options: JoinOptions) -> String {
    match Session::join(world.link(WS).await, options).await {
        Err(JoinError::Refused { reason, text }) => format!("{reason}: {}", text.unwrap_or_default()),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn every_method_logs_in_over_every_wire() {
    let world = users().await;
    for over in Over::all().into_iter().filter(|over| *over != Over::Local) {
        for (authid, auth, _) in logins() {
            let method = auth.method();
            let session = Session::join(world.link(over).await, options(authid, auth))
                .await
                .unwrap();
            assert_eq!(session.authid(), authid);
            assert_eq!(session.authrole(), format!("role.{authid}"));
            let scram = method == AuthMethod::Scram;
            assert_eq!(session.authmethod(), if scram { "scram" } else { method.name() });
            assert_eq!(world.router.session(session.id()).unwrap().method, method);
            assert!(session.router_has("dealer", "call_canceling"));
            assert!(!session.router_has("dealer", "time_travel"));
        }
    }
}

#[tokio::test]
async fn a_key_alone_says_who_somebody_is() {
    let world = users().await;
    let options = JoinOptions {
        auth: Auth::Cryptosign(key()),
        ..JoinOptions::default()
    };
    let session = Session::join(world.link(WS).await, options).await.unwrap();
    assert_eq!(session.authid(), "sign");
}

#[tokio::test]
async fn a_wrong_proof_and_an_unknown_authid_are_refused_in_the_same_words() {
    let world = users().await;
    let mut said = std::collections::BTreeSet::new();
    for (authid, auth, _) in logins() {
        said.insert(refused(&world, options(authid, wrong(&auth))).await);
        said.insert(refused(&world, options("nobody", auth.clone())).await);
        // Somebody else's identity, who logs in by another method.
        let other = if authid == "ticket" { "sign" } else { "ticket" };
        said.insert(refused(&world, options(other, auth)).await);
    }
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said.first()
            .unwrap()
            .starts_with("wamp.error.authentication_failed")
    );
    assert_eq!(world.router.stats().sessions, 0);
}

#[tokio::test]
async fn a_method_that_is_not_offered_is_refused_with_those_that_are() {
    let world = world(Arc::new(Users::new(false).with_ticket("a", "r", "s"))).await;
    for auth in [Auth::Anonymous, Auth::Cra("s".into()), Auth::Scram("s".into())] {
        let said = refused(&world, options("a", auth)).await;
        assert!(
            said.starts_with("wamp.error.no_matching_auth_method") && said.ends_with("ticket"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_binding_that_the_connection_cannot_give_is_refused_on_either_side() {
    let world = users().await;
    let bound = JoinOptions {
        channel_binding: true,
        ..options("sign", Auth::Cryptosign(key()))
    };
    let ours = Session::join(world.link(WS).await, bound).await.unwrap_err();
    assert!(ours.to_string().contains("over TLS"), "{ours}");
    for (binding, why) in [("tls-exporter", "over TLS"), ("tls-unique", "is not known here")] {
        let asked = JoinOptions {
            authextra: Dict::from([("channel_binding".to_owned(), binding.into())]),
            ..options("sign", Auth::Cryptosign(key()))
        };
        let said = refused(&world, asked).await;
        assert!(said.contains(binding) && said.contains(why), "{said}");
    }
}

/// Takes its time, and knows one key.
struct Ledger;

impl Authenticator for Ledger {
    fn methods(&self) -> Vec<AuthMethod> {
        vec![AuthMethod::Cryptosign]
    }

    fn authenticate<'a>(&'a self, request: &'a AuthRequest) -> Deciding<'a> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let Some(shown) = request.public_key.filter(|shown| *shown == key().public_key()) else {
                return AuthDecision::Unknown;
            };
            let wish = request
                .extra
                .get("wish")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let mut grant = Grant::new("0xmember", "member");
            grant.extra.insert("session".to_owned(), request.session.into());
            grant.extra.insert("wish".to_owned(), wish.into());
            AuthDecision::Prove {
                credential: Credential::PublicKey(shown),
                grant,
            }
        })
    }
}

#[tokio::test]
async fn an_authenticator_may_take_its_time_and_tell_the_client_more() {
    let world = world(Arc::new(Ledger)).await;
    let wish = || JoinOptions {
        authextra: Dict::from([("wish".to_owned(), "a pony".into())]),
        auth: Auth::Cryptosign(key()),
        ..JoinOptions::default()
    };
    let session = Session::join(world.link(WS).await, wish()).await.unwrap();
    assert_eq!((session.authid(), session.authrole()), ("0xmember", "member"));
    let extra = session.authextra().unwrap();
    assert_eq!(extra.get("session"), Some(&session.id().into()));
    assert_eq!(extra.get("wish"), Some(&"a pony".into()));

    let stranger = JoinOptions {
        auth: Auth::Cryptosign(CryptosignKey::from_seed(&[8; 32])),
        ..wish()
    };
    let said = refused(&world, stranger).await;
    assert!(said.contains("the authid or its proof is wrong"), "{said}");
}

/// Lets one key in, says who proved to hold it, and keeps whoever says so out after all.
#[derive(Default)]
struct Keeper(std::sync::Mutex<Vec<u64>>);

impl Authenticator for Keeper {
    fn methods(&self) -> Vec<AuthMethod> {
        vec![AuthMethod::Cryptosign]
    }

    fn authenticate<'a>(&'a self, _: &'a AuthRequest) -> Deciding<'a> {
        let credential = Credential::PublicKey(key().public_key());
        let grant = Grant::new("0xmember", "member");
        Box::pin(std::future::ready(AuthDecision::Prove { credential, grant }))
    }

    fn proven<'a>(&'a self, request: &'a AuthRequest) -> Confirming<'a> {
        Box::pin(async move {
            self.0.lock().unwrap().push(request.session);
            match request.extra.contains_key("unwelcome") {
                true => Err("the book is full".to_owned()),
                false => Ok(()),
            }
        })
    }
}

#[tokio::test]
async fn what_rests_on_a_proof_comes_after_it_and_before_the_welcome() {
    let keeper = Arc::new(Keeper::default());
    let world = world(keeper.clone()).await;
    let with = |seed: u8, extra: Dict| JoinOptions {
        auth: Auth::Cryptosign(CryptosignKey::from_seed(&[seed; 32])),
        authextra: extra,
        ..JoinOptions::default()
    };
    let said = refused(&world, with(8, Dict::new())).await;
    assert!(said.contains("the authid or its proof is wrong"), "{said}");
    assert!(keeper.0.lock().unwrap().is_empty(), "nothing was proven");
    let session = Session::join(world.link(WS).await, with(7, Dict::new()))
        .await
        .unwrap();
    assert_eq!(*keeper.0.lock().unwrap(), [session.id()]);
    let unwelcome = Dict::from([("unwelcome".to_owned(), true.into())]);
    let said = refused(&world, with(7, unwelcome)).await;
    assert!(said.contains("the book is full"), "{said}");
    assert_eq!(world.router.stats().sessions, 1);
}

#[tokio::test]
async fn a_client_without_an_authid_does_not_even_knock() {
    let world = users().await;
    let url = format!("ws://{}/ws", world.ws);
    for auth in [
        Auth::Ticket("s".into()),
        Auth::Cra("s".into()),
        Auth::Scram("s".into()),
    ] {
        let options = JoinOptions {
            auth,
            ..JoinOptions::default()
        };
        let link = connect_ws(&url, Serializer::Json).await.unwrap();
        let error = Session::join(link, options).await.unwrap_err();
        assert!(error.to_string().contains("needs an authid"), "{error}");
    }
}
