//! The door between a client's connection and its requests.
//!
//! One request is served at a time: its head is read from what came, then exactly its body. What comes behind stays in the door
//! until the next head is read from it; so a client that sends ahead, or half-closes after its request, is served in order.
//!
//! **Invariant: no byte is given out as a request's body that does not belong to it.**

use super::due::Due;
use super::progress::Pace;
use super::under_way::{Stage, UnderWay};
use super::wire::Wire;
use crate::gateway::BodyFault;
use bytes::{Buf, Bytes, BytesMut};
use scopegate_core::request::Head;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::Sleep;

/// How much room is made for what comes from the wire, and how little of it has to be left. The head of a request keeps what it lies in
/// for as long as it is served; so the next one comes behind it.
const READ: usize = 16 * 1024;
const LEAST: usize = 4 * 1024;
/// How much is kept of what a client sends ahead of its turn.
const AHEAD: usize = 64 * 1024;
/// How much of an answer is collected before it is sent unasked.
const COLLECT: usize = 16 * 1024;
/// How often is looked whether a client is still there that has sent ahead as much as is kept.
const LOOK: Duration = Duration::from_secs(1);
/// How long a client may take nothing of what it is sent.
const STALLS: Duration = Duration::from_secs(60);

/// A client's connection, and the request that is under way on it.
#[derive(Debug)]
pub(super) struct Door {
    wire: Wire,
    /// What came and was not used yet.
    came: BytesMut,
    /// What was written, and how much of it was sent: the same bytes of memory serve for each answer.
    going: BytesMut,
    sent: usize,
    client: Client,
    pace: Pace,
    /// When a client that takes nothing counts as gone; none while it does.
    stalls: Option<Pin<Box<Sleep>>>,
    /// When to look after a client of whom nothing more is read; may long be past where it is read again.
    look: Option<Due>,
    pub(super) request: UnderWay,
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

/// No more of a request comes: its body has a fault, its client is gone, or its answer is overdue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken;

impl Door {
    pub(super) fn new(wire: Wire, pace: Pace) -> Self {
        let (came, going) = (BytesMut::new(), BytesMut::new());
        Self { wire, came, going, sent: 0, client: Client::Open, pace, stalls: None, look: None, request: UnderWay::none() }
    }

    /// The request that `head` began is under way.
    pub(super) fn begin(&mut self, head: &Head) {
        self.request.begin(head, self.pace);
    }

    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&mut self, limit: u64) {
        let announced = if let Stage::Sized { left } = self.request.stage { left } else { 0 };
        self.request.progress.limit(limit, announced);
    }

    /// What is left of the body is due as if it began now.
    pub(super) fn rest_is_due(&mut self) {
        self.request.progress.rest_is_due(self.pace);
    }

