//! Numbers of labels: decimal, and exact.

use bourse::Amount;
use bourse::params::{Parameter, Text};
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A number of at least 0, with at most 18 digits after the point: `97`, `"97.5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(Amount);

impl Number {
    /// Reads a label; none if it is no such number.
    pub fn read(text: &str) -> Option<Self> {
        // An amount of tokens is just that: a decimal number kept as a whole one.
        Amount::parse_tokens(text).ok().map(Self)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// A number as it is written in parameters.
struct Written;

impl Visitor<'_> for Written {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number such as 97 or \"97.5\" (a fraction in quotes, so that it stays exact)")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        Number::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number(Amount::from_tokens(number)))
    }
}

impl Parameter for Number {
    const TYPE: Text = Amount::TYPE;
    const DEFAULT: Option<Text> = None;
}
