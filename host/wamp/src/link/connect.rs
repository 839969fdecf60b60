//! Opening links as a client.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use super::{Link, raw, tune, ws};
use crate::codec::Serializer;
use crate::limits::{HANDSHAKE_TIMEOUT, MAX_FRAME};

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one that can be connected to.
    #[error("{url} cannot be connected to: {reason}; a URL such as ws://127.0.0.1:8080/ws would be right")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody listens, or the transport's handshake failed.
    #[error("connecting to {to} failed: {reason}")]
    Failed {
        /// URL or address.
        to: String,
        /// What went wrong.
        reason: String,
    },
    /// The peer did not answer in time.
    #[error("{to} did not answer within {} s", within.as_secs())]
    Timeout {
        /// URL or address.
        to: String,
        /// How long was waited.
        within: Duration,
    },
}

/// Connects over WebSocket.
///
/// # Errors
/// [`ConnectError`], also when the router does not speak the serializer.
pub async fn connect_ws(url: &str, serializer: Serializer) -> Result<Link, ConnectError> {
    within(url, open_ws(url, serializer)).await
}

/// Connects over RawSocket.
///
/// # Errors
/// [`ConnectError`], also when the router does not speak the serializer.
pub async fn connect_rs(addr: SocketAddr, serializer: Serializer) -> Result<Link, ConnectError> {
    let to = addr.to_string();
    within(&to, async {
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|error| failed(&to, &error))?;
        tune(&stream);
        raw::open(stream, serializer, MAX_FRAME)
            .await
            .map_err(|error| failed(&to, &error))
    })
    .await
}

async fn within(
    to: &str,
    connecting: impl Future<Output = Result<Link, ConnectError>>,
) -> Result<Link, ConnectError> {
    match timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout {
            to: to.to_owned(),
            within: HANDSHAKE_TIMEOUT,
        }),
    }
}

fn failed(to: &str, error: &dyn std::error::Error) -> ConnectError {
    ConnectError::Failed {
        to: to.to_owned(),
        reason: error.to_string(),
    }
}

async fn open_ws(url: &str, serializer: Serializer) -> Result<Link, ConnectError> {
    let invalid = |reason: &str| ConnectError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    let mut request = url
        .into_client_request()
        .map_err(|error| invalid(&error.to_string()))?;
    let name = HeaderValue::from_static(serializer.subprotocol());
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    if request.uri().scheme_str() != Some("ws") {
        return Err(invalid("only the scheme ws is supported"));
    }
    let host = request.uri().host().ok_or_else(|| invalid("it has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = request.uri().port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| failed(url, &error))?;
    tune(&stream);
    let (stream, response) = client_async_with_config(request, stream, Some(ws::config(MAX_FRAME)))
        .await
        .map_err(|error| failed(url, &error))?;
    let answered = response
        .headers()
        .get(SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok());
    if answered != Some(serializer.subprotocol()) {
        return Err(ConnectError::Failed {
            to: url.to_owned(),
            reason: format!(
                "it answers with the subprotocol {answered:?}, not {:?}",
                serializer.subprotocol()
            ),
        });
    }
    Ok(ws::link(stream, serializer, MAX_FRAME, None))
}