    /// Whatever comes is given out, from here to the end of the connection.
    pub(super) fn go_raw(&mut self) {
        self.request.stage = Stage::Raw;
        self.request.progress.takes_its_time();
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.request.stage, Stage::Whole)
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&mut self, most: u64) -> bool {
        self.request.progress.limit_rest(most);
        self.request.progress.fault().is_none()
            && match self.request.stage {
                Stage::Whole | Stage::Chunked(_) => true,
                Stage::Sized { left } => left <= most,
                Stage::Raw => false,
            }
    }

    /// What is known of the client.
    pub(super) fn client(&self) -> Client {
        self.client
    }

    /// What came and was not used yet.
    pub(super) fn came(&mut self) -> &mut BytesMut {
        &mut self.came
    }

    /// The wire itself, for its end.
    pub(super) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Brings more; false where no more comes.
    pub(super) async fn fill(&mut self) -> bool {
        matches!(poll_fn(|cx| self.poll_fill(cx)).await, Ok(1..))
    }

    /// Sends `bytes` and all that was collected before; false where they do not reach the client.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.write(bytes).await.is_ok() && poll_fn(|cx| self.poll_send(cx)).await.is_ok()
    }

    /// Collects `bytes`, or sends them where they are many.
    /// # Errors
    /// The client is gone.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.going.len() + bytes.len() > COLLECT {
            poll_fn(|cx| self.poll_send(cx)).await?;
        }
        while bytes.len() >= COLLECT {
            let sent = poll_fn(|cx| self.poll_out(cx, |wire, cx| wire.poll_write(cx, bytes))).await?;
            bytes.advance(sent);
        }
        self.going.extend_from_slice(bytes);
        Ok(())
    }

    /// Where an answer's head is written to; it is sent with what follows.
    pub(super) fn going(&mut self) -> &mut BytesMut {
        &mut self.going
    }

    /// Brings more of what the client sends; zero where it sends no more.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.client {
            Client::Open => {}
            Client::Ended => return Poll::Ready(Ok(0)),
            Client::Gone => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
        if self.came.is_empty() {
            // where nobody keeps the last head any more, the next one takes its place
            let _ = self.came.try_reclaim(READ);
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

    /// The next piece of the body; none at its end.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        loop {
            match self.request.stage {
                _ if self.request.progress.fault().is_some() => return Poll::Ready(Err(Broken)),
                Stage::Whole => return Poll::Ready(Ok(None)),
                Stage::Raw => return self.poll_raw(cx),
                Stage::Sized { .. } | Stage::Chunked(_) => {}
            }
            let piece = self.request.take_body(&mut self.came, self.pace);
            if self.request.progress.fault().is_none() {
                if !piece.is_empty() {
                    return Poll::Ready(Ok(Some(piece)));
                }
                if !self.is_whole() {
                    ready!(self.poll_more_body(cx))?;
                }
            }
        }
    }

    /// Waits for more of the body. What keeps it from coming is left as its fault.
    fn poll_more_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        match self.poll_fill(cx) {
            Poll::Ready(Ok(0)) => self.request.progress.fail(BodyFault::Incomplete),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken)),
            Poll::Pending => ready!(self.request.progress.poll_late(cx)),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads past what is left of the body; says whether its end was reached.
    pub(super) fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if matches!(self.request.stage, Stage::Raw) {
            return Poll::Ready(false);
        }
        loop {
            match ready!(self.poll_body(cx)) {
                Ok(Some(_)) => {}
                Ok(None) => return Poll::Ready(true),
                Err(Broken) => return Poll::Ready(false),
            }
        }
    }

    /// Ready where the client is gone or the answer is overdue, and never for a client that sends no more, or sends the next request
    /// already.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        if self.request.progress.poll_overdue(cx).is_ready() {
            return Poll::Ready(Broken);
        }
        while self.client != Client::Ended && self.came.len() < AHEAD {
            if ready!(self.poll_fill(cx)).is_err() {
                return Poll::Ready(Broken);
            }
        }
        if self.client == Client::Open { self.poll_look(cx) } else { Poll::Pending }
    }

    /// Ready where the client is gone, which nothing else tells while what it has sent is not read.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        loop {
            let look = self.look.get_or_insert_with(|| Due::after(LOOK));
            ready!(look.poll(cx));
            self.look = None;
            if self.wire.was_reset() {
                self.client = Client::Gone;
                return Poll::Ready(Broken);
            }
        }
    }

    fn poll_raw(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        if self.came.is_empty() && ready!(self.poll_fill(cx)).map_err(|_| Broken)? == 0 {
            return Poll::Ready(Ok(None));
        }
        let piece = self.came.split().freeze();
        self.request.progress.passed_raw(piece.len());
        Poll::Ready(Ok(Some(piece)))
    }

    /// Sends all that was collected.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.going.len() {
            let going = std::mem::take(&mut self.going);
            let left = going.get(self.sent..).unwrap_or_default();
            let sent = self.poll_out(cx, |wire, cx| wire.poll_write(cx, left));
            self.going = going;
            self.sent += ready!(sent)?;
        }
        self.going.clear();
        self.sent = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use scopegate_core::request::HeadLimits;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const PACE: Pace = Pace { grace: Duration::from_secs(60), per_second: 1024 };

    /// A door, and what the client sends through it.
    fn door(room: usize) -> (Door, DuplexStream) {
        let (client, ours) = duplex(room);
        (Door::new(Wire::Memory(ours), PACE), client)
    }

    fn head(lines: &str) -> Head {
        let text = format!("{}\r\n\r\n", lines.replace('\n', "\r\n"));
        Head::read(&Bytes::from(text), &HeadLimits::STANDARD).unwrap()
    }

    /// All of the body, or what came of it up to its fault.
    async fn body(door: &mut Door) -> (String, Option<BodyFault>) {
        let mut given = Vec::new();
        while let Ok(Some(piece)) = poll_fn(|cx| door.poll_body(cx)).await {
            given.put_slice(&piece);
        }
        (String::from_utf8(given).unwrap(), door.request.progress.fault())
    }

    async fn idle(door: &mut Door) -> Broken {
        poll_fn(|cx| door.poll_idle(cx)).await
    }

    #[tokio::test]
    async fn answers_arrive_whole_and_in_order_however_little_the_client_takes_at_a_time() {
        for room in [1, 4, 1024] {
            let (mut door, mut client) = door(room);
            for answer in ["the first answer", "the second"] {
                door.write(answer.as_bytes()).await.unwrap();
                let mut came = vec![0; answer.len()];
                let (sent, read) = tokio::join!(door.send(&[]), client.read_exact(&mut came));
                assert!(sent && read.is_ok(), "{room}");
                assert_eq!(came, answer.as_bytes(), "{room}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_ends_where_its_framing_says() {
        for (framing, sent, content, left) in [
            ("Content-Length: 3", "abcGET /next", "abc", "GET /next"),
            ("Content-Length: 0", "GET /next", "", "GET /next"),
            ("X-No: body", "GET /next", "", "GET /next"),
            ("Transfer-Encoding: chunked", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /next", "abc", "GET /next"),
            ("Transfer-Encoding: chunked", "2\r\nab\r\n0\r\nX-Trailer: t\r\n\r\nGET", "ab", "GET"),
            ("Transfer-Encoding: chunked", "00\r\n\r\n", "", ""),
        ] {
            // Also where the client sends no more than a byte at a time.
            for room in [1, 1024] {
                let (mut door, mut client) = door(room);
                door.begin(&head(&format!("PUT / HTTP/1.1\nHost: a\n{framing}")));
                let sends = async {
                    client.write_all(sent.as_bytes()).await.unwrap();
                    std::future::pending().await
                };
                // A door that has seen enough reads no more.
                let read = tokio::select! { read = body(&mut door) => read, read = sends => read };
                assert_eq!(read, (content.to_owned(), None), "{framing}: {sent}");
                assert_eq!(door.request.progress.received(), content.len() as u64);
                assert!(left.as_bytes().starts_with(door.came()), "{framing}: what came behind stays");
            }
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
            let (mut door, mut client) = door(1024);
            client.write_all(sent.as_bytes()).await.unwrap();
            if ends {
                AsyncWriteExt::shutdown(&mut client).await.unwrap();
            }
            door.begin(&head(&format!("PUT / HTTP/1.1\nHost: a\n{framing}")));
            door.limit_body(8);
            assert_eq!(body(&mut door).await.1, fault, "{framing}: {sent}");
        }
        let (mut door, mut client) = door(1024);
        client.write_all(b"zz\r\n").await.unwrap();
        door.begin(&head("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"));
        assert!(matches!(body(&mut door).await.1, Some(BodyFault::Ambiguous(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_its_pace_may_take_longer_than_the_grace() {
        let (mut door, mut client) = door(1024);
        door.begin(&head("PUT / HTTP/1.1\nHost: a\nContent-Length: 102400"));
        let sends = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(&[b'x'; 1024]).await.unwrap();
            }
        };
        let ((given, fault), ()) = tokio::join!(body(&mut door), sends);
        assert_eq!((given.matches('x').count(), fault, door.request.progress.received()), (102_400, None, 102_400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_more_is_no_news_and_one_that_is_gone_is() {
        let (mut door, mut client) = door(1024);
        door.begin(&head("GET / HTTP/1.1\nHost: a"));
        client.write_all(b"GET /next").await.unwrap();
        AsyncWriteExt::shutdown(&mut client).await.unwrap();
        let waits = tokio::time::timeout(Duration::from_secs(3600), idle(&mut door));
        assert!(waits.await.is_err(), "neither bytes nor an end");
        assert_eq!((door.client(), &door.came()[..]), (Client::Ended, &b"GET /next"[..]));
        drop(client);
        assert!(!door.send(b"answer").await);
        assert_eq!(door.client(), Client::Gone);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_overdue_ends_the_wait() {
        let (mut door, _client) = door(1024);
        door.begin(&head("GET / HTTP/1.1\nHost: a"));
        door.request.progress.await_answer(Duration::from_secs(60));
        door.request.progress.await_no_answer();
        door.request.progress.await_answer(Duration::from_secs(10));
        let early = tokio::time::timeout(Duration::from_millis(9_999), idle(&mut door));
        assert!(early.await.is_err());
        assert_eq!(idle(&mut door).await, Broken);
        assert!(door.request.progress.answer_is_overdue());
    }

    #[tokio::test]
    async fn a_raw_connection_gives_all_that_comes_and_ends_with_the_client() {
        let (mut door, mut client) = door(1024);
        door.begin(&head("GET / HTTP/1.1\nHost: a"));
        client.write_all(b"sent ahead, ").await.unwrap();
        assert_eq!(body(&mut door).await.0, "");
        door.go_raw();
        client.write_all(b"and after").await.unwrap();
        AsyncWriteExt::shutdown(&mut client).await.unwrap();
        assert_eq!(body(&mut door).await.0, "sent ahead, and after");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_for_a_minute_counts_as_gone() {
        let (mut door, mut client) = door(16);
        let takes = async {
            for _ in 0..3 {
                tokio::time::sleep(STALLS - Duration::from_secs(1)).await;
                client.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let (sent, ()) = tokio::join!(door.send(&[b'x'; 100]), takes);
        assert_eq!((sent, door.client()), (false, Client::Gone));
    }
}
