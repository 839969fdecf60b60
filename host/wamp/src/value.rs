//! What arguments, results and event payloads are made of.

use std::collections::BTreeMap;

use crate::integer::Integer;

/// Keyword arguments and nested maps. Keys are text: a frame with any other key is malformed.
pub type Dict = BTreeMap<String, Value>;

/// One value of a message. Integers of any size and byte strings survive all serializers that can carry them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// JSON `null`, CBOR null or undefined, MessagePack nil.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number of any size.
    Int(Integer),
    /// A floating-point number.
    Float(f64),
    /// UTF-8 text.
    Str(String),
    /// Raw bytes; in JSON a text of NUL and base64.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Value>),
    /// A map with text keys.
    Map(Dict),
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<&Integer> {
        match self {
            Self::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, if it is one and fits an unsigned 64-bit number.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_int().and_then(Integer::as_u64)
    }

    /// The whole number, if it is one and fits a signed 64-bit number.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_int().and_then(Integer::as_i64)
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&Dict> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it is, as error messages name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

macro_rules! from {
    ($($source:ty => |$value:ident| $made:expr),* $(,)?) => {$(
        impl From<$source> for Value {
            fn from($value: $source) -> Self {
                $made
            }
        }
    )*};
}
from! {
    bool => |value| Self::Bool(value),
    Integer => |value| Self::Int(value),
    i64 => |value| Self::Int(value.into()),
    i32 => |value| Self::Int(value.into()),
    u64 => |value| Self::Int(value.into()),
    u32 => |value| Self::Int(value.into()),
    u16 => |value| Self::Int(value.into()),
    u8 => |value| Self::Int(value.into()),
    u128 => |value| Self::Int(value.into()),
    usize => |value| Self::Int(value.into()),
    f64 => |value| Self::Float(value),
    String => |value| Self::Str(value),
    &str => |value| Self::Str(value.to_owned()),
    Vec<u8> => |value| Self::Bytes(value),
    &[u8] => |value| Self::Bytes(value.to_vec()),
    Vec<Value> => |value| Self::List(value),
    Dict => |value| Self::Map(value),
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
