//! Subscriptions, and events to those who may have them.

use std::collections::HashSet;
use std::sync::Arc;

use super::audience::Audience;
use super::core::{Core, Peer};
use super::directory::{Directory, Entry};
use super::gate::{self, Denied};
use super::meta::{PUBSUB, is_told_of};
use super::observer::SessionInfo;
use super::options;
use super::permissions::Action;
use super::rates::{TOO_MANY_CHANGES, Use};
use crate::message::{Message, PUBLISH, Payload, SUBSCRIBE, UNSUBSCRIBE};
use crate::uri::{self, Match, error};
use crate::value::{Dict, Value};
use crate::violation::Violation;

/// The subscriptions of the realm.
#[derive(Default)]
pub(super) struct PubSub {
    pub(super) directory: Directory,
    /// How many subscriptions there have been.
    subscriptions: u64,
    /// How many publications there have been.
    publications: u64,
}

/// The sessions of one subscription that get an event.
pub(super) struct Recipients {
    subscription: u64,
    matching: Match,
    sessions: Vec<u64>,
}

impl PubSub {
    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        self.directory.remembered()
    }

    /// The id of the next publication.
    pub(super) fn next_publication(&mut self) -> u64 {
        self.publications += 1;
        self.publications
    }

    /// Has a session hear of a topic or a pattern of them. Returns the subscription, and whether it is new.
    fn enlist(&mut self, session: u64, uri: &Arc<str>, matching: Match) -> (u64, bool) {
        let id = self.directory.lookup(uri, matching).unwrap_or_else(|| {
            self.subscriptions += 1;
            self.subscriptions
        });
        let entry = || Entry::new(Arc::clone(uri), matching, "");
        (id, self.directory.add(id, session, entry))
    }
}

impl Core {
    pub(super) fn subscribe(
        &mut self,
        session: u64,
        request: u64,
        options: &Dict,
        topic: String,
    ) -> Result<(), Violation> {
        if !self.has_allowance(session, Use::Change)? {
            self.refuse(session, SUBSCRIBE, request, error::OVERLOADED, TOO_MANY_CHANGES);
            return Ok(());
        }
        let matching = match options::matching(options) {
            Ok(matching) => matching,
            Err(text) => {
                self.refuse(session, SUBSCRIBE, request, error::INVALID_ARGUMENT, text);
                return Ok(());
            }
        };
        if let Some(text) = uri::unserved(&topic, matching) {
            self.refuse(session, SUBSCRIBE, request, error::INVALID_URI, text);
            return Ok(());
        }
        if let Err(Denied(text)) = self.may(session, Action::Subscribe, &topic, matching)? {
            self.refuse(session, SUBSCRIBE, request, error::NOT_AUTHORIZED, text);
            return Ok(());
        }
        let peer = self.peer(session)?;
        if peer.subscriptions.len() >= peer.bounds.subscriptions {
            let text = format!("a session may have {} subscriptions", peer.bounds.subscriptions);
            self.refuse(session, SUBSCRIBE, request, error::RESOURCE_LIMIT, text);
            return Ok(());
        }
        let uri: Arc<str> = topic.into();
        let (subscription, created) = self.pubsub.enlist(session, &uri, matching);
        // Subscribing again gives the same subscription again.
        let added = self.peer_mut(session)?.subscriptions.insert(subscription);
        self.send(
            session,
            Message::Subscribed {
                request,
                subscription,
            },
        );
        if added && is_told_of(&uri) {
            let details = self.pubsub.directory.get(subscription).filter(|_| created);
            let details = details.map(|entry| entry.details(subscription));
            self.tell_added(&PUBSUB, session, subscription, details);
        }
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        session: u64,
        request: u64,
        subscription: u64,
    ) -> Result<(), Violation> {
        if !self.peer_mut(session)?.subscriptions.remove(&subscription) {
            let text = format!("this session has no subscription {subscription}");
            self.refuse(session, UNSUBSCRIBE, request, error::NO_SUCH_SUBSCRIPTION, text);
            return Ok(());
        }
        self.send(session, Message::Unsubscribed { request });
        self.forget_subscription(session, subscription);
        Ok(())
    }

    fn forget_subscription(&mut self, session: u64, subscription: u64) {
        let told = self.pubsub.directory.get(subscription);
        let told = told.is_some_and(|entry| is_told_of(&entry.uri));
        if let Some(last) = self.pubsub.directory.remove(subscription, session)
            && told
        {
            self.tell_removed(&PUBSUB, session, subscription, last);
        }
    }

