//! Subscriptions, and events to those who may have them.

use std::collections::HashMap;
use std::sync::Arc;

use super::core::{Core, Peer};
use super::gate;
use super::shards::{self, PATTERNS, Shard};
use crate::message::{Message, PUBLISH, Payload, SUBSCRIBE, UNSUBSCRIBE};
use crate::proto::{Broker, Violation};
use crate::uri::{self, Match, error};
use crate::value::{Dict, Value};

/// The subscriptions of the realm.
pub(super) struct PubSub {
    brokers: Vec<Broker>,
    /// How many sessions subscribe to each exact topic.
    topics: HashMap<Arc<str>, usize>,
    /// How many subscriptions to patterns there are.
    patterns: usize,
    publications: u64,
}

impl PubSub {
    pub(super) fn new() -> Self {
        Self {
            brokers: (0..shards::COUNT).map(|_| Broker::new()).collect(),
            topics: HashMap::new(),
            patterns: 0,
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
        let exact = self.topics.contains_key(topic).then(|| Shard::of(topic));
        exact.into_iter().chain((self.patterns > 0).then_some(PATTERNS))
    }

    fn forget(&mut self, topic: Option<&Arc<str>>) {
        let Some(topic) = topic else {
            self.patterns = self.patterns.saturating_sub(1);
            return;
        };
        if let Some(count) = self.topics.get_mut(topic) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.topics.remove(topic);
            }
        }
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
        let Some(matching) = Match::parse(options.get("match").and_then(Value::as_str)) else {
            let text = "match is one of exact, prefix, wildcard";
            self.refuse(session, SUBSCRIBE, request, error::INVALID_ARGUMENT, text);
            return Ok(());
        };
        if let Some(text) = uri::malformed(&topic, matching) {
            self.refuse(session, SUBSCRIBE, request, error::INVALID_URI, text);
            return Ok(());
        }
        let peer = self.peer(session)?;
        if peer.subscriptions.len() >= peer.bounds.subscriptions {
            let text = format!("a session may have {} subscriptions", peer.bounds.subscriptions);
            self.refuse(session, SUBSCRIBE, request, error::RESOURCE_LIMIT, text);
            return Ok(());
        }
        let exact = (matching == Match::Exact).then(|| Arc::<str>::from(topic.as_str()));
        let shard = if exact.is_some() {
            Shard::of(&topic)
        } else {
            PATTERNS
        };
        let message = Message::Subscribe {
            request,
            options,
            topic,
        };
        let routed = self.broker_for(shard, session)?.on(session, &message)?;
        let Message::Subscribed {
            request,
            subscription,
        } = routed.message
        else {
            self.send(session, routed.message);
            return Ok(());
        };
        let subscription = shard.outer(subscription);
        // Subscribing again gives the same subscription again.
        if self
            .peer_mut(session)?
            .subscriptions
            .insert(subscription, exact.clone())
            .is_none()
        {
            match exact {
                Some(topic) => *self.pubsub.topics.entry(topic).or_default() += 1,
                None => self.pubsub.patterns += 1,
            }
        }
        self.send(
            session,
            Message::Subscribed {
                request,
                subscription,
            },
        );
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        session: u64,
        request: u64,
        subscription: u64,
    ) -> Result<(), Violation> {
        let Some(topic) = self.peer_mut(session)?.subscriptions.remove(&subscription) else {
            let text = format!("this session has no subscription {subscription}");
            self.refuse(session, UNSUBSCRIBE, request, error::NO_SUCH_SUBSCRIPTION, text);
            return Ok(());
        };
        self.pubsub.forget(topic.as_ref());
        let (shard, inner) = Shard::inner(subscription);
        let message = Message::Unsubscribe {
            request,
            subscription: inner,
        };
        let routed = self.broker_for(shard, session)?.on(session, &message)?;
        self.send(session, routed.message);
        Ok(())
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
        let refused = match uri::malformed(topic, Match::Exact) {
            Some(text) => Some((error::INVALID_URI, text)),
            None => gate::publish(&self.peer(session)?.info, topic, &self.holders)
                .err()
                .map(|denied| (error::NOT_AUTHORIZED, denied.0)),
        };
        if let Some((uri, text)) = refused {
            // Without acknowledgement nobody waits for an ERROR.
            if acknowledge {
                self.refuse(session, PUBLISH, request, uri, text);
            } else {
                tracing::debug!(session, topic, text, "not published");
            }
            return Ok(());
        }
        self.stats.publications += 1;
        self.pubsub.publications += 1;
        let publication = self.pubsub.publications;
        for shard in self.pubsub.shards(topic) {
            let events = self
                .broker_for(shard, session)?
                .publish(session, request, options, topic)?
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
            // The market maker is not dropped for events that it cannot take in: it serves everybody.
            let spared = self
                .peers
                .get(recipient)
                .is_some_and(|peer| peer.is_trusted() && !peer.out.has_room());
            if !spared {
                let (details, payload) = (details.clone(), payload.clone());
                self.send(
                    *recipient,
                    Message::Event {
                        subscription,
                        publication,
                        details,
                        payload,
                    },
                );
            }
        }
        self.stats.events += recipients.len() as u64;
    }

    /// Ends the subscriptions of a session that left.
    pub(super) fn abandon_subscriptions(&mut self, session: u64, peer: &Peer) {
        for topic in peer.subscriptions.values() {
            self.pubsub.forget(topic.as_ref());
        }
        for shard in peer.brokers.iter() {
            if let Ok(broker) = self.pubsub.broker(shard) {
                broker.remove(session);
            }
        }
    }
}
