//! WAMP messages as plain structures, and their shape on the wire. The payload of a message (arguments and
//! keyword arguments) is shared, never copied, on its way from one session to others.

use std::sync::Arc;

use crate::codec::{self, DecodeError, EncodeError, Field, Serializer};
use crate::value::{Dict, Value};

/// The largest id of a session, request, registration, subscription or publication: 2^53, what a double holds.
pub(crate) const MAX_ID: u64 = 1 << 53;

pub(crate) const HELLO: u64 = 1;
pub(crate) const WELCOME: u64 = 2;
pub(crate) const ABORT: u64 = 3;
pub(crate) const CHALLENGE: u64 = 4;
pub(crate) const AUTHENTICATE: u64 = 5;
pub(crate) const GOODBYE: u64 = 6;
pub(crate) const ERROR: u64 = 8;
pub(crate) const PUBLISH: u64 = 16;
pub(crate) const PUBLISHED: u64 = 17;
pub(crate) const SUBSCRIBE: u64 = 32;
pub(crate) const SUBSCRIBED: u64 = 33;
pub(crate) const UNSUBSCRIBE: u64 = 34;
pub(crate) const UNSUBSCRIBED: u64 = 35;
pub(crate) const EVENT: u64 = 36;
pub(crate) const CALL: u64 = 48;
pub(crate) const CANCEL: u64 = 49;
pub(crate) const RESULT: u64 = 50;
pub(crate) const REGISTER: u64 = 64;
pub(crate) const REGISTERED: u64 = 65;
pub(crate) const UNREGISTER: u64 = 66;
pub(crate) const UNREGISTERED: u64 = 67;
pub(crate) const INVOCATION: u64 = 68;
pub(crate) const INTERRUPT: u64 = 69;
pub(crate) const YIELD: u64 = 70;

/// Arguments and keyword arguments; `None` when there are neither.
pub(crate) type Payload = Option<Arc<Arguments>>;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) args: Vec<Value>,
    pub(crate) kwargs: Dict,
    /// Bytes of the frame that they came in; 0 if they were made here. Queues are bounded by it.
    pub(crate) weight: Weight,
}

/// Bytes, for accounting only: it makes no two payloads different.
#[derive(Clone, Copy, Default)]
pub(crate) struct Weight(pub(crate) usize);

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

impl PartialEq for Weight {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Wraps arguments for a message.
pub(crate) fn payload(args: Vec<Value>, kwargs: Dict) -> Payload {
    if args.is_empty() && kwargs.is_empty() {
        None
    } else {
        Some(Arc::new(Arguments {
            args,
            kwargs,
            weight: Weight(0),
        }))
    }
}

/// Unwraps the arguments of a message; copies them only if another receiver holds them too.
pub(crate) fn unwrap(payload: Payload) -> Arguments {
    payload.map(Arc::unwrap_or_clone).unwrap_or_default()
}

/// One explaining sentence as a payload.
pub(crate) fn sentence(text: impl Into<String>) -> Payload {
    payload(vec![Value::Str(text.into())], Dict::new())
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    Hello {
        realm: String,
        details: Dict,
    },
    Welcome {
        session: u64,
        details: Dict,
    },
    Abort {
        details: Dict,
        reason: String,
    },
    Challenge {
        method: String,
        extra: Dict,
    },
    Authenticate {
        signature: String,
        extra: Dict,
    },
    Goodbye {
        details: Dict,
        reason: String,
    },
    Error {
        kind: u64,
        request: u64,
        details: Dict,
        uri: String,
        payload: Payload,
    },
    Publish {
        request: u64,
        options: Dict,
        topic: String,
        payload: Payload,
    },
    Published {
        request: u64,
        publication: u64,
    },
    Subscribe {
        request: u64,
        options: Dict,
        topic: String,
    },
    Subscribed {
        request: u64,
        subscription: u64,
    },
    Unsubscribe {
        request: u64,
        subscription: u64,
    },
    Unsubscribed {
        request: u64,
    },
    Event {
        subscription: u64,
        publication: u64,
        details: Dict,
        payload: Payload,
    },
    Call {
        request: u64,
        options: Dict,
        procedure: String,
        payload: Payload,
    },
    Cancel {
        request: u64,
        options: Dict,
    },
    Result {
        request: u64,
        details: Dict,
        payload: Payload,
    },
    Register {
        request: u64,
        options: Dict,
        procedure: String,
    },
    Registered {
        request: u64,
        registration: u64,
    },
    Unregister {
        request: u64,
        registration: u64,
    },
    /// `request` is 0 and `details` names the registration when the router revokes it.
    Unregistered {
        request: u64,
        details: Dict,
    },
    Invocation {
        request: u64,
        registration: u64,
        details: Dict,
        payload: Payload,
    },
    Interrupt {
        request: u64,
        options: Dict,
    },
    Yield {
        request: u64,
        options: Dict,
        payload: Payload,
    },
}

impl Message {
    /// An ERROR with one explaining sentence.
    pub(crate) fn error(kind: u64, request: u64, uri: &str, text: impl Into<String>) -> Self {
        Self::Error {
            kind,
            request,
            details: Dict::new(),
            uri: uri.to_owned(),
            payload: sentence(text),
        }
    }

