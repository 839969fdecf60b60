//! One realm of the router: its sessions and what they do with each other, behind one lock.

use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, ReentrantMutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Hub;
use super::audience::Audience;
use super::auth::{Authenticator, Transport};
use super::config::{RealmConfig, RouterStats};
use super::core::{Core, Peer};
use super::observer::{RouterObserver, SessionInfo};
use super::permissions::Permissions;
use super::serve::{Origin, serve, trusted_queue};
use crate::codec::EncodeError;
use crate::limits::Limits;
use crate::link::Link;
use crate::message::Message;
use crate::uri::error;
use crate::violation::Violation;

/// A realm of a router. Clones are the same realm.
#[derive(Clone)]
pub struct Realm {
    hub: Arc<Hub>,
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(super) name: String,
    pub(super) limits: Limits,
    pub(super) authenticator: Arc<dyn Authenticator>,
    core: Mutex<Core>,
    /// Wakes the timer when an earlier deadline appears.
    earlier: Notify,
    timer: OnceLock<()>,
    observer: RwLock<Option<Arc<dyn RouterObserver>>>,
    /// Held while notices are told, so that they are told in order; an observer may call the router.
    telling: ReentrantMutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Realm {
    pub(super) fn new(hub: Arc<Hub>, inner: Arc<Inner>) -> Self {
        Self { hub, inner }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Has an observer told of sessions and registrations from now on. There is one; a new one replaces it.
    pub fn observe(&self, observer: Arc<dyn RouterObserver>) {
        *self.inner.observer.write() = Some(observer);
    }

    /// An in-process link. The session that joins over it has the role [`super::ROLE_MARKETMAKER`]. To be called within
    /// a tokio runtime. The router's end is served on its threads for connections, and there the session reads, which answers
    /// its calls on the runtime that it joins on; where the router has no threads, on that runtime.
    #[must_use]
    pub fn local_link(&self) -> Link {
        let (ours, theirs) = Link::pair(trusted_queue());
        let origin = Origin {
            transport: Transport::InProcess,
            peer: None,
            channel: None,
        };
        let own = Some(self.inner.clone());
        let serving = serve(self.hub.clone(), own, ours, origin, None);
        let thread = match &*self.hub.loops.lock() {
            Some(loops) => loops.serve(&self.hub.tasks, serving),
            None => {
                self.hub.tasks.spawn(serving);
                None
            }
        };
        match thread {
            Some(thread) => theirs.read_at(thread),
            None => theirs,
        }
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

    /// From now on roles may do what `permissions` say, and where `gone` is given, those may log in of whom the authenticator
    /// says so. It must say so before this is called: then nobody comes in by what it said before. With a GOODBYE of this text
    /// it ends the sessions that `gone`, those that have a registration or subscription which `permissions` refuse, and those
    /// of strangers that hold a provider id which is of a login by now. Whoever is logging in meanwhile must try again.
    /// Returns how many sessions ended.
    pub fn revise(
        &self,
        permissions: Permissions,
        gone: Option<impl Fn(&SessionInfo) -> bool>,
        text: &str,
    ) -> usize {
        let farewell = Message::farewell(true, error::KILLED, text);
        self.inner.core.lock().revise(permissions, gone, &farewell)
    }

    /// What the realm has and has done.
    #[must_use]
    pub fn stats(&self) -> RouterStats {
        self.inner.core.lock().stats()
    }

    /// How much the realm remembers of sessions, calls, registrations and subscriptions; nothing, when all are gone and
    /// no authid has used up an allowance of late.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.inner.core.lock().remembered()
    }

    /// Says goodbye to everybody in the realm, and takes it off its router, which goes on with its other realms.
    pub fn close(&self) {
        {
            let realms = &mut self.hub.realms.write().by_name;
            // Another realm may have taken the name since it was closed before.
            if realms
                .get(self.name())
                .is_some_and(|realm| Arc::ptr_eq(realm, &self.inner))
            {
                realms.remove(self.name());
            }
        }
        self.inner.close(error::CLOSE_REALM, "the realm closes");
    }
}

impl std::fmt::Debug for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realm")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn new(hub: &Hub, config: RealmConfig, authenticator: Arc<dyn Authenticator>) -> Self {
        let limits = hub.config.limits.clone();
        Self {
            core: Mutex::new(Core::new(
                config.name.clone(),
                config.permissions,
                limits.clone(),
                authenticator.clone(),
            )),
            name: config.name,
            limits,
            authenticator,
            earlier: Notify::new(),
            timer: OnceLock::new(),
            observer: RwLock::new(None),
            telling: ReentrantMutex::new(()),
            tasks: hub.tasks.clone(),
            stop: hub.stop.child_token(),
        }
    }

    /// Lets nobody in any more, and says goodbye to those who are.
    pub(super) fn close(&self, reason: &str, text: &str) {
        self.stop.cancel();
        let everybody: Vec<_> = {
            let mut core = self.core.lock();
            core.closed = true;
            core.peers.values().map(|peer| peer.out.clone()).collect()
        };
        for out in everybody {
            out.close(Some(Message::farewell(true, reason, text)));
        }
    }

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

    pub(super) fn on(&self, session: u64, message: Message) -> Result<(), Violation> {
        let Message::Publish {
            request,
            options,
            topic,
            payload,
        } = message
        else {
            return self.with_core(|core| core.on(session, message));
        };
        // Its lists may be long: they are read before anybody has to wait for the lock, and dropped after.
        let audience = Audience::of(&options);
        self.with_core(|core| core.publish(session, request, &options, &audience, &topic, &payload))
    }

    /// How often it has changed who may log in, or do what.
    pub(super) fn revision(&self) -> u64 {
        self.core.lock().revision
    }

    pub(super) fn join(self: &Arc<Self>, peer: Peer, welcome: Message, revision: u64) -> bool {
        self.start_timer();
        self.with_core(|core| core.join(peer, welcome, revision))
    }

    /// Holds sessions to the rates of `limits`.
    pub(super) fn hold_to(&self, limits: &Limits) {
        self.core.lock().rates.change(limits);
    }

    pub(super) fn leave(&self, session: u64) {
        self.with_core(|core| core.leave(session));
    }

    pub(super) fn unsendable(&self, session: u64, message: Message, why: &EncodeError) -> Option<Message> {
        self.with_core(|core| core.unsendable(session, message, why))
    }

    pub(super) fn count_violation(&self) {
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
            let realm = self.clone();
            self.tasks.spawn(async move {
                loop {
                    let deadline = realm.core.lock().first_deadline();
                    let sleep = async {
                        match deadline {
                            Some(deadline) => tokio::time::sleep_until(deadline).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = realm.stop.cancelled() => return,
                        () = realm.earlier.notified() => {}
                        () = sleep => realm.with_core(|core| core.time_out_until(Instant::now())),
                    }
                }
            });
        }
    }
}
