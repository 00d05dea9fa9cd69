//! The bytes of one client of the admin plane, over TLS or plain.
//!
//! The handshake goes on while the first bytes are read, so that a client who takes long over it keeps nobody else waiting.

use crate::certificates::Certificates;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// What carries the bytes.
pub(super) enum Channel {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Channel {
    /// Over TLS where there are certificates to show. Only HTTP/1.1 is spoken here.
    pub(super) fn new(stream: TcpStream, certificates: Option<&Certificates>) -> Self {
        match certificates {
            None => Self::Plain(stream),
            Some(shown) => Self::Handshake(Box::new(TlsAcceptor::from(shown.current_http1()).accept(stream))),
        }
    }

    /// Ready once the handshake is over.
    fn poll_greeted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Handshake(accept) = self {
            let stream = ready!(Pin::new(accept).poll(cx))?;
            *self = Self::Tls(Box::new(stream));
        }
        Poll::Ready(Ok(()))
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        plain: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
        tls: impl FnOnce(Pin<&mut TlsStream<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        ready!(self.poll_greeted(cx))?;
        match self {
            Self::Plain(stream) => plain(Pin::new(stream), cx),
            Self::Tls(stream) => tls(Pin::new(stream.as_mut()), cx),
            Self::Handshake(_) => Poll::Pending,
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let channel = self.get_mut();
        ready!(channel.poll_greeted(cx))?;
        match channel {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Handshake(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll(cx, |stream, cx| stream.poll_write(cx, bytes), |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll(cx, |stream, cx| stream.poll_flush(cx), |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll(cx, |stream, cx| stream.poll_shutdown(cx), |stream, cx| stream.poll_shutdown(cx))
    }
}
