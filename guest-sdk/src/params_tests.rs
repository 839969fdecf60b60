//! Derived parameters: what is read, what is refused in which words, and the schema.

use crate::{Amount, Params, amount};
use serde_json::Value;

/// How a policy behaves.
#[derive(Debug, PartialEq, crate::Params)]
struct Everything {
    /// What it starts from,
    /// before the first sale.
    #[param(default = "1.5", min = "0.5", max = 100)]
    start: Amount,
    /// Unset for none.
    #[param(min = "1")]
    cap: Option<Amount>,
    #[param(default = WINDOW, min = 1, max = crate::MAX_WINDOW_MS)]
    window_ms: u32,
    #[param(min = -5, default = -1)]
    offset: i64,
    #[param(default = Scope::PerBuyer)]
    scope: Scope,
    usual: Scope,
    maybe: Option<Scope>,
    #[param(default = true)]
    strict: bool,
    #[param(default = "a \"b\"")]
    note: String,
    #[param(default = 0.5, min = -1.5, max = 2.0)]
    gain: f64,
    steps: Vec<Step>,
    names: Vec<String>,
    inner: Inner,
}

const WINDOW: u32 = 60 * 1_000;

#[derive(Debug, Clone, Copy, PartialEq, crate::Params)]
enum Scope {
    PerBuyer,
    #[param(default)]
    Api,
}

#[derive(Debug, PartialEq, crate::Params)]
struct Step {
    #[param(required, max = 10_000)]
    bp: u16,
    from: u64,
}

#[derive(Debug, PartialEq, crate::Params)]
struct Inner {
    #[param(default = 7)]
    seven: u8,
}

fn read(text: &str) -> Result<Everything, String> {
    Everything::from_json(text).map_err(|refusal| {
        assert_eq!(refusal.code, "bad_params");
        refusal.text.into_owned()
    })
}

#[test]
fn what_is_not_set_is_the_default() {
    let default = Everything::default();
    assert_eq!(
        default,
        Everything {
            start: amount!("1.5"),
            cap: None,
            window_ms: 60_000,
            offset: -1,
            scope: Scope::PerBuyer,
            usual: Scope::Api,
            maybe: None,
            strict: true,
            note: "a \"b\"".to_owned(),
            gain: 0.5,
            steps: Vec::new(),
            names: Vec::new(),
            inner: Inner { seven: 7 },
        }
    );
    for text in ["", "{}", " { } "] {
        assert_eq!(read(text).unwrap(), default, "{text}");
    }
}

#[test]
fn every_kind_of_field_is_read() {
    let text = r#"{"start":"0.5","cap":2,"window_ms":1,"offset":-5,"scope":"api","usual":"per_buyer","maybe":"api",
        "strict":false,"note":"n","gain":-1.5,"steps":[{"bp":10000,"from":3},{"bp":1}],"names":["x"],"inner":{}}"#;
    let ours = read(text).unwrap();
    assert_eq!(ours, serde_json::from_str(text).unwrap());
    assert_eq!(ours.start, amount!("0.5"));
    assert_eq!(ours.cap, Some(Amount::from_tokens(2)));
    assert_eq!(ours.steps[1], Step { bp: 1, from: 0 });
    assert_eq!((ours.scope, ours.maybe), (Scope::Api, Some(Scope::Api)));
    assert_eq!(
        read(r#"{"cap":null,"maybe":null}"#).unwrap(),
        Everything::default()
    );
}

