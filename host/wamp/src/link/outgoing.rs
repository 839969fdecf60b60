//! The bounded queue towards a peer, and how a connection is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;

use super::hangup::Hangup;
use super::{QueueLimits, Receiver};
use crate::message::Message;

/// What waits to be written.
pub(super) enum Item {
    Message(Message),
    Pong(Vec<u8>),
}

impl Item {
    fn weight(&self) -> usize {
        match self {
            Self::Message(message) => message.weight(),
            Self::Pong(bytes) => bytes.len(),
        }
    }
}

/// The queue is full: the peer does not read as fast as it is written to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// The sending half of a link. Clones feed the same queue.
#[derive(Clone)]
pub(crate) struct Outgoing(Arc<Sending>);

struct Sending {
    queue: mpsc::Sender<Item>,
    bytes: Arc<AtomicUsize>,
    limits: QueueLimits,
    closing: Closing,
    local: bool,
}

/// The receiving half of the queue.
pub(crate) struct Queue {
    items: Receiver,
    bytes: Arc<AtomicUsize>,
}

/// How a connection ends.
#[derive(Clone)]
pub(super) struct Closing {
    pub(super) hangup: Hangup,
    pub(super) words: Arc<Mutex<LastWords>>,
}

/// What the writer still does when a connection closes.
#[derive(Default)]
pub(super) struct LastWords {
    /// Sent last.
    pub(super) message: Option<Message>,
    /// Whether what is queued is dropped rather than written first.
    pub(super) abandon: bool,
}

impl Outgoing {
    pub(super) fn queue(limits: QueueLimits) -> (Self, Queue) {
        Self::new(limits, Hangup::default(), false)
    }

    pub(super) fn local(limits: QueueLimits, hangup: Hangup) -> (Self, Queue) {
        Self::new(limits, hangup, true)
    }

    fn new(limits: QueueLimits, hangup: Hangup, local: bool) -> (Self, Queue) {
        let (queue, items) = mpsc::channel(limits.messages.max(1));
        let bytes = Arc::new(AtomicUsize::new(0));
        let closing = Closing {
            hangup,
            words: Arc::default(),
        };
        let sending = Sending {
            queue,
            bytes: bytes.clone(),
            limits,
            closing,
            local,
        };
        (Self(Arc::new(sending)), Queue { items, bytes })
    }

    pub(super) fn closing(&self) -> Closing {
        self.0.closing.clone()
    }

    /// Queues a message without waiting. A message for a closed connection is dropped silently.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), QueueFull> {
        self.try_item(Item::Message(message))
    }

    pub(super) fn try_pong(&self, bytes: Vec<u8>) -> Result<(), QueueFull> {
        self.try_item(Item::Pong(bytes))
    }

    fn try_item(&self, item: Item) -> Result<(), QueueFull> {
        if self.is_closed() {
            return Ok(());
        }
        let weight = item.weight();
        if self.0.bytes.load(Ordering::Relaxed).saturating_add(weight) > self.0.limits.bytes {
            return Err(QueueFull);
        }
        self.0.bytes.fetch_add(weight, Ordering::Relaxed);
        match self.0.queue.try_send(item) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.0.bytes.fetch_sub(weight, Ordering::Relaxed);
                Err(QueueFull)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Queues a message, waiting for room. Returns false if the connection is closed.
    pub(crate) async fn send(&self, message: Message) -> bool {
        // Whoever sends without end gives others their turn, as if there were no room.
        consume_budget().await;
        if self.is_closed() {
            return false;
        }
        let Sending {
            queue,
            bytes,
            closing,
            ..
        } = &*self.0;
        // Mostly there is room, and nothing to wait for.
        let place = match queue.try_reserve() {
            Ok(place) => place,
            Err(mpsc::error::TrySendError::Closed(())) => return false,
            Err(mpsc::error::TrySendError::Full(())) => {
                let place = tokio::select! {
                    place = queue.reserve() => place,
                    () = closing.hangup.hung_up() => return false,
                };
                match place {
                    Ok(place) => place,
                    Err(_closed) => return false,
                }
            }
        };
        let item = Item::Message(message);
        bytes.fetch_add(item.weight(), Ordering::Relaxed);
        place.send(item);
        true
    }

    /// Whether at most three quarters of the queue are taken: what others ask of this peer is only queued then,
    /// so that they cannot crowd out the answers that it waits for.
    pub(crate) fn has_room(&self) -> bool {
        self.0.queue.capacity() > self.0.queue.max_capacity() / 4
            && self.0.bytes.load(Ordering::Relaxed) < self.0.limits.bytes / 4 * 3
    }

    /// Writes what is queued, then `last`, then closes.
    pub(crate) fn close(&self, last: Option<Message>) {
        self.end(last, false);
    }

    /// Drops what is queued, tries to say `last`, and closes.
    pub(crate) fn abandon(&self, last: Option<Message>) {
        self.end(last, true);
    }

    fn end(&self, last: Option<Message>, abandon: bool) {
        if self.is_closed() {
            return;
        }
        if self.0.local {
            if let Some(message) = last {
                // A full queue ends all the same; the peer sees the close without the words.
                let _ = self.0.queue.try_send(Item::Message(message));
            }
        } else {
            *self.0.closing.words.lock() = LastWords {
                message: last,
                abandon,
            };
        }
        self.0.closing.hangup.hang_up();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closing.hangup.is_hung_up()
    }

    pub(crate) async fn closed(&self) {
        self.0.closing.hangup.hung_up().await;
    }
}

impl Queue {
    pub(super) async fn recv(&mut self) -> Option<Item> {
        let item = self.items.recv().await?;
        self.bytes.fetch_sub(item.weight(), Ordering::Relaxed);
        Some(item)
    }

    pub(super) fn try_recv(&mut self) -> Option<Item> {
        let item = self.items.try_recv().ok()?;
        self.bytes.fetch_sub(item.weight(), Ordering::Relaxed);
        Some(item)
    }

    /// Up to `limit` items, at least one; none when nobody can send any more.
    pub(super) async fn recv_many(&mut self, batch: &mut Vec<Item>, limit: usize) -> usize {
        let count = self.items.recv_many(batch, limit).await;
        let weight = batch.iter().map(Item::weight).sum();
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
        count
    }
}
