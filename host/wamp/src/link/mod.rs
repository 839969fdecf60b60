//! Links: how messages get from one process to another, or from one half of this process to the other.
//!
//! A link is an [`Incoming`] half, read by one task and never inside a `select!`, and an [`Outgoing`] half, a
//! bounded queue which anybody may feed. Sockets add a writer task that encodes, batches and flushes; the
//! in-process link hands the structures over. Nothing here knows who the peer is or what a message does.

#[cfg(test)]
pub(crate) mod authority;
mod connect;
mod hangup;
mod outgoing;
mod raw;
mod stream;
mod tls;
mod url;
mod writer;
mod ws;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::unconstrained;

pub use connect::{ConnectError, ConnectOptions, connect, connect_rs, connect_ws};
pub(crate) use outgoing::Outgoing;
pub(crate) use raw::accept as accept_raw;
pub(crate) use stream::Stream;
pub use tls::{ClientTls, ClientTlsFiles, ServerTls, TlsError};
pub use url::{RouterUrl, UrlError};
pub(crate) use writer::Unsendable;
pub(crate) use ws::accept as accept_ws;

use crate::codec::{DecodeError, Serializer};
use crate::limits::TCP_KEEPALIVE;
use crate::message::Message;
use crate::uri::error;
use hangup::Hangup;
use outgoing::Item;

/// A connection, not yet joined to a realm.
pub struct Link(Kind);

enum Kind {
    Ws(Box<ws::Halves>),
    Raw(raw::Halves),
    Local(LocalEnd),
}

struct LocalEnd {
    outgoing: Outgoing,
    incoming: LocalReader,
    /// Where it is to be read, if not where it is started.
    reader: Option<Handle>,
}

/// What a link's queue may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// What a socket's peer is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bytes of the largest frame read.
    pub(crate) frame: usize,
    /// From a RawSocket frame's first byte to its last.
    pub(crate) frame_time: Duration,
    /// Silence after which the peer is pinged; never, without one.
    pub(crate) ping: Option<Duration>,
}

impl Link {
    /// Two ends in one process: what one sends, the other receives, without being serialised.
    pub(crate) fn pair(limits: QueueLimits) -> (Self, Self) {
        let hangup = Hangup::default();
        let (left, to_left) = Outgoing::local(limits, hangup.clone());
        let (right, to_right) = Outgoing::local(limits, hangup.clone());
        let end = |outgoing, queue| {
            let incoming = LocalReader {
                queue,
                hangup: hangup.clone(),
                taken: 0,
            };
            Self(Kind::Local(LocalEnd {
                outgoing,
                incoming,
                reader: None,
            }))
        };
        (end(left, to_right), end(right, to_left))
    }

    /// Has an end in this process read where the other end is, so that what that one says wakes no other thread.
    pub(crate) fn read_at(mut self, thread: Handle) -> Self {
        if let Kind::Local(end) = &mut self.0 {
            end.reader = Some(thread);
        }
        self
    }

    /// Where it is to be read, if not where it is started.
    pub(crate) fn reader(&self) -> Option<Handle> {
        match &self.0 {
            Kind::Local(end) => end.reader.clone(),
            Kind::Ws(_) | Kind::Raw(_) => None,
        }
    }

    /// Starts the link. `unsendable` is asked what to send instead of a message that the serializer cannot write.
    pub(crate) fn start(self, limits: QueueLimits, unsendable: Unsendable) -> (Incoming, Outgoing) {
        match self.0 {
            Kind::Local(end) => (Incoming::Local(end.incoming), end.outgoing),
            Kind::Ws(halves) => {
                let (outgoing, queue) = Outgoing::queue(limits);
                let reader = halves.start(queue, &outgoing, unsendable);
                (Incoming::Ws(reader), outgoing)
            }
            Kind::Raw(halves) => {
                let (outgoing, queue) = Outgoing::queue(limits);
                let reader = halves.start(queue, &outgoing, unsendable);
                (Incoming::Raw(reader), outgoing)
            }
        }
    }

    /// The serializer; none in-process.
    #[must_use]
    pub fn serializer(&self) -> Option<Serializer> {
        match &self.0 {
            Kind::Ws(halves) => Some(halves.serializer()),
            Kind::Raw(halves) => Some(halves.serializer()),
            Kind::Local(_) => None,
        }
    }

    /// What identifies the TLS channel to both its ends, and to nobody between them: 32 bytes of the channel binding
    /// `tls-exporter` (RFC 9266). None without TLS, and none before TLS 1.3.
    #[must_use]
    pub fn channel_id(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Kind::Ws(halves) => halves.channel_id(),
            Kind::Raw(halves) => halves.channel_id(),
            Kind::Local(_) => None,
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.0 {
            Kind::Ws(_) => "WebSocket",
            Kind::Raw(_) => "RawSocket",
            Kind::Local(_) => "in-process",
        };
        f.debug_struct("Link")
            .field("kind", &kind)
            .field("serializer", &self.serializer())
            .finish()
    }
}