#[test]
fn what_is_wrong_is_refused_by_field_value_and_range() {
    for (text, words) in [
        (r#"{"start":"0.1"}"#, "start is 0.1: expected 0.5 to 100 tokens"),
        (r#"{"start":101}"#, "start is 101: expected 0.5 to 100 tokens"),
        (r#"{"cap":"0.9"}"#, "cap is 0.9: expected at least 1 tokens"),
        (r#"{"window_ms":0}"#, "window_ms is 0: expected 1 to 86400000"),
        (
            r#"{"window_ms":86400001}"#,
            "window_ms is 86400001: expected 1 to 86400000",
        ),
        (
            r#"{"window_ms":4294967296}"#,
            "window_ms: found 4294967296, expected u32",
        ),
        (r#"{"offset":-6}"#, "offset is -6: expected at least -5"),
        (r#"{"gain":2.5}"#, "gain is 2.5: expected -1.5 to 2.0"),
        (
            r#"{"scope":"world"}"#,
            "scope: found `world`, expected one of `per_buyer`, `api`",
        ),
        (
            r#"{"scope":3}"#,
            "scope: found 3, expected one of `per_buyer`, `api`",
        ),
        (
            r#"{"steps":[{"from":1}]}"#,
            "steps: bp is not set: it has no default",
        ),
        (
            r#"{"steps":[{"bp":10001}]}"#,
            "steps: bp is 10001: expected at most 10000",
        ),
        (
            r#"{"inner":{"seven":1,"seven":2}}"#,
            "inner: seven is set twice: expected it once",
        ),
        (
            r#"{"inner":{"eight":1}}"#,
            "inner: the parameter `eight` is unknown: expected `seven`",
        ),
        (
            r#"{"start":0.5}"#,
            "start: found the number 0.5, expected an amount of tokens, such as 35 or \"0.5\" (a fraction in quotes, \
             so that it stays exact)",
        ),
        (
            "[]",
            "found a list, expected an object, the Everything of the policy",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), words, "{text}");
    }
}

#[test]
fn the_schema_says_types_descriptions_defaults_and_bounds() {
    let schema: Value = serde_json::from_str(Everything::SCHEMA).unwrap();
    let expected = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "How a policy behaves.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "start": {
                "description": "What it starts from, before the first sale.",
                "type": ["integer", "string"],
                "minimum": 0,
                "pattern": "^[0-9]+([.][0-9]{1,18})?$",
                "x-minimum": "0.5",
                "x-maximum": "100",
                "default": "1.5",
            },
            "cap": {
                "description": "Unset for none.",
                "anyOf": [
                    {
                        "type": ["integer", "string"],
                        "minimum": 0,
                        "pattern": "^[0-9]+([.][0-9]{1,18})?$",
                        "x-minimum": "1",
                    },
                    {"type": "null"},
                ],
                "default": null,
            },
            "window_ms": {"type": "integer", "minimum": 1, "maximum": 86_400_000, "default": 60_000},
            "offset": {"type": "integer", "minimum": -5, "default": -1},
            "scope": {"enum": ["per_buyer", "api"], "default": "per_buyer"},
            "usual": {"enum": ["per_buyer", "api"], "default": "api"},
            "maybe": {"anyOf": [{"enum": ["per_buyer", "api"]}, {"type": "null"}], "default": null},
            "strict": {"type": "boolean", "default": true},
            "note": {"type": "string", "default": "a \"b\""},
            "gain": {"type": "number", "minimum": -1.5, "maximum": 2.0, "default": 0.5},
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "bp": {"type": "integer", "minimum": 0, "maximum": 10_000},
                        "from": {"type": "integer", "minimum": 0, "default": 0},
                    },
                    "required": ["bp"],
                },
                "default": [],
            },
            "names": {"type": "array", "items": {"type": "string"}, "default": []},
            "inner": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"seven": {"type": "integer", "minimum": 0, "maximum": 255, "default": 7}},
                "default": {},
            },
        },
    });
    assert_eq!(schema, expected);
}

#[test]
fn the_defaults_of_the_schema_are_the_defaults() {
    let schema: Value = serde_json::from_str(Everything::SCHEMA).unwrap();
    let defaults: serde_json::Map<String, Value> = schema["properties"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, property)| (name.clone(), property["default"].clone()))
        .collect();
    let text = Value::from(defaults).to_string();
    assert_eq!(read(&text).unwrap(), Everything::default());
}

#[test]
fn a_required_field_makes_nothing_set_an_error() {
    assert_eq!(Step::unset(), None);
    assert_eq!(
        Step::from_json("").unwrap_err().text,
        "bp is not set: it has no default"
    );
}

#[test]
fn a_policy_without_parameters_takes_none() {
    assert_eq!(<()>::from_json("{ }"), Ok(()));
    assert_eq!(<()>::from_json(""), Ok(()));
    let refusal = <()>::from_json(r#"{"a":1}"#).unwrap_err();
    assert_eq!(
        refusal.text,
        r#"found {"a":1}, expected {}: this policy has no parameters"#
    );
}
