//! One stream of an HTTP/2 connection, as pingora serves it.
//!
//! The connection is spoken here with the `h2` crate, not by pingora, so that a body has its limit and its deadline, an answer
//! its own, and every request that HTTP/2 itself lets through is read, judged and audited as over HTTP/1. pingora sees a session
//! of a kind of its own, whose request says nothing but the method: what goes up is written from the judged head.
//!
//! Two hold a stream: pingora the [`Stream`], which moves the bytes, and the visit a [`StreamDoor`], which sets limits and asks.

use super::door::Client;
use super::progress::{Pace, Progress};
use crate::gateway::BodyFault;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_core::Stream as Messages;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, DATE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Response, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::date::get_cached_date;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, OrErr, Result};
use scopegate_core::request::{Framing, Head};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The most of a body that is kept in order to send it again, where nobody here reads it.
const KEPT: usize = 64 * 1024;
/// How long a client may take nothing of what it is sent.
const STALLS: Duration = Duration::from_secs(60);

/// What a visit may ask of its stream, and set for it.
#[derive(Clone, Debug)]
pub(super) struct StreamDoor(Arc<Mutex<Inner>>);

/// What both holders share.
#[derive(Debug)]
struct Inner {
    progress: Progress,
    /// Bytes of the body that are still announced.
    announced: u64,
    /// Whether all of the request came.
    whole: bool,
    /// How much of the body is kept.
    keeps: usize,
    client: Client,
}

impl StreamDoor {
    fn new(head: &Head, pace: Pace) -> Self {
        let (announced, whole) = match head.framing {
            Framing::None | Framing::Length(0) => (0, true),
            Framing::Length(length) => (length, false),
            Framing::Chunked => (0, false),
        };
        let progress = Progress::begin((!whole).then_some(pace));
        Self(Arc::new(Mutex::new(Inner { progress, announced, whole, keeps: KEPT, client: Client::Open })))
    }