    /// A GOODBYE or, before WELCOME, an ABORT that says why.
    pub(crate) fn farewell(welcomed: bool, reason: &str, text: &str) -> Self {
        let details = Dict::from([("message".to_owned(), Value::from(text))]);
        let reason = reason.to_owned();
        if welcomed {
            Self::Goodbye { details, reason }
        } else {
            Self::Abort { details, reason }
        }
    }

    /// The name of the message's type.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "HELLO",
            Self::Welcome { .. } => "WELCOME",
            Self::Abort { .. } => "ABORT",
            Self::Challenge { .. } => "CHALLENGE",
            Self::Authenticate { .. } => "AUTHENTICATE",
            Self::Goodbye { .. } => "GOODBYE",
            Self::Error { .. } => "ERROR",
            Self::Publish { .. } => "PUBLISH",
            Self::Published { .. } => "PUBLISHED",
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Subscribed { .. } => "SUBSCRIBED",
            Self::Unsubscribe { .. } => "UNSUBSCRIBE",
            Self::Unsubscribed { .. } => "UNSUBSCRIBED",
            Self::Event { .. } => "EVENT",
            Self::Call { .. } => "CALL",
            Self::Cancel { .. } => "CANCEL",
            Self::Result { .. } => "RESULT",
            Self::Register { .. } => "REGISTER",
            Self::Registered { .. } => "REGISTERED",
            Self::Unregister { .. } => "UNREGISTER",
            Self::Unregistered { .. } => "UNREGISTERED",
            Self::Invocation { .. } => "INVOCATION",
            Self::Interrupt { .. } => "INTERRUPT",
            Self::Yield { .. } => "YIELD",
        }
    }

    /// What the message counts in a queue that is bounded by bytes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Error {
                payload: Some(arguments),
                ..
            }
            | Self::Publish {
                payload: Some(arguments),
                ..
            }
            | Self::Event {
                payload: Some(arguments),
                ..
            }
            | Self::Call {
                payload: Some(arguments),
                ..
            }
            | Self::Result {
                payload: Some(arguments),
                ..
            }
            | Self::Invocation {
                payload: Some(arguments),
                ..
            }
            | Self::Yield {
                payload: Some(arguments),
                ..
            } => arguments.weight.0,
            _ => 0,
        }
    }

    /// Appends the message's frame to `out`.
    pub(crate) fn encode(&self, serializer: Serializer, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        use Field::{Dict as Map, Id, Text};
        let write = |fields: &[Field<'_>], out: &mut Vec<u8>| codec::write(serializer, fields, out);
        match self {
            Self::Hello { realm, details } => write(&[Id(HELLO), Text(realm), Map(details)], out),
            Self::Welcome { session, details } => write(&[Id(WELCOME), Id(*session), Map(details)], out),
            Self::Abort { details, reason } => write(&[Id(ABORT), Map(details), Text(reason)], out),
            Self::Challenge { method, extra } => write(&[Id(CHALLENGE), Text(method), Map(extra)], out),
            Self::Authenticate { signature, extra } => {
                write(&[Id(AUTHENTICATE), Text(signature), Map(extra)], out)
            }
            Self::Goodbye { details, reason } => write(&[Id(GOODBYE), Map(details), Text(reason)], out),
            Self::Error {
                kind,
                request,
                details,
                uri,
                payload,
            } => with_payload(
                &[Id(ERROR), Id(*kind), Id(*request), Map(details), Text(uri)],
                payload,
                serializer,
                out,
            ),
            Self::Publish {
                request,
                options,
                topic,
                payload,
            } => with_payload(
                &[Id(PUBLISH), Id(*request), Map(options), Text(topic)],
                payload,
                serializer,
                out,
            ),
            Self::Published { request, publication } => {
                write(&[Id(PUBLISHED), Id(*request), Id(*publication)], out)
            }
            Self::Subscribe {
                request,
                options,
                topic,
            } => write(&[Id(SUBSCRIBE), Id(*request), Map(options), Text(topic)], out),
            Self::Subscribed {
                request,
                subscription,
            } => write(&[Id(SUBSCRIBED), Id(*request), Id(*subscription)], out),
            Self::Unsubscribe {
                request,
                subscription,
            } => write(&[Id(UNSUBSCRIBE), Id(*request), Id(*subscription)], out),
            Self::Unsubscribed { request } => write(&[Id(UNSUBSCRIBED), Id(*request)], out),
            Self::Event {
                subscription,
                publication,
                details,
                payload,
            } => with_payload(
                &[Id(EVENT), Id(*subscription), Id(*publication), Map(details)],
                payload,
                serializer,
                out,
            ),
            Self::Call {
                request,
                options,
                procedure,
                payload,
            } => with_payload(
                &[Id(CALL), Id(*request), Map(options), Text(procedure)],
                payload,
                serializer,
                out,
            ),
            Self::Cancel { request, options } => write(&[Id(CANCEL), Id(*request), Map(options)], out),
            Self::Result {
                request,
                details,
                payload,
            } => with_payload(
                &[Id(RESULT), Id(*request), Map(details)],
                payload,
                serializer,
                out,
            ),
            Self::Register {
                request,
                options,
                procedure,
            } => write(&[Id(REGISTER), Id(*request), Map(options), Text(procedure)], out),
            Self::Registered {
                request,
                registration,
            } => write(&[Id(REGISTERED), Id(*request), Id(*registration)], out),
            Self::Unregister {
                request,
                registration,
            } => write(&[Id(UNREGISTER), Id(*request), Id(*registration)], out),
            Self::Unregistered { request, details } if details.is_empty() => {
                write(&[Id(UNREGISTERED), Id(*request)], out)
            }
            Self::Unregistered { request, details } => {
                write(&[Id(UNREGISTERED), Id(*request), Map(details)], out)
            }
            Self::Invocation {
                request,
                registration,
                details,
                payload,
            } => with_payload(
                &[Id(INVOCATION), Id(*request), Id(*registration), Map(details)],
                payload,
                serializer,
                out,
            ),
            Self::Interrupt { request, options } => write(&[Id(INTERRUPT), Id(*request), Map(options)], out),
            Self::Yield {
                request,
                options,
                payload,
            } => with_payload(&[Id(YIELD), Id(*request), Map(options)], payload, serializer, out),
        }
    }

    /// Reads one frame.
    pub(crate) fn decode(serializer: Serializer, frame: &[u8]) -> Result<Self, DecodeError> {
        Self::from_fields(codec::read(serializer, frame)?, frame.len())
    }

    /// Reads a message from the elements of its outermost array.
    fn from_fields(fields: Vec<Value>, weight: usize) -> Result<Self, DecodeError> {
        let mut fields = Fields {
            fields: fields.into_iter(),
            name: "message",
            position: 0,
            weight,
        };
        let code = fields.any_id()?;
        fields.name = name_of(code).ok_or_else(|| not_a_message(format!("{code} is no message type")))?;
        let message = match code {
            HELLO => Self::Hello {
                realm: fields.text()?,
                details: fields.dict()?,
            },
            WELCOME => Self::Welcome {
                session: fields.id()?,
                details: fields.dict()?,
            },
            ABORT => {
                let (details, reason) = (fields.dict()?, fields.text()?);
                let _ = fields.payload()?;
                Self::Abort { details, reason }
            }
            CHALLENGE => Self::Challenge {
                method: fields.text()?,
                extra: fields.dict()?,
            },
            AUTHENTICATE => Self::Authenticate {
                signature: fields.text()?,
                extra: fields.dict()?,
            },
            GOODBYE => Self::Goodbye {
                details: fields.dict()?,
                reason: fields.text()?,
            },
            ERROR => Self::Error {
                kind: fields.id()?,
                request: fields.id()?,
                details: fields.dict()?,
                uri: fields.text()?,
                payload: fields.payload()?,
            },
            PUBLISH => Self::Publish {
                request: fields.id()?,
                options: fields.dict()?,
                topic: fields.text()?,
                payload: fields.payload()?,
            },
            PUBLISHED => Self::Published {
                request: fields.id()?,
                publication: fields.id()?,
            },
            SUBSCRIBE => Self::Subscribe {
                request: fields.id()?,
                options: fields.dict()?,
                topic: fields.text()?,
            },
            SUBSCRIBED => Self::Subscribed {
                request: fields.id()?,
                subscription: fields.id()?,
            },
            UNSUBSCRIBE => Self::Unsubscribe {
                request: fields.id()?,
                subscription: fields.id()?,
            },
            UNSUBSCRIBED => {
                let request = fields.any_id()?;
                let _ = fields.optional_dict()?;
                Self::Unsubscribed { request }
            }
            EVENT => Self::Event {
                subscription: fields.id()?,
                publication: fields.id()?,
                details: fields.dict()?,
                payload: fields.payload()?,
            },
            CALL => Self::Call {
                request: fields.id()?,
                options: fields.dict()?,
                procedure: fields.text()?,
                payload: fields.payload()?,
            },
            CANCEL => Self::Cancel {
                request: fields.id()?,
                options: fields.dict()?,
            },
            RESULT => Self::Result {
                request: fields.id()?,
                details: fields.dict()?,
                payload: fields.payload()?,
            },
            REGISTER => Self::Register {
                request: fields.id()?,
                options: fields.dict()?,
                procedure: fields.text()?,
            },
            REGISTERED => Self::Registered {
                request: fields.id()?,
                registration: fields.id()?,
            },
            UNREGISTER => Self::Unregister {
                request: fields.id()?,
                registration: fields.id()?,
            },
            UNREGISTERED => Self::Unregistered {
                request: fields.any_id()?,
                details: fields.optional_dict()?,
            },
            INVOCATION => Self::Invocation {
                request: fields.id()?,
                registration: fields.id()?,
                details: fields.dict()?,
                payload: fields.payload()?,
            },
            INTERRUPT => Self::Interrupt {
                request: fields.id()?,
                options: fields.dict()?,
            },
            _ => Self::Yield {
                request: fields.id()?,
                options: fields.dict()?,
                payload: fields.payload()?,
            },
        };
        fields.finish()?;
        Ok(message)
    }
}

