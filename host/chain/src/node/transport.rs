//! JSON-RPC over HTTP, with a bound on what a node may answer.

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use core::task::{Context, Poll};
use core::time::Duration;
use reqwest::{Client, Url};
use tower::Service;

/// Bytes of one answer at most: some ten thousand events. A request for more is to be made in parts.
pub(super) const MAX_ANSWER: usize = 16 << 20;

/// The status of a node that was asked too much.
pub(super) const TOO_MANY_REQUESTS: u16 = 429;
/// The status of a node that cannot answer now.
pub(super) const UNAVAILABLE: u16 = 503;

/// A body that is longer than [`MAX_ANSWER`].
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {MAX_ANSWER} bytes")]
pub(super) struct TooLong;

/// The transport. alloy's own would take a body of any length.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    url: Url,
}

impl Http {
    pub(super) fn new(client: Client, url: Url) -> Self {
        Self { client, url }
    }

    async fn send(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let sent = self.client.post(self.url).json(&request).send();
        // Errors of the client carry the address, and that may carry a secret.
        let mut response = sent
            .await
            .map_err(|error| TransportErrorKind::custom(error.without_url()))?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| TransportErrorKind::custom(error.without_url()))?
        {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(TransportErrorKind::custom(TooLong));
            }
            body.extend_from_slice(&chunk);
        }
        // Whatever such an answer says in its body, it is none.
        if matches!(status.as_u16(), TOO_MANY_REQUESTS | UNAVAILABLE) {
            return Err(TransportErrorKind::http_error_with_retry_after(
                status.as_u16(),
                excerpt(&body),
                retry_after,
            ));
        }
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok(answer),
            // Some nodes say with a status, and no answer, what is the matter.
            Err(_) if !status.is_success() => Err(TransportErrorKind::http_error_with_retry_after(
                status.as_u16(),
                excerpt(&body),
                retry_after,
            )),
            Err(error) => Err(TransportError::deser_err(error, excerpt(&body))),
        }
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// The beginning of a body, for messages.
pub(super) fn excerpt(body: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    String::from_utf8_lossy(body).chars().take(CHARACTERS).collect()
}
