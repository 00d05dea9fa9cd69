//! A client's connection as bytes, whatever carries them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What carries the bytes of one connection.
#[derive(Debug)]
pub(super) enum Wire {
    /// Plain TCP.
    Plain(TcpStream),
    /// A pipe in memory.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl Wire {
    /// Whether the other end is known to have reset the connection. A reset that answers our own bytes shows here even
    /// after the client's FIN, where reading keeps telling of a plain end.
    pub(super) fn was_reset(&self) -> bool {
        match self {
            Self::Plain(stream) => !matches!(stream.take_error(), Ok(None)),
            #[cfg(test)]
            Self::Memory(_) => false,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, to),
            #[cfg(test)]
            Self::Memory(pipe) => Pin::new(pipe).poll_read(cx, to),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(test)]
            Self::Memory(pipe) => Pin::new(pipe).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(test)]
            Self::Memory(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Self::Memory(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}