fn with_payload(
    head: &[Field<'_>],
    payload: &Payload,
    serializer: Serializer,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut fields = Vec::with_capacity(head.len() + 2);
    for field in head {
        fields.push(match field {
            Field::Id(id) => Field::Id(*id),
            Field::Text(text) => Field::Text(text),
            Field::Dict(entries) => Field::Dict(entries),
            Field::List(values) => Field::List(values),
        });
    }
    if let Some(arguments) = payload {
        fields.push(Field::List(&arguments.args));
        if !arguments.kwargs.is_empty() {
            fields.push(Field::Dict(&arguments.kwargs));
        }
    }
    codec::write(serializer, &fields, out)
}

fn name_of(code: u64) -> Option<&'static str> {
    Some(match code {
        HELLO => "HELLO",
        WELCOME => "WELCOME",
        ABORT => "ABORT",
        CHALLENGE => "CHALLENGE",
        AUTHENTICATE => "AUTHENTICATE",
        GOODBYE => "GOODBYE",
        ERROR => "ERROR",
        PUBLISH => "PUBLISH",
        PUBLISHED => "PUBLISHED",
        SUBSCRIBE => "SUBSCRIBE",
        SUBSCRIBED => "SUBSCRIBED",
        UNSUBSCRIBE => "UNSUBSCRIBE",
        UNSUBSCRIBED => "UNSUBSCRIBED",
        EVENT => "EVENT",
        CALL => "CALL",
        CANCEL => "CANCEL",
        RESULT => "RESULT",
        REGISTER => "REGISTER",
        REGISTERED => "REGISTERED",
        UNREGISTER => "UNREGISTER",
        UNREGISTERED => "UNREGISTERED",
        INVOCATION => "INVOCATION",
        INTERRUPT => "INTERRUPT",
        YIELD => "YIELD",
        _ => return None,
    })
}

