//! Messages on the wire: the elements of their outermost arrays, written and checked.

use std::sync::Arc;

use super::{
    ABORT, AUTHENTICATE, Arguments, CALL, CANCEL, CHALLENGE, ERROR, EVENT, GOODBYE, HELLO, INTERRUPT,
    INVOCATION, MAX_ID, Message, PUBLISH, PUBLISHED, Payload, REGISTER, REGISTERED, RESULT, SUBSCRIBE,
    SUBSCRIBED, UNREGISTER, UNREGISTERED, UNSUBSCRIBE, UNSUBSCRIBED, WELCOME, Weight, YIELD,
};
use crate::codec::{self, DecodeError, EncodeError, Field, Serializer};
use crate::value::{Dict, Value};

impl Message {
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
