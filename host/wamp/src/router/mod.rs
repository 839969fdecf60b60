//! The embedded router: listeners, and the realms that clients reach through them.
//!
//! Each realm has its own sessions, registrations, subscriptions and calls, and its own [`Authenticator`]; the
//! listeners and their limits are shared, and HELLO picks. One lock per realm guards its state and is never held across an
//! `await`; frames are decoded before it and encoded after it. What a procedure or topic means is nobody's business here.

mod admission;
mod audience;
mod auth;
mod callees;
mod config;
mod core;
mod directory;
mod gate;
mod index;
mod instant;
mod listen;
mod login;
mod loops;
mod meta;
mod observer;
mod options;
mod pattern;
mod permissions;
mod pubsub;
mod rates;
mod realm;
mod registry;
mod rpc;
mod serve;
mod unix;
mod users;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use admission::ConnectionStats;
pub use auth::{
    AuthDecision, AuthRequest, Authenticator, Confirming, Deciding, Grant, ROLE_ANONYMOUS, ROLE_MARKETMAKER,
    Transport, anonymous_authid,
};
pub use config::{RealmConfig, RouterConfig, RouterStats, check_listener};
pub use gate::ROLE_OPERATOR;
pub use loops::socket_threads;
pub use observer::{RouterObserver, SessionInfo};
pub use permissions::{Permissions, Rule, RuleError};
pub use realm::Realm;
pub use unix::SocketMode;
pub use users::Users;

use admission::Admission;
use loops::Loops;

use crate::limits::{CLOSE_GRACE, Limits};
use crate::uri::{self, Match, error};
use realm::Inner;

/// What connections have for their end: the writers have one grace for their last words, the readers as long again to hear
/// the peers out, and one is to spare.
const ENDING: Duration = CLOSE_GRACE.saturating_mul(3);

/// An embedded router. Clones are the same router. It can be used as the realm that it was made with.
#[derive(Clone)]
pub struct Router {
    hub: Arc<Hub>,
    first: Realm,
}

/// What the realms of a router share.
pub(crate) struct Hub {
    config: RouterConfig,
    realms: RwLock<Realms>,
    admission: Arc<Admission>,
    /// Once there are any.
    loops: Mutex<Option<Arc<Loops>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The realms, and where clients reach them: kept together, so that no realm meets a listener that it must not have.
#[derive(Default)]
struct Realms {
    by_name: HashMap<String, Arc<Inner>>,
    listening: Vec<SocketAddr>,
}

impl Router {
    /// A router with one realm and without listeners.
    #[must_use]
    pub fn new(config: RouterConfig, authenticator: Arc<dyn Authenticator>) -> Self {
        let hub = Arc::new(Hub {
            admission: Arc::new(Admission::new(&config.limits)),
            config,
            realms: RwLock::default(),
            loops: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let inner = Arc::new(Inner::new(&hub, hub.config.realm(), authenticator));
        hub.realms
            .write()
            .by_name
            .insert(inner.name.clone(), inner.clone());
        let first = Realm::new(hub.clone(), inner);
        Self { hub, first }
    }

    /// Starts the threads for connections, which the first listener would start otherwise: links in this process that are made
    /// from then on are served there too.
    ///
    /// # Errors
    /// If the operating system gives none.
    pub fn start_threads(&self) -> io::Result<()> {
        self.hub.loops().map(drop)
    }

    /// Adds a realm, which clients reach through the same listeners.
    ///
    /// # Errors
    /// `InvalidInput` if the name is no URI, `AlreadyExists` if there is such a realm, and as [`check_listener`] for
    /// each address that is listened on.
    pub fn add_realm(&self, config: RealmConfig, authenticator: Arc<dyn Authenticator>) -> io::Result<Realm> {
        if let Some(text) = uri::malformed(&config.name, Match::Exact) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut realms = self.hub.realms.write();
        if realms.by_name.contains_key(&config.name) {
            let text = format!(
                "there is a realm {} already: give each a name of its own",
                config.name
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        for addr in &realms.listening {
            let remote = self.hub.config.allow_anonymous_remote;
            check_listener(*addr, authenticator.as_ref(), remote)?;
        }
        let inner = Arc::new(Inner::new(&self.hub, config, authenticator));
        realms.by_name.insert(inner.name.clone(), inner.clone());
        Ok(Realm::new(self.hub.clone(), inner))
    }

    /// The realm of this name.
    #[must_use]
    pub fn realm(&self, name: &str) -> Option<Realm> {
        let inner = self.hub.realm(name)?;
        Some(Realm::new(self.hub.clone(), inner))
    }

    /// Holds clients to the rates of `limits`, and their addresses to its connections, from now on and in all realms that there
    /// are. The rest of it counts from the start alone.
    pub fn hold_to(&self, limits: &Limits) {
        self.hub.admission.change(limits);
        let realms: Vec<_> = self.hub.realms.read().by_name.values().cloned().collect();
        for realm in realms {
            realm.hold_to(limits);
        }
    }

    /// The connections from all listeners.
    #[must_use]
    pub fn connections(&self) -> ConnectionStats {
        self.hub.admission.stats()
    }

    /// Stops listening, says goodbye to everybody, and waits a little for the connections to end.
    pub async fn shutdown(&self) {
        self.hub.stop.cancel();
        self.hub.tasks.close();
        let realms: Vec<_> = self.hub.realms.read().by_name.values().cloned().collect();
        for realm in realms {
            realm.close(error::SYSTEM_SHUTDOWN, "the router stops");
        }
        drop(self.hub.loops.lock().take());
        let _ = tokio::time::timeout(ENDING, self.hub.tasks.wait()).await;
    }
}

impl Deref for Router {
    type Target = Realm;

    fn deref(&self) -> &Realm {
        &self.first
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("realms", &self.hub.names())
            .finish_non_exhaustive()
    }
}

impl Hub {
    fn realm(&self, name: &str) -> Option<Arc<Inner>> {
        self.realms.read().by_name.get(name).cloned()
    }

    /// The names of all realms, in order.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.realms.read().by_name.keys().cloned().collect();
        names.sort();
        names
    }

    /// Its only realm, if there is one alone.
    fn only_realm(&self) -> Option<String> {
        let mut names = self.names();
        (names.len() == 1).then(|| names.pop()).flatten()
    }

    /// The threads for its connections, started when they are first asked for.
    fn loops(&self) -> io::Result<Arc<Loops>> {
        let mut known = self.loops.lock();
        if let Some(loops) = &*known {
            return Ok(Arc::clone(loops));
        }
        let loops = Arc::new(Loops::start(&self.tasks, ENDING)?);
        *known = Some(Arc::clone(&loops));
        Ok(loops)
    }

    /// Notes a listener to be, if every realm may be reached there.
    fn listens(&self, addr: SocketAddr) -> io::Result<()> {
        let mut realms = self.realms.write();
        for realm in realms.by_name.values() {
            let authenticator = realm.authenticator.as_ref();
            check_listener(addr, authenticator, self.config.allow_anonymous_remote)?;
        }
        realms.listening.push(addr);
        Ok(())
    }

    /// Forgets a listener that did not come about.
    fn listens_not(&self, addr: SocketAddr) {
        let listening = &mut self.realms.write().listening;
        if let Some(position) = listening.iter().position(|known| *known == addr) {
            listening.swap_remove(position);
        }
    }
}

#[cfg(test)]
mod tests;
