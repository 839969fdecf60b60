//! Listeners: one task accepts, each connection gets one of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::auth::Transport;
use super::serve::{Origin, serve};
use super::{Hub, Router};
use crate::link::{Link, accept_raw, accept_ws, tune};

/// A pause after a failed accept: without file descriptors, trying again at once only burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone)]
enum Protocol {
    WebSocket { path: Arc<str> },
    RawSocket,
}

impl Router {
    /// Listens for WebSocket connections at `path`; port 0 takes a free one. Returns the address bound.
    ///
    /// # Errors
    /// As [`super::check_listener`], for every realm; or the address cannot be bound.
    pub async fn listen_ws(&self, addr: SocketAddr, path: &str) -> io::Result<SocketAddr> {
        self.listen(addr, Protocol::WebSocket { path: path.into() }).await
    }

    /// Listens for RawSocket connections; port 0 takes a free one. Returns the address bound.
    ///
    /// # Errors
    /// As [`super::check_listener`], for every realm; or the address cannot be bound.
    pub async fn listen_rs(&self, addr: SocketAddr) -> io::Result<SocketAddr> {
        self.listen(addr, Protocol::RawSocket).await
    }

    async fn listen(&self, addr: SocketAddr, protocol: Protocol) -> io::Result<SocketAddr> {
        let hub = &self.hub;
        hub.listens(addr)?;
        let bind = async {
            let listener = TcpListener::bind(addr).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = bind.await.inspect_err(|_: &io::Error| hub.listens_not(addr))?;
        let accepting = hub.clone();
        hub.tasks.spawn(async move {
            let stop = accepting.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = accept(accepting, listener, protocol) => {}
            }
        });
        Ok(bound)
    }
}

async fn accept(hub: Arc<Hub>, listener: TcpListener, protocol: Protocol) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = hub.places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, limit = hub.config.limits.sessions, "refused: too many connections");
            continue;
        };
        hub.tasks
            .spawn(connection(hub.clone(), stream, peer, protocol.clone(), place));
    }
}

async fn connection(
    hub: Arc<Hub>,
    stream: TcpStream,
    peer: SocketAddr,
    protocol: Protocol,
    place: OwnedSemaphorePermit,
) {
    tune(&stream);
    let limits = &hub.config.limits;
    let transport = match protocol {
        Protocol::WebSocket { .. } => Transport::WebSocket,
        Protocol::RawSocket => Transport::RawSocket,
    };
    let opening = async {
        match &protocol {
            Protocol::WebSocket { path } => accept_ws(stream, path, limits.frame, limits.ping)
                .await
                .map_err(|error| error.to_string()),
            Protocol::RawSocket => accept_raw(stream, limits.frame)
                .await
                .map_err(|error| error.to_string()),
        }
    };
    let opened: Result<Link, String> = match timeout(limits.handshake, opening).await {
        Ok(opened) => opened,
        Err(_) => Err("no handshake in time".to_owned()),
    };
    match opened {
        Ok(link) => {
            serve(
                hub.clone(),
                None,
                link,
                Origin {
                    transport,
                    peer: Some(peer),
                },
            )
            .await
        }
        Err(error) => tracing::debug!(%peer, error, "no handshake"),
    }
    drop(place);
}
