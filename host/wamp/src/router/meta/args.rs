//! Arguments of the router's own procedures, by position or by name.

use crate::message::Arguments;
use crate::session::WampError;
use crate::uri::{Match, error};
use crate::value::Value;

pub(super) struct Args<'a>(pub(super) Option<&'a Arguments>);

impl<'a> Args<'a> {
    /// The argument at this position or of this name; one that is null is not there.
    fn get(&self, position: usize, name: &str) -> Option<&'a Value> {
        let arguments = self.0?;
        let value = arguments
            .args
            .get(position)
            .or_else(|| arguments.kwargs.get(name));
        value.filter(|value| !matches!(value, Value::Null))
    }

    fn required<T>(
        &self,
        position: usize,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, WampError> {
        self.get(position, name)
            .and_then(read)
            .ok_or_else(|| wrong(name, what))
    }

    fn optional<T>(
        &self,
        position: usize,
        name: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, WampError> {
        self.get(position, name)
            .map(|value| read(value).ok_or_else(|| wrong(name, what)))
            .transpose()
    }

    pub(super) fn id(&self, position: usize, name: &str) -> Result<u64, WampError> {
        self.required(position, name, "an id", Value::as_u64)
    }

    pub(super) fn optional_id(&self, position: usize, name: &str) -> Result<Option<u64>, WampError> {
        self.optional(position, name, "an id", Value::as_u64)
    }

    pub(super) fn text(&self, position: usize, name: &str) -> Result<&'a str, WampError> {
        self.required(position, name, "a string", Value::as_str)
    }

    pub(super) fn optional_text(&self, position: usize, name: &str) -> Result<Option<&'a str>, WampError> {
        self.optional(position, name, "a string", Value::as_str)
    }

    pub(super) fn optional_texts(
        &self,
        position: usize,
        name: &str,
    ) -> Result<Option<Vec<&'a str>>, WampError> {
        self.optional(position, name, "a list of strings", |value| {
            value.as_list()?.iter().map(Value::as_str).collect()
        })
    }

    /// The match policy in `options`, as in REGISTER and SUBSCRIBE.
    pub(super) fn matching(&self, position: usize) -> Result<Match, WampError> {
        let options = self.optional(position, "options", "a map", Value::as_map)?;
        match options.and_then(|options| options.get("match")) {
            None | Some(Value::Null) => Ok(Match::Exact),
            Some(name) => name
                .as_str()
                .and_then(|name| Match::parse(Some(name)))
                .ok_or_else(|| wrong("options.match", "one of exact, prefix, wildcard")),
        }
    }
}

fn wrong(name: &str, what: &str) -> WampError {
    WampError::new(error::INVALID_ARGUMENT, format!("{name} must be {what}"))
}
