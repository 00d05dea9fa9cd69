//! The door between a client's connection and pingora.
//!
//! pingora sees one request at a time: a head that is written here from the one that was
//! judged, then exactly that request's body, framed anew. What comes behind stays in the
//! door until the next head is read from it. So nothing is parsed twice, and a client that
//! sends ahead, or half-closes after its request, is served in order.
//!
//! **Invariant: pingora never gets a byte that does not belong to the request at hand.**

use super::wire::Wire;
use crate::gateway::BodyFault;
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID, UniqueIDType};
use scopegate_core::request::{ChunkReader, Framing, Head, Version};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

/// How much is asked of the wire at once.
const READ: usize = 16 * 1024;
/// How much is kept of what a client sends ahead of its turn.
const AHEAD: usize = 64 * 1024;
/// How much of an answer is collected before it is sent unasked.
const COLLECT: usize = 16 * 1024;
/// How long a client may take nothing of what it is sent.
const STALLS: Duration = Duration::from_secs(60);

/// Both sides of the door: the connection holds one, pingora others while it serves a request. One task polls them all.
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Mutex<Inner>>);

/// What stands behind both sides.
#[derive(Debug)]
pub(super) struct Inner {
    wire: Wire,
    /// What came and was not used yet.
    came: BytesMut,
    /// What was written and not sent yet.
    going: BytesMut,
    client: Client,
    pace: Pace,
    /// When a client that takes nothing counts as gone; none while it does.
    stalls: Option<Pin<Box<Sleep>>>,
    request: UnderWay,
}

/// What is known of the client's end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Client {
    /// It may send more.
    Open,
    /// It sends no more, and may still read.
    Ended,
    /// Nothing reaches it.
    Gone,
}

/// How fast a body must come: within `grace`, and a second more for each `per_second` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What any body may take.
    pub grace: Duration,
    /// In bytes; at least one.
    pub per_second: u64,
}

/// The request at hand.
#[derive(Debug)]
struct UnderWay {
    /// What pingora has yet to read of the head that was written for it.
    head: Bytes,
    stage: Stage,
    /// Bytes of content that came.
    received: u64,
    limit: u64,
    fault: Option<BodyFault>,
    /// When the rest of the body must be here.
    body_due: Option<Pin<Box<Sleep>>>,
    /// When the upstream must have answered.
    answer_due: Option<Pin<Box<Sleep>>>,
    overdue: bool,
}

/// What pingora may read behind the head.
#[derive(Debug)]
enum Stage {
    /// Nothing: all of the request was given, or none is under way. What comes belongs to the next.
    Whole,
    /// A body of known length.
    Sized { left: u64 },
    /// A body in chunks; `framed` was read of it and waits for pingora.
    Chunked { reader: ChunkReader, framed: BytesMut, ended: bool },
    /// Whatever comes: the connection speaks another protocol.
    Raw,
}

impl Door {
    pub(super) fn new(wire: Wire, pace: Pace) -> Self {
        let (came, going) = (BytesMut::new(), BytesMut::new());
        Self(Arc::new(Mutex::new(Inner { wire, came, going, client: Client::Open, pace, stalls: None, request: UnderWay::none() })))
    }

