//! What sellers answer, as far as it is the same for all that they are asked.

use bourse_wamp::{CallResult, Dict, Value, WampError};

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