fn not_a_message(what: String) -> DecodeError {
    DecodeError::NotAMessage { what }
}

/// Takes the elements of a message one by one, by value.
struct Fields {
    fields: std::vec::IntoIter<Value>,
    name: &'static str,
    position: usize,
    weight: usize,
}

impl Fields {
    fn next(&mut self) -> Option<Value> {
        self.position += 1;
        self.fields.next()
    }

    fn wrong(&self, expected: &str, found: Option<&Value>) -> DecodeError {
        let found = found.map_or("nothing", Value::kind);
        not_a_message(format!(
            "element {} of {} must be {expected}, not {found}",
            self.position, self.name
        ))
    }

    fn any_id(&mut self) -> Result<u64, DecodeError> {
        match self.next() {
            Some(Value::Int(value)) => match value.as_u64() {
                Some(id) if id <= MAX_ID => Ok(id),
                _ => Err(self.wrong("an id of at most 2^53", Some(&Value::Int(value)))),
            },
            other => Err(self.wrong("an id of at most 2^53", other.as_ref())),
        }
    }

    fn id(&mut self) -> Result<u64, DecodeError> {
        match self.any_id()? {
            0 => Err(not_a_message(format!(
                "element {} of {} must not be 0",
                self.position, self.name
            ))),
            id => Ok(id),
        }
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        match self.next() {
            Some(Value::Str(text)) => Ok(text),
            other => Err(self.wrong("a string", other.as_ref())),
        }
    }

