//! Joining a realm, and the task that reads from then on.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::table::Table;
use super::{Inner, JoinOptions, LastHandle, Session};
use crate::auth::{AuthMethod, Joined, Joiner};
use crate::limits::TRUSTED_QUEUE_BYTES;
use crate::link::{Incoming, Link, Outgoing, QueueLimits};
use crate::message::Message;
use crate::uri::error;
use crate::value::{Dict, Value};
use crate::violation::Violation;

/// Why a realm could not be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The router says no.
    #[error("the router refuses: {reason}{}", text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// The URI of the reason, such as `wamp.error.no_such_realm`.
        reason: String,
        /// The router's sentence, if it gave one.
        text: Option<String>,
    },
    /// The router does not keep to the protocol.
    #[error("the handshake went wrong: {what}")]
    Protocol {
        /// What was wrong.
        what: String,
    },
    /// The connection ended before WELCOME.
    #[error("the connection ended during the handshake: {what}")]
    Closed {
        /// What is known.
        what: String,
    },
    /// No WELCOME in time.
    #[error("no WELCOME within {} ms", within.as_millis())]
    Timeout {
        /// How long was waited.
        within: Duration,
    },
}

impl From<Violation> for JoinError {
    fn from(violation: Violation) -> Self {
        Self::Protocol { what: violation.0 }
    }
}

/// The features that HELLO announces.
fn roles() -> Dict {
    let role = |features: &[&str]| {
        let features = features
            .iter()
            .map(|name| ((*name).to_owned(), Value::from(true)))
            .collect::<Dict>();
        Value::Map(Dict::from([("features".to_owned(), features.into())]))
    };
    Dict::from([
        (
            "caller".to_owned(),
            role(&[
                "call_canceling",
                "call_timeout",
                "caller_identification",
                "progressive_call_results",
            ]),
        ),
        (
            "callee".to_owned(),
            role(&[
                "call_canceling",
                "call_timeout",
                "caller_identification",
                "progressive_call_results",
                "registration_revocation",
            ]),
        ),
        (
            "publisher".to_owned(),
            role(&["publisher_exclusion", "subscriber_blackwhite_listing"]),
        ),
        ("subscriber".to_owned(), role(&["publisher_identification"])),
    ])
}

pub(super) async fn join(link: Link, options: JoinOptions) -> Result<Session, JoinError> {
    let table = Arc::new(Table::default());
    let reader = link.reader();
    let channel = channel(&link, &options)?;
    let limits = QueueLimits {
        messages: options.queue,
        bytes: TRUSTED_QUEUE_BYTES,
    };
    let unsendable = {
        let table = table.clone();
        Box::new(move |message, why: &_| table.unsendable(message, why))
    };
    let (mut incoming, out) = link.start(limits, unsendable);
    let joined = match timeout(
        options.handshake,
        handshake(&options, channel, &mut incoming, &out),
    )
    .await
    {
        Ok(Ok(joined)) => joined,
        Ok(Err(failed)) => {
            out.close(None);
            return Err(failed);
        }
        Err(_) => {
            out.abandon(None);
            return Err(JoinError::Timeout {
                within: options.handshake,
            });
        }
    };
    // As many as can be taken at once, when the session drains.
    let max_invocations = options
        .max_invocations
        .min(u32::MAX as usize)
        .min(Semaphore::MAX_PERMITS);
    let inner = Arc::new(Inner {
        id: joined.session,
        realm: joined.realm,
        authid: joined.authid,
        role: joined.role,
        welcome: joined.details,
        out: out.clone(),
        table,
        requests: AtomicU64::new(1),
        slots: Arc::new(Semaphore::new(max_invocations)),
        max_invocations,
        busy_error: options.busy_error,
    });
    let reading = read(End(inner.clone()), incoming);
    match reader {
        Some(thread) => thread.spawn(at_home(Handle::current(), reading)),
        None => tokio::spawn(reading),
    };
    Ok(Session {
        inner,
        _last: Arc::new(LastHandle(out)),
    })
}

async fn handshake(
    options: &JoinOptions,
    channel: Option<[u8; 32]>,
    incoming: &mut Incoming,
    out: &Outgoing,
) -> Result<Joined, JoinError> {
    let mut joiner = Joiner::new(
        &options.realm,
        options.authid.as_deref(),
        options.auth.clone(),
        options.authextra.clone(),
        channel,
        rand::random(),
    )?;
    out.send(joiner.hello(roles())).await;
    loop {
        let message = match incoming.next().await {
            Ok(Some(message)) => message,
            Ok(None) => {
                return Err(JoinError::Closed {
                    what: "the router hung up".to_owned(),
                });
            }
            Err(error) => {
                return Err(JoinError::Closed {
                    what: error.to_string(),
                });
            }
        };
        match message {
            Message::Welcome { session, details } => return Ok(joiner.welcome(session, details)?),
            Message::Challenge { method, extra } => {
                let answer;
                (joiner, answer) = challenge(joiner, method, extra).await?;
                out.send(answer).await;
            }
            Message::Abort { details, reason } => {
                let text = details.get("message").and_then(Value::as_str).map(str::to_owned);
                return Err(JoinError::Refused { reason, text });
            }
            other => {
                return Err(JoinError::Protocol {
                    what: format!("{} before WELCOME", other.name()),
                });
            }
        }
    }
}

