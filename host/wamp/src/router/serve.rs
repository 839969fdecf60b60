//! One connection of the router: handshake, then message after message, then the last words.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use tokio::time::timeout;

use super::Hub;
use super::admission::Place;
use super::auth::{AuthMethod, Grant, Transport};
use super::core::{Bounds, Features, Peer};
use super::login::{Admitted, Hello, Refused, admit};
use super::observer::SessionInfo;
use super::realm::Inner;
use crate::limits::{
    CLOSE_GRACE, TRUSTED_OUTSTANDING_CALLS, TRUSTED_QUEUE, TRUSTED_QUEUE_BYTES, TRUSTED_REGISTRATIONS,
};
use crate::link::{Incoming, Link, Outgoing, QueueLimits};
use crate::message::{MAX_ID, Message};
use crate::uri::error;
use crate::value::{Dict, Value};
use crate::violation::Violation;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) transport: Transport,
    pub(super) peer: Option<SocketAddr>,
    /// The id of the TLS connection, if there is one.
    pub(super) channel: Option<[u8; 32]>,
}

impl Origin {
    fn trusted(self) -> bool {
        self.transport == Transport::InProcess
    }
}

impl Peer {
    pub(super) fn is_trusted(&self) -> bool {
        self.info.method == AuthMethod::Trusted
    }
}

/// The limits of the in-process link's queues.
pub(super) fn trusted_queue() -> QueueLimits {
    QueueLimits {
        messages: TRUSTED_QUEUE,
        bytes: TRUSTED_QUEUE_BYTES,
    }
}

/// Serves a connection until it ends. It joins the realm that its HELLO names; with `own`, that must be this one. It
/// holds `place` meanwhile; in this process it needs none.
pub(super) async fn serve(
    hub: Arc<Hub>,
    own: Option<Arc<Inner>>,
    link: Link,
    origin: Origin,
    place: Option<Place>,
) {
    let joined = Arc::new(OnceLock::new());
    let unsendable = unsendable(joined.clone());
    let limits = &hub.config.limits;
    let queue = QueueLimits {
        messages: limits.outgoing_queue,
        bytes: limits.outgoing_bytes,
    };
    let (mut incoming, out) = link.start(queue, unsendable);
    let greeting = timeout(
        limits.handshake,
        greet(&hub, own, &mut incoming, &out, origin, &joined, place.as_ref()),
    );
    let displaced = async {
        match &place {
            Some(place) => place.displaced().await,
            None => std::future::pending().await,
        }
    };
    let greeted = tokio::select! {
        greeted = greeting => greeted,
        () = displaced => {
            // Not heard out: its place is taken already.
            let refused = crowded();
            out.close(Some(Message::farewell(false, refused.reason, &refused.text)));
            return;
        }
    };
    let (realm, session) = match greeted {
        Ok(Ok(joined)) => joined,
        Ok(Err(refused)) => {
            tracing::debug!(
                ?origin,
                reason = refused.reason,
                text = refused.text,
                "not let in"
            );
            out.close(Some(Message::farewell(false, refused.reason, &refused.text)));
            listen_out(&mut incoming).await;
            return;
        }
        Err(_) => {
            let text = format!("no session within {} ms", limits.handshake.as_millis());
            out.close(Some(Message::farewell(false, error::TIMEOUT, &text)));
            return;
        }
    };
    let membership = Membership {
        realm: realm.clone(),
        session,
        out: out.clone(),
    };
    let hear = tokio::select! {
        hear = read(&realm, session, &mut incoming, &out) => hear,
        () = out.closed() => true,
    };
    drop(membership);
    if hear {
        listen_out(&mut incoming).await;
    }
}

/// Lets the session go at its end, also if its task panics: nobody waits for a session without a task.
struct Membership {
    realm: Arc<Inner>,
    session: u64,
    out: Outgoing,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.out.close(None);
        self.realm.leave(self.session);
    }
}

/// Reads until the session ends. Returns whether the peer may still be talking.
async fn read(realm: &Inner, session: u64, incoming: &mut Incoming, out: &Outgoing) -> bool {
    loop {
        let message = match incoming.next().await {
            Ok(Some(message)) => message,
            Ok(None) => {
                out.close(None);
                return false;
            }
            Err(error) => {
                tracing::debug!(session, %error, "the connection ends");
                let words = error
                    .reason()
                    .map(|reason| Message::farewell(true, reason, &error.to_string()));
                if words.is_some() {
                    realm.count_violation();
                }
                out.close(words);
                return true;
            }
        };
        if out.is_closed() {
            // What it sent before it was told is not carried out after.
            return true;
        }
        if let Message::Goodbye { .. } = message {
            let reason = error::GOODBYE_AND_OUT.to_owned();
            out.close(Some(Message::Goodbye {
                details: Dict::new(),
                reason,
            }));
            return true;
        }
        if let Message::Abort { .. } = message {
            out.close(None);
            return false;
        }
        if let Err(violation) = realm.on(session, message) {
            tracing::debug!(session, %violation, "the session broke the protocol");
            realm.count_violation();
            out.close(Some(Message::farewell(
                true,
                error::PROTOCOL_VIOLATION,
                &violation.0,
            )));
            return true;
        }
    }
}

/// Takes in what the peer was still sending, for a moment: closing a socket with unread data resets the
/// connection, and the peer would not get the last words.
async fn listen_out(incoming: &mut Incoming) {
    let listening = async { while incoming.discard().await {} };
    let _ = timeout(CLOSE_GRACE, listening).await;
}

