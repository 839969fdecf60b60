//! Subscriptions and events.

use wampproto::broker::Broker as Engine;
use wampproto::messages as wire;
use wampproto::messages::message::Message as Envelope;

use super::convert::{id, message as converted, our_id, pick, session};
use super::{Identity, Violation};
use crate::message::Message;
use crate::value::Dict;

/// Options of PUBLISH that decide who receives the event and what it discloses.
const AUDIENCE: [&str; 8] = [
    "exclude_me",
    "exclude",
    "exclude_authid",
    "exclude_authrole",
    "eligible",
    "eligible_authid",
    "eligible_authrole",
    "disclose_me",
];

/// The routing state of one set of topics.
pub(crate) struct Broker(Engine);

/// The event for each subscription that matches, with those who get it; payloads are missing.
pub(crate) struct Publication {
    pub(crate) events: Vec<(Message, Vec<u64>)>,
}

impl Broker {
    pub(crate) fn new() -> Self {
        Self(Engine::new())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn remembered(&self) -> usize {
        self.0.subscriptions().count()
    }

    pub(crate) fn add(&mut self, identity: Identity<'_>) -> Result<(), Violation> {
        Ok(self.0.add_session(session(identity))?)
    }

    pub(crate) fn remove(&mut self, session: u64) {
        // An unknown session is removed already.
        let _ = self.0.remove_session(id(session));
    }

    /// Answers SUBSCRIBE and UNSUBSCRIBE.
    pub(crate) fn on(&mut self, session: u64, message: &Message) -> Result<Message, Violation> {
        let envelope: Box<dyn Envelope> = match message {
            Message::Subscribe {
                request,
                options,
                topic,
            } => Box::new(wire::subscribe::Subscribe {
                request_id: id(*request),
                options: pick(options, &["match"]),
                topic: topic.clone(),
            }),
            Message::Unsubscribe {
                request,
                subscription,
            } => Box::new(wire::unsubscribe::Unsubscribe {
                request_id: id(*request),
                subscription_id: id(*subscription),
            }),
            other => return Err(Violation(format!("a broker does not take {}", other.name()))),
        };
        let answer = self.0.receive_message(id(session), envelope.as_ref())?;
        converted(answer.message.as_ref())
    }

    /// Routes PUBLISH; acknowledging is left to the caller.
    pub(crate) fn publish(
        &mut self,
        session: u64,
        request: u64,
        options: &Dict,
        topic: &str,
    ) -> Result<Publication, Violation> {
        let publish = wire::publish::Publish {
            request_id: id(request),
            options: pick(options, &AUDIENCE),
            topic: topic.to_owned(),
            args: None,
            kwargs: None,
        };
        let events = self
            .0
            .receive_publish(id(session), &publish)?
            .events
            .iter()
            .map(|delivery| {
                let recipients = delivery.recipients.iter().copied().map(our_id).collect();
                Ok((converted(delivery.event.as_ref())?, recipients))
            })
            .collect::<Result<_, Violation>>()?;
        Ok(Publication { events })
    }
}
