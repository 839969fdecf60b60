//! Opening links as a client: a socket, TLS where the URL wants it, then the handshake of the framing.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use super::stream::Stream;
use super::tls::{ClientTls, ClientTlsFiles, TlsError};
use super::url::{Framing, Place, RouterUrl, UrlError};
use super::{Link, Pace, raw, tune, ws};
use crate::codec::Serializer;
use crate::limits::{FRAME_TIMEOUT, HANDSHAKE_TIMEOUT, MAX_FRAME, PING_INTERVAL};

/// How to connect to a router.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What messages are written in; CBOR by default.
    pub serializer: Serializer,
    /// Whom to trust under TLS; by default the authorities of this machine.
    pub tls: Option<ClientTls>,
    /// Bytes of the largest frame that is read; RawSocket rounds it down to a power of two.
    pub frame: usize,
    /// Silence after which the router is pinged; after three times that it is given up. Without one, WebSocket routers
    /// are pinged after 20 s and RawSocket routers never: autobahn's, and so Crossbar's, hang up at a ping.
    pub ping: Option<Duration>,
    /// For name, socket, TLS and the framing's handshake together.
    pub timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            serializer: Serializer::Cbor,
            tls: None,
            frame: MAX_FRAME,
            ping: None,
            timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

impl ConnectOptions {
    /// The defaults, with this serializer.
    #[must_use]
    pub fn with_serializer(serializer: Serializer) -> Self {
        Self {
            serializer,
            ..Self::default()
        }
    }

    fn pace(&self, ping: Option<Duration>) -> Pace {
        Pace {
            frame: self.frame,
            frame_time: FRAME_TIMEOUT,
            ping: self.ping.or(ping),
        }
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one that can be connected to.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// TLS cannot be set up on this side.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody listens, or a handshake failed.
    #[error("connecting to {to} failed: {reason}")]
    Failed {
        /// The URL.
        to: String,
        /// What went wrong.
        reason: String,
    },
    /// The peer did not answer in time.
    #[error("{to} did not answer within {} s", within.as_secs())]
    Timeout {
        /// The URL.
        to: String,
        /// How long was waited.
        within: Duration,
    },
}

/// Connects to a router.
///
/// # Errors
/// [`ConnectError`], also when the router does not speak the serializer.
pub async fn connect(url: &RouterUrl, options: &ConnectOptions) -> Result<Link, ConnectError> {
    match timeout(options.timeout, Box::pin(open(url, options))).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout {
            to: url.to_string(),
            within: options.timeout,
        }),
    }
}

/// Connects over WebSocket, or whatever the URL says, with the defaults.
///
/// # Errors
/// [`ConnectError`], also when the router does not speak the serializer.
pub async fn connect_ws(url: &str, serializer: Serializer) -> Result<Link, ConnectError> {
    connect(&url.parse()?, &ConnectOptions::with_serializer(serializer)).await
}

/// Connects over RawSocket with the defaults.
///
/// # Errors
/// [`ConnectError`], also when the router does not speak the serializer.
pub async fn connect_rs(addr: SocketAddr, serializer: Serializer) -> Result<Link, ConnectError> {
    let url = RouterUrl::raw_socket(addr);
    connect(&url, &ConnectOptions::with_serializer(serializer)).await
}

async fn open(url: &RouterUrl, options: &ConnectOptions) -> Result<Link, ConnectError> {
    let failed = |reason: &dyn Display| ConnectError::Failed {
        to: url.to_string(),
        reason: reason.to_string(),
    };
    let stream: Stream = match &url.place {
        Place::Unix(path) => UnixStream::connect(path)
            .await
            .map_err(|error| failed(&error))?
            .into(),
        Place::Tcp { host, port, tls } => {
            let stream = TcpStream::connect((host.as_str(), *port))
                .await
                .map_err(|error| failed(&error))?;
            tune(&stream);
            if *tls {
                let tls = match &options.tls {
                    Some(tls) => tls.clone(),
                    None => system_tls().await?,
                };
                let connected = tls.connect(host, stream).await;
                connected
                    .map_err(|error| failed(&format!("TLS: {error}")))?
                    .into()
            } else {
                stream.into()
            }
        }
    };
    match &url.framing {
        Framing::RawSocket => raw::open(stream, options.serializer, options.pace(None))
            .await
            .map_err(|error| failed(&error)),
        Framing::WebSocket { request } => open_ws(stream, request, options)
            .await
            .map_err(|reason| failed(&reason)),
    }
}

/// The opening handshake of WebSocket, or why it failed.
async fn open_ws(stream: Stream, request: &str, options: &ConnectOptions) -> Result<Link, String> {
    let mut request = request.into_client_request().map_err(|error| error.to_string())?;
    let serializer = options.serializer;
    let wanted = serializer.subprotocol();
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(wanted));
    let (stream, response) = client_async_with_config(request, stream, Some(ws::config(options.frame)))
        .await
        .map_err(|error| error.to_string())?;
    let answered = response
        .headers()
        .get(SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok());
    if answered != Some(wanted) {
        return Err(format!(
            "it answers with the subprotocol {answered:?}, not {wanted:?}"
        ));
    }
    Ok(ws::link(stream, serializer, options.pace(Some(PING_INTERVAL))))
}

/// TLS that trusts this machine's authorities, read once.
async fn system_tls() -> Result<ClientTls, ConnectError> {
    static SYSTEM: OnceLock<ClientTls> = OnceLock::new();
    if let Some(tls) = SYSTEM.get() {
        return Ok(tls.clone());
    }
    // Some hundred files, which may take a while.
    let read = tokio::task::spawn_blocking(|| ClientTls::from_files(&ClientTlsFiles::default())).await;
    let tls = read.map_err(|error| TlsError::Setup {
        reason: error.to_string(),
    })??;
    Ok(SYSTEM.get_or_init(|| tls).clone())
}
