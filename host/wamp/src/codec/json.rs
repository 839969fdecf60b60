//! JSON, read by jiter (integers of any length) and written here. Bytes are a text of NUL and base64, as the
//! WAMP specification lays down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiter::{Jiter, JiterError, NumberAny, NumberInt, Peek};

use super::{Budget, DecodeError, EncodeError, Field, deeper, deeper_out};
use crate::integer::{Integer, MAX_INTEGER_BYTES};
use crate::value::{Dict, Value};

/// The first character of a text that stands for bytes.
const NUL: char = '\0';

pub(super) fn read(frame: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader {
        input: Jiter::new(frame),
        budget: Budget::new(),
    };
    let first = reader.input.peek().map_err(syntax)?;
    let value = reader.value(first, 0)?;
    reader.input.finish().map_err(syntax)?;
    Ok(value)
}

struct Reader<'a> {
    input: Jiter<'a>,
    budget: Budget,
}

impl Reader<'_> {
    fn value(&mut self, peek: Peek, depth: usize) -> Result<Value, DecodeError> {
        self.budget.value()?;
        match peek {
            Peek::Null => self.input.known_null().map(|()| Value::Null).map_err(syntax),
            Peek::True | Peek::False => self.input.known_bool(peek).map(Value::Bool).map_err(syntax),
            Peek::String => string(self.input.known_str().map_err(syntax)?),
            Peek::Array => self.list(deeper(depth)?),
            Peek::Object => self.map(deeper(depth)?),
            _ => match self.input.known_number(peek).map_err(syntax)? {
                NumberAny::Int(NumberInt::Int(value)) => Ok(Value::Int(value.into())),
                NumberAny::Int(NumberInt::BigInt(value)) => Ok(Value::Int(value.into())),
                NumberAny::Float(value) => Ok(Value::Float(value)),
            },
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let mut values = Vec::new();
        let mut next = self.input.known_array().map_err(syntax)?;
        while let Some(peek) = next {
            values.push(self.value(peek, depth)?);
            next = self.input.array_step().map_err(syntax)?;
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let mut entries = Dict::new();
        let mut key = self.input.known_object().map_err(syntax)?.map(str::to_owned);
        while let Some(name) = key {
            self.budget.value()?;
            let peek = self.input.peek().map_err(syntax)?;
            let value = self.value(peek, depth)?;
            entries.insert(name, value);
            key = self.input.next_key().map_err(syntax)?.map(str::to_owned);
        }
        Ok(Value::Map(entries))
    }
}

fn string(text: &str) -> Result<Value, DecodeError> {
    match text.strip_prefix(NUL) {
        None => Ok(Value::Str(text.to_owned())),
        Some(encoded) => BASE64
            .decode(encoded)
            .map(Value::Bytes)
            .map_err(|error| DecodeError::Syntax {
                what: format!("JSON: a string that begins with NUL must be base64: {error}"),
            }),
    }
}

// By value, to stand in map_err.
#[allow(clippy::needless_pass_by_value, reason = "stands in map_err")]
fn syntax(error: JiterError) -> DecodeError {
    DecodeError::Syntax {
        what: format!("JSON: {} at byte {}", error.error_type, error.index),
    }
}

pub(super) fn write(fields: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.push(b'[');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match field {
            Field::Id(id) => out.extend_from_slice(id.to_string().as_bytes()),
            Field::Text(text) => quoted(out, text)?,
            Field::Dict(entries) => map(out, entries, 2)?,
            Field::List(values) => list(out, values, 2)?,
        }
    }
    out.push(b']');
    Ok(())
}

fn value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => integer(out, value)?,
        Value::Float(value) if value.is_finite() => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Value::Float(value) => {
            return Err(EncodeError::NotFinite {
                value: value.to_string(),
            });
        }
        Value::Str(text) => quoted(out, text)?,
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"\"\\u0000");
            out.extend_from_slice(BASE64.encode(bytes).as_bytes());
            out.push(b'"');
        }
        Value::List(values) => list(out, values, deeper_out(depth)?)?,
        Value::Map(entries) => map(out, entries, deeper_out(depth)?)?,
    }
    Ok(())
}

fn list(out: &mut Vec<u8>, values: &[Value], depth: usize) -> Result<(), EncodeError> {
    out.push(b'[');
    for (index, element) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        value(out, element, depth)?;
    }
    out.push(b']');
    Ok(())
}

fn map(out: &mut Vec<u8>, entries: &Dict, depth: usize) -> Result<(), EncodeError> {
    out.push(b'{');
    for (index, (key, entry)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        escaped(out, key);
        out.push(b':');
        value(out, entry, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn integer(out: &mut Vec<u8>, value: &Integer) -> Result<(), EncodeError> {
    if value.as_i64().is_none() {
        let bytes = value.to_big().magnitude().to_bytes_be().len();
        if bytes > MAX_INTEGER_BYTES {
            return Err(EncodeError::IntegerTooLong { bytes });
        }
    }
    out.extend_from_slice(value.to_string().as_bytes());
    Ok(())
}

fn quoted(out: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    if text.starts_with(NUL) {
        return Err(EncodeError::NulText);
    }
    escaped(out, text);
    Ok(())
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                for digit in [byte >> 4, byte & 0x0f] {
                    out.push(HEX.get(usize::from(digit)).copied().unwrap_or(b'0'));
                }
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
