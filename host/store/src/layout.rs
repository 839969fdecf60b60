//! How records are laid out, read off the types themselves: each is decoded from nothing, and what it asks for is noted.
//!
//! So what is told of a ledger's layout cannot differ from what is read. Of an enumeration each pass sees one variant;
//! types are read again until all were seen.

use serde::Serialize;
use serde::de::value::{Error, U32Deserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use std::collections::BTreeMap;

/// Passes over one type: more than any has variants.
const PASSES: usize = 64;

/// A named type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Its name.
    pub name: &'static str,
    /// Fields in the order in which they are stored, or the variants, one of which is.
    pub parts: Vec<String>,
}

/// The types seen so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    structs: BTreeMap<&'static str, Vec<String>>,
    /// Each variant, once it was seen.
    enums: BTreeMap<&'static str, Vec<Option<String>>>,
}

impl Book {
    /// Notes what `R` is made of, and yields its name.
    pub(crate) fn trace<R: DeserializeOwned>(&mut self) -> String {
        let mut name = String::new();
        for _ in 0..PASSES {
            name.clear();
            let says = &mut name;
            // A type that refuses what it is fed is noted as far as it came.
            let _ = R::deserialize(Tracer { book: self, says });
            let complete = self.enums.values().flatten().all(Option::is_some);
            if complete {
                break;
            }
        }
        name
    }

    /// All named types.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        let structs = self.structs.iter().map(|(name, parts)| Layout {
            name,
            parts: parts.clone(),
        });
        let enums = self.enums.iter().map(|(name, variants)| Layout {
            name,
            parts: variants.iter().flatten().cloned().collect(),
        });
        structs.chain(enums).collect()
    }
}

/// Feeds a type with nothing, and says what it asked for.
struct Tracer<'b> {
    book: &'b mut Book,
    says: &'b mut String,
}

impl Tracer<'_> {
    fn say(&mut self, what: &str) {
        what.clone_into(self.says);
    }
}

macro_rules! plain {
    ($($method:ident => $visit:ident($($value:expr)?), $name:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            self.say($name);
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    plain! {
        deserialize_any => visit_unit(), "anything";
        deserialize_bool => visit_bool(false), "bool";
        deserialize_i8 => visit_i8(0), "i8";
        deserialize_i16 => visit_i16(0), "i16";
        deserialize_i32 => visit_i32(0), "i32";
        deserialize_i64 => visit_i64(0), "i64";
        deserialize_u8 => visit_u8(0), "u8";
        deserialize_u16 => visit_u16(0), "u16";
        deserialize_u32 => visit_u32(0), "u32";
        deserialize_u64 => visit_u64(0), "u64";
        deserialize_f32 => visit_f32(0.0), "f32";
        deserialize_f64 => visit_f64(0.0), "f64";
        deserialize_char => visit_char('a'), "char";
        deserialize_str => visit_str(""), "text";
        deserialize_string => visit_str(""), "text";
        deserialize_unit => visit_unit(), "nothing";
        deserialize_identifier => visit_unit(), "a name";
        deserialize_ignored_any => visit_unit(), "anything";
    }

    /// Bytes of a fixed length say how many they expect.
    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let expected = (&visitor as &dyn Expected).to_string();
        let length = expected
            .strip_suffix(" bytes")
            .and_then(|number| number.parse().ok());
        let length: usize = length.unwrap_or_default();
        match length {
            0 => self.say("bytes"),
            _ => self.say(&expected),
        }
        visitor.visit_bytes(&vec![0; length])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut inner = String::new();
        let value = visitor.visit_some(Tracer {
            book: self.book,
            says: &mut inner,
        });
        *self.says = format!("{inner}?");
        value
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (value, items) = Items::of(self.book, 1, |items| visitor.visit_seq(items));
        *self.says = format!("[{}]", items.join(", "));
        value
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        let (value, items) = Items::of(self.book, length, |items| visitor.visit_seq(items));
        *self.says = format!("({})", items.join(", "));
        value
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (value, said) = Items::of(self.book, 1, |items| visitor.visit_map(items));
        *self.says = format!("{{{}}}", said.join(": "));
        value
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (value, said) = Items::of(self.book, fields.len(), |items| visitor.visit_seq(items));
        self.book.structs.insert(name, named(fields, &said));
        name.clone_into(self.says);
        value
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let seen = self
            .book
            .enums
            .entry(name)
            .or_insert_with(|| vec![None; variants.len()]);
        let next = seen.iter().position(Option::is_none).unwrap_or_default();
        let mut body = String::new();
        let value = visitor.visit_enum(Variant {
            book: self.book,
            index: u32::try_from(next).unwrap_or_default(),
            says: &mut body,
        });
        if let (Some(seen), Some(variant)) = (self.book.enums.get_mut(name), variants.get(next))
            && let Some(place) = seen.get_mut(next)
        {
            *place = Some(format!("{variant}{body}"));
        }
        name.clone_into(self.says);
        value
    }

    /// As the ledger's encoding is not.
    fn is_human_readable(&self) -> bool {
        false
    }
}

fn named(fields: &[&str], said: &[String]) -> Vec<String> {
    fields
        .iter()
        .zip(said)
        .map(|(field, says)| format!("{field}: {says}"))
        .collect()
}

/// What a sequence, a map or the fields of a structure hold.
struct Items<'b> {
    book: &'b mut Book,
    left: usize,
    said: &'b mut Vec<String>,
}

impl<'b> Items<'b> {
    /// Shows `visit` so many items, and yields beside its value what each of them asked for.
    fn of<T>(book: &'b mut Book, left: usize, visit: impl FnOnce(Items<'_>) -> T) -> (T, Vec<String>) {
        let mut said = Vec::new();
        let value = visit(Items {
            book,
            left,
            said: &mut said,
        });
        (value, said)
    }

    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let mut says = String::new();
        let value = seed.deserialize(Tracer {
            book: self.book,
            says: &mut says,
        });
        self.said.push(says);
        value
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.next(seed).map(Some)
            }
            None => Ok(None),
        }
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.next(seed)
    }
}

/// One variant of an enumeration.
struct Variant<'b> {
    book: &'b mut Book,
    index: u32,
    says: &'b mut String,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let index: U32Deserializer<Error> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let mut inner = String::new();
        let value = seed.deserialize(Tracer {
            book: self.book,
            says: &mut inner,
        });
        *self.says = format!("({inner})");
        value
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        let Self { book, says, .. } = self;
        Tracer { book, says }.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (value, said) = Items::of(self.book, fields.len(), |items| visitor.visit_seq(items));
        *self.says = format!(" {{ {} }}", named(fields, &said).join(", "));
        value
    }
}
