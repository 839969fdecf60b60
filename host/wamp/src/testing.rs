//! Frames by themselves, for tests that speak message by message.

use crate::codec::{self, Field};
use crate::message::Message;
use crate::{DecodeError, Serializer, Value};

/// The elements of a frame's outermost array.
///
/// # Errors
/// As any peer would refuse it.
pub fn read(serializer: Serializer, frame: &[u8]) -> Result<Vec<Value>, DecodeError> {
    codec::read(serializer, frame)
}

/// Whether a frame is a message of WAMP, whatever it says.
#[must_use]
pub fn is_message(serializer: Serializer, frame: &[u8]) -> bool {
    Message::decode(serializer, frame).is_ok()
}

/// A frame of these elements: numbers, texts, lists and maps. None if there is anything else among them, or if the
/// serializer cannot write it.
#[must_use]
pub fn write(serializer: Serializer, elements: &[Value]) -> Option<Vec<u8>> {
    let fields: Option<Vec<Field<'_>>> = elements
        .iter()
        .map(|element| {
            Some(match element {
                Value::Int(number) => Field::Id(number.as_u64()?),
                Value::Str(text) => Field::Text(text),
                Value::Map(entries) => Field::Dict(entries),
                Value::List(values) => Field::List(values),
                _ => return None,
            })
        })
        .collect();
    let mut frame = Vec::new();
    codec::write(serializer, &fields?, &mut frame).ok()?;
    Some(frame)
}
