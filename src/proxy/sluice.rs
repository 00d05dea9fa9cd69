//! A connection to an upstream whose writer never waits.
//!
//! pingora's HTTP/1 hands over a piece of a body and waits until the system has taken it; meanwhile it reads nothing of the answer, and nobody
//! sees whether the client is still there. So what the system does not take is kept here, and goes on whenever the answer is read, or
//! [`poll_through`](Sluice::poll_through) is asked for it.
//!
//! **Invariant: bytes leave in the order in which they were written.** How many are kept is up to the writer, who is to write no more while
//! the connection [`is_behind`](Sluice::is_behind).

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest, UniqueID, UniqueIDType,
};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One connection. Its lock is for those who only look at it: whoever reads and writes has it alone.
#[derive(Debug)]
pub(super) struct Sluice(Mutex<Flow>);

#[derive(Debug)]
struct Flow {
    stream: Stream,
    /// What the stream did not take yet.
    kept: BytesMut,
    /// Whether what it took may still lie in buffers of its own.
    to_flush: bool,
    /// Why nothing more can be sent, until somebody hears of it.
    broken: Option<io::Error>,
}

impl Sluice {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Mutex::new(Flow { stream, kept: BytesMut::new(), to_flush: false, broken: None }))
    }

    /// The one under `session`, where HTTP/1 is spoken.
    pub(super) fn under(session: &HttpSession) -> Option<&Self> {
        match session {
            HttpSession::H1(session) => session.stream().as_any().downcast_ref(),
            HttpSession::H2(_) | HttpSession::Custom(()) => None,
        }
    }

    /// Whether something of what was written has not left, or cannot.
    pub(super) fn is_behind(&self) -> bool {
        self.lock().is_behind()
    }

    /// How much of what was written is kept here.
    pub(super) fn kept(&self) -> usize {
        self.lock().kept.len()
    }

    /// Ready once all that was written has left.
    /// # Errors
    /// It cannot; this is told once.
    pub(super) fn poll_through(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_through(cx)
    }

    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flow(&mut self) -> &mut Flow {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flow {
    fn is_behind(&self) -> bool {
        !self.kept.is_empty() || self.to_flush || self.broken.is_some()
    }

    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(error));
        }
        let through = ready!(self.poll_leave(cx));
        if through.is_err() {
            self.kept = BytesMut::new();
            self.to_flush = false;
        }
        Poll::Ready(through)
    }

    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.kept))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.kept.advance(taken),
            }
            if self.kept.is_empty() {
                // many connections are kept, and few of them ever fall behind
                self.kept = BytesMut::new();
            }
        }
        if self.to_flush {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.to_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the stream takes of `pieces` by `deed`; what it does not take now is kept.
    fn write(&mut self, pieces: &[IoSlice<'_>], deed: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<usize>>) -> io::Result<usize> {
        if self.kept.is_empty()
            && let Poll::Ready(written) = deed(Pin::new(&mut self.stream))
        {
            return written;
        }
        pieces.iter().for_each(|piece| self.kept.extend_from_slice(piece));
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }
}

impl AsyncRead for Sluice {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let flow = self.get_mut().flow();
        if flow.is_behind()
            && let Poll::Ready(Err(error)) = flow.poll_through(cx)
        {
            // there may be an answer all the same
            flow.broken = Some(error);
        }
        Pin::new(&mut flow.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Sluice {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().flow().write(&[IoSlice::new(bytes)], |stream| stream.poll_write(cx, bytes)))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().flow().write(pieces, |stream| stream.poll_write_vectored(cx, pieces)))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().stream.is_write_vectored()
    }

    /// Ready also where something is kept: nobody is to wait for that here.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flow = self.get_mut().flow();
        flow.to_flush = true;
        match flow.poll_through(cx) {
            Poll::Ready(through) => Poll::Ready(through),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().flow().stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Sluice {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.flow().stream).await;
    }
}

impl UniqueID for Sluice {
    fn id(&self) -> UniqueIDType {
        self.lock().stream.id()
    }
}

// What pingora would note of the connection for each request, nobody asks for here.

impl Ssl for Sluice {}

impl GetTimingDigest for Sluice {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Sluice {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Sluice {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Sluice {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// A connection that takes eight bytes until its other end reads.
    fn narrow() -> (Sluice, DuplexStream) {
        let (ours, theirs) = duplex(8);
        (Sluice::new(Box::new(ours)), theirs)
    }

    #[tokio::test]
    async fn a_writer_never_waits_and_its_bytes_leave_in_order() {
        let (mut sluice, mut theirs) = narrow();
        sluice.write_all(b"0123456789").await.unwrap();
        assert_eq!((sluice.is_behind(), sluice.kept()), (true, 2));
        sluice.write_all(b"abc").await.unwrap();
        sluice.flush().await.unwrap();
        assert_eq!((sluice.is_behind(), sluice.kept()), (true, 5));
        let mut came = vec![0; 13];
        let ((), ()) = tokio::join!(async { poll_fn(|cx| sluice.poll_through(cx)).await.unwrap() }, async {
            theirs.read_exact(&mut came).await.unwrap();
        });
        assert_eq!((came.as_slice(), sluice.is_behind()), (b"0123456789abc".as_slice(), false));
    }

    #[tokio::test]
    async fn what_is_kept_leaves_while_the_answer_is_read() {
        let (mut sluice, mut theirs) = narrow();
        sluice.write_all(b"0123456789abcdefghij").await.unwrap();
        let answers = async {
            theirs.read_exact(&mut [0; 20]).await.unwrap();
            theirs.write_all(b"ok").await.unwrap();
        };
        let mut heard = [0; 2];
        let (read, ()) = tokio::join!(sluice.read_exact(&mut heard), answers);
        assert_eq!((read.unwrap(), &heard, sluice.is_behind()), (2, b"ok", false));
    }

    #[tokio::test]
    async fn a_connection_that_takes_no_more_may_still_answer_and_says_so_once() {
        let (ours, theirs) = duplex(8);
        let mut sluice = Sluice::new(Box::new(ours));
        sluice.write_all(b"0123456789").await.unwrap();
        drop(theirs);
        assert_eq!(sluice.read(&mut [0; 1]).await.unwrap(), 0, "its end is read as such");
        let nobody = &mut Context::from_waker(Waker::noop());
        assert!(sluice.is_behind());
        assert!(matches!(sluice.poll_through(nobody), Poll::Ready(Err(_))));
        assert!(!sluice.is_behind());
        assert!(matches!(sluice.poll_through(nobody), Poll::Ready(Ok(()))));
    }
}
