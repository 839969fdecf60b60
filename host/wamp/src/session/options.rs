//! What a session, a call, a registration and a publication can be asked to do.

use std::time::Duration;

use crate::auth::Auth;
use crate::limits::{HANDSHAKE_TIMEOUT, OUTGOING_QUEUE};
use crate::uri::error;
use crate::value::{Dict, Value};

/// Invocations that a session works on at a time, unless told otherwise.
const MAX_INVOCATIONS: usize = 1_024;

/// How to join.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// The realm.
    pub realm: String,
    /// The identity to claim; an anonymous session is given one.
    pub authid: Option<String>,
    /// The proof.
    pub auth: Auth,
    /// Bind a cryptosign login to the TLS connection, so that nobody in the middle can use it. Routers of ours know
    /// it; joining over a link without TLS 1.3 fails.
    pub channel_binding: bool,
    /// What HELLO's `authextra` says, beside what the method needs.
    pub authextra: Dict,
    /// Invocations worked on at a time; more are answered with `busy_error`.
    pub max_invocations: usize,
    /// URI of the error for invocations above the limit.
    pub busy_error: String,
    /// Messages queued towards the router before senders wait.
    pub queue: usize,
    /// From HELLO to WELCOME.
    pub handshake: Duration,
}

impl Default for JoinOptions {
    fn default() -> Self {
        Self {
            realm: "realm1".to_owned(),
            authid: None,
            auth: Auth::Anonymous,
            channel_binding: false,
            authextra: Dict::new(),
            max_invocations: MAX_INVOCATIONS,
            busy_error: error::OVERLOADED.to_owned(),
            queue: OUTGOING_QUEUE,
            handshake: HANDSHAKE_TIMEOUT,
        }
    }
}

/// The option of a CALL that names the one session it is meant for.
pub(crate) const CALLEE: &str = "x_callee";

/// How to call.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// How long to wait; the router is told too, and then so is the callee.
    pub timeout: Option<Duration>,
    /// Reach this session or nobody: if another serves the procedure, the call fails as if none did. For the market
    /// maker on its own router; others are not heard, and other routers do not know it.
    pub callee: Option<u64>,
}

impl CallOptions {
    pub(super) fn wire(self) -> Dict {
        let mut options = Dict::new();
        if let Some(timeout) = self.timeout {
            let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
            options.insert("timeout".to_owned(), milliseconds.into());
        }
        if let Some(callee) = self.callee {
            options.insert(CALLEE.to_owned(), callee.into());
        }
        options
    }
}

/// How to register.
#[derive(Clone, Debug, Default)]
pub struct RegisterOptions {
    /// `exact` (the default), `prefix` or `wildcard`.
    pub matching: Option<String>,
    /// `single` (the default), `first`, `last`, `roundrobin` or `random`.
    pub invoke: Option<String>,
}

impl RegisterOptions {
    pub(super) fn wire(self) -> Dict {
        let mut options = Dict::new();
        if let Some(matching) = self.matching {
            options.insert("match".to_owned(), matching.into());
        }
        if let Some(invoke) = self.invoke {
            options.insert("invoke".to_owned(), invoke.into());
        }
        options
    }
}

/// Who receives a publication. Restrictions add up.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    /// Wait until the router has taken it, and hear of a refusal.
    pub acknowledge: bool,
    /// Whether the publisher gets it too, if it subscribes. It does not, by default.
    pub include_me: bool,
    /// Only these sessions.
    pub eligible: Option<Vec<u64>>,
    /// Not these sessions.
    pub exclude: Vec<u64>,
    /// Only sessions of these identities.
    pub eligible_authid: Option<Vec<String>>,
    /// Not sessions of these identities.
    pub exclude_authid: Vec<String>,
    /// Only sessions of these roles.
    pub eligible_authrole: Option<Vec<String>>,
    /// Not sessions of these roles.
    pub exclude_authrole: Vec<String>,
    /// Tell the receivers who publishes.
    pub disclose_me: bool,
}

impl PublishOptions {
    pub(super) fn wire(&self) -> Dict {
        fn list<T: Clone + Into<Value>>(values: &[T]) -> Value {
            Value::List(values.iter().cloned().map(Into::into).collect())
        }
        let mut options = Dict::new();
        let mut set = |name: &str, value: Value| options.insert(name.to_owned(), value);
        if self.acknowledge {
            set("acknowledge", true.into());
        }
        if self.include_me {
            set("exclude_me", false.into());
        }
        if self.disclose_me {
            set("disclose_me", true.into());
        }
        if let Some(sessions) = &self.eligible {
            set("eligible", list(sessions));
        }
        if let Some(authids) = &self.eligible_authid {
            set("eligible_authid", list(authids));
        }
        if let Some(roles) = &self.eligible_authrole {
            set("eligible_authrole", list(roles));
        }
        if !self.exclude.is_empty() {
            set("exclude", list(&self.exclude));
        }
        if !self.exclude_authid.is_empty() {
            set("exclude_authid", list(&self.exclude_authid));
        }
        if !self.exclude_authrole.is_empty() {
            set("exclude_authrole", list(&self.exclude_authrole));
        }
        options
    }
}
