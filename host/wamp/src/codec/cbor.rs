//! CBOR (RFC 8949): definite and indefinite lengths, all float widths, bignums. No other tags.

use num_bigint::{BigInt, Sign};

use super::{Budget, Bytes, DecodeError, EncodeError, Field, cautious, deeper, deeper_out, text};
use crate::integer::{Integer, MAX_INTEGER_BYTES};
use crate::value::{Dict, Value};

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const BREAK: u8 = 0xff;
const TAG_POSITIVE: u64 = 2;
const TAG_NEGATIVE: u64 = 3;
/// "This is CBOR", allowed in front of anything and without meaning.
const TAG_SELF_DESCRIBED: u64 = 55_799;

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

/// The head of an item: its major type, and its argument or `None` for an indefinite length.
struct Head {
    major: u8,
    argument: Option<u64>,
}

impl Reader<'_> {
    fn head(&mut self, initial: u8) -> Result<Head, DecodeError> {
        let argument = match initial & 0x1f {
            small @ 0..=23 => Some(u64::from(small)),
            24 => Some(u64::from(self.bytes.byte()?)),
            25 => Some(u64::from(u16::from_be_bytes(self.bytes.array()?))),
            26 => Some(u64::from(u32::from_be_bytes(self.bytes.array()?))),
            27 => Some(u64::from_be_bytes(self.bytes.array()?)),
            31 => None,
            reserved => return Err(syntax(format!("reserved additional information {reserved}"))),
        };
        Ok(Head {
            major: initial >> 5,
            argument,
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let initial = self.bytes.byte()?;
        self.value_after(initial, depth)
    }

    fn value_after(&mut self, initial: u8, depth: usize) -> Result<Value, DecodeError> {
        self.budget.value()?;
        if initial >> 5 == 7 {
            return self.simple(initial);
        }
        let Head { major, argument } = self.head(initial)?;
        Ok(match (major, argument) {
            (UNSIGNED, Some(value)) => Value::Int(value.into()),
            (NEGATIVE, Some(value)) => Value::Int(negative(value)),
            (BYTES, length) => Value::Bytes(self.string(BYTES, length)?),
            (TEXT, Some(length)) => Value::Str(text(self.bytes.take(size(length)?)?)?),
            (TEXT, None) => Value::Str(self.chunked_text()?),
            (ARRAY, length) => Value::List(self.array(length, deeper(depth)?)?),
            (MAP, length) => Value::Map(self.map(length, deeper(depth)?)?),
            (TAG, Some(tag)) => self.tagged(tag, depth)?,
            _ => return Err(syntax(format!("the initial byte {initial:#04x} is not allowed"))),
        })
    }

    fn simple(&mut self, initial: u8) -> Result<Value, DecodeError> {
        Ok(match initial & 0x1f {
            20 => Value::Bool(false),
            21 => Value::Bool(true),
            22 | 23 => Value::Null,
            25 => Value::Float(half(u16::from_be_bytes(self.bytes.array()?))),
            26 => Value::Float(f64::from(f32::from_be_bytes(self.bytes.array()?))),
            27 => Value::Float(f64::from_be_bytes(self.bytes.array()?)),
            31 => return Err(syntax("a break outside of an indefinite length".into())),
            other => {
                return Err(DecodeError::Unsupported {
                    what: format!("CBOR simple value {other}"),
                });
            }
        })
    }

    fn tagged(&mut self, tag: u64, depth: usize) -> Result<Value, DecodeError> {
        if tag == TAG_SELF_DESCRIBED {
            return self.value(deeper(depth)?);
        }
        if tag != TAG_POSITIVE && tag != TAG_NEGATIVE {
            return Err(DecodeError::Unsupported {
                what: format!("CBOR tag {tag}"),
            });
        }
        let initial = self.bytes.byte()?;
        let Head {
            major: BYTES,
            argument,
        } = self.head(initial)?
        else {
            return Err(syntax(format!("tag {tag} must hold bytes")));
        };
        let magnitude = self.string(BYTES, argument)?;
        let start = magnitude.iter().take_while(|byte| **byte == 0).count();
        let bytes = magnitude.len().saturating_sub(start);
        if bytes > MAX_INTEGER_BYTES {
            return Err(DecodeError::IntegerTooLong { bytes });
        }
        let value = BigInt::from_bytes_be(Sign::Plus, &magnitude);
        let value = if tag == TAG_NEGATIVE { -value - 1 } else { value };
        Ok(Value::Int(value.into()))
    }

    /// The bytes of a byte string, or of one chunk after the other when the length is indefinite.
    fn string(&mut self, major: u8, length: Option<u64>) -> Result<Vec<u8>, DecodeError> {
        let Some(length) = length else {
            let mut all = Vec::new();
            while let Some(chunk) = self.chunk(major)? {
                all.extend_from_slice(chunk);
            }
            return Ok(all);
        };
        Ok(self.bytes.take(size(length)?)?.to_vec())
    }

    fn chunked_text(&mut self) -> Result<String, DecodeError> {
        let mut all = String::new();
        while let Some(chunk) = self.chunk(TEXT)? {
            // Each chunk must be valid by itself (RFC 8949, 3.2.3).
            all.push_str(std::str::from_utf8(chunk).map_err(|_| DecodeError::NotUtf8)?);
        }
        Ok(all)
    }

    fn chunk(&mut self, major: u8) -> Result<Option<&[u8]>, DecodeError> {
        let initial = self.bytes.byte()?;
        if initial == BREAK {
            return Ok(None);
        }
        match self.head(initial)? {
            Head {
                major: found,
                argument: Some(length),
            } if found == major => self.bytes.take(size(length)?).map(Some),
            _ => Err(syntax(format!("a chunk must not begin with {initial:#04x}"))),
        }
    }

    fn array(&mut self, length: Option<u64>, depth: usize) -> Result<Vec<Value>, DecodeError> {
        let mut values = Vec::with_capacity(cautious(length.map_or(0, |length| size(length).unwrap_or(0))));
        let mut left = length;
        loop {
            match left.as_mut() {
                Some(0) => return Ok(values),
                Some(count) => {
                    *count -= 1;
                    values.push(self.value(depth)?);
                }
                None => match self.bytes.byte()? {
                    BREAK => return Ok(values),
                    initial => values.push(self.value_after(initial, depth)?),
                },
            }
        }
    }

    fn map(&mut self, length: Option<u64>, depth: usize) -> Result<Dict, DecodeError> {
        let mut entries = Dict::new();
        let mut left = length;
        loop {
            let initial = match left.as_mut() {
                Some(0) => return Ok(entries),
                Some(count) => {
                    *count -= 1;
                    self.bytes.byte()?
                }
                None => match self.bytes.byte()? {
                    BREAK => return Ok(entries),
                    initial => initial,
                },
            };
            let key = match self.value_after(initial, depth)? {
                Value::Str(key) => key,
                other => return Err(DecodeError::KeyNotText { found: other.kind() }),
            };
            let value = self.value(depth)?;
            entries.insert(key, value);
        }
    }
}

fn syntax(what: String) -> DecodeError {
    DecodeError::Syntax {
        what: format!("CBOR: {what}"),
    }
}

fn size(length: u64) -> Result<usize, DecodeError> {
    usize::try_from(length).map_err(|_| DecodeError::Truncated)
}

/// −1 − `value`.
fn negative(value: u64) -> Integer {
    Integer::from(-1 - i128::from(value))
}

/// A half-precision float (RFC 8949, appendix D).
fn half(bits: u16) -> f64 {
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

pub(super) fn write(fields: &[Field<'_>], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    head(out, ARRAY, fields.len() as u64);
    for field in fields {
        match field {
            Field::Id(id) => head(out, UNSIGNED, *id),
            Field::Text(text) => string(out, text),
            Field::Dict(entries) => map(out, entries, 2)?,
            Field::List(values) => list(out, values, 2)?,
        }
    }
    Ok(())
}

fn value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        Value::Int(value) => integer(out, value)?,
        Value::Float(value) => {
            out.push(0xfb);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Str(text) => string(out, text),
        Value::Bytes(bytes) => {
            head(out, BYTES, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Value::List(values) => list(out, values, deeper_out(depth)?)?,
        Value::Map(entries) => map(out, entries, deeper_out(depth)?)?,
    }
    Ok(())
}

fn list(out: &mut Vec<u8>, values: &[Value], depth: usize) -> Result<(), EncodeError> {
    head(out, ARRAY, values.len() as u64);
    values.iter().try_for_each(|element| value(out, element, depth))
}

fn map(out: &mut Vec<u8>, entries: &Dict, depth: usize) -> Result<(), EncodeError> {
    head(out, MAP, entries.len() as u64);
    entries.iter().try_for_each(|(key, entry)| {
        string(out, key);
        value(out, entry, depth)
    })
}

fn string(out: &mut Vec<u8>, text: &str) {
    head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn integer(out: &mut Vec<u8>, value: &Integer) -> Result<(), EncodeError> {
    if let Some(value) = value.as_u64() {
        head(out, UNSIGNED, value);
        return Ok(());
    }
    let value = value.to_big();
    let (major, tag, argument) = if value.sign() == Sign::Minus {
        (NEGATIVE, TAG_NEGATIVE, -value - 1)
    } else {
        (UNSIGNED, TAG_POSITIVE, value)
    };
    if let Ok(small) = u64::try_from(&argument) {
        head(out, major, small);
        return Ok(());
    }
    let (_, bytes) = argument.to_bytes_be();
    if bytes.len() > MAX_INTEGER_BYTES {
        return Err(EncodeError::IntegerTooLong { bytes: bytes.len() });
    }
    head(out, TAG, tag);
    head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(&bytes);
    Ok(())
}

fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if let Ok(argument) = u8::try_from(argument) {
        if argument < 24 {
            out.push(major | argument);
        } else {
            out.extend_from_slice(&[major | 24, argument]);
        }
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}