/// Answers a CHALLENGE, on another thread if that takes long.
async fn challenge(mut joiner: Joiner, method: String, extra: Dict) -> Result<(Joiner, Message), JoinError> {
    if !joiner.is_slow() {
        let answer = joiner.challenge(&method, &extra)?;
        return Ok((joiner, answer));
    }
    let work = tokio::task::spawn_blocking(move || {
        let answer = joiner.challenge(&method, &extra)?;
        Ok::<_, Violation>((joiner, answer))
    });
    let done = work.await.map_err(|error| JoinError::Closed {
        what: format!("the challenge could not be answered: {error}"),
    })?;
    Ok(done?)
}

/// The id of the connection, if the login is to be bound to it.
fn channel(link: &Link, options: &JoinOptions) -> Result<Option<[u8; 32]>, JoinError> {
    if !options.channel_binding {
        return Ok(None);
    }
    if options.auth.method() != AuthMethod::Cryptosign {
        let method = options.auth.method().name();
        let what = format!("channel_binding is for cryptosign, not for {method}");
        return Err(JoinError::Protocol { what });
    }
    link.channel_id().map(Some).ok_or_else(|| JoinError::Protocol {
        what: "channel_binding needs a link over TLS 1.3 (wss or rss), this is none".to_owned(),
    })
}

impl Session {
    /// How the router says that this session has proven itself, in its word.
    #[must_use]
    pub fn authmethod(&self) -> &str {
        let method = self.inner.welcome.get("authmethod");
        method.and_then(Value::as_str).unwrap_or_default()
    }

    /// What the router says of the login beside identity and role: WELCOME's `authextra`.
    #[must_use]
    pub fn authextra(&self) -> Option<&Dict> {
        self.inner.welcome.get("authextra").and_then(Value::as_map)
    }

    /// Whether the router announced a feature of its role `broker` or `dealer`.
    #[must_use]
    pub fn router_has(&self, role: &str, feature: &str) -> bool {
        let roles = self.inner.welcome.get("roles").and_then(Value::as_map);
        roles
            .and_then(|roles| {
                roles
                    .get(role)?
                    .as_map()?
                    .get("features")?
                    .as_map()?
                    .get(feature)?
                    .as_bool()
            })
            .unwrap_or_default()
    }
}

/// Polls what is on a thread of another runtime as if it were in this one: what it starts is started here.
async fn at_home(home: Handle, work: impl Future<Output = ()>) {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _home = home.enter();
        work.as_mut().poll(context)
    })
    .await;
}

/// Reads until the link ends, then fails everything that waits.
async fn read(end: End, mut incoming: Incoming) {
    let inner = &end.0;
    let reading = async {
        loop {
            match incoming.next().await {
                Ok(Some(message)) => {
                    if let Some(reason) = inner.on(message).await {
                        return reason;
                    }
                }
                Ok(None) => return "the router hung up".to_owned(),
                Err(error) => {
                    if let Some(reason) = error.reason() {
                        inner
                            .out
                            .close(Some(Message::farewell(true, reason, &error.to_string())));
                    }
                    return error.to_string();
                }
            }
        }
    };
    let reason = tokio::select! {
        // The last words of the router come before the end of the link.
        biased;
        reason = reading => reason,
        () = inner.out.closed() => "closed on this side".to_owned(),
    };
    inner.table.close(reason);
}

/// Ends the session with its reading task, also if an event's handler panics or the thread ends that is to read: nobody waits
/// for an answer that cannot be read any more.
struct End(Arc<Inner>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.out.close(None);
        self.0.table.close("reading the link failed".to_owned());
    }
}

impl Inner {
    /// Takes one message; returns why the session ends, if it does.
    async fn on(self: &Arc<Self>, message: Message) -> Option<String> {
        match message {
            Message::Result {
                request,
                details,
                payload,
            } => {
                if details.get("progress").and_then(Value::as_bool) == Some(true) {
                    self.table.part(request, payload);
                } else {
                    self.table.result(request, payload);
                }
            }
            Message::Invocation {
                request,
                registration,
                details,
                payload,
            } => {
                self.invoke(request, registration, &details, payload).await;
            }
            Message::Interrupt { request, .. } => self.table.interrupt(request),
            Message::Event {
                subscription,
                publication,
                details,
                payload,
            } => {
                self.table.event(subscription, publication, &details, payload);
            }
            Message::Error {
                request,
                uri,
                payload,
                ..
            } => self.table.error(request, uri, payload),
            Message::Registered {
                request,
                registration,
            } => self.table.registered(request, registration),
            Message::Unregistered { request, details } => self.table.unregistered(request, &details),
            Message::Subscribed {
                request,
                subscription,
            } => self.table.subscribed(request, subscription),
            Message::Published { request, .. } => self.table.published(request),
            Message::Goodbye { reason, .. } => {
                let leaving = self.table.is_leaving();
                let answer = Message::Goodbye {
                    details: Dict::new(),
                    reason: error::GOODBYE_AND_OUT.to_owned(),
                };
                self.out.close((!leaving).then_some(answer));
                return Some(reason);
            }
            Message::Abort { reason, .. } => return Some(reason),
            Message::Unsubscribed { .. } => {}
            other => {
                let text = format!("{} is not for a client", other.name());
                self.out
                    .close(Some(Message::farewell(true, error::PROTOCOL_VIOLATION, &text)));
                return Some(text);
            }
        }
        None
    }
}