/// Where messages arrive.
pub(crate) enum Incoming {
    Ws(ws::Reader),
    Raw(raw::Reader),
    Local(LocalReader),
}

/// What a socket brings next, in turn with the others on the thread: where it was there at once, those that are ready go before
/// it, for what one read brings may be hundreds of frames. What comes of one frame so goes out while the next is looked at.
async fn in_turn<T>(next: impl Future<Output = T>) -> T {
    let mut next = pin!(next);
    let mut waited = false;
    let next = poll_fn(|context| {
        let polled = next.as_mut().poll(context);
        waited |= polled.is_pending();
        polled
    })
    .await;
    if !waited {
        others_turn().await;
    }
    next
}

/// Lets the others that are ready on the thread have their turn, once.
async fn others_turn() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        // Unlike tokio's own: it would look at all sockets first.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Incoming {
    /// The next message; `None` when the peer has closed. Not cancel-safe: give it a task of its own.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, ReadError> {
        match self {
            Self::Ws(reader) => reader.next().await,
            Self::Raw(reader) => reader.next().await,
            Self::Local(reader) => Ok(reader.next().await),
        }
    }

    /// Takes something in without looking at it; false when the peer has closed.
    pub(crate) async fn discard(&mut self) -> bool {
        match self {
            Self::Ws(reader) => reader.discard().await,
            Self::Raw(reader) => reader.discard().await,
            Self::Local(_) => false,
        }
    }
}

pub(crate) struct LocalReader {
    queue: outgoing::Queue,
    hangup: Hangup,
    /// Messages since it last gave others their turn.
    taken: usize,
}

/// Messages that an end in this process takes before others on its thread have their turn. It takes as many as that at once, for
/// what all the thread's connections send may be for it.
const AT_ONCE: usize = 1_024;

impl LocalReader {
    async fn next(&mut self) -> Option<Message> {
        loop {
            self.taken += 1;
            // Once closed, the rest is taken at once: nobody waits for whoever has hung up.
            if self.taken > AT_ONCE && !self.hangup.is_hung_up() {
                self.taken = 0;
                others_turn().await;
            }
            let item = tokio::select! {
                biased;
                item = unconstrained(self.queue.recv()) => item,
                // What was said before closing is still heard.
                () = self.hangup.hung_up() => self.queue.try_recv(),
            };
            match item? {
                Item::Message(message) => return Some(message),
                Item::Pong(_) => {}
            }
        }
    }
}

/// Why nothing more can be read from a link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    #[error("a {found} frame, where the serializer needs {expected} frames")]
    WrongKind {
        found: &'static str,
        expected: &'static str,
    },
    #[error("a frame of {bytes} bytes, at most {limit} are read")]
    TooLong { bytes: usize, limit: usize },
    #[error("a frame that is not whole {} ms after it began", within.as_millis())]
    Slow { within: Duration },
    #[error("{0}")]
    Transport(String),
}

impl ReadError {
    /// The reason to give to the peer; none when it cannot hear it.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(_) | Self::WrongKind { .. } => Some(error::PROTOCOL_VIOLATION),
            Self::TooLong { .. } => Some(error::PAYLOAD_SIZE_EXCEEDED),
            Self::Slow { .. } => Some(error::TIMEOUT),
            Self::Transport(_) => None,
        }
    }
}

/// Sets what every socket of ours needs.
pub(crate) fn tune(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(TCP_KEEPALIVE)
        .with_interval(TCP_KEEPALIVE / 4);
    // A socket without these options works too, only later or less surely.
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}

/// Reads one frame as a message, noting how long it was.
fn decode(serializer: Serializer, frame: &[u8]) -> Result<Message, ReadError> {
    Ok(Message::decode(serializer, frame)?)
}