    /// Lets pingora in for the request that `head` began.
    pub(super) fn begin(&self, head: &Head) {
        let mut door = self.lock();
        let stage = match head.framing {
            Framing::None | Framing::Length(0) => Stage::Whole,
            Framing::Length(left) => Stage::Sized { left },
            Framing::Chunked => Stage::Chunked { reader: ChunkReader::new(), framed: BytesMut::new(), ended: false },
        };
        let body_due = (!matches!(stage, Stage::Whole)).then(|| Box::pin(tokio::time::sleep(door.pace.grace)));
        door.request = UnderWay { head: head_for_pingora(head), stage, body_due, ..UnderWay::none() };
    }

    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&self, limit: u64) {
        let request = &mut self.lock().request;
        let announced = if let Stage::Sized { left } = request.stage { left } else { 0 };
        request.limit = limit;
        if request.received.saturating_add(announced) > limit {
            request.fault = Some(BodyFault::TooLarge);
        }
    }

    /// Gives pingora whatever comes, from here to the end of the connection.
    pub(super) fn go_raw(&self) {
        let request = &mut self.lock().request;
        request.stage = Stage::Raw;
        request.body_due = None;
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&self, timeout: Duration) {
        self.lock().request.answer_due = Some(Box::pin(tokio::time::sleep(timeout)));
    }

    /// The upstream has answered.
    pub(super) fn answer_came(&self) {
        self.lock().request.answer_due = None;
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.lock().request.overdue
    }

    /// What is wrong with the body, if anything.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.lock().request.fault
    }

    /// Bytes of content that came; of whatever came, once the connection is raw.
    pub(super) fn received(&self) -> u64 {
        self.lock().request.received
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.lock().request.stage, Stage::Whole)
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&self, most: u64) -> bool {
        let request = &mut self.lock().request;
        request.limit = request.received.saturating_add(most);
        request.fault.is_none()
            && match request.stage {
                Stage::Whole | Stage::Chunked { .. } => true,
                Stage::Sized { left } => left <= most,
                Stage::Raw => false,
            }
    }

    /// What is known of the client.
    pub(super) fn client(&self) -> Client {
        self.lock().client
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The head that pingora reads: what it needs to frame both messages, and nothing else of what the client sent.
fn head_for_pingora(head: &Head) -> Bytes {
    let version = if head.version == Version::Http10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let framing = match head.framing {
        Framing::None => String::new(),
        Framing::Length(length) => format!("Content-Length: {length}\r\n"),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
    };
    let connection = match (head.websocket, head.keep_alive) {
        (true, _) => "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        (false, true) => "",
        (false, false) => "Connection: close\r\n",
    };
    format!("{} / {version}\r\nHost: scopegate\r\n{framing}{connection}\r\n", head.method).into()
}

impl UnderWay {
    fn none() -> Self {
        Self {
            head: Bytes::new(),
            stage: Stage::Whole,
            received: 0,
            limit: u64::MAX,
            fault: None,
            body_due: None,
            answer_due: None,
            overdue: false,
        }
    }

    /// Moves what is here of the body from `came` to pingora, and says how many bytes that was.
    fn give_body(&mut self, came: &mut BytesMut, pace: Pace, to: &mut ReadBuf<'_>) -> usize {
        match &mut self.stage {
            Stage::Whole | Stage::Raw => 0,
            Stage::Sized { left } => {
                let given = give(came, usize::try_from(*left).unwrap_or(usize::MAX), to);
                *left -= given as u64;
                if *left == 0 {
                    self.stage = Stage::Whole;
                }
                self.arrived(given, pace);
                given
            }
            Stage::Chunked { framed, .. } if framed.is_empty() => {
                self.reframe(came, pace);
                self.give_framed(to)
            }
            Stage::Chunked { .. } => self.give_framed(to),
        }
    }

    fn give_framed(&mut self, to: &mut ReadBuf<'_>) -> usize {
        let Stage::Chunked { framed, ended, .. } = &mut self.stage else { return 0 };
        let given = give(framed, usize::MAX, to);
        if *ended && framed.is_empty() {
            self.stage = Stage::Whole;
        }
        given
    }

    /// Reads chunks and writes them anew, so that pingora has nothing to interpret.
    fn reframe(&mut self, came: &mut BytesMut, pace: Pace) {
        let Stage::Chunked { reader, framed, ended } = &mut self.stage else { return };
        let mut content = 0;
        let fed = reader.feed(came, |piece| {
            content += piece.len();
            framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            framed.extend_from_slice(piece);
            framed.extend_from_slice(b"\r\n");
        });
        match fed {
            Ok(fed) => {
                came.advance(fed.used);
                *ended = fed.ended;
                if fed.ended {
                    framed.extend_from_slice(b"0\r\n\r\n");
                }
            }
            Err(ambiguity) => self.fault = Some(BodyFault::Ambiguous(ambiguity)),
        }
        self.arrived(content, pace);
    }

    /// Counts `more` bytes of content.
    fn arrived(&mut self, more: usize, pace: Pace) {
        self.received += more as u64;
        if self.received > self.limit {
            self.fault = Some(BodyFault::TooLarge);
        }
        if let Some(due) = &mut self.body_due {
            let later = due.deadline() + Duration::from_micros(more as u64 * 1_000_000 / pace.per_second.max(1));
            due.as_mut().reset(later);
        }
    }
}

impl Inner {
    /// What came and was not used yet.
    pub(super) fn came(&mut self) -> &mut BytesMut {
        &mut self.came
    }

    /// The wire itself, for its end.
    pub(super) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Brings more of what the client sends; zero where it sends no more.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.client {
            Client::Open => {}
            Client::Ended => return Poll::Ready(Ok(0)),
            Client::Gone => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
        self.came.reserve(READ);
        let filled = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.wire), cx, &mut self.came));
        match filled {
            Ok(0) => self.client = Client::Ended,
            Ok(_) => {}
            Err(_) => self.client = Client::Gone,
        }
        Poll::Ready(filled)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if give(&mut self.request.head, usize::MAX, to) > 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.request.fault.is_some() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            match self.request.stage {
                Stage::Whole => return self.poll_idle(cx),
                Stage::Raw => return self.poll_raw(cx, to),
                Stage::Sized { .. } | Stage::Chunked { .. } => {}
            }
            if self.request.give_body(&mut self.came, self.pace, to) > 0 {
                return Poll::Ready(Ok(()));
            }
            if self.request.fault.is_none() {
                ready!(self.poll_more_body(cx))?;
            }
        }
    }

    /// Waits for more of the body. What keeps it from coming is left as its fault.
    fn poll_more_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_fill(cx) {
            Poll::Ready(Ok(0)) => self.request.fault = Some(BodyFault::Incomplete),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                let Some(due) = &mut self.request.body_due else { return Poll::Pending };
                ready!(due.as_mut().poll(cx));
                self.request.fault = Some(BodyFault::TooSlow);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads past what is left of the body; says whether its end was reached.
    pub(super) fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut waste = [0; 4096];
        loop {
            match self.request.stage {
                _ if self.request.fault.is_some() => return Poll::Ready(false),
                Stage::Whole => return Poll::Ready(true),
                Stage::Raw => return Poll::Ready(false),
                Stage::Sized { .. } | Stage::Chunked { .. } => {}
            }
            let given = self.request.give_body(&mut self.came, self.pace, &mut ReadBuf::new(&mut waste));
            if given == 0 && self.request.fault.is_none() && ready!(self.poll_more_body(cx)).is_err() {
                return Poll::Ready(false);
            }
        }
    }

    /// Gives nothing, and never ends: pingora learns here of a client that is gone and of an answer that is overdue, and not of
    /// a client that sends no more, or sends the next request already.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(due) = &mut self.request.answer_due
            && due.as_mut().poll(cx).is_ready()
        {
            self.request.answer_due = None;
            self.request.overdue = true;
        }
        if self.request.overdue {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        while self.client != Client::Ended && self.came.len() < AHEAD {
            ready!(self.poll_fill(cx))?;
        }
        Poll::Pending
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.came.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        self.request.received += give(&mut self.came, usize::MAX, to) as u64;
        Poll::Ready(Ok(()))
    }

    /// Collects `bytes`, or sends them where they are many.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.going.len() + bytes.len() > COLLECT {
            ready!(self.poll_send(cx))?;
        }
        if bytes.len() >= COLLECT {
            let written = ready!(self.poll_out(cx, |wire, cx| wire.poll_write(cx, bytes)));
            return Poll::Ready(written);
        }
        self.going.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends all that was collected.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.going.is_empty() {
            let going = std::mem::take(&mut self.going);
            let sent = self.poll_out(cx, |wire, cx| wire.poll_write(cx, &going));
            self.going = going;
            self.going.advance(ready!(sent)?);
        }
        self.poll_out(cx, Wire::poll_flush)
    }

    /// Does something that waits for the client to take what it is sent, and not for ever.
    fn poll_out<T>(&mut self, cx: &mut Context<'_>, deed: impl FnOnce(Pin<&mut Wire>, &mut Context<'_>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let done = match deed(Pin::new(&mut self.wire), cx) {
            Poll::Ready(done) => done,
            Poll::Pending => {
                let stalls = self.stalls.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLS)));
                ready!(stalls.as_mut().poll(cx));
                Err(io::ErrorKind::TimedOut.into())
            }
        };
        self.stalls = None;
        Poll::Ready(done.inspect_err(|_| self.client = Client::Gone))
    }
}

/// Moves at most `most` bytes, and says how many.
fn give(from: &mut impl Buf, most: usize, to: &mut ReadBuf<'_>) -> usize {
    let given = from.remaining().min(most).min(to.remaining());
    from.copy_to_slice(to.initialize_unfilled_to(given));
    to.advance(given);
    given
}

impl AsyncRead for Door {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_read(cx, to)
    }
}

impl AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_send(cx)
    }

    /// Sends what was collected; whether the connection ends is not pingora's decision.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_send(cx)
    }
}

#[async_trait]
impl Shutdown for Door {
    async fn shutdown(&mut self) {
        // What cannot be sent is noted behind the door.
        let _ = self.flush().await;
    }
}

impl UniqueID for Door {
    fn id(&self) -> UniqueIDType {
        0
    }
}

impl Ssl for Door {}

impl GetTimingDigest for Door {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Door {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Door {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

/// Left unsupported, so that pingora looks at nothing ahead of its turn.
impl Peek for Door {}
