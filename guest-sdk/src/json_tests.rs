//! Our reading of JSON against `serde_json`'s.

use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Everything {
    flag: bool,
    count: u32,
    signed: i64,
    ratio: f64,
    name: String,
    maybe: Option<u8>,
    shape: Shape,
    list: Vec<u64>,
    labels: BTreeMap<String, (i32, char)>,
    wrapped: Wrapped,
}

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
struct Wrapped(u16);

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
enum Shape {
    #[default]
    Point,
    Circle(u8),
    Box {
        width: u8,
        height: u8,
    },
}

fn read(text: &str) -> Result<Everything, String> {
    from_str(text).map_err(|error| error.to_string())
}

#[test]
fn every_kind_of_parameter_is_read_as_serde_json_reads_it() {
    for text in [
        r#" { "flag" : true , "count" : 4294967295 , "signed" : -9223372036854775808 } "#,
        r#"{"ratio":0.5,"maybe":7,"shape":{"Circle":3},"wrapped":9}"#,
        r#"{"ratio":-1.25e+2,"maybe":null,"shape":{"Box":{"width":1,"height":2}}}"#,
        r#"{"list":[1,2 , 18446744073709551615],"labels":{"a":[1,"x"],"b\n":[-2,"\u00e9"]},"ratio":3}"#,
        r#"{"name":"a\"\\\/\b\f\n\r\t\u0041\ud83d\ude00 é"}"#,
    ] {
        assert_eq!(read(text).unwrap(), serde_json::from_str(text).unwrap(), "{text}");
    }
}

#[test]
fn an_error_names_the_field_and_what_would_be_right() {
    for (text, named) in [
        (r#"{"count":-1}"#, "count: found -1, expected u32"),
        (r#"{"count":0.5}"#, "count: found the number 0.5, expected u32"),
        (
            r#"{"count":18446744073709551616}"#,
            "count: found the number 18446744073709551616, expected u32",
        ),
        (r#"{"count":"1"}"#, "count: found `1`, expected u32"),
        (
            r#"{"ratio":1e999}"#,
            "ratio: found the number 1e999, expected f64",
        ),
        (
            r#"{"shape":{"Box":{"width":300,"height":1}}}"#,
            "shape: Box: width: found 300, expected u8",
        ),
        (
            r#"{"shape":{"Circle":1,"Point":1}}"#,
            "shape: found `,`, expected }",
        ),
        (r#"{"list":[1,]}"#, "list: found `]`, expected a value"),
        (r#"{"list":[1 2]}"#, "list: found `2`, expected ,"),
        (
            r#"{"name":"a"#,
            "name: found the end, expected a `\"` at the end of the text",
        ),
        (
            r#"{"name":"\ud83d"}"#,
            "name: an escape of JSON stands for half a character",
        ),
        (r#"{"name":"\u+123"}"#, "name: `+123` is not four hex digits"),
        (r#"{"signed":01}"#, "signed: `01` starts with a zero"),
        (r#"{"flag":true} x"#, "found `x`, expected the end"),
        (r#"{"flag":true,"flag":true}"#, "duplicate field `flag`"),
        ("", "found the end, expected a value"),
        ("[]", "found a list, expected struct Everything"),
    ] {
        assert_eq!(read(text).unwrap_err(), named, "{text}");
    }
    assert!(
        read(r#"{"cuont":1}"#)
            .unwrap_err()
            .starts_with("unknown field `cuont`, expected one of `flag`")
    );
    assert!(
        read(r#"{"shape":"Line"}"#)
            .unwrap_err()
            .starts_with("shape: unknown variant `Line`")
    );
}

#[test]
fn nesting_ends_before_the_stack_does() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let deep = usize::from(MAX_DEPTH);
    assert!(from_str::<serde::de::IgnoredAny>(&nested(deep)).is_ok());
    for levels in [deep + 1, 4096] {
        let error = from_str::<serde::de::IgnoredAny>(&nested(levels)).unwrap_err();
        assert_eq!(error.to_string(), "more than 32 levels");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_back(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_serde_json_refuses_is_refused(value in json(), at in any::<prop::sample::Index>(), put in any::<char>()) {
        let mut text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len());
        text[at] = put;
        let text: String = text.into_iter().collect();
        let theirs = serde_json::from_str::<Value>(&text).ok().filter(|value| !text_has_fraction(value));
        prop_assert_eq!(from_str::<Value>(&text).ok().filter(|value| !text_has_fraction(value)), theirs);
    }
}

/// Whether a value holds a number that is no integer: the one thing that we refuse here and they do not.
fn text_has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_none() && number.as_u64().is_none(),
        Value::Array(items) => items.iter().any(text_has_fraction),
        Value::Object(fields) => fields.values().any(text_has_fraction),
        _ => false,
    }
}
