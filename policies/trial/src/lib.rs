//! What the tests of every policy ask of its parameters, in one place.
//!
//! What never lives here: anything that a component contains, or knowledge of a policy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are assertions for tests; components never contain them"
)]

use bourse::{Amount, Params, Refusal};
use serde_json::{Map, Value};
use std::fmt::Debug;

/// An amount as tests write it, in tokens: `0.5`.
///
/// # Panics
///
/// If the text is no amount.
#[track_caller]
pub fn tokens(text: &str) -> Amount {
    text.parse().unwrap()
}

/// Fails unless `ask` refuses each of the `senseless` parameters with the code `bad_params`, in a text with the words
/// beside them.
///
/// # Panics
///
/// With the parameters that are taken, or refused in other words.
#[track_caller]
pub fn refused_by_name<T: Debug>(senseless: &[(&str, &str)], ask: impl Fn(&str) -> Result<T, Refusal>) {
    for (params, named) in senseless {
        let refusal = ask(params).unwrap_err();
        assert_eq!(refusal.code, "bad_params", "{params}");
        assert!(refusal.text.contains(named), "{params}: {}", refusal.text);
    }
}

/// Fails unless the schema has `count` parameters, each with its default: read as parameters, these are `P::default()`.
///
/// # Panics
///
/// With what is missing or different.
#[track_caller]
pub fn described_with_defaults<P: Params + Default + PartialEq + Debug>(count: usize) {
    let schema: Value = serde_json::from_str(P::SCHEMA).unwrap();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap();
    let default = |name: &str, property: &Value| match property.get("default") {
        Some(default) => default.clone(),
        None => panic!("{name} has no default in the schema"),
    };
    let defaults: Map<_, _> = properties
        .iter()
        .map(|(name, property)| (name.clone(), default(name, property)))
        .collect();
    assert_eq!(properties.len(), count);
    let read: P = serde_json::from_value(defaults.into()).unwrap();
    assert_eq!(read, P::default());
}
