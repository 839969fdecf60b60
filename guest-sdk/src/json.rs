//! Parameters from JSON, without floating point in the way.
//!
//! A general JSON library would be two thirds of a component that is otherwise small, mostly to read and print
//! fractions, and every host compiles it anew. This one reads the whole of JSON into any type that derives
//! `serde::Deserialize`, with three differences: a fraction is accepted only by an `f32` or `f64`, nesting ends at
//! [`MAX_DEPTH`], and an error names the field instead of a column.

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use std::borrow::Cow;
use std::fmt;

/// Levels of lists and objects. Each takes stack, of which a component has 64 KiB.
pub(crate) const MAX_DEPTH: u8 = 32;

/// Why a text is not the JSON of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error(String);

impl Error {
    fn unexpected(what: Unexpected<'_>, expected: &dyn fmt::Display) -> Self {
        // `Unexpected` itself would print fractions, and bring the code to print them.
        let found = match what {
            Unexpected::Bool(value) => format!("{value}"),
            Unexpected::Unsigned(number) => format!("{number}"),
            Unexpected::Signed(number) => format!("{number}"),
            Unexpected::Char(character) => format!("`{character}`"),
            Unexpected::Str(text) => format!("`{text}`"),
            Unexpected::Unit | Unexpected::Option => "null".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            Unexpected::Other(what) => what.to_owned(),
            _ => "something else".to_owned(),
        };
        Self(format!("found {found}, expected {expected}"))
    }

    fn fraction(written: &str, expected: &dyn Expected) -> Self {
        Self(format!("found the number {written}, expected {expected}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unexpected(found, &expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unexpected(found, &expected)
    }
}

/// Reads one value, and nothing after it.
pub(crate) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    let mut reader = Reader { rest: text, depth: 0 };
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("the end")),
    }
}

/// What is left to read.
struct Reader<'de> {
    rest: &'de str,
    depth: u8,
}

impl<'de> Reader<'de> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next()
    }

    /// Takes `token` if it is next.
    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        self.rest
            .strip_prefix(token)
            .map(|rest| self.rest = rest)
            .is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), Error> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.wrong(token))
        }
    }

    fn wrong(&self, expected: &str) -> Error {
        match self.rest.chars().next() {
            Some(character) => Error::unexpected(Unexpected::Char(character), &expected),
            None => Error::unexpected(Unexpected::Other("the end"), &expected),
        }
    }

    /// Takes `count` bytes, which end at a character.
    fn take(&mut self, count: usize) -> Result<&'de str, Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.wrong("more"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn digits(&mut self) -> Result<&'de str, Error> {
        match self.rest.bytes().take_while(u8::is_ascii_digit).count() {
            0 => Err(self.wrong("a digit")),
            count => self.take(count),
        }
    }

    /// A number as it is written, and whether it is whole.
    fn number(&mut self) -> Result<(&'de str, bool), Error> {
        let start = self.rest;
        self.eat("-");
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(Error::custom(format_args!("`{whole}` starts with a zero")));
        }
        let fraction = self.rest.starts_with('.');
        if fraction {
            self.take(1)?;
            self.digits()?;
        }
        let exponent = self.rest.starts_with(['e', 'E']);
        if exponent {
            self.take(1)?;
            if self.rest.starts_with(['+', '-']) {
                self.take(1)?;
            }
            self.digits()?;
        }
        let written = start.strip_suffix(self.rest).unwrap_or(start);
        Ok((written, !fraction && !exponent))
    }

    fn string(&mut self) -> Result<Cow<'de, str>, Error> {
        self.expect("\"")?;
        let mut text = Cow::Borrowed("");
        loop {
            let plain = self
                .rest
                .bytes()
                .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
                .count();
            let plain = self.take(plain)?;
            match &mut text {
                Cow::Borrowed("") => text = Cow::Borrowed(plain),
                text => text.to_mut().push_str(plain),
            }
            if self.rest.starts_with('"') {
                self.take(1)?;
                return Ok(text);
            }
            if !self.rest.starts_with('\\') {
                return Err(self.wrong("a `\"` at the end of the text"));
            }
            self.take(1)?;
            let escaped = self.escaped()?;
            text.to_mut().push(escaped);
        }
    }

    /// What stands after a backslash.
    fn escaped(&mut self) -> Result<char, Error> {
        let wrong = self.wrong("an escape of JSON");
        Ok(match self.take(1)? {
            "n" => '\n',
            "t" => '\t',
            "r" => '\r',
            "b" => '\u{8}',
            "f" => '\u{c}',
            same @ ("\"" | "\\" | "/") => same.chars().next().ok_or(wrong)?,
            "u" => {
                let high = self.unit()?;
                let low = match high {
                    // The first half of a character that takes two.
                    0xd800..0xdc00 if self.rest.starts_with("\\u") => {
                        self.take(2)?;
                        Some(self.unit()?)
                    }
                    _ => None,
                };
                let mut decoded = char::decode_utf16([Some(high), low].into_iter().flatten());
                match (decoded.next(), decoded.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(Error::custom("an escape of JSON stands for half a character")),
                }
            }
            _ => return Err(wrong),
        })
    }

    fn unit(&mut self) -> Result<u16, Error> {
        let digits = self.take(4)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let unit = u16::from_str_radix(digits, 16).ok().filter(|_| hex);
        unit.ok_or_else(|| Error::custom(format_args!("`{digits}` is not four hex digits")))
    }

    /// Takes a scalar, or the bracket that opens a list or an object. One function for all types that are read, each of
    /// which would else have its own copy.
    fn token(&mut self) -> Result<Token<'de>, Error> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::Text),
            Some(b'-' | b'0'..=b'9') => {
                let (written, whole) = self.number()?;
                Ok(match (written.parse(), written.parse()) {
                    (Ok(number), _) if whole => Token::Unsigned(number),
                    (_, Ok(number)) if whole => Token::Signed(number),
                    _ => Token::Fraction(written),
                })
            }
            Some(_) if self.eat("null") => Ok(Token::Null),
            Some(_) if self.eat("true") => Ok(Token::Bool(true)),
            Some(_) if self.eat("false") => Ok(Token::Bool(false)),
            Some(bracket @ (b'[' | b'{')) if self.depth < MAX_DEPTH => {
                self.take(1)?;
                self.depth += 1;
                Ok(if bracket == b'[' {
                    Token::List
                } else {
                    Token::Object
                })
            }
            Some(b'[' | b'{') => Err(Error::custom(format_args!("more than {MAX_DEPTH} levels"))),
            _ => Err(self.wrong("a value")),
        }
    }

    /// Takes the bracket that closes a list or an object.
    fn close(&mut self, bracket: &str) -> Result<(), Error> {
        self.depth = self.depth.saturating_sub(1);
        self.expect(bracket)
    }

    fn items(&mut self) -> Items<'_, 'de> {
        Items {
            reader: self,
            first: true,
            field: None,
        }
    }
}

