//! RawSocket links: a four-byte handshake, then frames with a four-byte head (kind, 24-bit length).
//!
//! Pings are frames of their own kind, and not every peer knows them: autobahn-python hangs up, on Twisted for a frame
//! that seems too long, on asyncio for want of an answer. So a router pings those that have pinged it, and a client pings
//! where it is told to.

use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf,
};
use tokio::time::timeout;

use super::outgoing::Queue;
use super::stream::Stream;
use super::writer::{FrameSink, Pulse, Unsendable, Writer};
use super::{Kind, Link, Outgoing, Pace, ReadError, decode, in_turn};
use crate::codec::Serializer;
use crate::message::Message;

const MAGIC: u8 = 0x7f;
const KIND_MESSAGE: u8 = 0;
const KIND_PING: u8 = 1;
const KIND_PONG: u8 = 2;
/// The largest length that 24 bits hold.
const MAX_LENGTH: usize = (1 << 24) - 1;
/// The smallest length exponent of the handshake, 512 bytes.
const MIN_EXPONENT: u32 = 9;
/// Bytes read from the socket at once.
const BUFFER: usize = 16 << 10;

/// Refusals of the handshake.
const SERIALIZER_UNSUPPORTED: u8 = 1;
const RESERVED_BITS: u8 = 3;

/// Why a RawSocket handshake failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the peer does not speak RawSocket: its first byte is {first:#04x}, not 0x7f")]
    NotRawSocket { first: u8 },
    #[error("serializer {id} is not one of 1 (JSON), 2 (MessagePack), 3 (CBOR)")]
    Serializer { id: u8 },
    #[error("the reserved bytes of the handshake are not zero")]
    Reserved,
    #[error("the router refuses the connection with code {code}")]
    Refused { code: u8 },
}

pub(super) struct Halves {
    stream: Stream,
    serializer: Serializer,
    /// Bytes of the largest frame read.
    limit: usize,
    /// Bytes of the largest frame that the peer reads.
    peer_limit: usize,
    frame_time: Duration,
    pulse: Pulse,
}

fn id_of(serializer: Serializer) -> u8 {
    match serializer {
        Serializer::Json => 1,
        Serializer::MsgPack => 2,
        Serializer::Cbor => 3,
    }
}

/// The length exponent to announce for frames of at most `limit` bytes.
fn exponent(limit: usize) -> u8 {
    let log = limit.max(1).ilog2().clamp(MIN_EXPONENT, MIN_EXPONENT + 15);
    u8::try_from(log - MIN_EXPONENT).unwrap_or(0)
}

fn length(exponent: u8) -> usize {
    (1_usize << (u32::from(exponent) + MIN_EXPONENT)).min(MAX_LENGTH)
}

/// Answers the handshake of a client.
pub(crate) async fn accept(mut stream: Stream, pace: Pace) -> Result<Link, HandshakeError> {
    let mut greeting = [0_u8; 4];
    stream.read_exact(&mut greeting).await?;
    let [first, choice, reserved @ ..] = greeting;
    if first != MAGIC {
        return Err(HandshakeError::NotRawSocket { first });
    }
    if reserved != [0, 0] {
        stream.write_all(&[MAGIC, RESERVED_BITS << 4, 0, 0]).await?;
        return Err(HandshakeError::Reserved);
    }
    let id = choice & 0x0f;
    let Some(serializer) = Serializer::ALL
        .into_iter()
        .find(|serializer| id_of(*serializer) == id)
    else {
        stream
            .write_all(&[MAGIC, SERIALIZER_UNSUPPORTED << 4, 0, 0])
            .await?;
        return Err(HandshakeError::Serializer { id });
    };
    stream
        .write_all(&[MAGIC, exponent(pace.frame) << 4 | id, 0, 0])
        .await?;
    Ok(link(stream, serializer, pace, choice, false))
}

/// Opens the handshake as a client.
pub(super) async fn open(
    mut stream: Stream,
    serializer: Serializer,
    pace: Pace,
) -> Result<Link, HandshakeError> {
    let id = id_of(serializer);
    stream
        .write_all(&[MAGIC, exponent(pace.frame) << 4 | id, 0, 0])
        .await?;
    let mut answer = [0_u8; 4];
    stream.read_exact(&mut answer).await?;
    let [first, choice, ..] = answer;
    if first != MAGIC {
        return Err(HandshakeError::NotRawSocket { first });
    }
    match choice & 0x0f {
        0 => Err(HandshakeError::Refused { code: choice >> 4 }),
        answered if answered == id => Ok(link(stream, serializer, pace, choice, true)),
        other => Err(HandshakeError::Serializer { id: other }),
    }
}

/// The link after a handshake in which the peer said `choice`; `answers` if it is known to answer pings.
fn link(stream: Stream, serializer: Serializer, pace: Pace, choice: u8, answers: bool) -> Link {
    Link(Kind::Raw(Halves {
        stream,
        serializer,
        limit: length(exponent(pace.frame)),
        peer_limit: length(choice >> 4),
        frame_time: pace.frame_time,
        pulse: Pulse::new(pace.ping, answers),
    }))
}

