//! Reading what the market answers: every part checked for its type and length, every fault named.

use crate::DelegateError;
use bourse_market::{Amount, IdError};
use bourse_wamp::{CallResult, Dict, Value};
use std::borrow::Cow;
use std::str::FromStr;

/// A field of a dict that a procedure answered.
pub(crate) struct Reply {
    procedure: String,
    dict: Dict,
}

impl Reply {
    /// The answer of a procedure whose only result is a dict.
    pub(crate) fn new(procedure: &str, result: CallResult) -> Result<Self, DelegateError> {
        Self::nullable(procedure, result)?
            .ok_or_else(|| malformed(procedure, "a result", &Value::Null, "a map"))
    }

    /// The same, where null means that there is nothing.
    pub(crate) fn nullable(procedure: &str, result: CallResult) -> Result<Option<Self>, DelegateError> {
        match result.args.into_iter().next().unwrap_or_default() {
            Value::Null => Ok(None),
            Value::Map(dict) => Ok(Some(Self {
                procedure: procedure.to_owned(),
                dict,
            })),
            other => Err(malformed(procedure, "a result", &other, "a map")),
        }
    }

    fn read<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, DelegateError> {
        let value = self.dict.get(field).unwrap_or(&Value::Null);
        read(value).ok_or_else(|| malformed(&self.procedure, &format!("`{field}`"), value, expected))
    }

    /// Bytes of a fixed length: an id, an address, a signature.
    pub(crate) fn bytes<T>(&self, field: &str) -> Result<T, DelegateError>
    where
        T: for<'a> TryFrom<&'a [u8], Error = IdError>,
    {
        self.read(field, "bytes of the right length", |value| {
            value.as_bytes()?.try_into().ok()
        })
    }

    /// An amount: 32 bytes, or a plain number where the market maker saves bytes on zero.
    pub(crate) fn amount(&self, field: &str) -> Result<Amount, DelegateError> {
        self.read(field, "an amount in 32 bytes", amount)
    }

    /// An amount that is left out where it is zero.
    pub(crate) fn amount_or_zero(&self, field: &str) -> Result<Amount, DelegateError> {
        match self.dict.contains_key(field) {
            true => self.amount(field),
            false => Ok(Amount::ZERO),
        }
    }

    /// An amount that may be left out, or null.
    pub(crate) fn amount_or_null(&self, field: &str) -> Result<Option<Amount>, DelegateError> {
        match self.dict.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.amount(field).map(Some),
        }
    }

    /// A number of 64 bits.
    pub(crate) fn u64(&self, field: &str) -> Result<u64, DelegateError> {
        self.read(field, "a number of at most 64 bits", Value::as_u64)
    }

    /// A position of a channel.
    pub(crate) fn seq(&self, field: &str) -> Result<bourse_market::Seq, DelegateError> {
        self.read(field, "a number of at most 32 bits", |value| {
            value.as_u64()?.try_into().ok().map(bourse_market::Seq)
        })
    }

    /// Text that stands for something else.
    pub(crate) fn parse<T: FromStr>(&self, field: &str, expected: &'static str) -> Result<T, DelegateError> {
        self.read(field, expected, |value| value.as_str()?.parse().ok())
    }
}

/// A list of byte strings: what the channel listings answer.
pub(crate) fn list<T>(procedure: &str, result: CallResult) -> Result<Vec<T>, DelegateError>
where
    T: for<'a> TryFrom<&'a [u8], Error = IdError>,
{
    let value = result.args.into_iter().next().unwrap_or_default();
    let items = value
        .as_list()
        .ok_or_else(|| malformed(procedure, "a result", &value, "a list"))?;
    let read = |item: &Value| item.as_bytes().and_then(|bytes| bytes.try_into().ok());
    items
        .iter()
        .map(|item| read(item).ok_or_else(|| malformed(procedure, "an item", item, "an id")))
        .collect()
}

/// An amount as any client may send it: 32 bytes, or a number up to 2^256 − 1.
pub(crate) fn amount(value: &Value) -> Option<Amount> {
    match value {
        Value::Bytes(bytes) => bytes.as_slice().try_into().ok().map(Amount::from_be_bytes),
        Value::Int(number) => number.to_be_32().map(Amount::from_be_bytes),
        _ => None,
    }
}

/// Characters that an error repeats of one text of a market: a line, not what fills a log.
const REPEATED: usize = 500;

/// So much of a text, and whether there was more of it.
pub(crate) fn in_short(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(REPEATED) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

fn malformed(procedure: &str, what: &str, got: &Value, expected: &'static str) -> DelegateError {
    let got = match got {
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Str(text) => format!("`{}`", in_short(text)),
        Value::Int(number) => in_short(&number.to_string()).into_owned(),
        other => other.kind().to_owned(),
    };
    DelegateError::Malformed {
        procedure: procedure.to_owned(),
        what: what.to_owned(),
        got,
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_of_an_answer_what_fits_a_line() {
        let answer = |value: Value| {
            let dict = Dict::from([("price".to_owned(), value)]);
            let args = vec![Value::Map(dict)];
            let kwargs = Dict::new();
            Reply::new("get_quote", CallResult { args, kwargs }).unwrap()
        };
        let said = |value| answer(value).amount("price").unwrap_err().to_string();
        assert_eq!(
            said(Value::from("free")),
            "get_quote answered `price` that is `free`, expected an amount in 32 bytes"
        );
        let long = said(Value::Str("ä".repeat(1 << 20)));
        assert!(long.chars().count() < 600 && long.contains('…'), "{long}");
    }
}