    /// A body that is read here is sent from what was kept of it: all of it, of at most `limit` bytes.
    pub(super) fn keep_body(&self, limit: usize) {
        self.lock().keeps = limit;
    }

    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&self, limit: u64) {
        let mut inner = self.lock();
        let announced = inner.announced;
        inner.progress.limit(limit, announced);
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&self, most: u64) -> bool {
        let mut inner = self.lock();
        inner.progress.limit_rest(most);
        inner.progress.fault().is_none() && inner.announced <= most
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&self, timeout: Duration) {
        self.lock().progress.await_answer(timeout);
    }

    /// The upstream has answered.
    pub(super) fn answer_came(&self) {
        self.lock().progress.answer_came();
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.lock().progress.answer_is_overdue()
    }

    /// What is wrong with the body, if anything.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.lock().progress.fault()
    }

    /// Bytes of content that came.
    pub(super) fn received(&self) -> u64 {
        self.lock().progress.received()
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        self.lock().whole
    }

    /// What is known of the client.
    pub(super) fn client(&self) -> Client {
        self.lock().client
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What pingora serves.
pub(super) struct Stream {
    door: StreamDoor,
    pace: Pace,
    request: RequestHeader,
    bodiless: bool,
    body: RecvStream,
    answer: SendResponse<Bytes>,
    /// Where the answer's body goes, once its head is sent.
    sending: Option<SendStream<Bytes>>,
    written: Option<Box<ResponseHeader>>,
    /// Whether the answer's end is sent.
    ended: bool,
    /// When a client that takes nothing counts as gone; none while it does.
    stalls: Option<Pin<Box<Sleep>>>,
    sent: usize,
    kept: Option<Kept>,
    /// Counts heads and trailers that are ours, for all streams of the connection.
    answered: Arc<AtomicU64>,
}

/// What came of a body, in case it is sent again.
#[derive(Debug, Default)]
struct Kept {
    bytes: BytesMut,
    truncated: bool,
}

impl Kept {
    fn keep(&mut self, more: &[u8], most: usize) {
        if self.truncated || self.bytes.len() + more.len() > most {
            self.truncated = true;
            self.bytes = BytesMut::new();
        } else {
            self.bytes.extend_from_slice(more);
        }
    }
}

impl Stream {
    /// The stream that `head` came on.
    pub(super) fn new(
        head: &Head,
        body: RecvStream,
        answer: SendResponse<Bytes>,
        pace: Pace,
        answered: Arc<AtomicU64>,
    ) -> Result<(Self, StreamDoor)> {
        let mut request = RequestHeader::build_no_case(head.method.as_str(), b"/", Some(1))?;
        request.set_version(Version::HTTP_2);
        request.insert_header("host", "scopegate")?;
        let door = StreamDoor::new(head, pace);
        let stream = Self {
            pace,
            request,
            bodiless: door.is_whole(),
            body,
            answer,
            sending: None,
            written: None,
            ended: false,
            stalls: None,
            sent: 0,
            kept: None,
            answered,
            door: door.clone(),
        };
        Ok((stream, door))
    }

    /// Lets pingora find `found` with the request.
    pub(super) fn carry(&mut self, found: impl Clone + Send + Sync + 'static) {
        let mut parts = self.request.as_owned_parts();
        parts.extensions.insert(found);
        self.request = RequestHeader::from(parts);
    }

    /// Brings more of the body; none where it has ended.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let mut inner = self.door.lock();
        if inner.progress.fault().is_some() {
            return Poll::Ready(Err(Error::new_down(ErrorType::InvalidHTTPHeader)));
        }
        if inner.whole {
            return Poll::Ready(Ok(None));
        }
        let came = match self.body.poll_data(cx) {
            Poll::Ready(came) => came,
            Poll::Pending => {
                ready!(inner.progress.poll_late(cx));
                return Poll::Ready(Err(Error::new_down(ErrorType::ReadTimedout)));
            }
        };
        match came.transpose() {
            Ok(Some(data)) => {
                inner.progress.arrived(data.len(), self.pace);
                inner.announced = inner.announced.saturating_sub(data.len() as u64);
                inner.whole = self.body.is_end_stream();
                // a stream whose window cannot be opened again ends, and says so at its next read
                let _ = self.body.flow_control().release_capacity(data.len());
                if let Some(kept) = &mut self.kept {
                    kept.keep(&data, inner.keeps);
                }
                if inner.progress.fault().is_some() {
                    Poll::Ready(Err(Error::new_down(ErrorType::InvalidHTTPHeader)))
                } else {
                    Poll::Ready(Ok(Some(data)))
                }
            }
            Ok(None) => {
                inner.whole = true;
                Poll::Ready(Ok(None))
            }
            Err(_) => {
                inner.client = Client::Gone;
                Poll::Ready(Err(Error::new_down(ErrorType::ConnectionClosed)))
            }
        }
    }

    /// Never ready, unless the client resets the stream or the upstream is overdue.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if self.door.lock().progress.poll_overdue(cx).is_ready() {
            return Poll::Ready(*Error::new_down(ErrorType::ReadTimedout));
        }
        // after a whole answer its end looks like a reset with no error
        if self.ended {
            return Poll::Pending;
        }
        ready!(self.poll_reset(cx));
        Poll::Ready(*Error::new_down(ErrorType::ConnectionClosed))
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reset = match &mut self.sending {
            Some(sending) => sending.poll_reset(cx),
            None => self.answer.poll_reset(cx),
        };
        ready!(reset).ok();
        self.door.lock().client = Client::Gone;
        Poll::Ready(())
    }

    fn gone(&self) -> Box<Error> {
        self.door.lock().client = Client::Gone;
        Error::new_down(ErrorType::ConnectionClosed)
    }

    fn send_head(&mut self, mut head: Box<ResponseHeader>, end: bool) -> Result<()> {
        if self.ended || self.written.is_some() {
            return Ok(());
        }
        if head.status.is_informational() {
            return if head.status == StatusCode::CONTINUE { self.send_continue() } else { Ok(()) };
        }
        head.insert_header(DATE, get_cached_date())?;
        for of_http1 in [TRANSFER_ENCODING, CONNECTION, UPGRADE] {
            head.remove_header(&of_http1);
        }
        let response = Response::from_parts(head.as_owned_parts(), ());
        self.answered.fetch_add(1, Ordering::Relaxed);
        match self.answer.send_response(response, end) {
            Ok(sending) => self.sending = Some(sending),
            Err(_) => return Err(self.gone()),
        }
        self.written = Some(head);
        self.ended |= end;
        Ok(())
    }

    fn send_continue(&mut self) -> Result<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::CONTINUE;
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.answer.send_informational(response).map_err(|_| self.gone())
    }

    /// Hands `data` over as the client makes room for it.
    async fn send_body(&mut self, mut data: Bytes, end: bool) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        while !data.is_empty() {
            let room = poll_fn(|cx| self.poll_room(cx, data.len())).await?;
            let piece = data.split_to(room.min(data.len()));
            let (length, last) = (piece.len(), end && data.is_empty());
            self.push(piece, last)?;
            self.sent += length;
            self.ended |= last;
        }
        if end { self.end() } else { Ok(()) }
    }

    fn push(&mut self, piece: Bytes, last: bool) -> Result<()> {
        let Some(sending) = &mut self.sending else { return Err(Error::new_in(ErrorType::InternalError)) };
        sending.send_data(piece, last).map_err(|_| self.gone())
    }

    /// Room for at least one byte of `wanted`.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Err(Error::new_in(ErrorType::InternalError))) };
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

    /// Ends the answer, where it has begun and has not ended.
    fn end(&mut self) -> Result<()> {
        if self.ended || self.sending.is_none() {
            return Ok(());
        }
        self.push(Bytes::new(), true)?;
        self.ended = true;
        Ok(())
    }
}

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_body(cx)).await
    }

    /// What is left of a body goes with its stream; nothing behind it has to be reached.
    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.send_head(head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.send_head(Box::new(head.clone()), end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.send_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let Some(sending) = &mut self.sending else { return Err(Error::new_in(ErrorType::InternalError)) };
        self.answered.fetch_add(1, Ordering::Relaxed);
        sending.send_trailers(trailers).or_err(ErrorType::WriteError, "trailers")?;
        self.ended = true;
        Ok(())
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut ends = false;
        for task in tasks {
            ends |= match task {
                // what an upstream says ahead of its answer stays behind
                HttpTask::Header(head, _) if head.status.is_informational() => false,
                HttpTask::Header(head, end) => {
                    self.send_head(head, end)?;
                    end
                }
                HttpTask::Body(data, end) => {
                    self.send_body(data.unwrap_or_default(), end).await?;
                    end
                }
                HttpTask::Trailer(Some(trailers)) => {
                    self.write_trailers(*trailers).await?;
                    true
                }
                HttpTask::Trailer(None) | HttpTask::Done => true,
                // an upgrade was never offered to the upstream
                HttpTask::UpgradedBody(..) => return Err(Error::new_up(ErrorType::InvalidHTTPHeader)),
                HttpTask::Failed(error) => return Err(error),
            };
        }
        if ends {
            self.end()?;
        }
        Ok(ends)
    }

    fn set_read_timeout(&mut self, _: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    fn request_summary(&self) -> String {
        String::new()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    async fn shutdown(&mut self, _: u32, _: &str) {
        if !self.ended {
            self.answer.send_reset(Reason::INTERNAL_ERROR);
            self.ended = true;
        }
    }

    fn is_body_done(&mut self) -> bool {
        self.door.is_whole()
    }

    async fn finish(&mut self) -> Result<()> {
        self.end()
    }

    fn is_body_empty(&mut self) -> bool {
        self.bodiless
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.door.is_whole() {
            return Err(Box::new(poll_fn(|cx| self.poll_idle(cx)).await));
        }
        self.read_body_bytes().await
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        usize::try_from(self.door.received()).unwrap_or(usize::MAX)
    }

    fn digest(&self) -> Option<&Digest> {
        None
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.kept.get_or_insert_default();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.truncated)
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        let kept = self.kept.as_ref().filter(|kept| !kept.truncated && !kept.bytes.is_empty())?;
        Some(kept.bytes.clone().freeze())
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(&mut self, _: Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use scopegate_core::request::{HeadLimits, StreamBody};
    use tokio::io::duplex;

    /// A stream whose client opens its window to `room` bytes and takes nothing, with the client.
    async fn stream(room: u32) -> (Stream, StreamDoor, impl Future<Output = ()>) {
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
        let (stream, door) = Stream::new(&head, body, respond, Pace { grace: STALLS, per_second: 1 }, Arc::default()).unwrap();
        let goes_on = async move {
            tokio::select! {
                _ = server.accept() => {}
                () = both => {}
            }
            client.clone().ready().await.ok();
        };
        (stream, door, goes_on)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_makes_no_room_for_a_minute_counts_as_gone() {
        for room in [0, 1, 1_000] {
            let (mut stream, door, goes_on) = stream(room).await;
            let sends = async {
                stream.write_response_header(Box::new(ResponseHeader::build(200, None).unwrap()), false).await.unwrap();
                stream.write_body(BytesMut::zeroed(1_001).freeze(), true).await
            };
            let sent = tokio::select! {
                sent = tokio::time::timeout(STALLS + Duration::from_secs(1), sends) => sent,
                () = goes_on => panic!("the connection ended"),
            };
            assert!(sent.unwrap().is_err(), "{room}");
            assert_eq!((stream.body_bytes_sent(), door.client()), (room as usize, Client::Gone));
        }
    }
}
