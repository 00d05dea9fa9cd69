//! The sockets of the admin plane: bounded in number, and in how long they may do nothing.
//!
//! The web framework waits for a head as long as it takes. So what it reads goes by here first:
//! a head has ten seconds, a client without a request a minute, and one that does not take its
//! answer another. Where all places are taken, who has waited longest makes room.

use super::channel::Channel;
use crate::certificates::Certificates;
use crate::limits::{Guests, Seat};
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// Connections at once.
const CONNECTIONS: usize = 1_024;
/// From the first byte of a head to its last, and until a new client has sent that first byte.
const HEAD: Duration = Duration::from_secs(10);
/// Between requests, and without taking any of an answer.
const IDLE: Duration = Duration::from_secs(60);
/// After an answer, where another waits for the place.
const FAREWELL: Duration = Duration::from_secs(1);

/// Lets clients in.
pub(super) struct Reception {
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    guests: Arc<Guests>,
}

/// One client, whose patience is ours.
pub(super) struct Visitor<S> {
    stream: S,
    stage: Stage,
    /// When the stage has lasted too long.
    due: Pin<Box<Sleep>>,
    seat: Seat,
    leaves: Pin<Box<WaitForCancellationFutureOwned>>,
    /// When an answer that is not taken counts as lost.
    stalls: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nothing of a request has come yet.
    Silent,
    /// A head is coming; so many line ends in a row stand at the end of what came.
    Head { line_ends: u8 },
    /// The head is whole: how long the rest takes is for whoever reads or makes it.
    Beyond,
}

impl Reception {
    /// Clients are shown `certificates`, where there are any.
    pub(super) fn new(listener: TcpListener, certificates: Option<Arc<Certificates>>) -> Self {
        Self { listener, certificates, guests: Guests::new(CONNECTIONS) }
    }
}

impl Listener for Reception {
    type Io = Visitor<Channel>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Some(seat) = self.guests.seat().await {
                return (Visitor::new(Channel::new(stream, self.certificates.as_deref()), seat), peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl<S> Visitor<S> {
    fn new(stream: S, seat: Seat) -> Self {
        let leaves = Box::pin(seat.leaves());
        Self { stream, stage: Stage::Silent, due: Box::pin(tokio::time::sleep(HEAD)), seat, leaves, stalls: None }
    }

    /// Looks at bytes of the client on their way.
    fn came(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.stage = match (self.stage, byte) {
                (Stage::Beyond, _) => return,
                // Blank lines before a request are no part of it.
                (Stage::Silent, b'\r' | b'\n') => Stage::Silent,
                (Stage::Silent, _) => {
                    self.lasts(HEAD);
                    Stage::Head { line_ends: 0 }
                }
                (Stage::Head { line_ends: 1 }, b'\n') => {
                    self.seat.has_a_request();
                    Stage::Beyond
                }
                (Stage::Head { line_ends }, b'\n') => Stage::Head { line_ends: line_ends + 1 },
                (head @ Stage::Head { .. }, b'\r') => head,
                (Stage::Head { .. }, _) => Stage::Head { line_ends: 0 },
            };
        }
    }

    /// An answer is on its way: what comes after it is the next request.
    fn answered(&mut self) {
        self.stage = Stage::Silent;
        self.lasts(if self.seat.may_stay() { IDLE } else { FAREWELL });
    }

    fn lasts(&mut self, most: Duration) {
        let due = tokio::time::sleep(most).deadline();
        self.due.as_mut().reset(due);
    }

    /// Whether the client has used up its time, or another needs its place.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.stage == Stage::Beyond {
            return Poll::Pending;
        }
        if self.leaves.as_mut().poll(cx).is_ready() {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        ready!(self.due.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Does something that waits for the client to take what it is sent, and not for ever.
    fn poll_out<T>(&mut self, cx: &mut Context<'_>, deed: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>>
    where
        S: Unpin,
    {
        if let Poll::Ready(done) = deed(Pin::new(&mut self.stream), cx) {
            self.stalls = None;
            return Poll::Ready(done);
        }
        ready!(self.stalls.get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Visitor<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                let came = buffer.filled().get(before..).unwrap_or_default();
                self.came(came);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_over(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Visitor<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answered();
        self.poll_out(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.answered();
        self.poll_out(cx, |stream, cx| stream.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    /// As the timers see it.
    fn now() -> Instant {
        tokio::time::sleep(Duration::ZERO).deadline()
    }

    async fn visitor(guests: &Arc<Guests>) -> (Visitor<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (Visitor::new(ours, guests.seat().await.unwrap()), theirs)
    }

    /// Reads as the web framework does, to the end; how it ended, and after how many seconds.
    async fn read(visitor: &mut Visitor<DuplexStream>) -> (Option<io::ErrorKind>, u64) {
        let begun = now();
        let mut all = Vec::new();
        let ended = visitor.read_to_end(&mut all).await;
        (ended.err().map(|error| error.kind()), now().duration_since(begun).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_ten_seconds_for_a_head_however_it_drips() {
        for (sent, after) in [("", 10), ("\r\n\r\n", 10), ("GET / HTTP/1.1\r\nHost: a\r\n", 10)] {
            let (mut visitor, mut client) = visitor(&Guests::new(1)).await;
            client.write_all(sent.as_bytes()).await.unwrap();
            let drips = async {
                loop {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    if sent.len() > 4 {
                        client.write_all(b"a").await.unwrap();
                    }
                }
            };
            let ended = tokio::select! { ended = read(&mut visitor) => ended, () = drips => unreachable!() };
            assert_eq!(ended, (Some(io::ErrorKind::TimedOut), after), "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_its_time_and_another_request_a_minute() {
        let (mut visitor, mut client) = visitor(&Guests::new(1)).await;
        client.write_all(b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let waits = tokio::time::timeout(Duration::from_secs(600), read(&mut visitor)).await;
        assert!(waits.is_err(), "the request is whole: {waits:?}");
        visitor.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(read(&mut visitor).await, (Some(io::ErrorKind::TimedOut), 60));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_ends_the_visit() {
        let (mut visitor, _client) = visitor(&Guests::new(1)).await;
        let begun = now();
        let ended = visitor.write_all(&[b'x'; 200]).await.unwrap_err();
        assert_eq!((ended.kind(), now().duration_since(begun).as_secs()), (io::ErrorKind::TimedOut, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_makes_room_for_another_and_one_with_a_request_does_not() {
        let guests = Guests::new(1);
        let (mut slow, mut client) = visitor(&guests).await;
        client.write_all(b"GET ").await.unwrap();
        let newcomer = async {
            let ended = read(&mut slow).await;
            drop(slow);
            ended
        };
        let (ended, (mut second, mut client)) = tokio::join!(newcomer, visitor(&guests));
        assert_eq!(ended, (Some(io::ErrorKind::ConnectionAborted), 0));
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut head = [0; 18];
        second.read_exact(&mut head).await.unwrap();
        let (waits, none) = tokio::join!(
            tokio::time::timeout(Duration::from_secs(5), read(&mut second)),
            tokio::time::timeout(Duration::from_secs(5), guests.seat())
        );
        assert!(waits.is_err() && none.is_err(), "it has a request");
    }
}
