//! What a router is told at its start, and what it counts.

use std::io;
use std::net::SocketAddr;

use super::auth::{AuthMethod, Authenticator};
use super::permissions::Permissions;
use crate::limits::Limits;

/// How to run a router.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// The realm that it starts with; others are added by [`super::Router::add_realm`].
    pub realm: String,
    /// What its roles may do in it.
    pub permissions: Permissions,
    /// What each session is held to.
    pub limits: Limits,
    /// Let sessions without authentication in from other machines too.
    pub allow_anonymous_remote: bool,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            realm: "realm1".to_owned(),
            permissions: Permissions::default(),
            limits: Limits::default(),
            allow_anonymous_remote: false,
        }
    }
}

impl RouterConfig {
    /// What the realm that it starts with is told.
    pub(super) fn realm(&self) -> RealmConfig {
        RealmConfig {
            name: self.realm.clone(),
            permissions: self.permissions.clone(),
        }
    }
}

/// How to run a realm.
#[derive(Clone, Debug)]
pub struct RealmConfig {
    /// Its name, a URI.
    pub name: String,
    /// What its roles may do in it.
    pub permissions: Permissions,
}

impl RealmConfig {
    /// A realm with nothing special about it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            permissions: Permissions::default(),
        }
    }
}

/// Whether a listener on this address may start: anonymous sessions are for this machine only, unless the
/// operator says otherwise.
///
/// # Errors
/// `PermissionDenied`, naming the address and what would be right.
pub fn check_listener(
    addr: SocketAddr,
    authenticator: &dyn Authenticator,
    allow_anonymous_remote: bool,
) -> io::Result<()> {
    let anonymous = authenticator.methods().contains(&AuthMethod::Anonymous);
    if addr.ip().is_loopback() || !anonymous || allow_anonymous_remote {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "a listener on {addr} would let anybody in from other machines: listen on 127.0.0.1, require \
             authentication, or set wamp.allow_anonymous_remote = true"
        ),
    ))
}

/// What a realm has and what it has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// Sessions joined at the moment.
    pub sessions: usize,
    /// Their registrations.
    pub registrations: usize,
    /// Their subscriptions.
    pub subscriptions: usize,
    /// Calls that wait for their answer.
    pub pending_calls: usize,
    /// Calls received.
    pub calls: u64,
    /// Calls that the router timed out.
    pub timeouts: u64,
    /// Publications accepted.
    pub publications: u64,
    /// Events sent to subscribers.
    pub events: u64,
    /// Sessions dropped because they did not read what was sent to them.
    pub dropped_slow: u64,
    /// Calls, publications, registrations and subscriptions refused because there were too many of them.
    pub over_rate: u64,
    /// Sessions ended because they broke the protocol.
    pub violations: u64,
}
