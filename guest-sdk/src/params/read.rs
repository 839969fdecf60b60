//! What derived readers share: field names, choices, and their errors.

use super::Text;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error, Unexpected, Visitor};

/// The field names of an object, and which of them have been read.
#[derive(Debug)]
pub struct Seen {
    names: &'static [&'static str],
    /// Bit i is field i.
    bits: u64,
}

impl Seen {
    /// None read yet. At most 64 names.
    pub const fn new(names: &'static [&'static str]) -> Self {
        Self { names, bits: 0 }
    }
}

/// Reads the name of a field that was not read before, as its index.
impl<'de> DeserializeSeed<'de> for &mut Seen {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for &mut Seen {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a parameter")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
        let Some(index) = position(self.names, text) else {
            return Err(unknown("the parameter", text, self.names));
        };
        let bit = 1 << (index % 64);
        if self.bits & bit != 0 {
            return Err(E::custom(format_args!("{text} is set twice: expected it once")));
        }
        self.bits |= bit;
        Ok(index)
    }
}

/// Reads one of `names`, as its index.
///
/// # Errors
///
/// The deserializer's, or that the text is none of them.
pub fn choice<'de, D: Deserializer<'de>>(
    names: &'static [&'static str],
    deserializer: D,
) -> Result<usize, D::Error> {
    deserializer.deserialize_str(Choice(names))
}

struct Choice(&'static [&'static str]);

impl Visitor<'_> for Choice {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", list(self.0))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
        position(self.0, text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

fn position(names: &[&str], text: &str) -> Option<usize> {
    names.iter().position(|name| *name == text)
}

/// `a`, `b` or `c`, without a word between them.
fn list(names: &[&str]) -> impl fmt::Display {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names {
        [_] => quoted.join(""),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

#[cold]
fn unknown<E: Error>(what: &str, text: &str, names: &[&str]) -> E {
    if names.is_empty() {
        return E::custom(format_args!("{what} `{text}` is unknown: expected none"));
    }
    E::custom(format_args!(
        "{what} `{text}` is unknown: expected {}",
        list(names)
    ))
}

/// For the arm of a match that no index reaches.
#[cold]
pub fn no_such_choice<E: Error>() -> E {
    E::custom("there is no such choice")
}

/// That a required field is not there.
#[cold]
pub fn missing<E: Error>(name: &str) -> E {
    E::custom(format_args!("{name} is not set: it has no default"))
}

/// That a value is not within its bounds.
#[cold]
pub fn out_of_range<E: Error>(name: &str, value: &dyn fmt::Display, range: &Range) -> E {
    E::custom(format_args!("{name} is {value}: expected {range}"))
}

/// The bounds of a value and its unit, which has a space before it.
#[derive(Debug, Clone, Copy)]
pub enum Range {
    /// This or more.
    AtLeast(Text, &'static str),
    /// This or less.
    AtMost(Text, &'static str),
    /// From the one to the other, with both.
    Between(Text, Text, &'static str),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(min, unit) => write!(f, "at least {min}{unit}"),
            Self::AtMost(max, unit) => write!(f, "at most {max}{unit}"),
            Self::Between(min, max, unit) => write!(f, "{min} to {max}{unit}"),
        }
    }
}
