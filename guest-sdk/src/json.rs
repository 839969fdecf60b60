//! Parameters from JSON, without floating point in the way.
//!
//! A general JSON library would be two thirds of a component that is otherwise small, mostly to read and print
//! fractions, and every host compiles it anew. This one reads the whole of JSON into any type that derives
//! `serde::Deserialize`, with three differences: a fraction is accepted only by an `f32` or `f64`, nesting ends at
//! [`MAX_DEPTH`], and an error names the field instead of a column.

use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer, MapAccessDeserializer, StrDeserializer};
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
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("the end")),
    }
}

/// A text and the place up to which it is read. Places are those of bytes: a component pays for every character that
/// is decoded, and all that JSON itself is made of is ASCII.
struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
}

impl<'de> Reader<'de> {
    /// The byte at the present place, white space or not.
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes `byte` if it is at the present place.
    fn take_byte(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `word` if it is at the present place.
    fn take_word(&mut self, word: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let found = rest.starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    /// Takes the punctuation mark that must be next.
    fn expect(&mut self, mark: u8) -> Result<(), Error> {
        self.peek();
        if self.take_byte(mark) {
            Ok(())
        } else {
            Err(self.wrong(char::from(mark).encode_utf8(&mut [0; 4])))
        }
    }

    #[cold]
    fn wrong(&self, expected: &str) -> Error {
        match self.since(self.at, self.text.len()).chars().next() {
            Some(character) => Error::unexpected(Unexpected::Char(character), &expected),
            None => Error::unexpected(Unexpected::Other("the end"), &expected),
        }
    }

    /// The text from one place to another, both of which are between characters.
    fn since(&self, start: usize, end: usize) -> &'de str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Takes `count` bytes, which end at a character.
    fn take(&mut self, count: usize) -> Result<&'de str, Error> {
        let end = self.at.saturating_add(count);
        let taken = self.text.get(self.at..end).ok_or_else(|| self.wrong("more"))?;
        self.at = end;
        Ok(taken)
    }

    /// Takes digits, of which there must be one, and gives the number that they are if it fits.
    fn digits(&mut self) -> Result<Option<u64>, Error> {
        let start = self.at;
        let mut number = Some(0u64);
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            number = number.and_then(|number| append(number, u64::from(digit - b'0')));
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong("a digit"));
        }
        Ok(number)
    }

    /// A number: as it is written, and its value if it is whole and fits.
    fn number(&mut self) -> Result<(&'de str, Option<Token<'de>>), Error> {
        let start = self.at;
        let negative = self.take_byte(b'-');
        let first = self.at;
        let value = self.digits()?;
        if self.at - first > 1 && self.text.as_bytes().get(first) == Some(&b'0') {
            let whole = self.since(first, self.at);
            return Err(Error::custom(format_args!("`{whole}` starts with a zero")));
        }
        let mut whole = true;
        if self.take_byte(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.take_byte(b'e') || self.take_byte(b'E') {
            whole = false;
            if !self.take_byte(b'+') {
                self.take_byte(b'-');
            }
            self.digits()?;
        }
        let value = value.filter(|_| whole).and_then(|value| {
            if negative && value != 0 {
                0i64.checked_sub_unsigned(value).map(Token::Signed)
            } else {
                Some(Token::Unsigned(value))
            }
        });
        Ok((self.since(start, self.at), value))
    }

    fn string(&mut self) -> Result<Cow<'de, str>, Error> {
        self.expect(b'"')?;
        let mut text = Cow::Borrowed("");
        loop {
            let start = self.at;
            while let Some(byte) = self.byte() {
                if matches!(byte, b'"' | b'\\' | 0..0x20) {
                    break;
                }
                self.at += 1;
            }
            let plain = self.since(start, self.at);
            match &mut text {
                Cow::Borrowed("") => text = Cow::Borrowed(plain),
                text => text.to_mut().push_str(plain),
            }
            if self.take_byte(b'"') {
                return Ok(text);
            }
            if !self.take_byte(b'\\') {
                return Err(self.wrong("a `\"` at the end of the text"));
            }
            let escaped = self.escaped()?;
            text.to_mut().push(escaped);
        }
    }

    /// What stands after a backslash.
    fn escaped(&mut self) -> Result<char, Error> {
        let Some(byte) = self.byte() else {
            return Err(self.wrong("more"));
        };
        let escaped = match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' => char::from(byte),
            b'u' => {
                self.at += 1;
                return self.escaped_units();
            }
            _ => return Err(self.wrong("an escape of JSON")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// One character as one or two units of UTF-16, in hex.
    fn escaped_units(&mut self) -> Result<char, Error> {
        let high = self.unit()?;
        let low = match high {
            // The first half of a character that takes two.
            0xd800..0xdc00 if self.take_word("\\u") => Some(self.unit()?),
            _ => None,
        };
        let mut decoded = char::decode_utf16([Some(high), low].into_iter().flatten());
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(Error::custom("an escape of JSON stands for half a character")),
        }
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
                let (written, value) = self.number()?;
                Ok(value.unwrap_or(Token::Fraction(written)))
            }
            Some(b'n') if self.take_word("null") => Ok(Token::Null),
            Some(b't') if self.take_word("true") => Ok(Token::Bool(true)),
            Some(b'f') if self.take_word("false") => Ok(Token::Bool(false)),
            Some(bracket @ (b'[' | b'{')) if self.depth < MAX_DEPTH => {
                self.at += 1;
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
    fn close(&mut self, bracket: u8) -> Result<(), Error> {
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

/// The number with one more digit; none if it does not fit. A component multiplies with a check for overflow by calling
/// a function that multiplies 128 bits, for every digit.
fn append(number: u64, digit: u64) -> Option<u64> {
    const TENTH: u64 = u64::MAX / 10;
    let fits = number < TENTH || (number == TENTH && digit <= u64::MAX % 10);
    fits.then(|| number.wrapping_mul(10).wrapping_add(digit))
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
                self.close(b']').map(|()| list)
            }
            Token::Object => {
                let object = visitor.visit_map(self.items())?;
                self.close(b'}').map(|()| object)
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
        if self.peek() == Some(b'n') && self.take_word("null") {
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
                self.close(b'}').map(|()| variant)
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
            self.reader.expect(b',')?;
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
        let read = match &field {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(StrDeserializer::new(name)),
        };
        self.field = Some(field);
        read.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.reader.expect(b':')?;
        let field = self.field.take().unwrap_or_default();
        seed.deserialize(&mut *self.reader)
            .map_err(|Error(message)| Error(format!("{field}: {message}")))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
