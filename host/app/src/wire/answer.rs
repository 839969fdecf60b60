//! Asking others, and what they answer, as far as it is the same for all that they are asked.

use bourse_wamp::{CallError, CallOptions, CallResult, Dict, Session, Value, WampError};
use std::time::Duration;

/// Calls `procedure` over `session`, and waits `within`; at `callee` and nobody else, if one is meant.
pub(crate) async fn call_within(
    session: &Session,
    procedure: &str,
    args: Vec<Value>,
    within: Duration,
    callee: Option<u64>,
) -> Result<CallResult, CallError> {
    let options = CallOptions {
        timeout: Some(within),
        callee,
    };
    session.call(procedure, args, Dict::new(), options).await
}

/// The named values of an answer: its first value, if that is a map, else its keyword arguments.
pub(crate) fn fields(result: CallResult) -> Dict {
    match result.args.into_iter().next() {
        Some(Value::Map(fields)) => fields,
        _ => result.kwargs,
    }
}

/// The text of a seller's error, cut: it goes into records and to buyers.
pub(crate) fn words(error: &WampError) -> String {
    /// Characters kept.
    const KEPT: usize = 200;
    match error.args.first() {
        Some(Value::Str(text)) => text.chars().take(KEPT).collect(),
        _ => "no text".to_owned(),
    }
}
