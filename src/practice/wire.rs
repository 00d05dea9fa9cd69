//! The socket of a practice server: it counts the bytes that arrive, knows who is connected, and can be cut in the middle of an answer.

use super::gate::{Busy, Inside};
use crate::tasks::Tasks;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections are counted together.
pub(super) struct Wire {
    listener: TcpListener,
    received: Arc<AtomicU64>,
    connected: Busy,
}

/// The other end of one connection, as a handler sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    cut: Arc<AtomicBool>,
}

/// One connection.
pub(super) struct Counted {
    stream: TcpStream,
    received: Arc<AtomicU64>,
    peer: Peer,
    _connected: Inside,
}

impl Wire {
    pub(super) const fn new(listener: TcpListener, received: Arc<AtomicU64>, connected: Busy) -> Self {
        Self { listener, received, connected }
    }

    /// Answers with `router` until `tasks` end.
    pub(super) fn serve(self, name: &'static str, router: Router, tasks: &Tasks) {
        let end = tasks.token();
        tasks.spawn(name, async move {
            let service = router.into_make_service_with_connect_info::<Peer>();
            let served = axum::serve(self, service).with_graceful_shutdown(end.cancelled_owned()).await;
            if let Err(cause) = served {
                tracing::error!(server = name, %cause, "a practice server ended");
            }
        });
    }
}

impl Peer {
    /// Nothing more is written: the client sees the connection end without the answer.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

impl Listener for Wire {
    type Io = Counted;
    type Addr = Peer;

    async fn accept(&mut self) -> (Counted, Peer) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        // Only latency is lost where the option cannot be set.
        let _ = stream.set_nodelay(true);
        let peer = Peer::default();
        (Counted { stream, received: Arc::clone(&self.received), peer: peer.clone(), _connected: self.connected.enter() }, peer)
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::default())
    }
}

impl Connected<IncomingStream<'_, Wire>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Wire>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Counted {
    fn refuse_if_cut(&self) -> io::Result<()> {
        if self.peer.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let arrived = buffer.filled().len().saturating_sub(before);
        self.received.fetch_add(arrived as u64, Ordering::SeqCst);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.refuse_if_cut()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
