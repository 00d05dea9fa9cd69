//! The door between a client's connection and pingora.
//!
//! pingora sees one request at a time: a head that is written here from the one that was
//! judged, then exactly that request's body, framed anew. What comes behind stays in the
//! door until the next head is read from it. So nothing is parsed twice, and a client that
//! sends ahead, or half-closes after its request, is served in order.
//!
//! **Invariant: pingora never gets a byte that does not belong to the request at hand.**

use super::progress::Pace;
use super::under_way::{Stage, UnderWay, body_for_pingora, give};
use super::wire::Wire;
use crate::gateway::BodyFault;
use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID, UniqueIDType};
use scopegate_core::request::Head;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

/// How much room is made for what comes from the wire, and how little of it has to be left. The head of a request keeps what it lies in
/// for as long as it is served; so the next one comes behind it.
const READ: usize = 16 * 1024;
const LEAST: usize = 4 * 1024;
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

impl Door {
    pub(super) fn new(wire: Wire, pace: Pace) -> Self {
        let (came, going) = (BytesMut::new(), BytesMut::new());
        Self(Arc::new(Mutex::new(Inner { wire, came, going, client: Client::Open, pace, stalls: None, request: UnderWay::none() })))
    }

    /// The request that `head` began is under way.
    pub(super) fn begin(&self, head: &Head) {
        let mut door = self.lock();
        door.request = UnderWay::begin(head, door.pace);
    }

    /// Lets pingora in for it.
    pub(super) fn let_in(&self, head: &Head) {
        self.lock().request.let_in(head);
    }

