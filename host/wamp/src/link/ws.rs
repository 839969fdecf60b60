//! WebSocket links, one message a frame; subprotocols wamp.2.json, wamp.2.msgpack and wamp.2.cbor.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message as Frame, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::outgoing::Queue;
use super::stream::Stream;
use super::writer::{FrameSink, Pulse, Unsendable, Writer};
use super::{Kind, Link, Outgoing, Pace, ReadError, decode, in_turn};
use crate::codec::Serializer;
use crate::message::Message;

/// Bytes of the socket's write buffer; tungstenite's own 128 KiB is much for thousands of peers.
const BUFFER: usize = 16 << 10;
/// Bytes of its read buffer. They are set to zero before each look at the socket, and are the most that one look takes in: little
/// for the many small frames, and 256 reads for a frame of a mebibyte.
const READ_BUFFER: usize = 4 << 10;
/// A close frame carries at most 125 bytes, two of them the code.
const MAX_CLOSE_REASON: usize = 123;

pub(super) struct Halves {
    stream: WebSocketStream<Stream>,
    serializer: Serializer,
    pace: Pace,
}

/// The bounds of tungstenite for frames of at most `limit` bytes.
pub(super) fn config(limit: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
}

/// Answers the opening handshake on `path`; the serializer is the first of the client's list that is ours.
pub(crate) async fn accept(stream: Stream, path: &str, pace: Pace) -> Result<Link, WsError> {
    let mut chosen = None;
    #[allow(clippy::result_large_err, reason = "the shape that tungstenite asks for")]
    let callback = |request: &Request, mut response: Response| {
        if request.uri().path() != path {
            return Err(refusal(
                StatusCode::NOT_FOUND,
                &format!("WAMP is served at {path}"),
            ));
        }
        let Some(serializer) = choose(request.headers()) else {
            let text = "a WAMP subprotocol is needed: wamp.2.cbor, wamp.2.msgpack or wamp.2.json";
            return Err(refusal(StatusCode::BAD_REQUEST, text));
        };
        chosen = Some(serializer);
        let name = HeaderValue::from_static(serializer.subprotocol());
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        Ok(response)
    };
    let stream = accept_hdr_async_with_config(stream, callback, Some(config(pace.frame))).await?;
    let serializer = chosen.ok_or(WsError::ConnectionClosed)?;
    Ok(link(stream, serializer, pace))
}

pub(super) fn link(stream: WebSocketStream<Stream>, serializer: Serializer, pace: Pace) -> Link {
    Link(Kind::Ws(Box::new(Halves {
        stream,
        serializer,
        pace,
    })))
}

fn choose(headers: &HeaderMap) -> Option<Serializer> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|name| Serializer::from_subprotocol(name.trim()))
}

fn refusal(status: StatusCode, text: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(text.to_owned()));
    *response.status_mut() = status;
    response
}

impl Halves {
    pub(super) fn serializer(&self) -> Serializer {
        self.serializer
    }

    pub(super) fn channel_id(&self) -> Option<[u8; 32]> {
        self.stream.get_ref().channel_id()
    }

    pub(super) fn start(self, queue: Queue, outgoing: &Outgoing, unsendable: Unsendable) -> Reader {
        let (sink, stream) = self.stream.split();
        let pulse = Pulse::new(self.pace.ping, true);
        let writer = Writer {
            serializer: self.serializer,
            limit: self.pace.frame,
            closing: outgoing.closing(),
            pulse: pulse.clone(),
            unsendable,
        };
        tokio::spawn(writer.run(
            Sink {
                sink,
                text: self.serializer.is_text(),
            },
            queue,
        ));
        Reader {
            stream,
            serializer: self.serializer,
            pulse,
        }
    }
}

pub(crate) struct Reader {
    stream: SplitStream<WebSocketStream<Stream>>,
    serializer: Serializer,
    pulse: Pulse,
}

impl Reader {
    pub(super) async fn next(&mut self) -> Result<Option<Message>, ReadError> {
        loop {
            let Some(frame) = in_turn(self.stream.next()).await else {
                return Ok(None);
            };
            self.pulse.heard();
            return match frame {
                Ok(Frame::Text(text)) if self.serializer.is_text() => {
                    decode(self.serializer, text.as_bytes()).map(Some)
                }
                Ok(Frame::Binary(bytes)) if !self.serializer.is_text() => {
                    decode(self.serializer, &bytes).map(Some)
                }
                Ok(Frame::Text(_)) => Err(ReadError::WrongKind {
                    found: "text",
                    expected: "binary",
                }),
                Ok(Frame::Binary(_)) => Err(ReadError::WrongKind {
                    found: "binary",
                    expected: "text",
                }),
                Ok(Frame::Close(_)) => Ok(None),
                // tungstenite answers pings by itself.
                Ok(_) => continue,
                Err(error) => failed(error),
            };
        }
    }

    pub(super) async fn discard(&mut self) -> bool {
        matches!(in_turn(self.stream.next()).await, Some(Ok(_)))
    }
}

fn failed(error: WsError) -> Result<Option<Message>, ReadError> {
    use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
    match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(None),
        WsError::Capacity(CapacityError::MessageTooLong { size, max_size }) => Err(ReadError::TooLong {
            bytes: size,
            limit: max_size,
        }),
        other => Err(ReadError::Transport(other.to_string())),
    }
}

struct Sink {
    sink: SplitSink<WebSocketStream<Stream>, Frame>,
    text: bool,
}

impl FrameSink for Sink {
    async fn frame(&mut self, frame: Vec<u8>) -> std::io::Result<()> {
        let frame = if self.text {
            Frame::Text(Utf8Bytes::try_from(frame).map_err(std::io::Error::other)?)
        } else {
            Frame::Binary(frame.into())
        };
        self.sink.feed(frame).await.map_err(std::io::Error::other)
    }

    async fn pong(&mut self, payload: Vec<u8>) -> std::io::Result<()> {
        self.sink
            .feed(Frame::Pong(payload.into()))
            .await
            .map_err(std::io::Error::other)
    }

    async fn ping(&mut self) -> std::io::Result<()> {
        self.sink
            .send(Frame::Ping(Bytes::new()))
            .await
            .map_err(std::io::Error::other)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush().await.map_err(std::io::Error::other)
    }

    async fn close(&mut self, reason: &str) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: at_most(MAX_CLOSE_REASON, reason).into(),
        };
        // The peer may be gone already.
        let _ = self.sink.send(Frame::Close(Some(frame))).await;
        let _ = self.sink.close().await;
    }
}

/// The beginning of a text, in whole characters.
fn at_most(bytes: usize, text: &str) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        for (text, kept) in [
            ("abcd", "abc"),
            ("aüü", "aü"),
            ("üüü", "ü"),
            ("ab", "ab"),
            ("", ""),
        ] {
            assert_eq!(at_most(3, text), kept);
        }
    }
}
