//! Token amounts: 256-bit, unsigned, every operation checked.

use core::fmt;
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

/// An amount of the market's coin in base units: 10^18 of them are one token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(U256);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an amount of tokens: expected digits with at most 18 after the point, such as 35 or 0.5"
)]
pub struct ParseAmountError {
    /// The text as it came.
    pub text: String,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);
    /// 2^256 − 1 base units.
    pub const MAX: Self = Self(U256::MAX);
    /// Decimal places of a whole token.
    pub const DECIMALS: usize = 18;

    /// `units` base units.
    pub const fn from_units(units: u128) -> Self {
        Self(U256::from_limbs([units as u64, (units >> 64) as u64, 0, 0]))
    }

    /// `tokens` whole tokens, 10^18 base units each.
    pub fn from_tokens(tokens: u64) -> Self {
        Self(U256::from(u128::from(tokens) * 1_000_000_000_000_000_000))
    }

    /// From four 64-bit limbs, least significant first.
    pub const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(U256::from_limbs(limbs))
    }

    /// The four 64-bit limbs, least significant first.
    pub const fn limbs(&self) -> &[u64; 4] {
        self.0.as_limbs()
    }

    /// From 32 bytes, big-endian: the wire form of a uint256.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// As 32 bytes, big-endian.
    pub fn to_be_bytes(&self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// The number behind the amount, for typed-data hashing and the like.
    pub const fn as_u256(&self) -> U256 {
        self.0
    }

    /// An amount of `units` base units.
    pub const fn from_u256(units: U256) -> Self {
        Self(units)
    }

    /// The number of units, where a block is meant or anything else that fits; none if it does not.
    pub fn to_u64(&self) -> Option<u64> {
        self.0.try_into().ok()
    }

    /// Whether this is nothing.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The sum, none on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, none if it would be negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum, 2^256 − 1 at most.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Parses whole and fractional tokens: `35`, `0.5`, at most 18 digits after the point.
    ///
    /// # Errors
    ///
    /// [`ParseAmountError`] if the text is anything else, or over 2^256 − 1 base units.
    pub fn parse_tokens(text: &str) -> Result<Self, ParseAmountError> {
        let fail = || ParseAmountError {
            text: text.to_owned(),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > Self::DECIMALS {
            return Err(fail());
        }
        let joined = format!("{whole}{fraction:0<width$}", width = Self::DECIMALS);
        U256::from_str_radix(&joined, 10).map(Self).map_err(|_| fail())
    }
}

/// Whole tokens with the fraction that is there: `35`, `0.5`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = U256::from(1_000_000_000_000_000_000u64);
        let (whole, fraction) = self.0.div_rem(unit);
        if fraction.is_zero() {
            return f.pad(&whole.to_string());
        }
        let digits = format!("{:0>width$}", fraction.to_string(), width = Self::DECIMALS);
        f.pad(&format!("{whole}.{}", digits.trim_end_matches('0')))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} units", self.0)
    }
}

/// Base units in decimal digits where people read it, 32 bytes anywhere else.
impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&self.0);
        }
        crate::ids::fixed::serialize(&self.to_be_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let expected =
                || serde::de::Error::custom(format!("`{text}` is no number of base units below 2^256"));
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let units = digits.then(|| U256::from_str_radix(&text, 10).ok()).flatten();
            return units.map(Self).ok_or_else(expected);
        }
        crate::ids::fixed::deserialize(deserializer).map(Self::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_and_print_alike() {
        for text in ["0", "35", "0.5", "1000000000", "0.000000000000000001"] {
            assert_eq!(Amount::parse_tokens(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_an_amount_is_named() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000000000000001", "1_0"] {
            assert_eq!(Amount::parse_tokens(text).unwrap_err().text, text);
        }
    }
}
