//! Connections to upstreams: made by pingora, and kept for others.
//!
//! Those that speak HTTP/1 are kept here: pingora's own pool starts a task for each one that waits, which costs more than the rest of
//! keeping it. Those that speak HTTP/2 carry many requests at once, and stay with pingora.

use super::sluice::Sluice;
use super::upstream::Link;
use crate::tasks::Tasks;
use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use memchr::memchr_iter;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::protocols::ALPN;
use pingora::protocols::Stream;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v1::client::HttpSession as Http1;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::interval;

/// How often idle connections are looked after, and how many such times one is kept: a minute in all.
const LOOK: Duration = Duration::from_secs(10);
const LOOKS: u8 = 6;
/// How long an idle connection over HTTP/2 is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Requests at once on one connection to an upstream, how often it is asked whether it is alive, and how much of one answer may come ahead;
/// of all answers together so much that none which its client does not take holds up another's.
const STREAMS: u32 = 100;
const ALIVE: Duration = Duration::from_secs(15);
const WINDOW: u32 = 256 * 1024;

/// Where a connection goes, and what it may be used for.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    pub(super) address: SocketAddr,
    /// The name that its certificate must hold; none for plain http.
    pub(super) tls: Option<&'a str>,
    /// Whether nothing but HTTP/1 will do.
    pub(super) http1: bool,
    /// Connections are shared within one group only.
    pub(super) group: u64,
    /// How long connecting may take, TLS included.
    pub(super) timeout: Duration,
}

type Key = (SocketAddr, u64);

/// The pool of all connections.
pub(super) struct Pool {
    connector: Connector,
    idle: Arc<Mutex<Idle>>,
}

/// HTTP/1 connections that nobody uses.
#[derive(Debug, Default)]
struct Idle {
    most: usize,
    count: usize,
    by_key: HashMap<Key, Vec<Waiting>, foldhash::fast::FixedState>,
}

#[derive(Debug)]
struct Waiting {
    stream: Stream,
    /// How often it was looked after.
    looks: u8,
}

impl Pool {
    /// Keeps at most so many idle connections; upstreams must show certificates of `bundle`, which is read here.
    pub(super) fn new(bundle: &Path, most: usize, tasks: &Tasks) -> Self {
        let mut options = ConnectorOptions::new(most);
        options.ca_file = Some(bundle.to_string_lossy().into_owned());
        let idle = Arc::new(Mutex::new(Idle { most, ..Idle::default() }));
        let (looked_after, ends) = (Arc::downgrade(&idle), tasks.token());
        tasks.spawn("idle connections", async move {
            tokio::select! {
                () = ends.cancelled() => {}
                () = look_after(looked_after) => {}
            }
        });
        Self { connector: Connector::new(Some(options)), idle }
    }

    /// A connection, the one that was used last if there is any; in a box, because it is large and goes from hand to hand.
    /// # Errors
    /// There is none to be had.
    pub(super) async fn connect(&self, to: &Peer<'_>) -> Result<(Box<HttpSession>, Link)> {
        if let Some(stream) = lock(&self.idle).take(&to.key()) {
            return Ok((over_http1(stream), Link::Pooled));
        }
        // in a box of its own: it takes many times the room of all else that a request waits for
        let (session, reused) = Box::pin(self.connector.get_http_session(&to.for_pingora()?)).await?;
        let session = match session {
            HttpSession::H1(session) => over_http1(Box::new(Sluice::new(session.into_inner()))),
            other @ (HttpSession::H2(_) | HttpSession::Custom(())) => Box::new(other),
        };
        Ok((session, if reused { Link::Pooled } else { Link::Fresh }))
    }

    /// Keeps what a whole answer has left.
    pub(super) async fn keep(&self, mut session: Box<HttpSession>, to: &Peer<'_>) {
        if let HttpSession::H1(session) = &mut *session {
            session.respect_keepalive();
            if is_doubtful(session) {
                return;
            }
        }
        match *session {
            HttpSession::H1(session) => {
                if let Some(stream) = session.reuse().await {
                    let refused = lock(&self.idle).put(to.key(), stream);
                    drop(refused);
                }
            }
            other @ (HttpSession::H2(_) | HttpSession::Custom(())) => self.let_go(other, to).await,
        }
    }

    /// Leaves a stream's connection to others, however the stream ended. One of HTTP/1 ends.
    pub(super) async fn let_go(&self, session: HttpSession, to: &Peer<'_>) {
        if let (HttpSession::H2(_), Ok(peer)) = (&session, to.for_pingora()) {
            Box::pin(self.connector.release_http_session(session, &peer, Some(IDLE))).await;
        }
    }
}

impl Peer<'_> {
    fn key(&self) -> Key {
        (self.address, self.group << 1 | u64::from(self.http1))
    }

    fn for_pingora(&self) -> Result<HttpPeer> {
        // an IPv6 address stands in a certificate without its brackets
        let name = self.tls.map(|name| name.trim_start_matches('[').trim_end_matches(']'));
        // without a name pingora would take any certificate
        if name.is_some_and(str::is_empty) {
            return Error::err(ErrorType::InvalidCert);
        }
        let mut peer = HttpPeer::new(self.address, name.is_some(), name.unwrap_or_default().to_owned());
        if name.is_some() && !self.http1 {
            peer.options.alpn = ALPN::H2H1;
            peer.options.max_h2_streams = STREAMS as usize;
            peer.options.h2_ping_interval = Some(ALIVE);
            peer.options.h2_stream_window_size = Some(WINDOW);
            peer.options.h2_connection_window_size = Some(STREAMS * WINDOW);
        }
        // pingora's pool does not look at protocols
        (_, peer.group_key) = self.key();
        peer.options.connection_timeout = Some(self.timeout);
        peer.options.total_connection_timeout = Some(self.timeout);
        peer.options.idle_timeout = Some(IDLE);
        Ok(peer)
    }
}

