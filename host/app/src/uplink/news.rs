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
}

impl News {
    fn keep(&mut self, event: Event) {
        if self.waiting.len() >= KEPT {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(event);
    }
}

impl Uplink {
    /// Publishes an event, or keeps it until there is a link.
    pub(super) async fn publish(&self, event: Event) {
        let Some(session) = self.session() else {
            return self.news.lock().keep(event);
        };
        match publish(&session, event.clone()).await {
            Ok(()) => {}
            Err(CallError::Closed) => self.news.lock().keep(event),
            Err(error) => tracing::warn!(topic = event.0, %error, "an event could not be published"),
        }
    }

    /// Publishes what waited.
    pub(super) async fn catch_up(&self, session: &Session) {
        let dropped = std::mem::take(&mut self.news.lock().dropped);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "events were not published, for want of a link to the router"
            );
        }
        loop {
            let next = self.news.lock().waiting.pop_front();
            let Some(event) = next else { return };
            if publish(session, event).await.is_err() {
                return;
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
}
