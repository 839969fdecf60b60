//! Listeners: one task accepts, each connection gets one of its own, on a thread for sockets. Sockets of any kind go through
//! the same code; what a message means is nobody's business here.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
#[cfg(feature = "testing")]
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::admission::{Place, Source};
use super::auth::Transport;
use super::loops::Loops;
use super::serve::{Origin, serve};
use super::unix::{SocketFile, SocketMode};
use super::{Hub, Router};
use crate::link::{Link, Pace, ServerTls, Stream, accept_raw, accept_ws, tune};

/// A pause after a failed accept: without file descriptors, trying again at once only burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at the files of a certificate, which are renewed some days before it ends.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(60);
/// The first byte of a RawSocket connection, which no HTTP request begins with.
const RAW_SOCKET: u8 = 0x7f;

/// What is spoken over a listener's connections.
#[derive(Clone)]
enum Protocol {
    WebSocket {
        path: Arc<str>,
    },
    RawSocket,
    /// Whichever the first byte belongs to.
    Either {
        path: Arc<str>,
    },
}

enum Listener {
    Tcp {
        socket: TcpListener,
        tls: Option<ServerTls>,
    },
    Unix {
        socket: UnixListener,
        /// Goes with the listener.
        _file: SocketFile,
    },
}

/// A connection whose handshakes are still to come, and of no runtime yet.
enum Caller {
    Tcp(std::net::TcpStream, SocketAddr, Option<ServerTls>),
    Unix(std::os::unix::net::UnixStream),
    #[cfg(feature = "testing")]
    Memory(DuplexStream),
}

impl Router {
    /// Listens for WebSocket connections at `path`; port 0 takes a free one. Returns the address bound.
    ///
    /// # Errors
    /// As [`super::check_listener`], for every realm; or the address cannot be bound.
    pub async fn listen_ws(&self, addr: SocketAddr, path: &str) -> io::Result<SocketAddr> {
        let protocol = Protocol::WebSocket { path: path.into() };
        self.listen_tcp(addr, protocol, None).await
    }

    /// Listens for WebSocket connections under TLS.
    ///
    /// # Errors
    /// As [`Router::listen_ws`].
    pub async fn listen_wss(&self, addr: SocketAddr, path: &str, tls: &ServerTls) -> io::Result<SocketAddr> {
        let protocol = Protocol::WebSocket { path: path.into() };
        self.listen_tcp(addr, protocol, Some(tls.clone())).await
    }

    /// Listens for RawSocket connections; port 0 takes a free one. Returns the address bound.
    ///
    /// # Errors
    /// As [`super::check_listener`], for every realm; or the address cannot be bound.
    pub async fn listen_rs(&self, addr: SocketAddr) -> io::Result<SocketAddr> {
        self.listen_tcp(addr, Protocol::RawSocket, None).await
    }

    /// Listens for RawSocket connections under TLS.
    ///
    /// # Errors
    /// As [`Router::listen_rs`].
    pub async fn listen_rss(&self, addr: SocketAddr, tls: &ServerTls) -> io::Result<SocketAddr> {
        self.listen_tcp(addr, Protocol::RawSocket, Some(tls.clone()))
            .await
    }

    /// Listens on a unix socket, for RawSocket and, at `path`, WebSocket connections alike. The file's mode says who may
    /// connect. A file that was left behind is replaced; the new one goes when the router stops.
    ///
    /// # Errors
    /// Somebody listens there already, or the path is taken by something else, or cannot be written.
    pub async fn listen_unix(&self, socket: &Path, mode: SocketMode, path: &str) -> io::Result<()> {
        let (listener, file) = SocketFile::bind(socket, mode).await?;
        let protocol = Protocol::Either { path: path.into() };
        let listener = Listener::Unix {
            socket: listener,
            _file: file,
        };
        self.accept_from(listener, protocol)
    }

