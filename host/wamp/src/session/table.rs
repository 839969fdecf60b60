//! Who waits for what in a session: pending requests, registrations, subscriptions, running invocations.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::invoke::Handler;
use super::progress::Parts;
use super::travel::Reception;
use super::{CallError, CallResult, Event, WampError};
use crate::codec::EncodeError;
use crate::ids::IdMap;
use crate::message::{self, CALL, INVOCATION, Message, Payload};
use crate::uri::error;
use crate::value::{Dict, Value};

pub(super) type EventHandler = Arc<dyn Fn(Event) + Send + Sync>;
type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// A request of ours that the router has not answered.
pub(super) enum Waiting {
    Call {
        reply: Reply<CallResult>,
        /// Takes the parts that come before the result.
        parts: Option<Parts>,
    },
    Register {
        uri: String,
        handler: Handler,
        reception: Option<Reception>,
        reply: Reply<()>,
    },
    Unregister {
        registration: u64,
        reply: Reply<()>,
    },
    Subscribe {
        topic: String,
        handler: EventHandler,
        reply: Reply<()>,
    },
    Publish(Reply<()>),
}

impl Waiting {
    // A receiver that is gone does not want to know.
    fn fail(self, error: CallError) {
        match self {
            Self::Call { reply, .. } => drop(reply.send(Err(error))),
            Self::Register { reply, .. }
            | Self::Unregister { reply, .. }
            | Self::Subscribe { reply, .. }
            | Self::Publish(reply) => drop(reply.send(Err(error))),
        }
    }
}

#[derive(Default)]
pub(super) struct Table {
    state: Mutex<State>,
    closed: CancellationToken,
}

#[derive(Default)]
struct State {
    /// Set once; nothing is accepted after.
    closed: Option<String>,
    leaving: bool,
    waiting: IdMap<u64, Waiting>,
    registrations: IdMap<u64, Registration>,
    subscriptions: IdMap<u64, Subscription>,
    invocations: IdMap<u64, CancellationToken>,
}

#[derive(Clone)]
pub(super) struct Registration {
    pub(super) uri: Arc<str>,
    pub(super) handler: Handler,
    /// Who takes its calls; the runtime, if nobody.
    pub(super) reception: Option<Reception>,
}

struct Subscription {
    topic: Arc<str>,
    handlers: Vec<EventHandler>,
}