impl Halves {
    pub(super) fn serializer(&self) -> Serializer {
        self.serializer
    }

    pub(super) fn channel_id(&self) -> Option<[u8; 32]> {
        self.stream.channel_id()
    }

    pub(super) fn start(self, queue: Queue, outgoing: &Outgoing, unsendable: Unsendable) -> Reader {
        let (read, write) = tokio::io::split(self.stream);
        let writer = Writer {
            serializer: self.serializer,
            limit: self.peer_limit,
            closing: outgoing.closing(),
            pulse: self.pulse.clone(),
            unsendable,
        };
        tokio::spawn(writer.run(
            Sink {
                write,
                buffer: Vec::new(),
            },
            queue,
        ));
        Reader {
            read: BufReader::with_capacity(BUFFER, read),
            serializer: self.serializer,
            limit: self.limit,
            outgoing: outgoing.clone(),
            frame: Vec::new(),
            frame_time: self.frame_time,
            pulse: self.pulse,
        }
    }
}

pub(crate) struct Reader {
    read: BufReader<ReadHalf<Stream>>,
    serializer: Serializer,
    limit: usize,
    /// For pongs.
    outgoing: Outgoing,
    /// Reused from frame to frame.
    frame: Vec<u8>,
    frame_time: Duration,
    pulse: Pulse,
}

impl Reader {
    pub(super) async fn next(&mut self) -> Result<Option<Message>, ReadError> {
        loop {
            // A frame may be long in coming, but not in the middle of it.
            if !in_turn(self.begins()).await? {
                return Ok(None);
            }
            let within = self.frame_time;
            let whole = timeout(within, self.frame())
                .await
                .map_err(|_| ReadError::Slow { within })?;
            let Some(kind) = whole? else {
                return Ok(None);
            };
            self.pulse.heard();
            match kind {
                KIND_MESSAGE => {
                    let message = decode(self.serializer, &self.frame);
                    if self.frame.capacity() > BUFFER {
                        self.frame = Vec::new();
                    }
                    return message.map(Some);
                }
                KIND_PING => {
                    self.pulse.pinged();
                    // A peer that pings faster than it reads goes without.
                    let _ = self.outgoing.try_pong(std::mem::take(&mut self.frame));
                }
                KIND_PONG => {}
                other => {
                    return Err(ReadError::Transport(format!(
                        "{other} is no kind of RawSocket frame"
                    )));
                }
            }
        }
    }

    /// Waits for the first byte of a frame; false when the peer has closed.
    async fn begins(&mut self) -> Result<bool, ReadError> {
        match self.read.fill_buf().await {
            Ok(bytes) => Ok(!bytes.is_empty()),
            // Under TLS, a peer that goes without saying so.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(ReadError::Transport(error.to_string())),
        }
    }

    /// Reads a frame and returns its kind; none when the peer closes in the middle of it.
    async fn frame(&mut self) -> Result<Option<u8>, ReadError> {
        let mut head = [0_u8; 4];
        match self.read.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(ReadError::Transport(error.to_string())),
        }
        let [kind, length @ ..] = head;
        let bytes = length
            .iter()
            .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if bytes > self.limit {
            return Err(ReadError::TooLong {
                bytes,
                limit: self.limit,
            });
        }
        self.frame.clear();
        // Grows as bytes arrive, not as the length claims.
        let read = (&mut self.read)
            .take(bytes as u64)
            .read_to_end(&mut self.frame)
            .await;
        let read = read.map_err(|error| ReadError::Transport(error.to_string()))?;
        Ok((read == bytes).then_some(kind))
    }

    pub(super) async fn discard(&mut self) -> bool {
        self.frame.resize(BUFFER, 0);
        matches!(self.read.read(&mut self.frame).await, Ok(1..))
    }
}

struct Sink {
    write: WriteHalf<Stream>,
    buffer: Vec<u8>,
}

impl Sink {
    async fn append(&mut self, kind: u8, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length as usize <= MAX_LENGTH);
        let length = length.ok_or(std::io::ErrorKind::InvalidInput)?;
        self.buffer
            .extend_from_slice(&(u32::from(kind) << 24 | length).to_be_bytes());
        self.buffer.extend_from_slice(payload);
        if self.buffer.len() > BUFFER {
            self.flush().await
        } else {
            Ok(())
        }
    }
}

impl FrameSink for Sink {
    async fn frame(&mut self, frame: Vec<u8>) -> std::io::Result<()> {
        self.append(KIND_MESSAGE, &frame).await
    }

    async fn pong(&mut self, payload: Vec<u8>) -> std::io::Result<()> {
        self.append(KIND_PONG, &payload).await
    }

    async fn ping(&mut self) -> std::io::Result<()> {
        self.append(KIND_PING, &[]).await?;
        self.flush().await
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.write.write_all(&self.buffer).await?;
        self.buffer.clear();
        if self.buffer.capacity() > 4 * BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    async fn close(&mut self, _reason: &str) {
        // The peer may be gone already.
        let _ = self.write.shutdown().await;
    }
}