/// What a value starts with.
enum Token<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    /// A number that is not whole or takes more than 64 bits, as it is written.
    Fraction(&'de str),
    Text(Cow<'de, str>),
    List,
    Object,
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(number) => visitor.visit_u64(number),
            Token::Signed(number) => visitor.visit_i64(number),
            Token::Fraction(written) => Err(Error::fraction(written, &visitor)),
            Token::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Token::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Token::List => {
                let list = visitor.visit_seq(self.items())?;
                self.close("]").map(|()| list)
            }
            Token::Object => {
                let object = visitor.visit_map(self.items())?;
                self.close("}").map(|()| object)
            }
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let (written, _) = self.number()?;
                match written.parse::<f64>() {
                    Ok(number) if number.is_finite() => visitor.visit_f64(number),
                    _ => Err(Error::fraction(written, &visitor)),
                }
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                visitor.visit_unit()
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.eat("null") {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            // A derived type would take a list for its fields in their order.
            Some(b'[') => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Text(variant) => visitor.visit_enum(key(variant)),
            Token::Object => {
                let variant = visitor.visit_enum(MapAccessDeserializer::new(self.items()))?;
                self.close("}").map(|()| variant)
            }
            _ => Err(Error::invalid_type(
                Unexpected::Other("a value without a name"),
                &visitor,
            )),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

fn key(text: Cow<'_, str>) -> CowStrDeserializer<'_, Error> {
    text.into_deserializer()
}

/// The items of a list or an object.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    first: bool,
    /// The field whose value is next.
    field: Option<Cow<'de, str>>,
}

impl Items<'_, '_> {
    /// Whether another item follows; takes the comma before it.
    fn next(&mut self, close: u8) -> Result<bool, Error> {
        if self.reader.peek() == Some(close) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(",")?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.next(b']')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        let field = self.reader.string()?;
        self.field = Some(field.clone());
        seed.deserialize(key(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.reader.expect(":")?;
        let field = self.field.take().unwrap_or_default();
        seed.deserialize(&mut *self.reader)
            .map_err(|Error(message)| Error(format!("{field}: {message}")))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
