//! Events while there is no link: the newest are kept and published once there is one, the others counted.

use super::Uplink;
use bourse_wamp::{CallError, Dict, PublishOptions, Session, Value};
use std::collections::VecDeque;

/// Events kept for a link. They are news, not records: whoever was not there may ask.
const KEPT: usize = 256;

/// An event: its topic, what it says, and who may have it.
pub(super) type Event = (String, Vec<Value>, PublishOptions);

/// What waits for a link.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: VecDeque<Event>,
    /// Since the link was lost.
    dropped: u64,
    /// One that waited is just being published.
    catching_up: bool,
}

impl News {
    fn keep(&mut self, event: Event) {
        if self.waiting.len() >= KEPT {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(event);
    }

    /// The eldest; with none left, what is new need not wait.
    fn next(&mut self) -> Option<Event> {
        let next = self.waiting.pop_front();
        self.catching_up = next.is_some();
        next
    }

    /// The eldest could not be published: the link is gone again.
    fn take_back(&mut self, event: Event) {
        self.catching_up = false;
        if self.waiting.len() < KEPT {
            self.waiting.push_front(event);
        } else {
            self.dropped += 1;
        }
    }
}

impl Uplink {
    /// Publishes an event, or keeps it until there is a link and what came before it is published.
    pub(super) async fn publish(&self, event: Event) {
        let mut lost = None;
        while let Some(session) = self.link_or_keep(&event, lost) {
            match publish(&session, event.clone()).await {
                Ok(()) => return,
                Err(CallError::Closed) => lost = Some(session.id()),
                Err(error) => {
                    tracing::warn!(topic = event.0, %error, "an event could not be published");
                    return;
                }
            }
        }
    }

    /// The link to publish an event over, unless it is the one that was lost. Without one the event is kept: decided under
    /// the lock that catching up ends under, so that none stays behind.
    fn link_or_keep(&self, event: &Event, lost: Option<u64>) -> Option<Session> {
        let mut news = self.news.lock();
        let link = self.session().filter(|link| Some(link.id()) != lost);
        let free = link.filter(|_| news.waiting.is_empty() && !news.catching_up);
        if free.is_none() {
            news.keep(event.clone());
        }
        free
    }

    /// Publishes what waited. Until that is done, what is new waits too.
    pub(super) async fn catch_up(&self, session: &Session) {
        let dropped = std::mem::take(&mut self.news.lock().dropped);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "events were not published, for want of a link to the router"
            );
        }
        loop {
            let next = self.news.lock().next();
            let Some(event) = next else { return };
            if publish(session, event.clone()).await.is_err() {
                return self.news.lock().take_back(event);
            }
        }
    }
}

async fn publish(session: &Session, (topic, args, options): Event) -> Result<(), CallError> {
    session.publish(&topic, args, Dict::new(), options).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_waits_for_a_link_the_newest_are_kept_and_the_others_counted() {
        let mut news = News::default();
        for number in 0..KEPT as u64 + 3 {
            news.keep((format!("topic {number}"), Vec::new(), PublishOptions::default()));
        }
        assert_eq!((news.waiting.len(), news.dropped), (KEPT, 3));
        assert_eq!(news.waiting.front().unwrap().0, "topic 3");
    }

    #[test]
    fn what_could_not_be_published_after_all_waits_again_and_nothing_new_overtakes_it() {
        let event = |topic: &str| (topic.to_owned(), Vec::new(), PublishOptions::default());
        let mut news = News::default();
        news.keep(event("old"));
        news.keep(event("older than none"));
        let eldest = news.next().unwrap();
        assert!(news.catching_up, "what is new waits");
        news.take_back(eldest);
        assert!(!news.catching_up);
        let topics: Vec<_> = std::iter::from_fn(|| news.next())
            .map(|(topic, ..)| topic)
            .collect();
        assert_eq!(topics, ["old", "older than none"]);
        assert!(!news.catching_up, "nothing waits any more");
    }
}