impl Table {
    /// Notes a request; false if the session is closed.
    pub(super) fn insert(&self, request: u64, waiting: Waiting) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return false;
        }
        state.waiting.insert(request, waiting);
        true
    }

    /// Stops waiting for a request; false if it was answered already.
    pub(super) fn forget(&self, request: u64) -> bool {
        self.state.lock().waiting.remove(&request).is_some()
    }

    fn take(&self, request: u64) -> Option<Waiting> {
        self.state.lock().waiting.remove(&request)
    }

    pub(super) fn registration(&self, uri: &str) -> Option<u64> {
        let state = self.state.lock();
        state
            .registrations
            .iter()
            .find(|(_, registration)| &*registration.uri == uri)
            .map(|(id, _)| *id)
    }

    pub(super) fn serving(&self, registration: u64) -> Option<Registration> {
        self.state.lock().registrations.get(&registration).cloned()
    }

    pub(super) fn result(&self, request: u64, payload: Payload) {
        if let Some(Waiting::Call { reply, .. }) = self.take(request) {
            let arguments = message::unwrap(payload);
            let _ = reply.send(Ok(CallResult {
                args: arguments.args,
                kwargs: arguments.kwargs,
            }));
        }
    }

    /// A part of a result; one that was not asked for is nothing to anybody.
    pub(super) fn part(&self, request: u64, payload: Payload) {
        let parts = match self.state.lock().waiting.get(&request) {
            Some(Waiting::Call {
                parts: Some(parts), ..
            }) => parts.clone(),
            _ => return,
        };
        let arguments = message::unwrap(payload);
        parts(CallResult {
            args: arguments.args,
            kwargs: arguments.kwargs,
        });
    }

    /// An ERROR for a request of ours, of whatever kind.
    pub(super) fn error(&self, request: u64, uri: String, payload: Payload) {
        if let Some(waiting) = self.take(request) {
            let arguments = message::unwrap(payload);
            waiting.fail(
                WampError {
                    uri,
                    args: arguments.args,
                    kwargs: arguments.kwargs,
                }
                .into(),
            );
        }
    }

    pub(super) fn registered(&self, request: u64, registration: u64) {
        let mut state = self.state.lock();
        if let Some(Waiting::Register {
            uri,
            handler,
            reception,
            reply,
        }) = state.waiting.remove(&request)
        {
            let kept = Registration {
                uri: uri.into(),
                handler,
                reception,
            };
            state.registrations.insert(registration, kept);
            let _ = reply.send(Ok(()));
        }
    }

    /// The answer to an UNREGISTER, or with request 0 the router's own decision.
    pub(super) fn unregistered(&self, request: u64, details: &Dict) {
        let mut state = self.state.lock();
        if request == 0 {
            if let Some(registration) = details.get("registration").and_then(Value::as_u64) {
                state.registrations.remove(&registration);
            }
        } else if let Some(Waiting::Unregister { registration, reply }) = state.waiting.remove(&request) {
            state.registrations.remove(&registration);
            let _ = reply.send(Ok(()));
        }
    }

    pub(super) fn subscribed(&self, request: u64, subscription: u64) {
        let mut state = self.state.lock();
        if let Some(Waiting::Subscribe {
            topic,
            handler,
            reply,
        }) = state.waiting.remove(&request)
        {
            let topic = topic.into();
            state
                .subscriptions
                .entry(subscription)
                .or_insert_with(|| Subscription {
                    topic,
                    handlers: Vec::new(),
                })
                .handlers
                .push(handler);
            let _ = reply.send(Ok(()));
        }
    }

    pub(super) fn published(&self, request: u64) {
        if let Some(Waiting::Publish(reply)) = self.take(request) {
            let _ = reply.send(Ok(()));
        }
    }

    /// Calls the handlers of a subscription, outside of the lock.
    pub(super) fn event(&self, subscription: u64, publication: u64, details: &Dict, payload: Payload) {
        let (topic, handlers) = {
            let state = self.state.lock();
            let Some(subscription) = state.subscriptions.get(&subscription) else {
                return;
            };
            (subscription.topic.clone(), subscription.handlers.clone())
        };
        let topic = details
            .get("topic")
            .and_then(Value::as_str)
            .unwrap_or(&topic)
            .to_owned();
        let arguments = message::unwrap(payload);
        let publisher = details.get("publisher").and_then(Value::as_u64);
        let event = Event {
            topic,
            publication,
            args: arguments.args,
            kwargs: arguments.kwargs,
            publisher,
        };
        if let Some((last, others)) = handlers.split_last() {
            others.iter().for_each(|handler| handler(event.clone()));
            last(event);
        }
    }

    pub(super) fn begin(&self, invocation: u64, cancelled: CancellationToken) {
        self.state.lock().invocations.insert(invocation, cancelled);
    }

    pub(super) fn end(&self, invocation: u64) {
        self.state.lock().invocations.remove(&invocation);
    }

    pub(super) fn interrupt(&self, invocation: u64) {
        if let Some(cancelled) = self.state.lock().invocations.get(&invocation) {
            cancelled.cancel();
        }
    }

    pub(super) fn leaving(&self) {
        self.state.lock().leaving = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.state.lock().leaving
    }

    /// Ends the session: everything that waits fails, everything that runs is told.
    pub(super) fn close(&self, reason: String) {
        let state = {
            let mut state = self.state.lock();
            if state.closed.is_some() {
                return;
            }
            let ended = State {
                closed: Some(reason),
                ..State::default()
            };
            std::mem::replace(&mut *state, ended)
        };
        for waiting in state.waiting.into_values() {
            waiting.fail(CallError::Closed);
        }
        for cancelled in state.invocations.into_values() {
            cancelled.cancel();
        }
        self.closed.cancel();
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn close_reason(&self) -> Option<String> {
        self.state.lock().closed.clone()
    }

    /// What goes out instead of a message that the serializer cannot write.
    pub(super) fn unsendable(&self, message: Message, why: &EncodeError) -> Option<Message> {
        let uri = match why {
            EncodeError::TooLong { .. } => error::PAYLOAD_SIZE_EXCEEDED,
            _ => error::INVALID_PAYLOAD,
        };
        match message {
            Message::Call { request, .. } => {
                self.error(
                    request,
                    uri.to_owned(),
                    message::sentence(format!("the arguments: {why}")),
                );
                None
            }
            Message::Publish { request, .. } => {
                self.error(
                    request,
                    uri.to_owned(),
                    message::sentence(format!("the event: {why}")),
                );
                None
            }
            Message::Yield { request, .. } => Some(Message::error(
                INVOCATION,
                request,
                uri,
                format!("the result: {why}"),
            )),
            Message::Error {
                kind, request, uri, ..
            } if kind != CALL => Some(Message::error(
                kind,
                request,
                &uri,
                format!("the details of the error: {why}"),
            )),
            _ => None,
        }
    }
}