async fn greet(
    hub: &Hub,
    own: Option<Arc<Inner>>,
    incoming: &mut Incoming,
    out: &Outgoing,
    origin: Origin,
    joined: &OnceLock<(Weak<Inner>, u64)>,
    place: Option<&Place>,
) -> Result<(Arc<Inner>, u64), Refused> {
    let (realm, details) = match next(incoming).await? {
        Message::Hello { realm, details } => (realm, details),
        other => return Err(Violation(format!("{} before HELLO", other.name())).into()),
    };
    let router = match own {
        Some(own) if own.name == realm => own,
        Some(own) => return Err(no_such_realm(&realm, Some(&own.name))),
        None => hub
            .realm(&realm)
            .ok_or_else(|| no_such_realm(&realm, hub.only_realm().as_deref()))?,
    };
    if details.get("roles").and_then(Value::as_map).is_none() {
        return Err(Violation("HELLO must announce the client's roles".to_owned()).into());
    }
    let session = rand::random_range(1..=MAX_ID);
    // Before anybody is asked who may log in: what is decided must be so still when the session joins.
    let revision = router.revision();
    let admitted = if origin.trusted() {
        Admitted::trusted()
    } else {
        let hello = Hello {
            realm: &realm,
            details: &details,
            session,
            origin,
        };
        admit(router.authenticator.as_ref(), &hello, incoming, out).await?
    };
    if !place.is_none_or(Place::seat) {
        return Err(crowded());
    }
    let welcome = welcome(&realm, &admitted);
    let info = SessionInfo {
        id: session,
        authid: admitted.grant.authid,
        role: admitted.grant.role,
        method: admitted.method,
        transport: origin.transport,
        peer: origin.peer,
    };
    let peer = Peer::new(info, out.clone(), features(&details), bounds(&router, origin));
    // The writer may ask for the session as soon as the WELCOME is queued.
    let _ = joined.set((Arc::downgrade(&router), session));
    if !router.join(
        peer,
        Message::Welcome {
            session,
            details: welcome,
        },
        revision,
    ) {
        return Err(Refused {
            reason: error::UNAVAILABLE,
            text: "try again".to_owned(),
        });
    }
    Ok((router, session))
}

/// There is no place for a session, or for a handshake that takes longer than others.
fn crowded() -> Refused {
    Refused {
        reason: error::UNAVAILABLE,
        text: "there are too many connections at the moment".to_owned(),
    }
}

/// Where there are several realms, a stranger is not told their names.
fn no_such_realm(realm: &str, only: Option<&str>) -> Refused {
    let only = only.map(|only| format!(", only {only:?}")).unwrap_or_default();
    Refused {
        reason: error::NO_SUCH_REALM,
        text: format!("there is no realm {realm:?} here{only}"),
    }
}

fn welcome(realm: &str, admitted: &Admitted) -> Dict {
    let Grant { authid, role, extra } = &admitted.grant;
    Dict::from([
        ("realm".to_owned(), realm.into()),
        ("authid".to_owned(), authid.as_str().into()),
        ("authrole".to_owned(), role.as_str().into()),
        ("authmethod".to_owned(), admitted.name.into()),
        ("authprovider".to_owned(), "bourse".into()),
        ("authextra".to_owned(), extra.clone().into()),
        ("roles".to_owned(), roles().into()),
    ])
}

pub(super) async fn next(incoming: &mut Incoming) -> Result<Message, Refused> {
    match incoming.next().await {
        Ok(Some(Message::Abort { .. }) | None) => Err(Refused {
            reason: error::GOODBYE_AND_OUT,
            text: "the client gave up".to_owned(),
        }),
        Ok(Some(message)) => Ok(message),
        Err(error) => Err(Refused {
            reason: error.reason().unwrap_or(error::PROTOCOL_VIOLATION),
            text: error.to_string(),
        }),
    }
}

fn features(hello: &Dict) -> Features {
    let callee = hello
        .get("roles")
        .and_then(Value::as_map)
        .and_then(|roles| roles.get("callee")?.as_map()?.get("features")?.as_map());
    let has = |name: &str| {
        callee
            .and_then(|callee| callee.get(name))
            .and_then(Value::as_bool)
            == Some(true)
    };
    Features {
        call_canceling: has("call_canceling"),
        registration_revocation: has("registration_revocation"),
    }
}

fn bounds(router: &Inner, origin: Origin) -> Bounds {
    if origin.trusted() {
        return Bounds {
            calls: TRUSTED_OUTSTANDING_CALLS,
            registrations: TRUSTED_REGISTRATIONS,
            subscriptions: TRUSTED_REGISTRATIONS,
        };
    }
    let limits = &router.limits;
    Bounds {
        calls: limits.outstanding_calls,
        registrations: limits.registrations,
        subscriptions: limits.subscriptions,
    }
}

/// The features that WELCOME announces.
fn roles() -> Dict {
    let role = |features: &[&str]| {
        let features = features
            .iter()
            .map(|name| ((*name).to_owned(), Value::from(true)))
            .collect::<Dict>();
        Value::Map(Dict::from([("features".to_owned(), features.into())]))
    };
    let dealer = role(&[
        "call_canceling",
        "call_timeout",
        "caller_identification",
        "pattern_based_registration",
        "progressive_call_results",
        "registration_meta_api",
        "registration_revocation",
        "session_meta_api",
        "shared_registration",
    ]);
    let broker = role(&[
        "pattern_based_subscription",
        "publisher_exclusion",
        "publisher_identification",
        "session_meta_api",
        "subscriber_blackwhite_listing",
        "subscription_meta_api",
    ]);
    Dict::from([("broker".to_owned(), broker), ("dealer".to_owned(), dealer)])
}

fn unsendable(joined: Arc<OnceLock<(Weak<Inner>, u64)>>) -> crate::link::Unsendable {
    Box::new(move |message, why| {
        let (realm, session) = joined.get()?;
        realm.upgrade()?.unsendable(*session, message, why)
    })
}
