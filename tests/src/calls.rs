//! Calls and what comes of them.

use bourse_market::Amount;
use bourse_wamp::{CallError, CallOptions, Dict, Session, Value, WampError};
use std::fmt::Debug;
use std::time::{Duration, SystemTime};

/// Calls a procedure with positional arguments; its one result, or its error.
pub async fn call(session: &Session, uri: &str, args: Vec<Value>) -> Result<Value, WampError> {
    call_named(session, uri, args, Dict::new()).await
}

/// The same with keyword arguments too.
pub async fn call_named(
    session: &Session,
    uri: &str,
    args: Vec<Value>,
    kwargs: Dict,
) -> Result<Value, WampError> {
    let options = CallOptions {
        timeout: Some(Duration::from_secs(30)),
        ..CallOptions::default()
    };
    match session.call(uri, args, kwargs, options).await {
        Ok(result) => Ok(result.args.into_iter().next().unwrap_or_default()),
        Err(CallError::Wamp(error)) => Err(error),
        Err(error) => panic!("{uri}: {error}"),
    }
}

/// An offer as events tell it to everybody: without its signature, and without the session that placed it.
pub fn public(offer: &Value) -> Value {
    let mut fields = map_of(offer).clone();
    for private in ["signature", "seller_session_id"] {
        assert!(fields.insert(private.to_owned(), Value::Null).is_some());
    }
    Value::Map(fields)
}

/// Whole tokens.
pub fn tokens(tokens: u64) -> Amount {
    Amount::from_tokens(tokens)
}

/// The dictionary that `value` is.
pub fn map_of(value: &Value) -> &Dict {
    match value {
        Value::Map(map) => map,
        other => panic!("expected a dictionary, got {other:?}"),
    }
}

/// The bytes under `key`.
pub fn bytes_of<'a>(value: &'a Value, key: &str) -> &'a [u8] {
    match map_of(value).get(key) {
        Some(Value::Bytes(bytes)) => bytes,
        other => panic!("{key}: expected bytes, got {other:?}"),
    }
}

/// The amount under `key`.
pub fn amount_of(value: &Value, key: &str) -> Amount {
    Amount::from_be_bytes(bytes_of(value, key).try_into().unwrap())
}

/// The text of an error.
pub fn error_text(error: &WampError) -> &str {
    match error.args.first() {
        Some(Value::Str(text)) => text,
        other => panic!("expected a text, got {other:?}"),
    }
}

/// The amount that an error tells under `key`.
pub fn error_amount(error: &WampError, key: &str) -> Amount {
    match error.kwargs.get(key) {
        Some(Value::Bytes(bytes)) => Amount::from_be_bytes(bytes.as_slice().try_into().unwrap()),
        other => panic!("{key}: expected 32 bytes, got {other:?} in {error:?}"),
    }
}

/// The integer under `key`.
pub fn int_of(value: &Value, key: &str) -> u64 {
    match map_of(value).get(key).and_then(Value::as_u64) {
        Some(int) => int,
        None => panic!("{key}: expected an integer in {value:?}"),
    }
}

/// The error of what must be refused with `uri`.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T, WampError>, uri: &str) -> WampError {
    match result {
        Err(error) if error.uri == uri => error,
        other => panic!("expected {uri}, got {other:?}"),
    }
}

/// Nanoseconds since the epoch, now.
pub fn now() -> u64 {
    u64::try_from(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos(),
    )
    .unwrap()
}