    fn dict(&mut self) -> Result<Dict, DecodeError> {
        match self.next() {
            Some(Value::Map(entries)) => Ok(entries),
            other => Err(self.wrong("a map", other.as_ref())),
        }
    }

    fn optional_dict(&mut self) -> Result<Dict, DecodeError> {
        if self.fields.as_slice().is_empty() {
            Ok(Dict::new())
        } else {
            self.dict()
        }
    }

    fn payload(&mut self) -> Result<Payload, DecodeError> {
        let args = match self.next() {
            None => return Ok(None),
            Some(Value::List(args)) => args,
            Some(Value::Null) => Vec::new(),
            other => return Err(self.wrong("a list of arguments", other.as_ref())),
        };
        let kwargs = match self.next() {
            None | Some(Value::Null) => Dict::new(),
            Some(Value::Map(kwargs)) => kwargs,
            other => return Err(self.wrong("a map of keyword arguments", other.as_ref())),
        };
        if args.is_empty() && kwargs.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Arguments {
            args,
            kwargs,
            weight: Weight(self.weight),
        })))
    }

    fn finish(&self) -> Result<(), DecodeError> {
        match self.fields.as_slice().len() {
            0 => Ok(()),
            count => Err(not_a_message(format!(
                "{} has {count} elements too many",
                self.name
            ))),
        }
    }
}
