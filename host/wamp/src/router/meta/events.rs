//! `wamp.*.on_*`: the router tells those who may know of sessions, registrations and subscriptions that come and go.

use crate::message::payload;
use crate::router::core::Core;
use crate::router::gate;
use crate::router::observer::SessionInfo;
use crate::router::permissions::{Action, WAMP};
use crate::uri::Match;
use crate::value::{Dict, Value};

/// The topics of a directory.
pub(in crate::router) struct Topics {
    create: &'static str,
    add: &'static str,
    remove: &'static str,
    delete: &'static str,
}

/// Of registrations.
pub(in crate::router) const REGISTRY: Topics = Topics {
    create: "wamp.registration.on_create",
    add: "wamp.registration.on_register",
    remove: "wamp.registration.on_unregister",
    delete: "wamp.registration.on_delete",
};

/// Of subscriptions.
pub(in crate::router) const PUBSUB: Topics = Topics {
    create: "wamp.subscription.on_create",
    add: "wamp.subscription.on_subscribe",
    remove: "wamp.subscription.on_unsubscribe",
    delete: "wamp.subscription.on_delete",
};

impl Core {
    pub(in crate::router) fn tell_joined(&mut self, session: &SessionInfo) {
        let details = session.details(&self.realm);
        self.tell("wamp.session.on_join", vec![details.into()]);
    }

    pub(in crate::router) fn tell_left(&mut self, session: &SessionInfo) {
        let args = vec![
            session.id.into(),
            session.authid.clone().into(),
            session.role.clone().into(),
        ];
        self.tell("wamp.session.on_leave", args);
    }

    /// A session was added to an entry, which is `created` for it if details are given.
    pub(in crate::router) fn tell_added(
        &mut self,
        topics: &Topics,
        session: u64,
        id: u64,
        created: Option<Dict>,
    ) {
        if let Some(details) = created {
            self.tell(topics.create, vec![session.into(), details.into()]);
        }
        self.tell(topics.add, vec![session.into(), id.into()]);
    }

    /// A session was taken off an entry, which is gone if that was the last one.
    pub(in crate::router) fn tell_removed(&mut self, topics: &Topics, session: u64, id: u64, last: bool) {
        self.tell(topics.remove, vec![session.into(), id.into()]);
        if last {
            self.tell(topics.delete, vec![session.into(), id.into()]);
        }
    }

    /// Sends an event of the router's own to those of its subscribers who may know.
    fn tell(&mut self, topic: &'static str, args: Vec<Value>) {
        // A pattern may cover wamp. without being about it.
        let may = |session: &SessionInfo| {
            gate::rules(&self.permissions, session, Action::Subscribe, topic, Match::Exact)
        };
        let recipients = self.recipients(topic, None, may);
        if recipients.is_empty() {
            return;
        }
        let (publication, payload) = (self.pubsub.next_publication(), payload(args, Dict::new()));
        self.deliver(recipients, publication, topic, &Dict::new(), &payload);
    }
}

/// Whether the router tells of subscriptions to this topic: not of those to its own, lest each tells of itself.
pub(in crate::router) fn is_told_of(topic: &str) -> bool {
    !topic.starts_with(WAMP)
}
