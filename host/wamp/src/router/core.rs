//! What the router knows, behind one lock that is held briefly: sessions, and the routing of calls and events.
//!
//! Messages are put into the receivers' queues under the lock, so that nobody gets an INVOCATION before the
//! REGISTERED that it follows from; queueing never waits, and encoding happens later, in the writers.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::auth::{AuthMethod, Authenticator};
use super::config::RouterStats;
use super::directory::Entry;
use super::gate::{self, Denied, Holders, Ids};
use super::observer::{Notice, SessionInfo};
use super::permissions::{Action, Permissions};
use super::pubsub::PubSub;
use super::rates::{Rates, Spent, Use};
use super::rpc::Rpc;
use crate::ids::{IdMap, IdSet};
use crate::limits::Limits;
use crate::link::Outgoing;
use crate::message::{INVOCATION, Message};
use crate::uri::{Match, error};
use crate::violation::Violation;

pub(super) struct Core {
    pub(super) realm: String,
    /// Nobody joins any more.
    pub(super) closed: bool,
    /// How often it has changed who may log in, or do what.
    pub(super) revision: u64,
    pub(super) permissions: Permissions,
    pub(super) limits: Limits,
    /// Knows which names are of logins alone.
    authenticator: Arc<dyn Authenticator>,
    pub(super) rates: Rates,
    pub(super) peers: IdMap<u64, Peer>,
    pub(super) rpc: Rpc,
    pub(super) pubsub: PubSub,
    pub(super) holders: Holders,
    pub(super) notices: VecDeque<Notice>,
    pub(super) stats: RouterStats,
}

/// A session as the router sees it.
pub(super) struct Peer {
    pub(super) info: Arc<SessionInfo>,
    pub(super) out: Outgoing,
    pub(super) features: Features,
    pub(super) bounds: Bounds,
    /// Invocations of calls that it made.
    pub(super) calling: IdSet,
    /// Invocations that it is to answer.
    pub(super) serving: IdSet,
    pub(super) registrations: IdMap<u64, Registration>,
    pub(super) subscriptions: IdSet,
    /// How much it has called and published of late.
    pub(super) spent: Spent,
    /// Provider ids that it holds.
    pub(super) providers: Vec<String>,
}

/// What a client said in HELLO that it can do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    pub(super) call_canceling: bool,
    pub(super) registration_revocation: bool,
}

/// What one session may have at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) calls: usize,
    pub(super) registrations: usize,
    pub(super) subscriptions: usize,
}

pub(super) struct Registration {
    pub(super) uri: Arc<str>,
    /// The provider id that the URI belongs to.
    pub(super) provider: Option<String>,
}

impl Core {
    pub(super) fn new(
        realm: String,
        permissions: Permissions,
        limits: Limits,
        authenticator: Arc<dyn Authenticator>,
    ) -> Self {
        Self {
            realm,
            closed: false,
            revision: 0,
            permissions,
            rates: Rates::new(&limits),
            limits,
            authenticator,
            peers: IdMap::default(),
            rpc: Rpc::default(),
            pubsub: PubSub::default(),
            holders: Holders::new(),
            notices: VecDeque::new(),
            stats: RouterStats::default(),
        }
    }

    /// Takes a session in and queues its WELCOME, ahead of anything else. False if the id is taken, the realm is closed,
    /// or who may log in has changed since `revision`, at which that was decided.
    pub(super) fn join(&mut self, peer: Peer, welcome: Message, revision: u64) -> bool {
        let session = peer.info.id;
        let current = revision == self.revision || peer.is_trusted();
        if self.closed || !current || self.peers.contains_key(&session) {
            return false;
        }
        // A fresh queue has room for one message.
        let _ = peer.out.try_send(welcome);
        let info = peer.info.clone();
        self.rates.joined(&info.authid);
        self.peers.insert(session, peer);
        self.notices.push_back(Notice::Joined(info.clone()));
        self.tell_joined(&info);
        true
    }

