//! A client of the router: a connection in memory, RawSocket or WebSocket, and the book of what is said over it.

use std::time::Duration;

use bourse_wamp::{Dict, Router, Serializer, Value, testing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::MOMENT;
use super::book::{Book, Known};

/// Bytes under way on a connection, in each direction.
const PIPE: usize = 1 << 18;
/// A client is not read from for longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: router\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Raw,
    Ws,
}

pub(super) struct Client {
    serializer: Serializer,
    framing: Framing,
    stream: Option<DuplexStream>,
    /// What has come and is no whole frame yet.
    buffer: Vec<u8>,
    /// The answer to the transport's own greeting is still to come.
    greeting: bool,
    book: Book,
}

impl Client {
    pub(super) fn new(serializer: Serializer, framing: Framing) -> Self {
        Self {
            serializer,
            framing,
            stream: None,
            buffer: Vec::new(),
            greeting: false,
            book: Book::default(),
        }
    }

    pub(super) fn known(&self) -> &Known {
        &self.book.known
    }

    /// Whether it has sent bytes outside of any frame.
    pub(super) fn is_confused(&self) -> bool {
        self.book.confused
    }

    /// Connects, unless it is.
    pub(super) async fn connect(&mut self, router: &Router) {
        if self.stream.is_some() {
            return;
        }
        (self.buffer, self.book, self.greeting) = (Vec::new(), Book::default(), true);
        self.stream = router.connect_in_memory("/ws", PIPE);
        let greeting = match self.framing {
            Framing::Raw => {
                let id = match self.serializer {
                    Serializer::Json => 1,
                    Serializer::MsgPack => 2,
                    Serializer::Cbor => 3,
                };
                vec![0x7f, 0xf0 | id, 0, 0]
            }
            Framing::Ws => format!("{UPGRADE}{}\r\n\r\n", subprotocol(self.serializer)).into_bytes(),
        };
        self.write(&greeting).await;
        tokio::time::sleep(MOMENT).await;
        self.take_in().await;
    }

    /// Ends the connection without a word.
    pub(super) fn hang_up(&mut self) {
        self.stream = None;
    }

    async fn write(&mut self, bytes: &[u8]) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let written = tokio::time::timeout(PATIENCE, stream.write_all(bytes)).await;
        if written.is_err() {
            panic!("the router does not read");
        }
    }

    /// Bytes that may be anything, but no frame.
    pub(super) async fn send_outside(&mut self, bytes: &[u8]) {
        self.book.confused |= !bytes.is_empty();
        self.write(bytes).await;
    }

    /// A frame that may hold anything.
    pub(super) async fn send_frame(&mut self, payload: &[u8]) {
        if testing::is_message(self.serializer, payload) {
            let message = testing::read(self.serializer, payload).expect("it was read just now");
            self.book.said(&message);
        }
        let frame = self.frame(payload);
        self.write(&frame).await;
    }

    pub(super) async fn send(&mut self, message: &[Value]) {
        if let Some(payload) = testing::write(self.serializer, message) {
            self.send_frame(&payload).await;
        }
    }

    /// Answers one of the invocations that wait; false if none does.
    pub(super) async fn answer(&mut self, which: u8, failed: bool, progress: bool) -> bool {
        if self.stream.is_none() || self.book.over || self.book.invocations.is_empty() {
            return false;
        }
        let index = usize::from(which) % self.book.invocations.len();
        let asked = self.book.invocations[index];
        let progress = progress && asked.wants_progress;
        if !progress {
            self.book.invocations.swap_remove(index);
        }
        let payload = Value::List(vec![which.into()]);
        let message = if failed && !progress {
            vec![
                8_u64.into(),
                68_u64.into(),
                asked.invocation.into(),
                Dict::new().into(),
                "com.error.failed".into(),
                payload,
            ]
        } else {
            let options = if progress {
                Dict::from([("progress".to_owned(), true.into())])
            } else {
                Dict::new()
            };
            vec![70_u64.into(), asked.invocation.into(), options.into(), payload]
        };
        self.send(&message).await;
        true
    }

    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len())
            .expect("scripts are short")
            .to_be_bytes();
        let mut frame = match self.framing {
            // Type 0 in the first byte, the length in the other three.
            Framing::Raw => length.to_vec(),
            Framing::Ws => {
                let kind = if self.serializer == Serializer::Json {
                    0x81
                } else {
                    0x82
                };
                // Masked, as a client's frames must be, with zeros.
                let mut frame = vec![kind, 0x80 | 126, length[2], length[3], 0, 0, 0, 0];
                if payload.len() < 126 {
                    frame = vec![kind, 0x80 | length[3], 0, 0, 0, 0];
                }
                frame
            }
        };
        frame.extend_from_slice(payload);
        frame
    }

    /// Reads what has come.
    pub(super) async fn take_in(&mut self) {
        let mut chunk = [0; 4096];
        while let Some(stream) = &mut self.stream {
            match tokio::time::timeout(MOMENT, stream.read(&mut chunk)).await {
                Ok(Ok(count)) if count > 0 => self.buffer.extend_from_slice(&chunk[..count]),
                // The router hung up; what it said before still counts.
                Ok(_) => self.stream = None,
                Err(_) => break,
            }
        }
        if self.greeting {
            let end = match self.framing {
                Framing::Raw => (self.buffer.len() >= 4).then_some(4),
                Framing::Ws => self
                    .buffer
                    .windows(4)
                    .position(|window| window == b"\r\n\r\n")
                    .map(|start| start + 4),
            };
            let Some(end) = end else {
                return;
            };
            self.buffer.drain(..end);
            self.greeting = false;
        }
        while let Some((control, payload)) = self.next_frame() {
            if !control {
                let message = testing::read(self.serializer, &payload).expect("the router sends messages");
                self.book.heard(&message);
            }
        }
    }

    /// The next whole frame: whether it is one of the transport's own, and what it holds.
    fn next_frame(&mut self) -> Option<(bool, Vec<u8>)> {
        let (control, header, length) = match (self.framing, &self.buffer[..]) {
            (Framing::Raw, [kind, a, b, c, ..]) => {
                let length = u32::from_be_bytes([0, *a, *b, *c]);
                (*kind != 0, 4, usize::try_from(length).ok()?)
            }
            (Framing::Ws, [kind, 127, a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (kind & 8 != 0, 10, usize::try_from(length).ok()?)
            }
            (Framing::Ws, [kind, 126, a, b, ..]) => {
                (kind & 8 != 0, 4, usize::from(u16::from_be_bytes([*a, *b])))
            }
            (Framing::Ws, [kind, length @ 0..=125, ..]) => (kind & 8 != 0, 2, usize::from(*length)),
            _ => return None,
        };
        if self.buffer.len() < header + length {
            return None;
        }
        let mut frame: Vec<u8> = self.buffer.drain(..header + length).collect();
        Some((control, frame.split_off(header)))
    }

    /// If it is still joined, everything that it asked for was answered.
    pub(super) fn nothing_is_owed(&self) {
        if self.stream.is_some() {
            self.book.is_settled();
        }
    }
}

fn subprotocol(serializer: Serializer) -> &'static str {
    match serializer {
        Serializer::Json => "wamp.2.json",
        Serializer::MsgPack => "wamp.2.msgpack",
        Serializer::Cbor => "wamp.2.cbor",
    }
}
