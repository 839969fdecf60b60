//! Components that come with a request.

use crate::console::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderName};
use std::time::Duration;

/// How long a component may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the text of the signature file stands, in hex: what is in a header must have no line breaks.
const SIGNATURE: HeaderName = HeaderName::from_static("bourse-signature");
/// Bytes of the signature.
const MAX_SIGNATURE: usize = 4 << 10;

/// Takes in what a request carries: `most` bytes at most, within half a minute.
///
/// # Errors
///
/// If it is larger, slower, or breaks off.
pub(super) async fn take(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, Problem> {
    let said = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_large = |bytes: String| {
        Problem::too_large(format!(
            "the component has {bytes} bytes, the limit is {most}: see policies.component_max"
        ))
    };
    if let Some(length) = said.filter(|length| *length > most as u64) {
        return Err(too_large(length.to_string()));
    }
    let taken = tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, most)).await;
    match taken {
        Err(_) => Err(Problem::too_slow(format!(
            "the component did not arrive within {} seconds",
            PATIENCE.as_secs()
        ))),
        Ok(Ok(bytes)) => Ok(bytes),
        // A body without a length says nothing but that it was too long, or that its sender went away.
        Ok(Err(_)) => Err(too_large("too many".to_owned())),
    }
}

/// The signature that comes with a component, as the file beside it has it.
///
/// # Errors
///
/// If it is none.
pub(super) fn signature(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let Some(given) = headers.get(SIGNATURE) else {
        return Ok(None);
    };
    let bytes = hex::decode(given.as_bytes())
        .ok()
        .filter(|bytes| bytes.len() <= MAX_SIGNATURE);
    bytes.map(Some).ok_or_else(|| {
        Problem::bad(format!(
            "{SIGNATURE} is no signature: expected the bytes of NAME.wasm.sig in hex, {MAX_SIGNATURE} at most"
        ))
    })
}