    /// Publishes to an `audience`, unless something is wrong with that.
    pub(super) fn publish(
        &mut self,
        session: u64,
        request: u64,
        options: &Dict,
        audience: &Result<Audience<'_>, String>,
        topic: &str,
        payload: &Payload,
    ) -> Result<(), Violation> {
        let acknowledge = options.get("acknowledge").and_then(Value::as_bool) == Some(true);
        let wrong = |text: &String| (error::INVALID_ARGUMENT, text.clone());
        let allowed = self.may_publish(session, topic)?;
        let audience = match allowed.and_then(|()| audience.as_ref().map_err(wrong)) {
            Ok(audience) => audience,
            Err((uri, text)) => {
                // Without acknowledgement nobody waits for an ERROR.
                if acknowledge {
                    self.refuse(session, PUBLISH, request, uri, text);
                } else {
                    tracing::debug!(session, topic, text, "not published");
                }
                return Ok(());
            }
        };
        let publisher = &self.peer(session)?.info;
        let ruled = self.permissions.discloses_publisher(&publisher.role, topic);
        let mut details = Dict::new();
        if ruled.unwrap_or(audience.discloses) {
            details.insert("publisher".to_owned(), session.into());
            details.insert("publisher_authid".to_owned(), publisher.authid.as_str().into());
            details.insert("publisher_authrole".to_owned(), publisher.role.as_str().into());
        }
        let has = |listener: &SessionInfo| audience.has(listener, session);
        let recipients = self.recipients(topic, audience.named(), has);
        self.stats.publications += 1;
        let counts = recipients.iter().map(|those| those.sessions.len() as u64);
        self.stats.events += counts.sum::<u64>();
        let publication = self.pubsub.next_publication();
        self.deliver(recipients, publication, topic, &details, payload);
        if acknowledge {
            self.send(session, Message::Published { request, publication });
        }
        Ok(())
    }

    /// Why a session may not publish on a topic, if it may not. Also what is refused counts: it costs the realm's time too.
    fn may_publish(
        &mut self,
        session: u64,
        topic: &str,
    ) -> Result<Result<(), (&'static str, String)>, Violation> {
        if !self.has_allowance(session, Use::Publish)? {
            let text = "more publications than the session or its authid may make in a second";
            return Ok(Err((error::OVERLOADED, text.to_owned())));
        }
        if let Some(text) = uri::malformed(topic, Match::Exact) {
            return Ok(Err((error::INVALID_URI, text)));
        }
        let guarded = gate::publish(&self.peer(session)?.info, topic, self.ids());
        let ruled = self.may(session, Action::Publish, topic, Match::Exact)?;
        let denied = guarded.and(ruled);
        Ok(denied.map_err(|Denied(text)| (error::NOT_AUTHORIZED, text)))
    }

    /// Who of those that subscribe to a topic gets an event: who `may`, and of these the `named` alone, if any are.
    pub(super) fn recipients(
        &self,
        topic: &str,
        named: Option<&HashSet<u64>>,
        may: impl Fn(&SessionInfo) -> bool,
    ) -> Vec<Recipients> {
        let hears = |id: &u64| self.peers.get(id).is_some_and(|peer| may(&peer.info));
        let among = |Entry { sessions, .. }: &Entry| -> Vec<u64> {
            match named {
                // The few are looked for among the many.
                Some(named) if named.len() < sessions.len() => {
                    let both = named.iter().filter(|id| sessions.contains(id));
                    both.filter(|id| hears(id)).copied().collect()
                }
                named => {
                    let both = sessions
                        .iter()
                        .filter(|id| named.is_none_or(|named| named.contains(id)));
                    both.filter(|id| hears(id)).copied().collect()
                }
            }
        };
        let subscriptions = self.pubsub.directory.matching(topic);
        let recipients = subscriptions.map(|(subscription, entry)| Recipients {
            subscription,
            matching: entry.matching,
            sessions: among(entry),
        });
        recipients.filter(|those| !those.sessions.is_empty()).collect()
    }

    /// Sends an event to those who get it.
    pub(super) fn deliver(
        &mut self,
        recipients: Vec<Recipients>,
        publication: u64,
        topic: &str,
        details: &Dict,
        payload: &Payload,
    ) {
        for those in recipients {
            let mut details = details.clone();
            if those.matching != Match::Exact {
                details.insert("topic".to_owned(), topic.into());
            }
            for session in those.sessions {
                let event = Message::Event {
                    subscription: those.subscription,
                    publication,
                    details: details.clone(),
                    payload: payload.clone(),
                };
                self.send_event(session, event);
            }
        }
    }

    /// Ends the subscriptions of a session that left.
    pub(super) fn abandon_subscriptions(&mut self, session: u64, peer: &Peer) {
        for subscription in &peer.subscriptions {
            self.forget_subscription(session, *subscription);
        }
    }
}
