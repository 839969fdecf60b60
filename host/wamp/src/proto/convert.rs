//! Envelopes to and from wampproto. Of options, only what its engine reads goes in.

use std::collections::HashMap;

use wampproto::messages as wire;
use wampproto::messages::message::Message as Envelope;
use wampproto::messages::types::Value as Theirs;
use wampproto::types::SessionDetails;

use super::{Identity, Violation};
use crate::message::Message;
use crate::value::{Dict, Value};

pub(super) type Options = HashMap<String, Theirs>;

/// Ids are at most 2^53 on our side.
pub(super) fn id(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// wampproto makes none below 1.
pub(super) fn our_id(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

pub(super) fn session(identity: Identity<'_>) -> SessionDetails {
    SessionDetails::new(
        id(identity.session),
        identity.realm.to_owned(),
        identity.authid.to_owned(),
        identity.role.to_owned(),
        false,
    )
}

/// The options of these names, where wampproto's type can hold them.
pub(super) fn pick(options: &Dict, names: &[&str]) -> Options {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), theirs(options.get(*name)?)?)))
        .collect()
}

fn theirs(value: &Value) -> Option<Theirs> {
    Some(match value {
        Value::Null => Theirs::Null,
        Value::Bool(value) => Theirs::Bool(*value),
        Value::Int(value) => match value.as_i64() {
            Some(small) => Theirs::Int(small),
            None => Theirs::UInt(value.as_u64()?),
        },
        Value::Float(value) => Theirs::Float(*value),
        Value::Str(text) => Theirs::Str(text.clone()),
        Value::Bytes(bytes) => Theirs::from(bytes.clone()),
        Value::List(values) => Theirs::List(values.iter().filter_map(theirs).collect()),
        Value::Map(entries) => Theirs::Dict(their_dict(entries)),
    })
}

fn their_dict(entries: &Dict) -> Options {
    entries
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), theirs(value)?)))
        .collect()
}

fn ours(value: &Theirs) -> Value {
    match value {
        Theirs::Null => Value::Null,
        Theirs::Bool(value) => Value::Bool(*value),
        Theirs::Int(value) => Value::Int((*value).into()),
        Theirs::UInt(value) => Value::Int((*value).into()),
        Theirs::Float(value) => Value::Float(*value),
        Theirs::Str(text) => Value::Str(text.clone()),
        Theirs::Bytes(bytes) => Value::Bytes(bytes.0.clone()),
        Theirs::List(values) => Value::List(values.iter().map(ours).collect()),
        Theirs::Dict(entries) => Value::Map(our_dict(entries)),
    }
}

fn our_dict(entries: &Options) -> Dict {
    entries
        .iter()
        .map(|(key, value)| (key.clone(), ours(value)))
        .collect()
}

/// What the engine made, as one of our messages without payload.
pub(super) fn message(envelope: &dyn Envelope) -> Result<Message, Violation> {
    let any = envelope.as_any();
    if let Some(made) = any.downcast_ref::<wire::error::Error>() {
        let kind = match made.message_type {
            Theirs::Int(kind) => our_id(kind),
            _ => 0,
        };
        return Ok(Message::Error {
            kind,
            request: our_id(made.request_id),
            details: our_dict(&made.options),
            uri: made.uri.clone(),
            payload: None,
        });
    }
    if let Some(made) = any.downcast_ref::<wire::event::Event>() {
        return Ok(Message::Event {
            subscription: our_id(made.subscription_id),
            publication: our_id(made.publication_id),
            details: our_dict(&made.details),
            payload: None,
        });
    }
    if let Some(made) = any.downcast_ref::<wire::subscribed::Subscribed>() {
        return Ok(Message::Subscribed {
            request: our_id(made.request_id),
            subscription: our_id(made.subscription_id),
        });
    }
    if let Some(made) = any.downcast_ref::<wire::unsubscribed::Unsubscribed>() {
        return Ok(Message::Unsubscribed {
            request: our_id(made.request_id),
        });
    }
    Err(Violation(format!(
        "the engine made a message of type {:?}, which no router sends",
        envelope.message_type()
    )))
}