    /// Reads the whole body of the request that `head` began, before pingora has read any of it; pingora gets it all the same.
    /// Where a fault is left instead, what came is not all.
    /// # Errors
    /// The client is gone.
    pub(super) async fn whole_body(&self, head: &Head) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        poll_fn(|cx| self.lock().poll_take(cx, &mut body)).await?;
        let body = body.freeze();
        self.lock().request.ready = body_for_pingora(head, &body);
        Ok(body)
    }

    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&self, limit: u64) {
        let request = &mut self.lock().request;
        let announced = if let Stage::Sized { left } = request.stage { left } else { 0 };
        request.progress.limit(limit, announced);
    }

    /// Gives pingora whatever comes, from here to the end of the connection.
    pub(super) fn go_raw(&self) {
        let request = &mut self.lock().request;
        request.stage = Stage::Raw;
        request.progress.is_raw();
    }

    /// The upstream does not change the protocol: a request that offered that ends here.
    pub(super) fn stays_http(&self) {
        let request = &mut self.lock().request;
        if matches!(request.stage, Stage::Offered) {
            request.ready = Bytes::from_static(b"0\r\n\r\n");
            request.stage = Stage::Whole;
        }
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&self, timeout: Duration) {
        self.lock().request.progress.await_answer(timeout);
    }

    /// The upstream has answered.
    pub(super) fn answer_came(&self) {
        self.lock().request.progress.answer_came();
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.lock().request.progress.answer_is_overdue()
    }

    /// What is wrong with the body, if anything.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.lock().request.progress.fault()
    }

    /// Bytes of content that came; of whatever came, once the connection is raw.
    pub(super) fn received(&self) -> u64 {
        self.lock().request.progress.received()
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.lock().request.stage, Stage::Whole | Stage::Offered)
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&self, most: u64) -> bool {
        let request = &mut self.lock().request;
        request.progress.limit_rest(most);
        request.progress.fault().is_none()
            && match request.stage {
                Stage::Whole | Stage::Offered | Stage::Chunked { .. } => true,
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
        if self.came.capacity() - self.came.len() < LEAST {
            self.came.reserve(READ);
        }
        let filled = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.wire), cx, &mut self.came));
        match filled {
            Ok(0) => self.client = Client::Ended,
            Ok(_) => {}
            Err(_) => self.client = Client::Gone,
        }
        Poll::Ready(filled)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if give(&mut self.request.ready, usize::MAX, to) > 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.request.progress.fault().is_some() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            match self.request.stage {
                Stage::Whole | Stage::Offered => return self.poll_idle(cx),
                Stage::Raw => return self.poll_raw(cx, to),
                Stage::Sized { .. } | Stage::Chunked { .. } => {}
            }
            if self.request.give_body(&mut self.came, self.pace, to) > 0 {
                return Poll::Ready(Ok(()));
            }
            if self.request.progress.fault().is_none() {
                ready!(self.poll_more_body(cx))?;
            }
        }
    }

    /// Reads all of the body into `body`, up to its end or its fault.
    fn poll_take(&mut self, cx: &mut Context<'_>, body: &mut BytesMut) -> Poll<io::Result<()>> {
        loop {
            self.request.take_body(&mut self.came, self.pace, body);
            match self.request.stage {
                _ if self.request.progress.fault().is_some() => return Poll::Ready(Ok(())),
                Stage::Whole | Stage::Offered | Stage::Raw => return Poll::Ready(Ok(())),
                Stage::Sized { .. } | Stage::Chunked { .. } => ready!(self.poll_more_body(cx))?,
            }
        }
    }

    /// Waits for more of the body. What keeps it from coming is left as its fault.
    fn poll_more_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_fill(cx) {
            Poll::Ready(Ok(0)) => self.request.progress.fail(BodyFault::Incomplete),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => ready!(self.request.progress.poll_late(cx)),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads past what is left of the body; says whether its end was reached.
    pub(super) fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.request.stage {
                _ if self.request.progress.fault().is_some() => return Poll::Ready(false),
                Stage::Whole | Stage::Offered => return Poll::Ready(true),
                Stage::Raw => return Poll::Ready(false),
                Stage::Sized { .. } | Stage::Chunked { .. } => {}
            }
            let mut waste = [0; 4096];
            let given = self.request.give_body(&mut self.came, self.pace, &mut ReadBuf::new(&mut waste));
            if given == 0 && self.request.progress.fault().is_none() && ready!(self.poll_more_body(cx)).is_err() {
                return Poll::Ready(false);
            }
        }
    }

    /// Gives nothing, and never ends: pingora learns here of a client that is gone and of an answer that is overdue, and not of
    /// a client that sends no more, or sends the next request already.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.request.progress.poll_overdue(cx).is_ready() {
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
        let given = give(&mut self.came, usize::MAX, to);
        self.request.progress.passed_raw(given);
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
    fn poll_out<T>(
        &mut self,
        cx: &mut Context<'_>,
        deed: impl FnOnce(Pin<&mut Wire>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
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

#[cfg(test)]
mod tests {
    use super::super::under_way::head_for_pingora;
    use super::*;
    use bytes::BufMut;
    use scopegate_core::request::HeadLimits;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    const PACE: Pace = Pace { grace: Duration::from_secs(60), per_second: 1024 };

    /// A door, and what the client sends through it.
    fn door(room: usize) -> (Door, DuplexStream) {
        let (client, ours) = duplex(room);
        (Door::new(Wire::Memory(ours), PACE), client)
    }

    /// As for a request that may go on.
    fn begin(door: &Door, head: &Head) {
        door.begin(head);
        door.let_in(head);
    }

    fn head(lines: &str) -> Head {
        let text = format!("{}\r\n\r\n", lines.replace('\n', "\r\n"));
        Head::read(&Bytes::from(text), &HeadLimits::STANDARD).unwrap()
    }

    /// All that pingora may read: up to the request's end, its fault, or the end of a raw connection.
    async fn given(door: &Door) -> (String, Option<BodyFault>) {
        let mut given = Vec::new();
        poll_fn(|cx| {
            let mut space = [0; 7];
            loop {
                let mut to = ReadBuf::new(&mut space);
                let read = door.lock().poll_read(cx, &mut to);
                match read {
                    Poll::Ready(Ok(())) if to.filled().is_empty() => return Poll::Ready(()),
                    Poll::Ready(Ok(())) => given.put_slice(to.filled()),
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending if door.is_whole() => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        (String::from_utf8(given).unwrap(), door.fault())
    }

    #[tokio::test]
    async fn a_body_that_is_read_whole_comes_to_pingora_all_the_same() {
        for (framing, sent, body, framed, left, fault) in [
            ("Content-Length: 3", "abcGET /next", "abc", "abc", "GET /next", None),
            ("Content-Length: 0", "GET /next", "", "", "GET /next", None),
            ("Transfer-Encoding: chunked", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET", "abc", "3\r\nabc\r\n0\r\n\r\n", "GET", None),
            ("Transfer-Encoding: chunked", "0\r\n\r\n", "", "0\r\n\r\n", "", None),
            ("Content-Length: 9", "abc", "abc", "", "", Some(BodyFault::Incomplete)),
            ("Transfer-Encoding: chunked", "5\r\nabc", "", "", "", Some(BodyFault::Incomplete)),
            ("Content-Length: 200", "abc", "", "", "abc", Some(BodyFault::TooLarge)),
        ] {
            // Also where the client sends no more than a byte at a time.
            for room in [1, 4096] {
                let (door, mut client) = door(room);
                let head = head(&format!("POST / HTTP/1.1\nHost: a\n{framing}"));
                begin(&door, &head);
                door.lock().request.ready = Bytes::new();
                door.limit_body(100);
                let sends = async {
                    client.write_all(sent.as_bytes()).await.unwrap();
                    AsyncWriteExt::shutdown(&mut client).await.unwrap();
                    std::future::pending().await
                };
                // A door that has seen enough reads no more.
                let read = tokio::select! { read = door.whole_body(&head) => read, read = sends => read };
                assert_eq!(door.fault(), fault, "{framing} {sent:?}");
                if fault.is_none() {
                    assert_eq!(
                        (String::from_utf8(read.unwrap().to_vec()).unwrap().as_str(), given(&door).await.0.as_str()),
                        (body, framed),
                        "{framing}"
                    );
                    assert_eq!(door.received(), body.len() as u64);
                    assert!(left.as_bytes().starts_with(door.lock().came()), "{framing}: what came behind stays");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_body_ends_where_its_framing_says() {
        for (framing, sent, body, left) in [
            ("Content-Length: 3", "abcGET /next", "abc", "GET /next"),
            ("Content-Length: 0", "GET /next", "", "GET /next"),
            ("X-No: body", "GET /next", "", "GET /next"),
            ("Transfer-Encoding: chunked", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /next", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "GET /next"),
            ("Transfer-Encoding: chunked", "2\r\nab\r\n0\r\nX-Trailer: t\r\n\r\nGET", "2\r\nab\r\n0\r\n\r\n", "GET"),
            ("Transfer-Encoding: chunked", "00\r\n\r\n", "0\r\n\r\n", ""),
        ] {
            let (door, mut client) = door(1024);
            client.write_all(sent.as_bytes()).await.unwrap();
            let head = head(&format!("PUT / HTTP/1.1\nHost: a\n{framing}"));
            begin(&door, &head);
            let (given, fault) = given(&door).await;
            let given = given.strip_prefix(std::str::from_utf8(&head_for_pingora(&head)).unwrap()).unwrap();
            assert_eq!((given, fault), (body, None), "{framing}: {sent}");
            assert_eq!(door.lock().came(), left, "{framing}: {sent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_keeps_a_body_from_coming_is_its_fault() {
        const CHUNKED: &str = "Transfer-Encoding: chunked";
        let slow = Some(BodyFault::TooSlow);
        for (framing, sent, ends, fault) in [
            ("Content-Length: 5", "abc", true, Some(BodyFault::Incomplete)),
            ("Content-Length: 5", "abc", false, slow),
            ("Content-Length: 5", "", false, slow),
            ("Content-Length: 9", "abcdefghi", false, Some(BodyFault::TooLarge)),
            ("Content-Length: 9", "", false, Some(BodyFault::TooLarge)),
            (CHUNKED, "5\r\nabc", true, Some(BodyFault::Incomplete)),
            (CHUNKED, "5\r\nabcde\r\n", true, Some(BodyFault::Incomplete)),
            (CHUNKED, "5\r\nabcde\r\n", false, slow),
            (CHUNKED, "9\r\nabcdefghi\r\n0\r\n\r\n", false, Some(BodyFault::TooLarge)),
            (CHUNKED, "8\r\nabcdefgh\r\n0\r\n\r\n", false, None),
        ] {
            let (door, mut client) = door(1024);
            client.write_all(sent.as_bytes()).await.unwrap();
            if ends {
                AsyncWriteExt::shutdown(&mut client).await.unwrap();
            }
            begin(&door, &head(&format!("PUT / HTTP/1.1\nHost: a\n{framing}")));
            door.limit_body(8);
            assert_eq!(given(&door).await.1, fault, "{framing}: {sent}");
        }
        let (door, mut client) = door(1024);
        client.write_all(b"zz\r\n").await.unwrap();
        begin(&door, &head("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"));
        assert!(matches!(given(&door).await.1, Some(BodyFault::Ambiguous(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_its_pace_may_take_longer_than_the_grace() {
        let (door, mut client) = door(1024);
        begin(&door, &head("PUT / HTTP/1.1\nHost: a\nContent-Length: 102400"));
        let sends = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(&[b'x'; 1024]).await.unwrap();
            }
        };
        let ((given, fault), ()) = tokio::join!(given(&door), sends);
        assert_eq!((given.matches('x').count(), fault, door.received()), (102_400, None, 102_400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_more_is_no_news_and_one_that_is_gone_is() {
        let (door, mut client) = door(1024);
        begin(&door, &head("GET / HTTP/1.1\nHost: a"));
        let mut pingora = door.clone();
        let mut space = [0; 256];
        assert_ne!(pingora.read(&mut space).await.unwrap(), 0);
        client.write_all(b"GET /next").await.unwrap();
        AsyncWriteExt::shutdown(&mut client).await.unwrap();
        let idle = tokio::time::timeout(Duration::from_secs(3600), pingora.read(&mut space));
        assert!(idle.await.is_err(), "neither bytes nor an end");
        assert_eq!((door.client(), &door.lock().came()[..]), (Client::Ended, &b"GET /next"[..]));
        drop(client);
        assert!(pingora.write_all(b"answer").await.is_ok() && pingora.flush().await.is_err());
        assert_eq!(door.client(), Client::Gone);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_overdue_ends_the_wait() {
        let (door, _client) = door(1024);
        begin(&door, &head("GET / HTTP/1.1\nHost: a"));
        door.await_answer(Duration::from_secs(60));
        door.answer_came();
        door.await_answer(Duration::from_secs(10));
        let mut pingora = door.clone();
        let mut space = [0; 256];
        assert_ne!(pingora.read(&mut space).await.unwrap(), 0);
        let early = tokio::time::timeout(Duration::from_millis(9_999), pingora.read(&mut space));
        assert!(early.await.is_err());
        assert_eq!(pingora.read(&mut space).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(door.answer_is_overdue());
    }

    #[tokio::test]
    async fn a_raw_connection_gives_all_that_comes_and_ends_with_the_client() {
        let (door, mut client) = door(1024);
        begin(&door, &head("GET / HTTP/1.1\nHost: a"));
        client.write_all(b"sent ahead, ").await.unwrap();
        assert!(given(&door).await.0.ends_with("\r\n\r\n"));
        door.go_raw();
        client.write_all(b"and after").await.unwrap();
        AsyncWriteExt::shutdown(&mut client).await.unwrap();
        assert_eq!(given(&door).await.0, "sent ahead, and after");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_for_a_minute_counts_as_gone() {
        let (door, mut client) = door(16);
        let mut pingora = door.clone();
        pingora.write_all(&[b'x'; 100]).await.unwrap();
        let takes = async {
            for _ in 0..3 {
                tokio::time::sleep(STALLS - Duration::from_secs(1)).await;
                client.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let (sent, ()) = tokio::join!(pingora.flush(), takes);
        assert_eq!((sent.unwrap_err().kind(), door.client()), (io::ErrorKind::TimedOut, Client::Gone));
    }
}
