//! One stream of an HTTP/2 connection.
//!
//! The connection is spoken here with the `h2` crate, so that a body has its limit and its deadline, an answer its own, and every
//! request that HTTP/2 itself lets through is read, judged and audited as over HTTP/1.

use super::door::{Broken, Client};
use super::progress::{Pace, Progress};
use crate::gateway::BodyEnd;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response, StatusCode};
use scopegate_core::request::{Framing, Head};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// How long a client may take nothing of what it is sent.
const STALLS: Duration = Duration::from_secs(60);

/// A request and its answer.
pub(super) struct Stream {
    pace: Pace,
    pub(super) progress: Progress,
    /// Bytes of the body that are still announced.
    announced: u64,
    /// Whether all of the request came.
    whole: bool,
    client: Client,
    body: RecvStream,
    answer: SendResponse<Bytes>,
    /// Where the answer's body goes, once its head is sent.
    sending: Option<SendStream<Bytes>>,
    /// Whether the answer's end is sent.
    ended: bool,
    /// When a client that takes nothing counts as gone; none while it does.
    stalls: Option<Pin<Box<Sleep>>>,
    /// Counts heads and trailers that are ours, for all streams of the connection.
    answered: Arc<AtomicU64>,
}

impl Stream {
    /// The stream that `head` came on.
    pub(super) fn new(head: &Head, body: RecvStream, answer: SendResponse<Bytes>, pace: Pace, answered: Arc<AtomicU64>) -> Self {
        let (announced, whole) = match head.framing {
            Framing::None | Framing::Length(0) => (0, true),
            Framing::Length(length) => (length, false),
            Framing::Chunked => (0, false),
        };
        let mut progress = Progress::default();
        progress.begin((!whole).then_some(pace));
        Self { pace, progress, announced, whole, client: Client::Open, body, answer, sending: None, ended: false, stalls: None, answered }
    }

    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&mut self, limit: u64) {
        self.progress.limit(limit, self.announced);
    }

    /// What is left of the body is due as if it began now.
    pub(super) fn rest_is_due(&mut self) {
        self.progress.rest_is_due(self.pace);
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&mut self, most: u64) -> bool {
        self.progress.limit_rest(most);
        self.progress.fault().is_none() && self.announced <= most
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What is known of the client.
    pub(super) fn client(&self) -> Client {
        self.client
    }

    /// The next piece of the body; none at its end.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        if self.progress.fault().is_some() {
            return Poll::Ready(Err(Broken));
        }
        if self.whole {
            return Poll::Ready(Ok(None));
        }
        let came = match self.body.poll_data(cx) {
            Poll::Ready(came) => came,
            Poll::Pending => {
                ready!(self.progress.poll_late(cx));
                return Poll::Ready(Err(Broken));
            }
        };
        match came.transpose() {
            Ok(Some(data)) => {
                self.progress.arrived(data.len(), self.pace);
                self.announced = self.announced.saturating_sub(data.len() as u64);
                self.whole = self.body.is_end_stream();
                // a stream whose window cannot be opened again ends, and says so at its next read
                let _ = self.body.flow_control().release_capacity(data.len());
                Poll::Ready(if self.progress.fault().is_some() { Err(Broken) } else { Ok(Some(data)) })
            }
            Ok(None) => {
                self.whole = true;
                Poll::Ready(Ok(None))
            }
            Err(_) => Poll::Ready(Err(self.gone())),
        }
    }

    /// Never ready, unless the client resets the stream or the upstream is overdue.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        if self.progress.poll_overdue(cx).is_ready() {
            return Poll::Ready(Broken);
        }
        // after a whole answer its end looks like a reset with no error
        if self.ended {
            return Poll::Pending;
        }
        let reset = match &mut self.sending {
            Some(sending) => sending.poll_reset(cx),
            None => self.answer.poll_reset(cx),
        };
        ready!(reset).ok();
        Poll::Ready(self.gone())
    }

    /// Tells a client that waits for it to send its body.
    pub(super) fn send_continue(&mut self) -> Result<(), Broken> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::CONTINUE;
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.answer.send_informational(response).map_err(|_| self.gone())
    }

    /// Begins the answer.
    pub(super) fn send_head(&mut self, status: StatusCode, headers: HeaderMap, end: BodyEnd) -> Result<(), Broken> {
        let (mut parts, ()) = Response::new(()).into_parts();
        (parts.status, parts.headers) = (status, headers);
        self.answered.fetch_add(1, Ordering::Relaxed);
        let sending = self.answer.send_response(Response::from_parts(parts, ()), end == BodyEnd::Last).map_err(|_| self.gone())?;
        self.sending = Some(sending);
        self.ended = end == BodyEnd::Last;
        Ok(())
    }

    /// Hands `data` over as the client makes room for it; nothing where the head was all of the answer.
    pub(super) async fn send_body(&mut self, mut data: Bytes, end: BodyEnd) -> Result<(), Broken> {
        if self.ended {
            return Ok(());
        }
        while !data.is_empty() {
            let room = poll_fn(|cx| self.poll_room(cx, data.len())).await?;
            let piece = data.split_to(room.min(data.len()));
            let last = end == BodyEnd::Last && data.is_empty();
            self.push(piece, last)?;
        }
        if end == BodyEnd::Last && !self.ended {
            self.push(Bytes::new(), true)?;
        }
        Ok(())
    }

    /// Ends the answer with trailers, unless its head was all of it.
    pub(super) fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), Broken> {
        if self.ended {
            return Ok(());
        }
        let Some(sending) = &mut self.sending else { return Err(Broken) };
        self.answered.fetch_add(1, Ordering::Relaxed);
        sending.send_trailers(trailers).map_err(|_| self.gone())?;
        self.ended = true;
        Ok(())
    }

    /// Lets the client see that the answer is not whole.
    pub(super) fn cut(&mut self) {
        if !self.ended {
            self.answer.send_reset(Reason::INTERNAL_ERROR);
            self.ended = true;
        }
    }

    fn push(&mut self, piece: Bytes, last: bool) -> Result<(), Broken> {
        let Some(sending) = &mut self.sending else { return Err(Broken) };
        sending.send_data(piece, last).map_err(|_| self.gone())?;
        self.ended = last;
        Ok(())
    }

    /// Room for at least one byte of `wanted`.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Broken>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Err(Broken)) };
        sending.reserve_capacity(wanted);
        loop {
            match sending.poll_capacity(cx) {
                Poll::Ready(Some(Ok(0))) => {}
                Poll::Ready(Some(Ok(room))) => {
                    self.stalls = None;
                    return Poll::Ready(Ok(room));
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(self.gone())),
                Poll::Pending => break,
            }
        }
        let stalls = self.stalls.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLS)));
        ready!(stalls.as_mut().poll(cx));
        Poll::Ready(Err(self.gone()))
    }

    fn gone(&mut self) -> Broken {
        self.client = Client::Gone;
        Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use scopegate_core::request::{HeadLimits, StreamBody};
    use tokio::io::duplex;

    /// A stream whose client opens its window to `room` bytes and takes nothing, with the client.
    async fn stream(room: u32) -> (Stream, impl Future<Output = ()>) {
        let (theirs, ours) = duplex(64 * 1024);
        let mut builder = h2::client::Builder::new();
        let meets = builder.initial_window_size(room).handshake::<_, Bytes>(theirs);
        let (client, server) = tokio::join!(meets, h2::server::handshake(ours));
        let ((mut client, connection), mut server) = (client.unwrap(), server.unwrap());
        let (answer, _) = client.send_request(http::Request::get("http://a/crm/v1").body(()).unwrap(), true).unwrap();
        let both = async move { drop(tokio::join!(connection, answer)) };
        let mut both = Box::pin(both);
        let (request, respond) = tokio::select! {
            accepted = server.accept() => accepted.unwrap().unwrap(),
            () = &mut both => unreachable!("the connection ended"),
        };
        let (parts, body) = request.into_parts();
        let head = Head::from_http2(&parts, StreamBody::Ended, &HeadLimits::STANDARD).unwrap();
        let stream = Stream::new(&head, body, respond, Pace { grace: STALLS, per_second: 1 }, Arc::default());
        let goes_on = async move {
            tokio::select! {
                _ = server.accept() => {}
                () = both => {}
            }
            client.clone().ready().await.ok();
        };
        (stream, goes_on)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_makes_no_room_for_a_minute_counts_as_gone() {
        for room in [0, 1, 1_000] {
            let (mut stream, goes_on) = stream(room).await;
            let sends = async {
                stream.send_head(StatusCode::OK, HeaderMap::new(), BodyEnd::More).unwrap();
                stream.send_body(BytesMut::zeroed(1_001).freeze(), BodyEnd::Last).await
            };
            let sent = tokio::select! {
                sent = tokio::time::timeout(STALLS + Duration::from_secs(1), sends) => sent,
                () = goes_on => panic!("the connection ended"),
            };
            assert!(sent.unwrap().is_err(), "{room}");
            assert_eq!(stream.client(), Client::Gone);
        }
    }
}
