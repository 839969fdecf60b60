//! The types that parameters are made of.

use super::{Parameter, Text};
use crate::Amount;

macro_rules! integers {
    ($($ty:ty: $min:expr, $max:expr;)*) => {$(
        impl Parameter for $ty {
            const TYPE: Text = Text::Str("\"type\":\"integer\"");
            const MIN: Option<Text> = $min;
            const MAX: Option<Text> = $max;
            const DEFAULT: Option<Text> = Some(Text::Int(0));
        }
    )*};
}

const fn int(number: i128) -> Option<Text> {
    Some(Text::Int(number))
}

// Past 2^53 the numbers of many readers of a schema are not exact: no bound says more than a wrong one.
integers! {
    u8: int(0), int(u8::MAX as i128);
    u16: int(0), int(u16::MAX as i128);
    u32: int(0), int(u32::MAX as i128);
    u64: int(0), None;
    usize: int(0), None;
    i8: int(i8::MIN as i128), int(i8::MAX as i128);
    i16: int(i16::MIN as i128), int(i16::MAX as i128);
    i32: int(i32::MIN as i128), int(i32::MAX as i128);
    i64: None, None;
    isize: None, None;
}

macro_rules! types {
    ($($ty:ty: $schema:literal, $default:literal;)*) => {$(
        impl Parameter for $ty {
            const TYPE: Text = Text::Str($schema);
            const DEFAULT: Option<Text> = Some(Text::Str($default));
        }
    )*};
}

types! {
    bool: "\"type\":\"boolean\"", "false";
    f32: "\"type\":\"number\"", "0.0";
    f64: "\"type\":\"number\"", "0.0";
    String: "\"type\":\"string\"", "\"\"";
    // Tokens: a whole number, or a text.
    Amount: r#""type":["integer","string"],"minimum":0,"pattern":"^[0-9]+([.][0-9]{1,18})?$""#, "\"0\"";
}

/// Not set.
impl<T: Parameter> Parameter for Option<T> {
    const TYPE: Text = Text::Join(&[
        Text::Str("\"anyOf\":[{"),
        T::TYPE,
        Text::Maybe(",\"minimum\":", &T::MIN),
        Text::Maybe(",\"maximum\":", &T::MAX),
        Text::Str("},{\"type\":\"null\"}]"),
    ]);
    const DEFAULT: Option<Text> = Some(Text::Str("null"));
}

/// A list.
impl<T: Parameter> Parameter for Vec<T> {
    const TYPE: Text = Text::Join(&[
        Text::Str("\"type\":\"array\",\"items\":{"),
        T::TYPE,
        Text::Maybe(",\"minimum\":", &T::MIN),
        Text::Maybe(",\"maximum\":", &T::MAX),
        Text::Str("}"),
    ]);
    const DEFAULT: Option<Text> = Some(Text::Str("[]"));
}