impl Idle {
    /// The one that was used last of those that are still good.
    fn take(&mut self, key: &Key) -> Option<Stream> {
        let all = self.by_key.get_mut(key)?;
        while let Some(mut waiting) = all.pop() {
            self.count -= 1;
            if is_silent(&mut waiting.stream) {
                return Some(waiting.stream);
            }
        }
        None
    }

    /// Gives it back where there is no room, or where it is of no use any more.
    fn put(&mut self, key: Key, mut stream: Stream) -> Option<Stream> {
        if self.count >= self.most || !is_silent(&mut stream) {
            return Some(stream);
        }
        self.count += 1;
        self.by_key.entry(key).or_default().push(Waiting { stream, looks: 0 });
        None
    }

    /// Takes out all that are closed, or have been here for long.
    fn old(&mut self) -> Vec<Waiting> {
        let mut old = Vec::new();
        for all in self.by_key.values_mut() {
            old.extend(all.extract_if(.., |waiting| {
                waiting.looks += 1;
                waiting.looks > LOOKS || !is_silent(&mut waiting.stream)
            }));
        }
        self.by_key.retain(|_, all| !all.is_empty());
        self.count -= old.len();
        old
    }
}

fn over_http1(stream: Stream) -> Box<HttpSession> {
    Box::new(HttpSession::H1(Http1::new(stream)))
}

/// Whether what was answered leaves no other request to the connection. pingora sees to most of that, but reads one `Connection` alone (RFC
/// 9112, section 9.6), and drops a length where there are chunks too: to somebody else that may have been two answers (section 6.3).
fn is_doubtful(session: &Http1) -> bool {
    let chunks_too = |headers: &HeaderMap| headers.contains_key(TRANSFER_ENCODING) && says_length(session);
    session.resp_header().is_none_or(|head| says_close(&head.headers) || chunks_too(&head.headers))
}

/// Whether any `Connection` says `close`.
fn says_close(headers: &HeaderMap) -> bool {
    let options = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Whether the head said a length, as it came.
fn says_length(session: &Http1) -> bool {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    let head = session.get_headers_raw_bytes();
    let mut lines = memchr_iter(b'\n', &head).filter_map(|end| head.get(end + 1..));
    lines.any(|line| line.get(..name.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(name)))
}

/// Whether the other end says nothing, as it should where nobody has asked: what it says now would be taken for the answer to another
/// request.
fn is_silent(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let nobody = &mut Context::from_waker(Waker::noop());
    Pin::new(stream).poll_read(nobody, &mut ReadBuf::new(&mut byte)).is_pending()
}

async fn look_after(idle: Weak<Mutex<Idle>>) {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let Some(idle) = idle.upgrade() else { return };
        let old = lock(&idle).old();
        // they are closed while nobody waits for the pool
        drop(old);
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::protocols::l4::stream::Stream as Tcp;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    /// A connection, and its other end.
    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (Box::new(Tcp::from(ours.unwrap())), theirs.unwrap().0)
    }

    fn key(group: u64) -> Key {
        (SocketAddr::from(([127, 0, 0, 1], 80)), group)
    }

    fn idle(most: usize) -> Idle {
        Idle { most, ..Idle::default() }
    }

    /// Until what the other end did is here.
    async fn until_heard(idle: &mut Idle) {
        while idle.by_key.values_mut().flatten().all(|waiting| is_silent(&mut waiting.stream)) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_connection_is_there_for_its_own_group_and_once() {
        let mut idle = idle(8);
        let (stream, _theirs) = pair().await;
        assert!(idle.put(key(1), stream).is_none());
        assert!(idle.take(&key(2)).is_none());
        assert!(idle.take(&key(1)).is_some());
        assert!(idle.take(&key(1)).is_none());
        assert_eq!(idle.count, 0);
    }

    #[tokio::test]
    async fn what_has_ended_or_speaks_unasked_is_given_to_nobody() {
        for speaks in [true, false] {
            let mut idle = idle(8);
            let (stream, mut theirs) = pair().await;
            assert!(idle.put(key(1), stream).is_none());
            if speaks {
                theirs.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            } else {
                theirs.shutdown().await.unwrap();
            }
            until_heard(&mut idle).await;
            assert!(idle.take(&key(1)).is_none(), "speaks: {speaks}");
            assert_eq!(idle.count, 0);
        }
    }

    #[tokio::test]
    async fn no_more_are_kept_than_may_be_and_none_for_longer_than_a_minute() {
        let mut idle = idle(2);
        let mut others = Vec::new();
        for kept in [true, true, false] {
            let (stream, theirs) = pair().await;
            others.push(theirs);
            assert_eq!(idle.put(key(others.len() as u64), stream).is_none(), kept);
        }
        for _ in 0..LOOKS {
            assert_eq!(idle.old().len(), 0);
        }
        assert_eq!((idle.old().len(), idle.count, idle.by_key.len()), (2, 0, 0));
    }
}