    /// Lets a session go: its callers get errors, its callees are interrupted.
    pub(super) fn leave(&mut self, session: u64) {
        let Some(peer) = self.peers.remove(&session) else {
            return;
        };
        self.abandon_calls(&peer);
        self.abandon_subscriptions(session, &peer);
        for (id, registration) in &peer.registrations {
            self.forget_registration(session, *id, registration);
        }
        for provider in &peer.providers {
            self.release(session, provider);
        }
        self.rates.left(&peer.info.authid, Instant::now());
        self.notices.push_back(Notice::Left(session));
        self.tell_left(&peer.info);
    }

    /// Handles one message of a session, other than PUBLISH ([`Core::publish`]).
    pub(super) fn on(&mut self, session: u64, message: Message) -> Result<(), Violation> {
        match message {
            Message::Call {
                request,
                options,
                procedure,
                payload,
            } => self.call(session, request, &options, procedure, payload),
            Message::Yield {
                request,
                options,
                payload,
            } => self.answer(session, request, &options, payload),
            Message::Error {
                kind: INVOCATION,
                request,
                details,
                uri,
                payload,
            } => self.answer_error(session, request, details, uri, payload),
            Message::Cancel { request, options } => self.cancel(session, request, &options),
            Message::Register {
                request,
                options,
                procedure,
            } => self.register(session, request, &options, procedure),
            Message::Unregister {
                request,
                registration,
            } => self.unregister(session, request, registration),
            Message::Subscribe {
                request,
                options,
                topic,
            } => self.subscribe(session, request, &options, topic),
            Message::Unsubscribe {
                request,
                subscription,
            } => self.unsubscribe(session, request, subscription),
            Message::Error { kind, .. } => Err(Violation(format!("an ERROR for a message of type {kind}"))),
            other => Err(Violation(format!(
                "{} is not for a router, or not now",
                other.name()
            ))),
        }
    }

    pub(super) fn peer(&self, session: u64) -> Result<&Peer, Violation> {
        self.peers.get(&session).ok_or_else(gone)
    }

    pub(super) fn peer_mut(&mut self, session: u64) -> Result<&mut Peer, Violation> {
        self.peers.get_mut(&session).ok_or_else(gone)
    }