    /// A connection in memory, as a unix socket's: the bytes are what a client sends and gets.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn connect_in_memory(&self, path: &str, bytes: usize) -> Option<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(bytes);
        let place = self.hub.admission.admit(Source::of(None), Instant::now()).ok()?;
        let protocol = Protocol::Either { path: path.into() };
        let serving = connection(self.hub.clone(), Caller::Memory(ours), protocol, place);
        self.hub.tasks.spawn(serving);
        Some(theirs)
    }

    async fn listen_tcp(
        &self,
        addr: SocketAddr,
        protocol: Protocol,
        tls: Option<ServerTls>,
    ) -> io::Result<SocketAddr> {
        let hub = &self.hub;
        hub.listens(addr)?;
        let bind = async {
            let listener = TcpListener::bind(addr).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = bind.await.inspect_err(|_: &io::Error| hub.listens_not(addr))?;
        let listener = Listener::Tcp {
            socket: listener,
            tls: tls.clone(),
        };
        self.accept_from(listener, protocol)
            .inspect_err(|_| hub.listens_not(addr))?;
        if let Some(tls) = tls {
            self.until_stopped(keep_fresh(tls));
        }
        Ok(bound)
    }

    fn accept_from(&self, listener: Listener, protocol: Protocol) -> io::Result<()> {
        let loops = self.hub.loops()?;
        self.until_stopped(accept(self.hub.clone(), loops, listener, protocol));
        Ok(())
    }

    /// Runs a task that ends with the router.
    fn until_stopped(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.hub.stop.clone();
        self.hub.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}

/// Takes up certificates that were renewed.
async fn keep_fresh(tls: ServerTls) {
    loop {
        tokio::time::sleep(CERTIFICATE_LOOK).await;
        let look = tls.clone();
        match tokio::task::spawn_blocking(move || look.reload()).await {
            Ok(Ok(true)) => tracing::info!(?tls, "the certificate was renewed"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the certificate before it stays in force"),
            Err(error) => tracing::error!(%error, "the certificate could not be looked at"),
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Caller> {
        match self {
            Self::Tcp { socket, tls } => {
                let (stream, peer) = socket.accept().await?;
                Ok(Caller::Tcp(stream.into_std()?, peer, tls.clone()))
            }
            Self::Unix { socket, .. } => Ok(Caller::Unix(socket.accept().await?.0.into_std()?)),
        }
    }
}

impl Caller {
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, peer, _) => Some(*peer),
            _ => None,
        }
    }

    /// Closes the connection so that nothing of it is left, not even for the kernel to remember.
    fn hang_up(self) {
        if let Self::Tcp(stream, ..) = self {
            // Without it, it is closed all the same.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// The stream that WAMP's handshakes go over, once TLS stands; of the thread that asks.
    async fn secure(self) -> io::Result<Stream> {
        match self {
            Self::Unix(stream) => Ok(UnixStream::from_std(stream)?.into()),
            #[cfg(feature = "testing")]
            Self::Memory(stream) => Ok(stream.into()),
            Self::Tcp(stream, _, tls) => {
                let stream = TcpStream::from_std(stream)?;
                tune(&stream);
                match tls {
                    None => Ok(stream.into()),
                    Some(tls) => Ok(tls.accept(stream).await?.into()),
                }
            }
        }
    }
}

async fn accept(hub: Arc<Hub>, loops: Arc<Loops>, listener: Listener, protocol: Protocol) {
    loop {
        let caller = match listener.accept().await {
            Ok(caller) => caller,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let now = Instant::now();
        match hub.admission.admit(Source::of(caller.peer()), now) {
            Ok(place) => {
                let connection = connection(hub.clone(), caller, protocol.clone(), place);
                loops.serve(&hub.tasks, connection);
            }
            Err(refusal) => {
                if let Some(refused) = hub.admission.refusals_to_log(now) {
                    tracing::warn!(peer = ?caller.peer(), ?refusal, refused, "connections are refused");
                }
                caller.hang_up();
            }
        }
    }
}

async fn connection(hub: Arc<Hub>, caller: Caller, protocol: Protocol, place: Place) {
    let peer = caller.peer();
    let limit = hub.config.limits.handshake;
    let opening = timeout(limit, Box::pin(open(&hub, caller, &protocol)));
    let opened = tokio::select! {
        opened = opening => opened,
        () = place.displaced() => return,
    };
    match opened {
        Ok(Ok((link, transport))) => {
            let channel = link.channel_id();
            let origin = Origin {
                transport,
                peer,
                channel,
            };
            serve(hub, None, link, origin, Some(place)).await;
        }
        Ok(Err(error)) => tracing::debug!(?peer, error, "no handshake"),
        Err(_) => tracing::debug!(?peer, "no handshake in time"),
    }
}

/// The handshakes below WAMP's own.
async fn open(hub: &Hub, caller: Caller, protocol: &Protocol) -> Result<(Link, Transport), String> {
    let limits = &hub.config.limits;
    let pace = Pace {
        frame: limits.frame,
        frame_time: limits.frame_time,
        ping: Some(limits.ping),
    };
    let mut stream = caller.secure().await.map_err(|error| error.to_string())?;
    let path = match protocol {
        Protocol::WebSocket { path } => Some(path),
        Protocol::RawSocket => None,
        Protocol::Either { path } => {
            let first = stream.first_byte().await.map_err(|error| error.to_string())?;
            (first != RAW_SOCKET).then_some(path)
        }
    };
    match path {
        Some(path) => accept_ws(stream, path, pace)
            .await
            .map(|link| (link, Transport::WebSocket))
            .map_err(|error| error.to_string()),
        None => accept_raw(stream, pace)
            .await
            .map(|link| (link, Transport::RawSocket))
            .map_err(|error| error.to_string()),
    }
}
