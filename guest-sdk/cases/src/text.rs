//! How a case file writes values: amounts in tokens, identifiers in hex, times and bytes as people write them.

use bourse_market::{Amount, Nanos};
use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// An amount, from tokens in text: `"7.5"`. A JSON number would have been rounded by who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tokens(pub(crate) Amount);

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in tokens, in quotes, such as \"7.5\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tokens, E> {
                Amount::parse_tokens(text)
                    .map(Tokens)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// An identifier or address, from hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Reader<T> {
            type Value = Id<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hex digits in quotes, such as \"0x2222…\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<T>, E> {
                text.parse().map(Id).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader(PhantomData))
    }
}

/// A moment: nanoseconds since the Unix epoch, or `"2026-01-31T12:00:00Z"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When(pub(crate) Nanos);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = When;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"2026-01-31T12:00:00Z\", or nanoseconds since 1970 as a number")
            }

            fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<When, E> {
                Ok(When(Nanos(nanos)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<When, E> {
                moment(text)
                    .map(|nanos| When(Nanos(nanos)))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Nanoseconds of a time in UTC, written as RFC 3339 has it.
fn moment(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str, digits: usize| -> Option<i64> {
        let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let mut date = date.split('-');
    let (year, month, day) = (
        number(date.next()?, 4)?,
        number(date.next()?, 2)?,
        number(date.next()?, 2)?,
    );
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.split(':');
    let (hour, minute, second) = (
        number(time.next()?, 2)?,
        number(time.next()?, 2)?,
        number(time.next()?, 2)?,
    );
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let in_range = (1..=longest).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if date.next().is_some() || time.next().is_some() || !in_range || fraction.len() > 9 {
        return None;
    }
    let padded = format!("{fraction:0<9}");
    let nanos = number(&padded, 9)?;
    // Days since the epoch in the proleptic Gregorian calendar, years starting in March (Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds)
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(u64::try_from(nanos).ok()?)
}

/// Bytes: text as it is, or `{"hex": "00ff"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes, or {\"hex\": \"00ff\"} for bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Blob, E> {
                Ok(Blob(text.as_bytes().to_vec()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Blob, A::Error> {
                let key: Option<String> = map.next_key()?;
                if key.as_deref() != Some("hex") {
                    return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
                }
                let text: String = map.next_value()?;
                if map.next_key::<String>()?.is_some() {
                    return Err(de::Error::invalid_type(de::Unexpected::Map, &self));
                }
                hex::decode(&text)
                    .map(Blob)
                    .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &"pairs of hex digits"))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Bytes for people: the text where it is printable, else hex.
pub fn shown_bytes(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => format!("\"{text}\""),
        _ => format!("hex {}", hex::encode(bytes)),
    }
}

/// A map whose keys each appear once; a second one would be silently lost otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Once<T>(pub(crate) BTreeMap<String, T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Once<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Once<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<T>, A::Error> {
                let mut found = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if found.contains_key(&key) {
                        return Err(de::Error::custom(format_args!("`{key}` stands here twice")));
                    }
                    found.insert(key, map.next_value()?);
                }
                Ok(Once(found))
            }
        }
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2023-11-14T22:13:21Z", 1_700_000_001),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(moment(text), Some(seconds * 1_000_000_000), "{text}");
        }
        assert_eq!(moment("1970-01-01T00:00:00.5Z"), Some(500_000_000));
        assert_eq!(moment("1970-01-01T00:00:00.000000001Z"), Some(1));
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T22:13:21",
            "2023-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-1-1T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "2023-01-01T00:00:00.0000000001Z",
            "2023-01-01T00:00:00+01:00Z",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_are_text_where_they_can_be() {
        assert_eq!(shown_bytes(b"open"), "\"open\"");
        assert_eq!(shown_bytes(&[0, 255]), "hex 00ff");
        let read = |text: &str| serde_json::from_str::<Blob>(text).map(|blob| blob.0);
        assert_eq!(read("\"open\"").unwrap(), b"open");
        assert_eq!(read("{\"hex\": \"00ff\"}").unwrap(), [0, 255]);
        for text in ["{}", "{\"hex\": \"0\"}", "{\"hex\": \"00\", \"x\": 1}", "7"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
