//! The embedded router: one realm, with its sessions, registrations, subscriptions and calls.
//!
//! wampproto keeps the routing state (through `proto`); this folder puts limits, authorisation, time and sockets
//! around it. One lock guards the state and is never held across an `await`; frames are decoded before it and
//! encoded after it. What a procedure or topic means is nobody's business here.

mod auth;
mod config;
mod core;
mod gate;
mod listen;
mod observer;
mod pubsub;
mod registry;
mod rpc;
mod serve;
mod shards;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::{Mutex, ReentrantMutex, RwLock};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use auth::{
    AuthDecision, AuthMethod, AuthRequest, Authenticator, ROLE_ANONYMOUS, ROLE_MARKETMAKER, Tickets,
    Transport, anonymous_authid,
};
pub use config::{RouterConfig, RouterStats, check_listener};
pub use observer::{RouterObserver, SessionInfo};

use self::core::{Core, Peer};
use crate::codec::EncodeError;
use crate::limits::CLOSE_GRACE;
use crate::link::Link;
use crate::message::Message;
use crate::proto::Violation;
use crate::uri::error;
use serve::{Origin, serve, trusted_queue};

/// An embedded router. Clones are the same router.
#[derive(Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: RouterConfig,
    authenticator: Arc<dyn Authenticator>,
    core: Mutex<Core>,
    /// Wakes the timer when an earlier deadline appears.
    earlier: Notify,
    timer: OnceLock<()>,
    observer: RwLock<Option<Arc<dyn RouterObserver>>>,
    /// Held while notices are told, so that they are told in order; an observer may call the router.
    telling: ReentrantMutex<()>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Router {
    /// A router without listeners.
    #[must_use]
    pub fn new(config: RouterConfig, authenticator: Arc<dyn Authenticator>) -> Self {
        let core = Core::new(config.realm.clone(), config.limits.clone());
        let places = Arc::new(Semaphore::new(config.limits.sessions.min(Semaphore::MAX_PERMITS)));
        let inner = Inner {
            config,
            authenticator,
            core: Mutex::new(core),
            earlier: Notify::new(),
            timer: OnceLock::new(),
            observer: RwLock::new(None),
            telling: ReentrantMutex::new(()),
            places,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Has an observer told of sessions and registrations from now on. There is one; a new one replaces it.
    pub fn observe(&self, observer: Arc<dyn RouterObserver>) {
        *self.inner.observer.write() = Some(observer);
    }

    /// An in-process link. The session that joins over it has the role [`ROLE_MARKETMAKER`]. To be called within
    /// a tokio runtime.
    #[must_use]
    pub fn local_link(&self) -> Link {
        let (ours, theirs) = Link::pair(trusted_queue());
        self.inner.start_timer();
        let origin = Origin {
            transport: Transport::InProcess,
            peer: None,
        };
        self.inner.tasks.spawn(serve(self.inner.clone(), ours, origin));
        theirs
    }

    /// The session that serves an exact URI.
    #[must_use]
    pub fn callee(&self, uri: &str) -> Option<u64> {
        self.inner.core.lock().callee(uri)
    }

    /// What is known of a session.
    #[must_use]
    pub fn session(&self, id: u64) -> Option<Arc<SessionInfo>> {
        self.inner
            .core
            .lock()
            .peers
            .get(&id)
            .map(|peer| peer.info.clone())
    }

    /// Takes a registration away from a session that does not deserve it. Its calls in flight may still be
    /// answered. The session also loses its hold on a provider id under which it has nothing else.
    pub fn drop_registration(&self, uri: &str, session: u64) {
        let revoked = self.inner.core.lock().revoke(session, uri);
        if let Err(violation) = revoked {
            tracing::error!(session, uri, %violation, "a registration could not be dropped");
        }
        self.inner.tell();
    }

    /// Ends a session with a GOODBYE of this reason (a URI) and text. False if there is none.
    pub fn close_session(&self, session: u64, reason: &str, text: &str) -> bool {
        let core = self.inner.core.lock();
        let Some(peer) = core.peers.get(&session) else {
            return false;
        };
        peer.out.close(Some(Message::farewell(true, reason, text)));
        true
    }

    /// What the router has and has done.
    #[must_use]
    pub fn stats(&self) -> RouterStats {
        self.inner.core.lock().stats()
    }

    /// Stops listening, says goodbye to everybody, and waits a little for the connections to end.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        let everybody: Vec<_> = {
            let core = self.inner.core.lock();
            core.peers.values().map(|peer| peer.out.clone()).collect()
        };
        for out in everybody {
            out.close(Some(Message::farewell(
                true,
                error::SYSTEM_SHUTDOWN,
                "the router stops",
            )));
        }
        // The writers have CLOSE_GRACE for their last words, the readers as long again to hear the peers out.
        let _ = tokio::time::timeout(CLOSE_GRACE * 3, self.inner.tasks.wait()).await;
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("realm", &self.inner.config.realm)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Works on the core under its lock, then tells what came of it.
    fn with_core<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        let (result, earlier, notices) = {
            let mut core = self.core.lock();
            let before = core.first_deadline();
            let result = work(&mut core);
            let after = core.first_deadline();
            let earlier = after.is_some_and(|after| before.is_none_or(|before| after < before));
            (result, earlier, !core.notices.is_empty())
        };
        if earlier {
            self.earlier.notify_one();
        }
        if notices {
            self.tell();
        }
        result
    }

    fn on(&self, session: u64, message: Message) -> Result<(), Violation> {
        self.with_core(|core| core.on(session, message))
    }

    fn join(&self, peer: Peer, welcome: Message) -> bool {
        self.with_core(|core| core.join(peer, welcome))
    }

    fn leave(&self, session: u64) {
        self.with_core(|core| core.leave(session));
    }

    fn unsendable(&self, session: u64, message: Message, why: &EncodeError) -> Option<Message> {
        self.with_core(|core| core.unsendable(session, message, why))
    }

    fn count_violation(&self) {
        self.core.lock().stats.violations += 1;
    }

    /// Tells the observer all that is to be told. When this returns, what this thread did has been told, by this
    /// thread or by another.
    fn tell(&self) {
        let _telling = self.telling.lock();
        let observer = self.observer.read().clone();
        loop {
            let Some(notice) = self.core.lock().notices.pop_front() else {
                return;
            };
            if let Some(observer) = &observer {
                notice.tell(observer.as_ref());
            }
        }
    }

    /// Starts the task that times calls out, once.
    fn start_timer(self: &Arc<Self>) {
        if self.timer.set(()).is_ok() {
            let router = self.clone();
            self.tasks.spawn(async move {
                loop {
                    let deadline = router.core.lock().first_deadline();
                    let sleep = async {
                        match deadline {
                            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = router.stop.cancelled() => return,
                        () = router.earlier.notified() => {}
                        () = sleep => router.with_core(|core| core.time_out_until(Instant::now())),
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
