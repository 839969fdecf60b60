//! The writer task of a socket: encodes what is queued, batches it into few writes, keeps the peer awake, and
//! says the last words.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::poll;
use tokio::time::{MissedTickBehavior, timeout};

use super::outgoing::{Closing, Item, Queue};
use crate::codec::{EncodeError, Serializer};
use crate::limits::{CLOSE_GRACE, WRITE_TIMEOUT};
use crate::message::Message;

/// Asked what to send instead of a message that cannot be written, and why it cannot.
pub(crate) type Unsendable = Box<dyn Fn(Message, &EncodeError) -> Option<Message> + Send + Sync>;

/// Messages written before the connection is flushed, at most.
const BATCH: usize = 64;

/// A socket that takes frames.
pub(super) trait FrameSink: Send + 'static {
    /// Takes a frame; it may wait until [`FrameSink::flush`].
    fn frame(&mut self, frame: Vec<u8>) -> impl Future<Output = std::io::Result<()>> + Send;
    fn pong(&mut self, payload: Vec<u8>) -> impl Future<Output = std::io::Result<()>> + Send;
    fn ping(&mut self) -> impl Future<Output = std::io::Result<()>> + Send;
    fn flush(&mut self) -> impl Future<Output = std::io::Result<()>> + Send;
    fn close(&mut self, reason: &str) -> impl Future<Output = ()> + Send;
}

/// When the peer was last heard, and whether it is asked for a sign of life; shared between reader and writer.
#[derive(Clone)]
pub(super) struct Pulse {
    interval: Option<Duration>,
    seen: Arc<Seen>,
}

struct Seen {
    start: Instant,
    /// Milliseconds from the start to what was heard last.
    heard: AtomicU64,
    /// Whether the peer is known to answer pings.
    answers: AtomicBool,
}

impl Pulse {
    /// Pings after `interval` of silence, if the peer `answers`; never, without an interval.
    pub(super) fn new(interval: Option<Duration>, answers: bool) -> Self {
        let seen = Seen {
            start: Instant::now(),
            heard: AtomicU64::new(0),
            answers: AtomicBool::new(answers),
        };
        Self {
            interval,
            seen: Arc::new(seen),
        }
    }

    pub(super) fn heard(&self) {
        if self.interval.is_some() {
            let now = u64::try_from(self.seen.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.seen.heard.store(now, Ordering::Relaxed);
        }
    }

    /// The peer has pinged: it knows what that is.
    pub(super) fn pinged(&self) {
        self.seen.answers.store(true, Ordering::Relaxed);
    }

    /// The interval, and how long nothing was heard; none for a peer that is not asked.
    fn silence(&self) -> Option<(Duration, Duration)> {
        let interval = self.interval?;
        let heard = Duration::from_millis(self.seen.heard.load(Ordering::Relaxed));
        let answers = self.seen.answers.load(Ordering::Relaxed);
        answers.then(|| (interval, self.seen.start.elapsed().saturating_sub(heard)))
    }
}

/// What a writer needs to know of its connection.
pub(super) struct Writer {
    pub(super) serializer: Serializer,
    /// Bytes of the largest frame that the peer reads.
    pub(super) limit: usize,
    pub(super) closing: Closing,
    pub(super) pulse: Pulse,
    pub(super) unsendable: Unsendable,
}

impl Writer {
    pub(super) async fn run(self, mut sink: impl FrameSink, mut queue: Queue) {
        let alive = self.serve(&mut sink, &mut queue).await;
        self.closing.hangup.hang_up();
        if alive {
            // A peer that does not read is not waited for.
            let _ = timeout(CLOSE_GRACE, self.finish(&mut sink, &mut queue)).await;
        }
    }

    /// Writes until the connection closes. Returns whether it can still be written to.
    async fn serve(&self, sink: &mut impl FrameSink, queue: &mut Queue) -> bool {
        let interval = self.pulse.interval.unwrap_or(Duration::from_secs(3_600));
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        let mut closing = pin!(self.closing.hangup.hung_up());
        loop {
            let tick = tokio::select! {
                biased;
                () = self.closing.hangup.by_now() => return true,
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return true;
                    }
                    false
                }
                () = &mut closing => return true,
                _ = ticks.tick() => true,
            };
            let write = async {
                if tick {
                    self.keep_awake(sink).await
                } else {
                    self.write(sink, &mut batch).await
                }
            };
            tokio::pin!(write);
            // Most of what is written the peer's socket takes at once: no timer for that.
            let written = match poll!(&mut write) {
                Poll::Ready(written) => written,
                Poll::Pending => tokio::select! {
                    written = timeout(WRITE_TIMEOUT, &mut write) => match written {
                        Ok(written) => written,
                        // The peer has stopped reading, and nobody sends it so much that its queue would show it.
                        Err(_) => return false,
                    },
                    // Half a frame must not stay half written, unless the peer has stopped reading.
                    () = &mut closing => match timeout(CLOSE_GRACE, &mut write).await {
                        Ok(written) => written,
                        Err(_) => return false,
                    },
                },
            };
            if written.is_err() {
                return false;
            }
        }
    }

    async fn keep_awake(&self, sink: &mut impl FrameSink) -> std::io::Result<()> {
        let Some((interval, silence)) = self.pulse.silence() else {
            return Ok(());
        };
        if silence >= interval * 3 {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        if silence >= interval / 2 {
            sink.ping().await?;
        }
        Ok(())
    }

    async fn write(&self, sink: &mut impl FrameSink, batch: &mut Vec<Item>) -> std::io::Result<()> {
        for item in batch.drain(..) {
            match item {
                Item::Message(message) => {
                    if let Some(frame) = self.encode(message) {
                        sink.frame(frame).await?;
                    }
                }
                Item::Pong(payload) => sink.pong(payload).await?,
            }
        }
        sink.flush().await
    }

    fn encode(&self, message: Message) -> Option<Vec<u8>> {
        match self.try_encode(&message) {
            Ok(frame) => Some(frame),
            Err(error) => {
                let instead = (self.unsendable)(message, &error)?;
                self.try_encode(&instead).ok()
            }
        }
    }

    fn try_encode(&self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let mut frame = Vec::with_capacity(256);
        message.encode(self.serializer, &mut frame)?;
        if frame.len() > self.limit {
            return Err(EncodeError::TooLong {
                bytes: frame.len(),
                limit: self.limit,
            });
        }
        Ok(frame)
    }

    async fn finish(&self, sink: &mut impl FrameSink, queue: &mut Queue) -> std::io::Result<()> {
        let words = std::mem::take(&mut *self.closing.words.lock());
        if !words.abandon {
            let mut rest = Vec::new();
            while let Some(item) = queue.try_recv() {
                rest.push(item);
            }
            self.write(sink, &mut rest).await?;
        }
        let mut reason = String::new();
        if let Some(message) = words.message {
            if let Message::Abort { reason: uri, .. } | Message::Goodbye { reason: uri, .. } = &message {
                reason.clone_from(uri);
            }
            self.write(sink, &mut vec![Item::Message(message)]).await?;
        }
        sink.close(&reason).await;
        Ok(())
    }
}