    /// Who has which provider ids, or may.
    pub(super) fn ids(&self) -> Ids<'_> {
        Ids {
            holders: &self.holders,
            authenticator: self.authenticator.as_ref(),
        }
    }

    /// Whether the rules of the session's role let it do this; the guard of namespaces has been asked before.
    pub(super) fn may(
        &self,
        session: u64,
        action: Action,
        uri: &str,
        matching: Match,
    ) -> Result<Result<(), Denied>, Violation> {
        let info = &self.peer(session)?.info;
        Ok(gate::ruled(&self.permissions, info, action, uri, matching))
    }

    /// Whether the session and its authid do not do this too often. The market maker, which serves everybody, may.
    pub(super) fn has_allowance(&mut self, session: u64, what: Use) -> Result<bool, Violation> {
        let peer = self.peers.get_mut(&session).ok_or_else(gone)?;
        if peer.is_trusted() {
            return Ok(true);
        }
        let now = Instant::now();
        let allowed = self.rates.allow(what, &mut peer.spent, &peer.info.authid, now);
        if !allowed {
            self.stats.over_rate += 1;
            if self.rates.may_tell(now) {
                tracing::warn!(
                    realm = self.realm, session, authid = %peer.info.authid, peer = ?peer.info.peer,
                    turned_away = self.stats.over_rate, "a session asks for more than it may, and is turned away"
                );
            }
        }
        Ok(allowed)
    }

    /// Queues an event. The market maker is not dropped for events that it cannot take in: it serves everybody.
    pub(super) fn send_event(&mut self, to: u64, event: Message) {
        let spared = self
            .peers
            .get(&to)
            .is_some_and(|peer| peer.is_trusted() && !peer.out.has_room());
        if !spared {
            self.send(to, event);
        }
    }

    /// Queues a message for a session, and drops the session if it does not read.
    pub(super) fn send(&mut self, to: u64, message: Message) {
        let Some(peer) = self.peers.get(&to) else {
            return;
        };
        if peer.out.try_send(message).is_err() {
            tracing::warn!(session = to, authid = %peer.info.authid, "dropped: it does not read what is sent to it");
            let text = "the session does not read what is sent to it, and its queue is full";
            peer.out
                .abandon(Some(Message::farewell(true, error::RESOURCE_LIMIT, text)));
            self.stats.dropped_slow += 1;
        }
    }

    pub(super) fn refuse(&mut self, to: u64, kind: u64, request: u64, uri: &str, text: impl Into<String>) {
        self.send(to, Message::error(kind, request, uri, text));
    }

    /// Whether the rules let a session keep what it has registered and subscribed to.
    fn may_keep(&self, peer: &Peer) -> bool {
        let may = |action, entry: Option<&Entry>| {
            entry.is_none_or(|entry| {
                gate::ruled(&self.permissions, &peer.info, action, &entry.uri, entry.matching).is_ok()
            })
        };
        let mut registrations = peer.registrations.keys();
        let mut subscriptions = peer.subscriptions.iter();
        registrations.all(|id| may(Action::Register, self.rpc.directory.get(*id)))
            && subscriptions.all(|id| may(Action::Subscribe, self.pubsub.directory.get(*id)))
    }

    /// Has roles do what `permissions` say, and ends the sessions that have what these refuse, and those that `gone`, with
    /// strangers that hold a provider id which is of a login by now. Returns how many ended. Where nothing changes, nothing does.
    pub(super) fn revise(
        &mut self,
        permissions: Permissions,
        gone: Option<impl Fn(&SessionInfo) -> bool>,
        farewell: &Message,
    ) -> usize {
        let ruled = self.permissions != permissions;
        if gone.is_none() && !ruled {
            return 0;
        }
        self.revision += 1;
        self.permissions = permissions;
        let ending = self.peers.values().filter(|peer| {
            let info = &*peer.info;
            let reserved = |id: &String| self.authenticator.reserves(id);
            let squats = || info.method == AuthMethod::Anonymous && peer.providers.iter().any(reserved);
            let out = || gone.as_ref().is_some_and(|gone| gone(info) || squats());
            let open = !peer.is_trusted() && !peer.out.is_closed();
            open && (out() || ruled && !self.may_keep(peer))
        });
        ending.map(|peer| peer.out.close(Some(farewell.clone()))).count()
    }

    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.rpc.first_deadline()
    }

    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        self.peers.len()
            + self.holders.len()
            + self.notices.len()
            + self.rates.remembered()
            + self.rpc.remembered()
            + self.pubsub.remembered()
    }

    pub(super) fn stats(&self) -> RouterStats {
        RouterStats {
            sessions: self.peers.len(),
            registrations: self.peers.values().map(|peer| peer.registrations.len()).sum(),
            subscriptions: self.peers.values().map(|peer| peer.subscriptions.len()).sum(),
            pending_calls: self.rpc.pending(),
            ..self.stats
        }
    }
}

impl Peer {
    pub(super) fn new(info: SessionInfo, out: Outgoing, features: Features, bounds: Bounds) -> Self {
        Self {
            info: Arc::new(info),
            out,
            features,
            bounds,
            calling: IdSet::default(),
            serving: IdSet::default(),
            registrations: IdMap::default(),
            subscriptions: IdSet::default(),
            spent: Spent::default(),
            providers: Vec::new(),
        }
    }

    /// Whether it can be told to stop what it does for others. One that has not read for long is not: it would be dropped for
    /// what others ask of it.
    pub(super) fn takes_interrupts(&self) -> bool {
        self.features.call_canceling && self.out.has_room()
    }
}

fn gone() -> Violation {
    Violation("the session has ended".to_owned())
}
