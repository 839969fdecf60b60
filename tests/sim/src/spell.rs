//! Calls as clients spell them, and the answers read back.

use bourse_market::Amount;
use bourse_wamp::{Dict, Invocation, Value};
use tokio_util::sync::CancellationToken;

/// A call by an anonymous session.
pub fn call(session: u64, procedure: &str, args: Vec<Value>, kwargs: Dict) -> Invocation {
    Invocation {
        procedure: format!("xbr.marketmaker.{procedure}"),
        args,
        kwargs,
        caller: Some(session),
        caller_authid: None,
        caller_authrole: None,
        timeout: None,
        cancelled: CancellationToken::new(),
    }
}

pub fn int(value: u64) -> Value {
    Value::Int(value.into())
}

pub fn amount(value: Amount) -> Value {
    Value::from(value.to_be_bytes())
}

/// What stands under `key` of a dictionary.
pub fn field<'a>(value: &'a Value, key: &str) -> &'a Value {
    match value {
        Value::Map(map) => map.get(key).unwrap_or_else(|| panic!("no {key} in {value:?}")),
        other => panic!("expected a dictionary, got {other:?}"),
    }
}

pub fn bytes_of<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    as_bytes(field(value, key))
}

pub fn as_bytes<const N: usize>(value: &Value) -> [u8; N] {
    match value {
        Value::Bytes(bytes) => bytes.as_slice().try_into().unwrap(),
        other => panic!("expected {N} bytes, got {other:?}"),
    }
}

pub fn as_int(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("expected an integer, got {value:?}"))
}

pub fn int_of(value: &Value, key: &str) -> u64 {
    as_int(field(value, key))
}

pub fn amount_of(value: &Value, key: &str) -> Amount {
    Amount::from_be_bytes(bytes_of(value, key))
}
