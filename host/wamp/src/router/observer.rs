//! Telling the application who comes and goes.

use std::net::SocketAddr;
use std::sync::Arc;

use super::auth::{AuthMethod, Transport};

/// A session of the realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: u64,
    /// Its proven identity, or the one it was given.
    pub authid: String,
    /// Its role.
    pub role: String,
    /// How it proved its identity.
    pub method: AuthMethod,
    /// Over what it is connected.
    pub transport: Transport,
    /// From where.
    pub peer: Option<SocketAddr>,
}

/// Told of what happens in the realm, in the order in which it happens, and before the session concerned has
/// its next message handled. The calls are synchronous: an observer must not block. It may call the router.
pub trait RouterObserver: Send + Sync {
    /// A session has joined.
    fn joined(&self, session: &SessionInfo) {
        let _ = session;
    }

    /// A session has left; its registrations were reported as gone before.
    fn left(&self, session: u64) {
        let _ = session;
    }

    /// A session serves a procedure or pattern from now on.
    fn registered(&self, session: u64, uri: &str) {
        let _ = (session, uri);
    }

    /// A session does not serve it any more.
    fn unregistered(&self, session: u64, uri: &str) {
        let _ = (session, uri);
    }
}

/// What is to be told.
pub(super) enum Notice {
    Joined(Arc<SessionInfo>),
    Left(u64),
    Registered(u64, Arc<str>),
    Unregistered(u64, Arc<str>),
}

impl Notice {
    pub(super) fn tell(&self, observer: &dyn RouterObserver) {
        match self {
            Self::Joined(session) => observer.joined(session),
            Self::Left(session) => observer.left(*session),
            Self::Registered(session, uri) => observer.registered(*session, uri),
            Self::Unregistered(session, uri) => observer.unregistered(*session, uri),
        }
    }
}
