//! What a link runs over: a TCP or a unix socket, plain or under TLS; for tests, memory. One type for all of them, so that nothing above
//! is generic. What is sent over it is none of its business.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "testing")]
use tokio::io::DuplexStream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::tls::channel_id;

/// A connected socket.
pub(crate) struct Stream {
    socket: Socket,
    /// A byte that was read ahead, to see what the peer speaks.
    ahead: Option<u8>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    // Some kilobytes; the others are a handle.
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(feature = "testing")]
    Memory(DuplexStream),
}

impl Stream {
    fn new(socket: Socket) -> Self {
        Self { socket, ahead: None }
    }

    /// What identifies the channel under TLS to both its ends, and to nobody between them.
    pub(super) fn channel_id(&self) -> Option<[u8; 32]> {
        match &self.socket {
            Socket::Tls(stream) => channel_id(stream),
            _ => None,
        }
    }

    /// The first byte that the peer sends, which will be read again.
    pub(crate) async fn first_byte(&mut self) -> io::Result<u8> {
        let byte = self.read_u8().await?;
        self.ahead = Some(byte);
        Ok(byte)
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::new(Socket::Tcp(stream))
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::new(Socket::Unix(stream))
    }
}

impl From<TlsStream<TcpStream>> for Stream {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self::new(Socket::Tls(Box::new(stream)))
    }
}

#[cfg(feature = "testing")]
impl From<DuplexStream> for Stream {
    fn from(stream: DuplexStream) -> Self {
        Self::new(Socket::Memory(stream))
    }
}

/// Does the same with whichever socket it is.
macro_rules! each {
    ($self:ident, $socket:ident => $work:expr) => {
        match &mut $self.get_mut().socket {
            Socket::Tcp($socket) => $work,
            Socket::Unix($socket) => $work,
            Socket::Tls($socket) => $work,
            #[cfg(feature = "testing")]
            Socket::Memory($socket) => $work,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(byte) = self.ahead.take()
        {
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        each!(self, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, socket => Pin::new(socket).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}
