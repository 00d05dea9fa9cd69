//! The client's side of a request, over whichever protocol it came.

use super::connection::Next;
use super::door::{Broken, Client, Door};
use super::progress::Progress;
use super::response::{AnswerHead, Framed};
use super::stream::Stream;
use crate::gateway::{BodyEnd, BodyFault};
use bytes::Bytes;
use http::HeaderMap;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

/// Where a visit hears of its client, sets limits for it, and answers it.
pub(super) enum Side<'a> {
    /// A connection that serves one request after the other; and how the answer's body is framed, once it has begun.
    Http1(&'a mut Door, Framed),
    /// One of many streams.
    Http2(Box<Stream>),
}

/// Does the same with each kind of side.
macro_rules! each {
    ($side:expr, $inner:ident => $deed:expr) => {
        match $side {
            Side::Http1($inner, _) => $deed,
            Side::Http2($inner) => $deed,
        }
    };
}

/// What is waited for from a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wants {
    /// More of the request's body.
    Body,
    /// Nothing, but that it is there.
    Nothing,
}

impl<'a> Side<'a> {
    /// Over HTTP/1.
    pub(super) fn of(door: &'a mut Door) -> Self {
        Self::Http1(door, Framed::Bare)
    }

    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&mut self, limit: u64) {
        each!(self, side => side.limit_body(limit));
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&mut self, most: u64) -> bool {
        each!(self, side => side.limit_rest(most))
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&mut self, timeout: Duration) {
        self.progress_mut().await_answer(timeout);
    }

    /// Nothing is due from the upstream yet.
    pub(super) fn await_no_answer(&mut self) {
        self.progress_mut().await_no_answer();
    }

    /// The upstream has answered. Whoever sends and is sent something at once may be silent for as long as the upstream.
    pub(super) fn answer_came(&mut self) {
        self.progress_mut().await_no_answer();
        self.progress_mut().takes_its_time();
    }

    /// What is left of the body is due as if it began now.
    pub(super) fn rest_is_due(&mut self) {
        each!(self, side => side.rest_is_due());
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.progress().answer_is_overdue()
    }

    /// What is wrong with the body, if anything.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.progress().fault()
    }

    /// Bytes of content that came; of whatever came, once the connection is raw.
    pub(super) fn received(&self) -> u64 {
        self.progress().received()
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        each!(self, side => side.is_whole())
    }

    /// What is known of the client.
    pub(super) fn client(&self) -> Client {
        each!(self, side => side.client())
    }

    /// The next piece of the request's body; none at its end.
    /// # Errors
    /// The body has a fault, or the client is gone.
    pub(super) async fn body(&mut self) -> Result<Option<Bytes>, Broken> {
        poll_fn(|cx| self.poll_body(cx)).await
    }

    /// The same for one who waits for something else too.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        each!(self, side => side.poll_body(cx))
    }

    /// Sends what was collected of the answer, and waits for what is wanted; where that is nothing, for as long as the client is there.
    /// # Errors
    /// The body has a fault, the client is gone, or the upstream is overdue.
    pub(super) fn poll_attend(&mut self, cx: &mut Context<'_>, wants: Wants) -> Poll<Result<Option<Bytes>, Broken>> {
        if let Self::Http1(door, _) = self
            && let Poll::Ready(Err(_)) = door.poll_send(cx)
        {
            return Poll::Ready(Err(Broken));
        }
        match wants {
            Wants::Body => self.poll_body(cx),
            Wants::Nothing => each!(self, side => side.poll_idle(cx)).map(Err),
        }
    }

    /// Tells a client that waits for it to send its body.
    pub(super) async fn go_on(&mut self) -> Result<(), Broken> {
        match self {
            Self::Http1(door, _) => door.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.then_some(()).ok_or(Broken),
            Self::Http2(stream) => stream.send_continue(),
        }
    }

    /// Begins the answer; `next` is what its head says of the connection.
    pub(super) fn send_head(&mut self, head: AnswerHead, next: Next) -> Result<(), Broken> {
        match self {
            Self::Http1(door, framed) => {
                *framed = head.write(door.going(), next);
                Ok(())
            }
            Self::Http2(stream) => {
                let (status, headers, end) = head.for_stream();
                stream.send_head(status, headers, end)
            }
        }
    }

    /// Goes on with the answer's body.
    pub(super) async fn send_body(&mut self, piece: Bytes, end: BodyEnd) -> Result<(), Broken> {
        match self {
            Self::Http1(door, framed) => framed.send(door, piece, end).await,
            Self::Http2(stream) => stream.send_body(piece, end).await,
        }
    }

    /// Ends the answer with trailers, which HTTP/1 has no place for here.
    pub(super) async fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), Broken> {
        match self {
            Self::Http1(door, framed) => framed.send(door, Bytes::new(), BodyEnd::Last).await,
            Self::Http2(stream) => stream.send_trailers(trailers),
        }
    }

    /// Sends all that was collected.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        match self {
            Self::Http1(door, _) => door.send(&[]).await.then_some(()).ok_or(Broken),
            Self::Http2(_) => Ok(()),
        }
    }

    /// From here on whatever comes passes. A stream cannot: no upgrade is offered over HTTP/2.
    pub(super) fn go_raw(&mut self) {
        if let Self::Http1(door, framed) = self {
            door.go_raw();
            *framed = Framed::Raw;
        }
    }

    /// Lets the client see that its answer is not whole; how a connection of HTTP/1 ends says that, as it is told here.
    pub(super) fn cut(&mut self) -> Next {
        match self {
            Self::Http1(_, Framed::UntilClose) => Next::Breaks,
            Self::Http1(..) => Next::Ends,
            Self::Http2(stream) => {
                stream.cut();
                Next::Ends
            }
        }
    }

    fn progress(&self) -> &Progress {
        match self {
            Self::Http1(door, _) => &door.request.progress,
            Self::Http2(stream) => &stream.progress,
        }
    }

    fn progress_mut(&mut self) -> &mut Progress {
        match self {
            Self::Http1(door, _) => &mut door.request.progress,
            Self::Http2(stream) => &mut stream.progress,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Patience;
    use super::super::wire::Wire;
    use super::*;
    use scopegate_core::request::{Head, HeadLimits};
    use tokio::io::duplex;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn a_body_is_not_late_beside_its_answer_and_due_again_behind_it() {
        const HOUR: Duration = Duration::from_secs(3600);
        let (_client, ours) = duplex(1024);
        let mut door = Door::new(Wire::Memory(ours), Patience::STANDARD.body);
        let head = Bytes::from_static(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        door.begin(&Head::read(&head, &HeadLimits::STANDARD).unwrap());
        let mut side = Side::of(&mut door);
        side.limit_body(5);
        side.answer_came();
        assert!(timeout(HOUR, side.body()).await.is_err(), "the answer is under way");
        side.rest_is_due();
        assert_eq!(timeout(HOUR, side.body()).await, Ok(Err(Broken)));
        assert_eq!(side.fault(), Some(BodyFault::TooSlow));
    }
}
