//! Identifiers and amounts: text where people read, bytes where space counts.

use bourse_market::{Address, Amount, ApiId, CatalogId, DecisionId, KeyId, MarketId, OfferId, RevisionId};
use core::fmt;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// A byte string: `0x` and lower-case hex in JSON, raw bytes in the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<T>(pub T);

/// Byte strings of fixed length.
pub(crate) trait Raw: Sized {
    fn raw(&self) -> &[u8];
    fn from_raw(bytes: &[u8]) -> Option<Self>;
}

macro_rules! raw {
    ($($name:ident),*) => {
        $(impl Raw for $name {
            fn raw(&self) -> &[u8] {
                self.as_bytes()
            }

            fn from_raw(bytes: &[u8]) -> Option<Self> {
                Self::try_from(bytes).ok()
            }
        })*
    };
}

raw!(
    Address, ApiId, CatalogId, DecisionId, KeyId, MarketId, OfferId, RevisionId
);

impl<T: fmt::Display> fmt::Display for Hex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Raw> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&format!("0x{}", hex::encode(self.0.raw())))
        } else {
            serializer.serialize_bytes(self.0.raw())
        }
    }
}

impl<'de, T: Raw> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.strip_prefix("0x")
                .and_then(|digits| hex::decode(digits).ok())
                .and_then(|bytes| T::from_raw(&bytes))
        } else {
            T::from_raw(<&[u8]>::deserialize(deserializer)?)
        };
        value
            .map(Self)
            .ok_or_else(|| D::Error::custom("not a byte string of the right length"))
    }
}

/// Bytes of any length: `0x` and lower-case hex in JSON, raw bytes in the compact form. Clones share them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Arc<Vec<u8>>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} of them)", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&format!("0x{}", hex::encode(self.0.as_slice())))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(<&[u8]>::deserialize(deserializer)?.to_vec().into());
        }
        let text = String::deserialize(deserializer)?;
        text.strip_prefix("0x")
            .and_then(|digits| hex::decode(digits).ok())
            .map(Into::into)
            .ok_or_else(|| D::Error::custom("not bytes: `0x` and an even number of hex digits"))
    }
}

/// An amount: decimal base units in JSON, big-endian bytes without leading zeros in the compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(pub Amount);

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_u256().fmt(f)
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let bytes = self.0.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        serializer.serialize_bytes(bytes.get(zeros..).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let digits = <&[u8]>::deserialize(deserializer)?;
            let mut bytes = [0; 32];
            let zeros = bytes.len().checked_sub(digits.len());
            let Some(place) = zeros.and_then(|zeros| bytes.get_mut(zeros..)) else {
                return Err(D::Error::custom(format!(
                    "{} bytes are more than an amount has",
                    digits.len()
                )));
            };
            place.copy_from_slice(digits);
            return Ok(Self(Amount::from_be_bytes(bytes)));
        }
        let text = String::deserialize(deserializer)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let units = digits.then(|| text.parse().ok()).flatten();
        units
            .map(|units| Self(Amount::from_u256(units)))
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a decimal number of at most 256 bits")))
    }
}
