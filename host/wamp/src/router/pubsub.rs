//! Subscriptions, and events to those who may have them.

use std::sync::Arc;

use super::audience;
use super::core::{Core, Peer};
use super::directory::{Directory, Entry};
use super::gate::{self, Denied};
use super::meta::{PUBSUB, is_told_of};
use super::options;
use super::permissions::Action;
use super::rates::{TOO_MANY_CHANGES, Use};
use super::shards::{self, PATTERNS, Shard};
use crate::message::{Message, PUBLISH, Payload, SUBSCRIBE, UNSUBSCRIBE};
use crate::proto::{Broker, Violation};
use crate::uri::{self, Match, error};
use crate::value::{Dict, Value};

/// The subscriptions of the realm.
pub(super) struct PubSub {
    brokers: Vec<Broker>,
    pub(super) directory: Directory,
    publications: u64,
}

impl PubSub {
    pub(super) fn new() -> Self {
        Self {
            brokers: (0..shards::COUNT).map(|_| Broker::new()).collect(),
            directory: Directory::default(),
            publications: 0,
        }
    }

    fn broker(&mut self, shard: Shard) -> Result<&mut Broker, Violation> {
        self.brokers
            .get_mut(shard.index())
            .ok_or_else(|| Violation("an id that was never given".to_owned()))
    }

    /// Where an event on this topic has to be looked at.
    fn shards(&self, topic: &str) -> impl Iterator<Item = Shard> + use<> {
        let exact = self.directory.has_exact(topic).then(|| Shard::of(topic));
        exact
            .into_iter()
            .chain(self.directory.has_patterns().then_some(PATTERNS))
    }

    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        let brokers = self.brokers.iter().map(Broker::remembered).sum::<usize>();
        brokers + self.directory.iter().count()
    }

    /// The id of the next publication.
    pub(super) fn next_publication(&mut self) -> u64 {
        self.publications += 1;
        self.publications
    }
}

impl Core {
    /// The broker of a shard, which knows the session from now on.
    fn broker_for(&mut self, shard: Shard, session: u64) -> Result<&mut Broker, Violation> {
        let peer = self
            .peers
            .get_mut(&session)
            .ok_or_else(|| Violation("the session has ended".to_owned()))?;
        let broker = self.pubsub.broker(shard)?;
        if peer.brokers.insert(shard) {
            broker.add(peer.identity(&self.realm))?;
        }
        Ok(broker)
    }

    pub(super) fn subscribe(
        &mut self,
        session: u64,
        request: u64,
        options: Dict,
        topic: String,
    ) -> Result<(), Violation> {
        if !self.has_allowance(session, Use::Change)? {
            self.refuse(session, SUBSCRIBE, request, error::OVERLOADED, TOO_MANY_CHANGES);
            return Ok(());
        }
        let matching = match options::matching(&options) {
            Ok(matching) => matching,
            Err(text) => {
                self.refuse(session, SUBSCRIBE, request, error::INVALID_ARGUMENT, text);
                return Ok(());
            }
        };
        if let Some(text) = uri::malformed(&topic, matching) {
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
        let uri: Arc<str> = topic.as_str().into();
        let shard = if matching == Match::Exact {
            Shard::of(&topic)
        } else {
            PATTERNS
        };
        let message = Message::Subscribe {
            request,
            options,
            topic,
        };
        let answer = self.broker_for(shard, session)?.on(session, &message)?;
        let Message::Subscribed {
            request,
            subscription,
        } = answer
        else {
            self.send(session, answer);
            return Ok(());
        };
        let subscription = shard.outer(subscription);
        // Subscribing again gives the same subscription again.
        let added = self.peer_mut(session)?.subscriptions.insert(subscription);
        let created = added
            && self
                .pubsub
                .directory
                .add(subscription, session, || Entry::new(uri.clone(), matching, ""));
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
        let (shard, inner) = Shard::inner(subscription);
        let message = Message::Unsubscribe {
            request,
            subscription: inner,
        };
        let answer = self.broker_for(shard, session)?.on(session, &message)?;
        self.send(session, answer);
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

    pub(super) fn publish(
        &mut self,
        session: u64,
        request: u64,
        options: &Dict,
        topic: &str,
        payload: &Payload,
    ) -> Result<(), Violation> {
        let acknowledge = options.get("acknowledge").and_then(Value::as_bool) == Some(true);
        if let Some((uri, text)) = self.refused(session, options, topic)? {
            // Without acknowledgement nobody waits for an ERROR.
            if acknowledge {
                self.refuse(session, PUBLISH, request, uri, text);
            } else {
                tracing::debug!(session, topic, text, "not published");
            }
            return Ok(());
        }
        let role = &self.peer(session)?.info.role;
        let mut options = options.clone();
        if let Some(disclose) = self.permissions.discloses_publisher(role, topic) {
            options.insert("disclose_me".to_owned(), disclose.into());
        }
        self.stats.publications += 1;
        let publication = self.pubsub.next_publication();
        for shard in self.pubsub.shards(topic) {
            let events = self
                .broker_for(shard, session)?
                .publish(session, request, &options, topic)?
                .events;
            for (event, recipients) in events {
                self.deliver(shard, publication, &event, &recipients, payload);
            }
        }
        if acknowledge {
            self.send(session, Message::Published { request, publication });
        }
        Ok(())
    }

    /// Why something is not published, if it is not.
    fn refused(
        &mut self,
        session: u64,
        options: &Dict,
        topic: &str,
    ) -> Result<Option<(&'static str, String)>, Violation> {
        if let Some(text) = uri::malformed(topic, Match::Exact) {
            return Ok(Some((error::INVALID_URI, text)));
        }
        if let Some(text) = audience::malformed(options) {
            return Ok(Some((error::INVALID_ARGUMENT, text)));
        }
        let guarded = gate::publish(&self.peer(session)?.info, topic, self.ids());
        let ruled = self.may(session, Action::Publish, topic, Match::Exact)?;
        if let Err(Denied(text)) = guarded.and(ruled) {
            return Ok(Some((error::NOT_AUTHORIZED, text)));
        }
        if !self.has_allowance(session, Use::Publish)? {
            let text = "more publications than the session or its authid may make in a second";
            return Ok(Some((error::OVERLOADED, text.to_owned())));
        }
        Ok(None)
    }

    fn deliver(
        &mut self,
        shard: Shard,
        publication: u64,
        event: &Message,
        recipients: &[u64],
        payload: &Payload,
    ) {
        let Message::Event {
            subscription,
            details,
            ..
        } = event
        else {
            return;
        };
        let subscription = shard.outer(*subscription);
        for recipient in recipients {
            let (details, payload) = (details.clone(), payload.clone());
            let event = Message::Event {
                subscription,
                publication,
                details,
                payload,
            };
            self.send_event(*recipient, event);
        }
        self.stats.events += recipients.len() as u64;
    }

    /// Ends the subscriptions of a session that left.
    pub(super) fn abandon_subscriptions(&mut self, session: u64, peer: &Peer) {
        for shard in peer.brokers.iter() {
            if let Ok(broker) = self.pubsub.broker(shard) {
                broker.remove(session);
            }
        }
        for subscription in &peer.subscriptions {
            self.forget_subscription(session, *subscription);
        }
    }
}