type Receiver = mpsc::Receiver<Item>;

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::cell::Cell;
    use tokio::io::{AsyncWriteExt as _, DuplexStream};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    const PACE: Pace = Pace {
        frame: 1 << 16,
        frame_time: Duration::from_secs(60),
        ping: None,
    };
    /// Frames that a peer sends at once, which mean nothing.
    const FRAMES: usize = 10_000;

    /// Reads up to the end of what `link` has waiting, and returns how often another task on the thread had its turn meanwhile.
    async fn turns_of_others(link: Link, mut peer: DuplexStream) -> usize {
        let limits = QueueLimits {
            messages: 16,
            bytes: 1 << 16,
        };
        let (mut incoming, _out) = link.start(limits, Box::new(|_, _| None));
        // It still takes what is said to it.
        peer.shutdown().await.unwrap();
        let turns = Cell::new(0);
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let reading = async { while let Ok(Some(_)) = incoming.next().await {} };
        tokio::select! {
            biased;
            () = reading => turns.get(),
            () = others => unreachable!("it goes on for ever"),
        }
    }

    #[tokio::test]
    async fn what_an_end_in_this_process_said_before_it_closed_is_heard_at_once() {
        let limits = QueueLimits {
            messages: 4 * AT_ONCE,
            bytes: 1 << 20,
        };
        let (one, other) = Link::pair(limits);
        let (_silent, out) = one.start(limits, Box::new(|_, _| None));
        let (mut incoming, _out) = other.start(limits, Box::new(|_, _| None));
        for request in 0..3 * AT_ONCE as u64 {
            out.try_send(Message::Unsubscribed { request }).unwrap();
        }
        out.close(None);
        let mut heard = 0;
        while let Some(next) = incoming.next().now_or_never() {
            match next.unwrap() {
                Some(_) => heard += 1,
                None => break,
            }
        }
        assert_eq!(heard, 3 * AT_ONCE);
    }

    #[tokio::test]
    async fn nothing_is_sent_after_either_end_has_hung_up() {
        let limits = QueueLimits {
            messages: 4,
            bytes: 1 << 20,
        };
        let unsubscribed = |request| Message::Unsubscribed { request };
        let (one, other) = Link::pair(limits);
        let (mut incoming, out) = one.start(limits, Box::new(|_, _| None));
        let (mut heard, their_out) = other.start(limits, Box::new(|_, _| None));
        assert!(out.send(unsubscribed(1)).await);
        their_out.close(Some(unsubscribed(2)));
        assert!(!out.send(unsubscribed(3)).await);
        assert!(!their_out.send(unsubscribed(4)).await);
        assert_eq!(heard.next().await.unwrap(), Some(unsubscribed(1)));
        assert_eq!(heard.next().await.unwrap(), None);
        assert_eq!(incoming.next().await.unwrap(), Some(unsubscribed(2)));
        assert_eq!(incoming.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn whoever_waits_for_room_learns_that_the_other_end_hung_up() {
        let limits = QueueLimits {
            messages: 1,
            bytes: 1 << 20,
        };
        let (one, other) = Link::pair(limits);
        let (_incoming, out) = one.start(limits, Box::new(|_, _| None));
        let (_unheard, their_out) = other.start(limits, Box::new(|_, _| None));
        assert!(out.send(Message::Unsubscribed { request: 1 }).await);
        let mut waits = pin!(out.send(Message::Unsubscribed { request: 2 }));
        assert!(waits.as_mut().now_or_never().is_none());
        their_out.close(None);
        assert!(!waits.await);
    }

    #[tokio::test]
    async fn whoever_sends_without_end_lets_others_have_their_turn() {
        let limits = QueueLimits {
            messages: 4_096,
            bytes: 1 << 20,
        };
        let (one, _other) = Link::pair(limits);
        let (_incoming, out) = one.start(limits, Box::new(|_, _| None));
        let many = async {
            for request in 0..4_096 {
                assert!(out.send(Message::Unsubscribed { request }).await);
            }
        };
        assert!(many.now_or_never().is_none());
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_for_room_takes_none() {
        let limits = QueueLimits {
            messages: 1,
            bytes: 1 << 10,
        };
        let (one, other) = Link::pair(limits);
        let (_incoming, out) = one.start(limits, Box::new(|_, _| None));
        let (mut heard, _out) = other.start(limits, Box::new(|_, _| None));
        let unsubscribed = || Message::Unsubscribed { request: 1 };
        assert!(out.send(unsubscribed()).await);
        for _ in 0..limits.bytes {
            assert!(out.send(unsubscribed()).now_or_never().is_none());
        }
        assert!(heard.next().await.unwrap().is_some());
        assert_eq!(out.try_send(unsubscribed()), Ok(()));
    }

    #[tokio::test]
    async fn a_frame_that_was_waited_for_is_looked_at_at_once() {
        let turns = Cell::new(0);
        let next = async {
            in_turn(tokio::task::yield_now()).await;
            turns.get()
        };
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let before = tokio::select! {
            biased;
            turns = next => turns,
            () = others => unreachable!("it goes on for ever"),
        };
        assert_eq!(before, 1, "the turn in which it came");
    }

    #[tokio::test]
    async fn a_websocket_with_many_frames_lets_others_have_their_turn() {
        let (ours, mut peer) = tokio::io::duplex(1 << 20);
        // Pings under a mask of nothing, as a client's are.
        let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(FRAMES);
        peer.write_all(&pings).await.unwrap();
        let stream =
            WebSocketStream::from_raw_socket(ours.into(), Role::Server, Some(ws::config(PACE.frame)));
        let link = ws::link(stream.await, Serializer::Cbor, PACE);
        let turns = turns_of_others(link, peer).await;
        assert!(turns >= FRAMES, "{turns}");
    }

    #[tokio::test]
    async fn a_raw_socket_with_many_frames_lets_others_have_their_turn() {
        let (ours, mut peer) = tokio::io::duplex(1 << 20);
        peer.write_all(&[0x7f, 0xf3, 0, 0]).await.unwrap();
        let pings = [1, 0, 0, 0].repeat(FRAMES);
        peer.write_all(&pings).await.unwrap();
        let link = accept_raw(ours.into(), PACE).await.unwrap();
        let turns = turns_of_others(link, peer).await;
        assert!(turns >= FRAMES, "{turns}");
    }
}
