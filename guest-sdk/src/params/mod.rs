//! Parameters: what the operator and the seller may set, read from JSON, and its schema.
//!
//! [`derive@crate::Params`] implements the traits of this module. What lives here is what its code calls, written once
//! for all types so that a component stays small.

mod read;
mod text;
mod types;

pub use read::{Range, Seen, choice, missing, no_such_choice, out_of_range};
pub use text::{Text, utf8};

use crate::{Refusal, json};
use serde::de::DeserializeOwned;

/// The parameters of a policy, an object of JSON.
pub trait Params: DeserializeOwned {
    /// Their JSON Schema, for consoles and checks.
    const SCHEMA: &'static str;

    /// What holds where nothing is set; none if something must be.
    fn unset() -> Option<Self> {
        None
    }

    /// Reads them; an empty text is an empty object.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with the code `bad_params`, which names the field, the value and what would be right.
    fn from_json(text: &str) -> Result<Self, Refusal> {
        let text = if text.is_empty() { "{}" } else { text };
        if text == "{}"
            && let Some(unset) = Self::unset()
        {
            return Ok(unset);
        }
        json::from_str(text).map_err(|error| Refusal::params(error.to_string()))
    }
}

/// A policy without parameters.
impl Params for () {
    const SCHEMA: &'static str = r#"{"type":"object","additionalProperties":false}"#;

    fn unset() -> Option<Self> {
        Some(())
    }

    fn from_json(text: &str) -> Result<Self, Refusal> {
        match text.trim_matches([' ', '\t', '\n', '\r', '{', '}']) {
            "" => Ok(()),
            _ => Err(Refusal::params(format!(
                "found {text}, expected {{}}: this policy has no parameters"
            ))),
        }
    }
}

/// What the value of one parameter may be, in words of JSON Schema.
pub trait Parameter: Sized {
    /// The keywords of its schema, without the bounds that a field may narrow.
    const TYPE: Text;

    /// The least that the type can hold, if that says something.
    const MIN: Option<Text> = None;

    /// The most that the type can hold, if that says something.
    const MAX: Option<Text> = None;

    /// What its `Default` is, as JSON; none if it has none.
    const DEFAULT: Option<Text>;
}

#[cfg(test)]
#[path = "../params_tests.rs"]
mod tests;
