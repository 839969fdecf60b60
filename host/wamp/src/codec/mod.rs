//! Frames: how a message is written and read in each of the three serializers.
//!
//! The readers and writers here are ours, because exactness and bounds are the point: integers of any size and
//! byte strings survive, nesting and element counts are limited while reading, and a hostile length prefix
//! allocates nothing. Nothing in this folder knows what a message means.

mod cbor;
mod json;
mod msgpack;

use crate::limits::{MAX_DEPTH, MAX_VALUES};
use crate::value::{Dict, Value};

/// The wire format of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serializer {
    /// JSON text; bytes travel as NUL and base64.
    Json,
    /// MessagePack; it has no integers beyond 64 bits.
    MsgPack,
    /// CBOR; integers beyond 64 bits travel as tags 2 and 3.
    Cbor,
}

impl Serializer {
    /// All of them, in the order a client of ours proposes them.
    pub const ALL: [Self; 3] = [Self::Cbor, Self::MsgPack, Self::Json];

    /// The WebSocket subprotocol.
    #[must_use]
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "wamp.2.json",
            Self::MsgPack => "wamp.2.msgpack",
            Self::Cbor => "wamp.2.cbor",
        }
    }

    /// The serializer of a WebSocket subprotocol, if it is one of ours.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|serializer| serializer.subprotocol() == name)
    }

    /// Reads a frame that is arguments and keyword arguments and nothing else. For fuzzing: sessions read messages.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], as for any frame.
    #[doc(hidden)]
    pub fn decode_arguments(self, frame: &[u8]) -> Result<(Vec<Value>, Dict), DecodeError> {
        match <[Value; 2]>::try_from(read(self, frame)?) {
            Ok([Value::List(args), Value::Map(kwargs)]) => Ok((args, kwargs)),
            _ => Err(DecodeError::NotAMessage {
                what: "not a list and a map".to_owned(),
            }),
        }
    }

    /// Writes what [`Serializer::decode_arguments`] reads.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], as for any frame.
    #[doc(hidden)]
    pub fn encode_arguments(self, args: &[Value], kwargs: &Dict) -> Result<Vec<u8>, EncodeError> {
        let mut frame = Vec::new();
        write(self, &[Field::List(args), Field::Dict(kwargs)], &mut frame)?;
        Ok(frame)
    }

    /// Whether frames are text rather than binary WebSocket messages.
    #[must_use]
    pub fn is_text(self) -> bool {
        self == Self::Json
    }
}

/// Why a frame could not be read. The session it came on ends with this text as the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame stops in the middle of a value.
    #[error("the frame ends in the middle of a value")]
    Truncated,
    /// Bytes follow the message.
    #[error("{count} bytes follow the end of the message")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// Too many containers inside each other.
    #[error("values nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too many values in one frame.
    #[error("the frame holds more than {MAX_VALUES} values")]
    TooManyValues,
    /// An integer longer than anybody would read.
    #[error(
        "an integer of {bytes} bytes, at most {} are read",
        crate::integer::MAX_INTEGER_BYTES
    )]
    IntegerTooLong {
        /// Bytes of its magnitude.
        bytes: usize,
    },
    /// A map key that is not text.
    #[error("a map key must be a string, not {found}")]
    KeyNotText {
        /// What stands there.
        found: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("a string is not valid UTF-8")]
    NotUtf8,
    /// Something this format allows and WAMP does not carry.
    #[error("{what} cannot be carried")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// Anything else the format does not allow.
    #[error("{what}")]
    Syntax {
        /// What is wrong, and where if known.
        what: String,
    },
    /// Well-formed, but no WAMP message.
    #[error("not a WAMP message: {what}")]
    NotAMessage {
        /// What is wrong.
        what: String,
    },
}

/// Why a value cannot be written in a serializer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// MessagePack has no integers beyond 64 bits.
    #[error(
        "the integer {value} does not fit the 64 bits of MessagePack; send it as bytes, or use CBOR or JSON"
    )]
    IntegerTooWide {
        /// Its decimal digits, cut after some.
        value: String,
    },
    /// An integer longer than anybody would read.
    #[error(
        "an integer of {bytes} bytes, at most {} are written",
        crate::integer::MAX_INTEGER_BYTES
    )]
    IntegerTooLong {
        /// Bytes of its magnitude.
        bytes: usize,
    },
    /// JSON has no NaN and no infinities.
    #[error("the float {value} cannot be written in JSON")]
    NotFinite {
        /// Which.
        value: String,
    },
    /// In JSON such a text would be read back as bytes.
    #[error("a string that begins with NUL cannot be written in JSON, where that marks bytes")]
    NulText,
    /// Too many containers inside each other.
    #[error("values nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The frame would exceed what the peer reads.
    #[error("a frame of {bytes} bytes exceeds the {limit} that the peer reads")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What would be accepted.
        limit: usize,
    },
}

/// One element of the outermost array of a message, borrowed from where it lives.
pub(crate) enum Field<'a> {
    Id(u64),
    Text(&'a str),
    Dict(&'a Dict),
    List(&'a [Value]),
}

/// Reads the outermost array of a message.
pub(crate) fn read(serializer: Serializer, frame: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let value = match serializer {
        Serializer::Json => json::read(frame)?,
        Serializer::MsgPack => msgpack::read(frame)?,
        Serializer::Cbor => cbor::read(frame)?,
    };
    match value {
        Value::List(fields) => Ok(fields),
        other => Err(DecodeError::NotAMessage {
            what: format!("{} instead of an array", other.kind()),
        }),
    }
}

/// Appends a message of these fields to `out`. On an error `out` may hold a part of it.
pub(crate) fn write(
    serializer: Serializer,
    fields: &[Field<'_>],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match serializer {
        Serializer::Json => json::write(fields, out),
        Serializer::MsgPack => msgpack::write(fields, out),
        Serializer::Cbor => cbor::write(fields, out),
    }
}

/// Counts what a reader has taken, so that no frame grows without bound in memory or on the stack.
struct Budget {
    values: usize,
}

impl Budget {
    fn new() -> Self {
        Self { values: MAX_VALUES }
    }

    fn value(&mut self) -> Result<(), DecodeError> {
        self.values = self.values.checked_sub(1).ok_or(DecodeError::TooManyValues)?;
        Ok(())
    }
}

/// The depth one container further in.
fn deeper(depth: usize) -> Result<usize, DecodeError> {
    if depth >= MAX_DEPTH {
        Err(DecodeError::TooDeep)
    } else {
        Ok(depth + 1)
    }
}

/// The depth one container further in, while writing.
fn deeper_out(depth: usize) -> Result<usize, EncodeError> {
    if depth >= MAX_DEPTH {
        Err(EncodeError::TooDeep)
    } else {
        Ok(depth + 1)
    }
}

/// A capacity to reserve for `claimed` elements: what a length prefix claims is not to be trusted.
fn cautious(claimed: usize) -> usize {
    claimed.min(64)
}

/// Takes bytes from the front of a frame.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn finish(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { count: self.0.len() })
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| DecodeError::NotUtf8)
}

#[cfg(test)]
mod tests;
