//! Numbers of labels: decimal, exact, and quick to read, since a page has thousands of them.

use bourse::params::{Parameter, Text};
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A number of at least 0, with at most 18 digits before and after the point: `97`, `"97.5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    whole: u64,
    /// In units of 10^-18.
    fraction: u64,
}

/// Digits on each side of the point, all of which fit into 64 bits.
const DIGITS: usize = 18;

/// 10^0 to 10^18.
const POWERS: [u64; DIGITS + 1] = {
    let mut powers = [1; DIGITS + 1];
    let mut power = 1;
    let mut rest: &mut [u64] = &mut powers;
    while let [first, more @ ..] = rest {
        *first = power;
        power *= 10;
        rest = more;
    }
    powers
};

impl Number {
    /// Reads a label; none if it is no such number.
    pub fn read(text: &[u8]) -> Option<Self> {
        let (whole, rest) = digits(text)?;
        let (fraction, missing) = match rest {
            [] => (0, 0),
            [b'.', rest @ ..] => match digits(rest)? {
                (fraction, []) => (fraction, DIGITS.checked_sub(rest.len())?),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self {
            whole,
            fraction: fraction * POWERS.get(missing)?,
        })
    }
}

/// The digits at the start of a text, of which there is at least one, and what follows them.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut count, mut rest) = (0, 0, text);
    while let [digit @ b'0'..=b'9', more @ ..] = rest {
        if count == DIGITS {
            return None;
        }
        // No 18 digits come to 2^64.
        number = number * 10 + u64::from(digit - b'0');
        count += 1;
        rest = more;
    }
    (count > 0).then_some((number, rest))
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, fraction } = self;
        let text = format!("{whole}.{fraction:0DIGITS$}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
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
        Number::read(text.as_bytes()).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        Number::read(number.to_string().as_bytes())
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

impl Parameter for Number {
    const TYPE: Text =
        Text::Str(r#""type":["integer","string"],"minimum":0,"pattern":"^[0-9]{1,18}([.][0-9]{1,18})?$""#);
    const DEFAULT: Option<Text> = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_compared_by_value() {
        let read = |text: &str| Number::read(text.as_bytes()).unwrap();
        assert_eq!(read("97.50"), read("97.5"));
        assert!(read("97.5") > read("97.499999999999999999"));
        assert!(read("100") > read("99.9"));
        assert_eq!(read("007"), read("7"));
        let most = "999999999999999999.999999999999999999";
        assert_eq!(read(most).to_string(), most);
        assert_eq!(
            [read("0"), read("0.05")].map(|number| number.to_string()),
            ["0", "0.05"]
        );
    }

    #[test]
    fn what_is_no_such_number_is_none() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1 ", "1,5", "1.2.3", "½"] {
            assert_eq!(Number::read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Number::read("9".repeat(19).as_bytes()), None);
        assert_eq!(Number::read(format!("0.{}", "9".repeat(19)).as_bytes()), None);
    }
}
