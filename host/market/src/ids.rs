//! Identifiers and small units: one type each, so that a channel is never passed for a key.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A byte string of the wrong length where an identifier was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} bytes for {what}, got {got}")]
pub struct IdError {
    /// The kind of identifier that was asked for.
    pub what: &'static str,
    /// Bytes it has.
    pub expected: usize,
    /// Bytes that came.
    pub got: usize,
}

/// A text that is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {what} as {digits} hex digits, got `{text}`")]
pub struct ParseIdError {
    /// The kind of identifier that was asked for.
    pub what: &'static str,
    /// Hex digits it has.
    pub digits: usize,
    /// What came.
    pub text: String,
}

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Bytes of this type.
            pub const LEN: usize = $len;

            /// The raw bytes.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; $len]>::try_from(bytes)
                    .map(Self)
                    .map_err(|_| IdError { what: $what, expected: $len, got: bytes.len() })
            }
        }

        /// Hex digits of either case, with or without `0x`, and with the dashes of a UUID wherever they stand.
        impl core::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                crate::ids::from_hex(text).map(Self).ok_or_else(|| ParseIdError {
                    what: $what,
                    digits: 2 * $len,
                    text: text.to_owned(),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Written in one piece rather than digit by digit: each call writes some, to its span and to the log.
                let mut digits = [0; 2 * $len];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&crate::ids::hex_digits(byte));
                }
                f.write_str("0x")?;
                f.write_str(core::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// `0x` and hex digits where people read it, raw bytes anywhere else.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(self);
                }
                crate::ids::fixed::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    return text.parse().map_err(serde::de::Error::custom);
                }
                crate::ids::fixed::deserialize(deserializer).map(Self)
            }
        }
    };
}

bytes_type!(
    /// A data key on offer: 16 raw bytes, chosen by the seller.
    KeyId, 16, "a key id"
);
bytes_type!(
    /// An API that data belongs to: 16 raw bytes.
    ApiId, 16, "an api id"
);
bytes_type!(
    /// A catalog of APIs: 16 raw bytes.
    CatalogId, 16, "a catalog id"
);
bytes_type!(
    /// An offer: 16 random bytes chosen by the host.
    OfferId, 16, "an offer id"
);
bytes_type!(
    /// A payment or paying channel: 16 raw bytes, chosen by whoever opens it.
    ChannelId, 16, "a channel id"
);
bytes_type!(
    /// A market: 16 raw bytes, a UUID in big-endian order.
    MarketId, 16, "a market id"
);
bytes_type!(
    /// One attempt to buy: 16 random bytes chosen by the host.
    PurchaseId, 16, "a purchase id"
);
bytes_type!(
    /// One decision of a policy: 16 random bytes chosen by the host.
    DecisionId, 16, "a decision id"
);
bytes_type!(
    /// A consent: the first half of the Keccak hash of what it is about.
    ConsentId, 16, "a consent id"
);
bytes_type!(
    /// An Ethereum address: 20 raw bytes. Displayed as `0x` and 40 lower-case hex digits.
    Address, 20, "an address"
);
bytes_type!(
    /// A signature: r (32) ‖ s (32) ‖ v (1), v being 27 or 28.
    Signature, 65, "a signature"
);
bytes_type!(
    /// The X25519 public key a data key is sealed to.
    BuyerPubkey, 32, "a buyer's public key"
);
bytes_type!(
    /// The Ed25519 public key that a client logs in with.
    ClientKey, 32, "a client's key"
);
bytes_type!(
    /// A libsodium sealed box around a 32-byte data key: ephemeral key (32) ‖ tag (16) ‖ ciphertext (32).
    SealedKey, 80, "a sealed key"
);
bytes_type!(
    /// A data key that a seller left with the market maker, encrypted under a key that only it has: nonce (24) ‖ tag (16) ‖
    /// ciphertext (48). What is inside is the host's affair.
    EscrowedKey, 88, "an escrowed key"
);
bytes_type!(
    /// The revision of a policy: the SHA-256 of its component.
    RevisionId, 32, "a revision"
);
bytes_type!(
    /// A block of a chain, among all that were ever mined.
    BlockHash, 32, "a block's hash"
);
bytes_type!(
    /// A transaction of a chain.
    TransactionHash, 32, "a transaction's hash"
);

/// The bytes that hex digits spell, none unless there are exactly as many as it takes.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut digits = text
        .strip_prefix("0x")
        .unwrap_or(text)
        .chars()
        .filter(|digit| *digit != '-')
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()));
    let mut bytes = [0; N];
    for byte in &mut bytes {
        *byte = (digits.next()?? << 4) | digits.next()??;
    }
    digits.next().is_none().then_some(bytes)
}

/// The two hex digits of a byte, lower case.
fn hex_digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|digit| match digit {
        0..=9 => b'0' + digit,
        _ => b'a' + digit - 10,
    })
}

/// A WAMP session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// A block of the chain, by its number. Without a chain there is one, number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct BlockNumber(pub u64);

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Nanos(pub u64);

impl Nanos {
    /// This moment and `millis` milliseconds; saturates at the end of time.
    pub fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000_000)))
    }

    /// Nanoseconds from `earlier` to this moment, zero if it lies ahead.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Position of a channel: how many states both sides have signed. A new channel stands at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u32);

impl Seq {
    /// Where a channel starts.
    pub const FIRST: Self = Self(1);

    /// The next position, none when the 32 bits of the signed message are used up.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Fixed-length byte strings, written as bytes and never as sequences of numbers.
pub(crate) mod fixed {
    use serde::de::{Error, Visitor};

    pub(crate) fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, const N: usize, D>(deserializer: D) -> Result<[u8; N], D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = [u8; N];

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                <[u8; N]>::try_from(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Bytes::<N>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_as_they_are_written_and_as_uuids() {
        let id = MarketId([
            0xda, 0x38, 0xaf, 0xed, 0xca, 0xa2, 0x4c, 0x45, 0xa1, 0x65, 0xa6, 0xb1, 0xab, 0x0b, 0x17, 0x15,
        ]);
        assert_eq!(id.to_string(), "0xda38afedcaa24c45a165a6b1ab0b1715");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("da38afed-caa2-4c45-a165-a6b1ab0b1715".parse(), Ok(id));
        assert_eq!("DA38AFEDCAA24C45A165A6B1AB0B1715".parse(), Ok(id));
    }

    #[test]
    fn a_text_of_other_digits_or_length_is_named() {
        for text in [
            "",
            "0x",
            "0x12",
            "zz",
            &"ab".repeat(19),
            &"ab".repeat(21),
            &"é".repeat(20),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("expected an address as 40 hex digits, got `{text}`")
            );
        }
    }
}
