//! Listening to a topic.

use bourse_wamp::{Event, Session, Value};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// A subscription with everything that arrived.
pub struct Ear {
    events: UnboundedReceiver<Event>,
    topic: String,
}

impl Ear {
    /// Subscribes to `topic`.
    pub async fn at(session: &Session, topic: &str) -> Self {
        let (hear, events) = unbounded_channel();
        let hear = move |event| drop(hear.send(event));
        session.subscribe(topic, hear).await.unwrap();
        Self {
            events,
            topic: topic.to_owned(),
        }
    }

    /// The arguments of the next event; fails the test if none comes.
    pub async fn next(&mut self) -> Vec<Value> {
        match timeout(Duration::from_secs(5), self.events.recv()).await {
            Ok(Some(event)) => {
                assert!(
                    event.kwargs.is_empty(),
                    "{}: events carry positional arguments alone",
                    self.topic
                );
                event.args
            }
            Ok(None) => panic!("{}: the session ended", self.topic),
            Err(_) => panic!("{}: no event came", self.topic),
        }
    }

    /// The one argument of the next event.
    pub async fn one(&mut self) -> Value {
        let [one] = <[Value; 1]>::try_from(self.next().await).unwrap();
        one
    }

    /// Whether nothing more has arrived.
    pub fn is_quiet(&mut self) -> bool {
        self.events.try_recv().is_err()
    }
}
