//! Why a question of the console has no answer, in words for whoever asked.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use bourse_store::StoreError;
use serde_json::json;

/// What was wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    /// For people.
    words: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, words: impl Into<String>) -> Self {
        Self {
            status,
            code,
            words: words.into(),
        }
    }

    /// The question makes no sense.
    pub(super) fn bad(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", words)
    }

    /// The operator's token is missing, or is another.
    pub(super) fn token(words: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "token", words)
    }

    /// Nobody may do this from there.
    pub(super) fn forbidden(code: &'static str, words: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, words)
    }

    /// There is no such thing.
    pub(super) fn unknown(words: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", words)
    }

    /// What came is too large.
    pub(super) fn too_large(words: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", words)
    }

    /// What came did not come in time.
    pub(super) fn too_slow(words: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", words)
    }

    /// What came is understood, and refused.
    pub(super) fn refused(words: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", words)
    }

    /// Too many ask at once.
    pub(super) fn busy(words: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", words)
    }

    /// The market is not there, or not any more.
    pub(super) fn not_now(words: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", words)
    }

    /// A fault of this host.
    pub(super) fn internal(words: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", words)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the console could not read the ledger");
        Self::internal(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.words, "code": self.code }));
        let mut response = (self.status, [(CACHE_CONTROL, "no-store")], body).into_response();
        let more = match self.status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer realm=\"bourse\"")),
            StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = more {
            response
                .headers_mut()
                .insert(name, axum::http::HeaderValue::from_static(value));
        }
        response
    }
}
