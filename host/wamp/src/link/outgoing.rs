//! The bounded queue towards a peer, and how a connection is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
pub(crate) struct Outgoing {
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

/// The end of a connection, which either side and the writer may bring about.
#[derive(Clone)]
pub(super) struct Closing {
    pub(super) token: CancellationToken,
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
        Self::new(limits, CancellationToken::new(), false)
    }

    pub(super) fn local(limits: QueueLimits, closed: CancellationToken) -> (Self, Queue) {
        Self::new(limits, closed, true)
    }

    fn new(limits: QueueLimits, token: CancellationToken, local: bool) -> (Self, Queue) {
        let (queue, items) = mpsc::channel(limits.messages.max(1));
        let bytes = Arc::new(AtomicUsize::new(0));
        let closing = Closing {
            token,
            words: Arc::default(),
        };
        (
            Self {
                queue,
                bytes: bytes.clone(),
                limits,
                closing,
                local,
            },
            Queue { items, bytes },
        )
    }

    pub(super) fn closing(&self) -> Closing {
        self.closing.clone()
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
        if self.bytes.load(Ordering::Relaxed).saturating_add(weight) > self.limits.bytes {
            return Err(QueueFull);
        }
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        match self.queue.try_send(item) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.bytes.fetch_sub(weight, Ordering::Relaxed);
                Err(QueueFull)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// Queues a message, waiting for room. Returns false if the connection is closed.
    pub(crate) async fn send(&self, message: Message) -> bool {
        let item = Item::Message(message);
        self.bytes.fetch_add(item.weight(), Ordering::Relaxed);
        tokio::select! {
            sent = self.queue.send(item) => sent.is_ok(),
            () = self.closing.token.cancelled() => false,
        }
    }

    /// Whether at most three quarters of the queue are taken: what others ask of this peer is only queued then,
    /// so that they cannot crowd out the answers that it waits for.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.capacity() > self.queue.max_capacity() / 4
            && self.bytes.load(Ordering::Relaxed) < self.limits.bytes / 4 * 3
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
        if self.local {
            if let Some(message) = last {
                // A full queue ends all the same; the peer sees the close without the words.
                let _ = self.queue.try_send(Item::Message(message));
            }
        } else {
            *self.closing.words.lock() = LastWords {
                message: last,
                abandon,
            };
        }
        self.closing.token.cancel();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closing.token.is_cancelled()
    }

    pub(crate) async fn closed(&self) {
        self.closing.token.cancelled().await;
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
