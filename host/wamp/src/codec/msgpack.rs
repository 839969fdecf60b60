//! MessagePack, without extension types. Integers stop at 64 bits: what is wider is an error, never rounded.

use super::{Budget, Bytes, DecodeError, EncodeError, Field, cautious, deeper, deeper_out, text};
use crate::integer::Integer;
use crate::value::{Dict, Value};

/// Digits of an unwritable integer that the error shows.
const SHOWN_DIGITS: usize = 80;

pub(super) fn read(frame: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader {
        bytes: Bytes(frame),
        budget: Budget::new(),
    };
    let value = reader.value(0)?;
    reader.bytes.finish()?;
    Ok(value)
}

struct Reader<'a> {
    bytes: Bytes<'a>,
    budget: Budget,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.budget.value()?;
        let marker = self.bytes.byte()?;
        Ok(match marker {
            0x00..=0x7f => Value::Int(marker.into()),
            0x80..=0x8f => self.map(usize::from(marker & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(marker & 0x0f), depth)?,
            0xa0..=0xbf => self.str(usize::from(marker & 0x1f))?,
            0xc0 => Value::Null,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4..=0xc6 => {
                let length = self.length(marker - 0xc4)?;
                Value::Bytes(self.bytes.take(length)?.to_vec())
            }
            0xca => Value::Float(f64::from(f32::from_be_bytes(self.bytes.array()?))),
            0xcb => Value::Float(f64::from_be_bytes(self.bytes.array()?)),
            0xcc => Value::Int(self.bytes.byte()?.into()),
            0xcd => Value::Int(u16::from_be_bytes(self.bytes.array()?).into()),
            0xce => Value::Int(u32::from_be_bytes(self.bytes.array()?).into()),
            0xcf => Value::Int(u64::from_be_bytes(self.bytes.array()?).into()),
            0xd0 => Value::Int(i8::from_be_bytes(self.bytes.array()?).into()),
            0xd1 => Value::Int(i16::from_be_bytes(self.bytes.array()?).into()),
            0xd2 => Value::Int(i32::from_be_bytes(self.bytes.array()?).into()),
            0xd3 => Value::Int(i64::from_be_bytes(self.bytes.array()?).into()),
            0xd9..=0xdb => {
                let length = self.length(marker - 0xd9)?;
                self.str(length)?
            }
            0xdc | 0xdd => {
                let length = self.length(marker - 0xdc + 1)?;
                self.list(length, depth)?
            }
            0xde | 0xdf => {
                let length = self.length(marker - 0xde + 1)?;
                self.map(length, depth)?
            }
            0xe0..=0xff => Value::Int(i8::from_be_bytes([marker]).into()),
            0xc7..=0xc9 | 0xd4..=0xd8 => {
                return Err(DecodeError::Unsupported {
                    what: format!("the MessagePack extension {marker:#04x}"),
                });
            }
            0xc1 => {
                return Err(DecodeError::Syntax {
                    what: "MessagePack: the marker 0xc1 is never used".into(),
                });
            }
        })
    }

    /// A length of 2^`width` bytes.
    fn length(&mut self, width: u8) -> Result<usize, DecodeError> {
        Ok(match width {
            0 => usize::from(self.bytes.byte()?),
            1 => usize::from(u16::from_be_bytes(self.bytes.array()?)),
            _ => usize::try_from(u32::from_be_bytes(self.bytes.array()?))
                .map_err(|_| DecodeError::Truncated)?,
        })
    }

    fn str(&mut self, length: usize) -> Result<Value, DecodeError> {
        text(self.bytes.take(length)?).map(Value::Str)
    }

    fn list(&mut self, length: usize, depth: usize) -> Result<Value, DecodeError> {
        let depth = deeper(depth)?;
        let mut values = Vec::with_capacity(cautious(length));
        for _ in 0..length {
            values.push(self.value(depth)?);
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, DecodeError> {
        let depth = deeper(depth)?;
        let mut entries = Dict::new();
        for _ in 0..length {
            let key = match self.value(depth)? {
                Value::Str(key) => key,
                other => return Err(DecodeError::KeyNotText { found: other.kind() }),
            };
            let value = self.value(depth)?;
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }
}

pub(super) fn write(fields: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    container(out, fields.len(), 0x90, 0xdc)?;
    for field in fields {
        match field {
            Field::Id(id) => unsigned(out, *id),
            Field::Text(text) => string(out, text)?,
            Field::Dict(entries) => map(out, entries, 2)?,
            Field::List(values) => list(out, values, 2)?,
        }
    }
    Ok(())
}

fn value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(false) => out.push(0xc2),
        Value::Bool(true) => out.push(0xc3),
        Value::Int(value) => integer(out, value)?,
        Value::Float(value) => {
            out.push(0xcb);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Str(text) => string(out, text)?,
        Value::Bytes(bytes) => {
            sized(out, bytes.len(), [0xc4, 0xc5, 0xc6])?;
            out.extend_from_slice(bytes);
        }
        Value::List(values) => list(out, values, deeper_out(depth)?)?,
        Value::Map(entries) => map(out, entries, deeper_out(depth)?)?,
    }
    Ok(())
}

fn list(out: &mut Vec<u8>, values: &[Value], depth: usize) -> Result<(), EncodeError> {
    container(out, values.len(), 0x90, 0xdc)?;
    values.iter().try_for_each(|element| value(out, element, depth))
}

fn map(out: &mut Vec<u8>, entries: &Dict, depth: usize) -> Result<(), EncodeError> {
    container(out, entries.len(), 0x80, 0xde)?;
    entries.iter().try_for_each(|(key, entry)| {
        string(out, key)?;
        value(out, entry, depth)
    })
}

fn string(out: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    match u8::try_from(text.len()) {
        Ok(length) if length < 32 => out.push(0xa0 | length),
        _ => sized(out, text.len(), [0xd9, 0xda, 0xdb])?,
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn integer(out: &mut Vec<u8>, value: &Integer) -> Result<(), EncodeError> {
    if let Some(value) = value.as_u64() {
        unsigned(out, value);
    } else if let Some(value) = value.as_i64() {
        signed(out, value);
    } else {
        let mut digits = value.to_string();
        if digits.len() > SHOWN_DIGITS {
            digits.truncate(SHOWN_DIGITS);
            digits.push('…');
        }
        return Err(EncodeError::IntegerTooWide { value: digits });
    }
    Ok(())
}

fn unsigned(out: &mut Vec<u8>, value: u64) {
    if let Ok(value) = u8::try_from(value) {
        if value < 0x80 {
            out.push(value);
        } else {
            out.extend_from_slice(&[0xcc, value]);
        }
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xcd);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xce);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn signed(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = i8::try_from(value) {
        if value < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// The head of a list or map: `short` up to 15 elements, `long` (16-bit) and `long + 1` (32-bit) beyond.
fn container(out: &mut Vec<u8>, length: usize, short: u8, long: u8) -> Result<(), EncodeError> {
    match u8::try_from(length) {
        Ok(length) if length < 16 => out.push(short | length),
        _ => match u16::try_from(length) {
            Ok(length) => {
                out.push(long);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(long + 1);
                out.extend_from_slice(&wide(length)?);
            }
        },
    }
    Ok(())
}

/// The head of a text or byte string: markers for lengths of one, two and four bytes.
fn sized(out: &mut Vec<u8>, length: usize, markers: [u8; 3]) -> Result<(), EncodeError> {
    let [one, two, four] = markers;
    if let Ok(length) = u8::try_from(length) {
        out.extend_from_slice(&[one, length]);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(two);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(four);
        out.extend_from_slice(&wide(length)?);
    }
    Ok(())
}

fn wide(length: usize) -> Result<[u8; 4], EncodeError> {
    u32::try_from(length)
        .map(u32::to_be_bytes)
        .map_err(|_| EncodeError::TooLong {
            bytes: length,
            limit: u32::MAX as usize,
        })
}
