//! WAMP messages as plain structures, and their shape on the wire. The payload of a message (arguments and
//! keyword arguments) is shared, never copied, on its way from one session to others.

mod wire;

use std::sync::Arc;

use crate::value::{Dict, Value};

/// The largest id of a session, request, registration, subscription or publication: 2^53, what a double holds.
pub(crate) const MAX_ID: u64 = 1 << 53;

pub(crate) const HELLO: u64 = 1;
pub(crate) const WELCOME: u64 = 2;
pub(crate) const ABORT: u64 = 3;
pub(crate) const CHALLENGE: u64 = 4;
pub(crate) const AUTHENTICATE: u64 = 5;
pub(crate) const GOODBYE: u64 = 6;
pub(crate) const ERROR: u64 = 8;
pub(crate) const PUBLISH: u64 = 16;
pub(crate) const PUBLISHED: u64 = 17;
pub(crate) const SUBSCRIBE: u64 = 32;
pub(crate) const SUBSCRIBED: u64 = 33;
pub(crate) const UNSUBSCRIBE: u64 = 34;
pub(crate) const UNSUBSCRIBED: u64 = 35;
pub(crate) const EVENT: u64 = 36;
pub(crate) const CALL: u64 = 48;
pub(crate) const CANCEL: u64 = 49;
pub(crate) const RESULT: u64 = 50;
pub(crate) const REGISTER: u64 = 64;
pub(crate) const REGISTERED: u64 = 65;
pub(crate) const UNREGISTER: u64 = 66;
pub(crate) const UNREGISTERED: u64 = 67;
pub(crate) const INVOCATION: u64 = 68;
pub(crate) const INTERRUPT: u64 = 69;
pub(crate) const YIELD: u64 = 70;

/// Arguments and keyword arguments; `None` when there are neither.
pub(crate) type Payload = Option<Arc<Arguments>>;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) args: Vec<Value>,
    pub(crate) kwargs: Dict,
    /// Bytes of the frame that they came in; 0 if they were made here. Queues are bounded by it.
    pub(crate) weight: Weight,
}

/// Bytes, for accounting only: it makes no two payloads different.
#[derive(Clone, Copy, Default)]
pub(crate) struct Weight(pub(crate) usize);

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

impl PartialEq for Weight {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Wraps arguments for a message.
pub(crate) fn payload(args: Vec<Value>, kwargs: Dict) -> Payload {
    if args.is_empty() && kwargs.is_empty() {
        None
    } else {
        Some(Arc::new(Arguments {
            args,
            kwargs,
            weight: Weight(0),
        }))
    }
}

/// Unwraps the arguments of a message; copies them only if another receiver holds them too.
pub(crate) fn unwrap(payload: Payload) -> Arguments {
    payload.map(Arc::unwrap_or_clone).unwrap_or_default()
}

/// One explaining sentence as a payload.
pub(crate) fn sentence(text: impl Into<String>) -> Payload {
    payload(vec![Value::Str(text.into())], Dict::new())
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    Hello {
        realm: String,
        details: Dict,
    },
    Welcome {
        session: u64,
        details: Dict,
    },
    Abort {
        details: Dict,
        reason: String,
    },
    Challenge {
        method: String,
        extra: Dict,
    },
    Authenticate {
        signature: String,
        extra: Dict,
    },
    Goodbye {
        details: Dict,
        reason: String,
    },
    Error {
        kind: u64,
        request: u64,
        details: Dict,
        uri: String,
        payload: Payload,
    },
    Publish {
        request: u64,
        options: Dict,
        topic: String,
        payload: Payload,
    },
    Published {
        request: u64,
        publication: u64,
    },
    Subscribe {
        request: u64,
        options: Dict,
        topic: String,
    },
    Subscribed {
        request: u64,
        subscription: u64,
    },
    Unsubscribe {
        request: u64,
        subscription: u64,
    },
    Unsubscribed {
        request: u64,
    },
    Event {
        subscription: u64,
        publication: u64,
        details: Dict,
        payload: Payload,
    },
    Call {
        request: u64,
        options: Dict,
        procedure: String,
        payload: Payload,
    },
    Cancel {
        request: u64,
        options: Dict,
    },
    Result {
        request: u64,
        details: Dict,
        payload: Payload,
    },
    Register {
        request: u64,
        options: Dict,
        procedure: String,
    },
    Registered {
        request: u64,
        registration: u64,
    },
    Unregister {
        request: u64,
        registration: u64,
    },
    /// `request` is 0 and `details` names the registration when the router revokes it.
    Unregistered {
        request: u64,
        details: Dict,
    },
    Invocation {
        request: u64,
        registration: u64,
        details: Dict,
        payload: Payload,
    },
    Interrupt {
        request: u64,
        options: Dict,
    },
    Yield {
        request: u64,
        options: Dict,
        payload: Payload,
    },
}

impl Message {
    /// An ERROR with one explaining sentence.
    pub(crate) fn error(kind: u64, request: u64, uri: &str, text: impl Into<String>) -> Self {
        Self::Error {
            kind,
            request,
            details: Dict::new(),
            uri: uri.to_owned(),
            payload: sentence(text),
        }
    }

    /// A GOODBYE or, before WELCOME, an ABORT that says why.
    pub(crate) fn farewell(welcomed: bool, reason: &str, text: &str) -> Self {
        let details = Dict::from([("message".to_owned(), Value::from(text))]);
        let reason = reason.to_owned();
        if welcomed {
            Self::Goodbye { details, reason }
        } else {
            Self::Abort { details, reason }
        }
    }

    /// The name of the message's type.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "HELLO",
            Self::Welcome { .. } => "WELCOME",
            Self::Abort { .. } => "ABORT",
            Self::Challenge { .. } => "CHALLENGE",
            Self::Authenticate { .. } => "AUTHENTICATE",
            Self::Goodbye { .. } => "GOODBYE",
            Self::Error { .. } => "ERROR",
            Self::Publish { .. } => "PUBLISH",
            Self::Published { .. } => "PUBLISHED",
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Subscribed { .. } => "SUBSCRIBED",
            Self::Unsubscribe { .. } => "UNSUBSCRIBE",
            Self::Unsubscribed { .. } => "UNSUBSCRIBED",
            Self::Event { .. } => "EVENT",
            Self::Call { .. } => "CALL",
            Self::Cancel { .. } => "CANCEL",
            Self::Result { .. } => "RESULT",
            Self::Register { .. } => "REGISTER",
            Self::Registered { .. } => "REGISTERED",
            Self::Unregister { .. } => "UNREGISTER",
            Self::Unregistered { .. } => "UNREGISTERED",
            Self::Invocation { .. } => "INVOCATION",
            Self::Interrupt { .. } => "INTERRUPT",
            Self::Yield { .. } => "YIELD",
        }
    }

    /// What the message counts in a queue that is bounded by bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Error {
                payload: Some(arguments),
                ..
            }
            | Self::Publish {
                payload: Some(arguments),
                ..
            }
            | Self::Event {
                payload: Some(arguments),
                ..
            }
            | Self::Call {
                payload: Some(arguments),
                ..
            }
            | Self::Result {
                payload: Some(arguments),
                ..
            }
            | Self::Invocation {
                payload: Some(arguments),
                ..
            }
            | Self::Yield {
                payload: Some(arguments),
                ..
            } => arguments.weight.0,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod vectors;
