//! A request on its way to the upstream.

use super::connection::Next;
use super::door::Client;
use super::side::Side;
use crate::gateway::{Answer, BodyAtHand, BodyEnd, BodyFault, Ending, Exchange, Forward, Step};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, request};
use pingora::http::RequestHeader;
use pingora::protocols::ALPN;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result, RetryType};
use scopegate_core::request::{Framing, Head, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an idle connection to an upstream is kept.
const POOLED: Duration = Duration::from_secs(60);
/// Requests at once on one connection to an upstream, how often it is asked whether it is alive, and how much of one answer may come ahead.
const STREAMS: usize = 100;
const ALIVE: Duration = Duration::from_secs(15);
const WINDOW: u32 = 1 << 20;
/// So many addresses of an upstream are tried, each time that a request is sent.
const ADDRESSES: usize = 3;
/// Attempts that pingora makes for one request: it is sent, and once more with another token, and one pooled connection may be dead.
pub(super) const ATTEMPTS: usize = 2 * ADDRESSES + 1;

/// One request while pingora has it.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) head: Arc<Head>,
    pub(super) side: Side,
    pub(super) exchange: Box<Exchange>,
    /// What the gateway has said to it already.
    first: Option<Step>,
    pub(super) forward: Option<Box<Forward>>,
    /// What is answered although the upstream said something else.
    pub(super) instead: Option<Answer>,
    /// Whether the next attempt is the gateway's wish.
    pub(super) replays: bool,
    /// Whether this attempt was answered.
    pub(super) heard: bool,
    /// Whether what the client sees comes from Scopegate itself.
    pub(super) spoke: bool,
    /// Which of the addresses is dialled.
    address: usize,
    /// How often another address was turned to since the request was sent, or sent once more.
    turns: usize,
    /// Whether a pooled connection turned out to be dead.
    pool_failed: bool,
    /// Whether a client that waits for `100 Continue` was told to go on.
    told_to_go_on: bool,
    /// Bytes of the body that the exchange knows of.
    counted: u64,
    pub(super) leaves: oneshot::Sender<Departure>,
}

/// How a connection to an upstream was come by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// Made for this request.
    Fresh,
    /// Left by another.
    Pooled,
}

/// What remains of a visit.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) exchange: Box<Exchange>,
    pub(super) ending: Ending,
    pub(super) next: Next,
}

/// The whole body of a stream, which keeps it to send it then.
async fn collected(session: &mut Session) -> Result<Bytes> {
    session.enable_retry_buffering();
    let mut body = BytesMut::new();
    while let Some(more) = session.read_request_body().await? {
        body.extend_from_slice(&more);
    }
    Ok(body.freeze())
}

impl Visit {
    /// A visit, and where to find what remains of it; `first` is what the gateway has said to it already.
    pub(super) fn new(head: Arc<Head>, side: Side, exchange: Box<Exchange>, first: Option<Step>) -> (Self, oneshot::Receiver<Departure>) {
        let (leaves, left) = oneshot::channel();
        let visit = Self {
            head,
            side,
            exchange,
            first,
            forward: None,
            instead: None,
            replays: false,
            heard: false,
            spoke: false,
            address: 0,
            turns: 0,
            pool_failed: false,
            told_to_go_on: false,
            counted: 0,
            leaves,
        };
        (visit, left)
    }

    /// Asks the gateway; answers here (true) or lets the request go on (false).
    pub(super) async fn admit(&mut self, session: &mut Session) -> Result<bool> {
        session.set_read_timeout(None); // the door has deadlines of its own, in both directions
        session.set_abort_on_close(false);
        session.set_close_on_response_before_downstream_finish(false);
        session.set_total_drain_timeout(Some(Duration::ZERO));
        let mut step = match self.first.take() {
            Some(step) => step,
            None => self.exchange.admit(Ok(self.head.clone())).await,
        };
        loop {
            step = match step {
                Step::Forward(forward) => {
                    self.side.limit_body(forward.body_limit);
                    self.forward = Some(forward);
                    self.tell_to_go_on(session).await?;
                    session.set_ignore_info_resp(true);
                    return Ok(false);
                }
                Step::ReadBody { limit } => match self.whole_body(session, limit).await? {
                    Ok(body) => self.exchange.admit_body(body).await,
                    Err(fault) => Step::Refuse(self.exchange.body_failed(fault)),
                },
                Step::Refuse(answer) => {
                    self.respond(session, answer).await?;
                    return Ok(true);
                }
            };
        }
    }

    /// The whole body; pingora gets it too, and sends it where the request goes on.
    async fn whole_body(&mut self, session: &mut Session, limit: usize) -> Result<Result<Bytes, BodyFault>> {
        self.tell_to_go_on(session).await?;
        self.side.limit_body(limit as u64);
        let body = match &self.side {
            Side::Http1(door) => door.whole_body(&self.head).await.map_err(|_| Error::new_down(ErrorType::ConnectionClosed)),
            Side::Http2(door) => {
                door.keep_body(limit);
                collected(session).await
            }
        };
        if let Some(fault) = self.side.fault() {
            return Ok(Err(fault));
        }
        let body = body?;
        self.count_body();
        Ok(Ok(body))
    }

    async fn tell_to_go_on(&mut self, session: &mut Session) -> Result<()> {
        if self.waits_for_word() {
            session.write_continue_response().await?;
            self.told_to_go_on = true;
        }
        Ok(())
    }

    /// Whether the client sends its body only when told to.
    pub(super) fn waits_for_word(&self) -> bool {
        self.head.expects_continue && !self.told_to_go_on && !self.side.is_whole() && self.head.version != Version::Http10
    }

    pub(super) fn count_body(&mut self) {
        let received = self.side.received();
        self.exchange.body_in(usize::try_from(received - self.counted).unwrap_or(usize::MAX));
        self.counted = received;
    }

    fn forward(&self) -> Result<&Forward> {
        self.forward.as_deref().ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    /// Where the next attempt goes.
    pub(super) fn peer(&self) -> Result<Box<HttpPeer>> {
        let forward = self.forward()?;
        let address = forward.addresses.get(self.address).ok_or_else(|| Error::new_up(ErrorType::ConnectNoRoute))?;
        // an IPv6 address stands in a certificate without its brackets
        let name = forward.tls.as_deref().map(|name| name.trim_start_matches('[').trim_end_matches(']'));
        // without a name pingora would take any certificate
        if name.is_some_and(str::is_empty) {
            return Err(Error::new_in(ErrorType::InvalidCert));
        }
        let mut peer = HttpPeer::new(address, name.is_some(), name.unwrap_or_default().to_owned());
        // an upgrade is HTTP/1's alone, and a client of HTTP/1.0 cannot be sent an answer of unknown length in chunks
        let http1 = self.head.websocket || self.head.version == Version::Http10;
        if name.is_some() && !http1 {
            peer.options.alpn = ALPN::H2H1;
            peer.options.max_h2_streams = STREAMS;
            peer.options.h2_ping_interval = Some(ALIVE);
            peer.options.h2_stream_window_size = Some(WINDOW);
            peer.options.h2_connection_window_size = Some(4 * WINDOW);
        }
        // pingora's pool does not look at protocols
        peer.group_key = forward.group_key << 1 | u64::from(http1);
        peer.options.connection_timeout = Some(forward.connect_timeout);
        peer.options.total_connection_timeout = Some(forward.connect_timeout);
        peer.options.read_timeout = Some(forward.idle_timeout);
        peer.options.write_timeout = Some(forward.idle_timeout);
        peer.options.idle_timeout = Some(POOLED);
        Ok(Box::new(peer))
    }

    /// The head that the upstream gets: the gateway's, and the framing of the body at hand.
    pub(super) fn leaves(&mut self, version: http::Version) -> Result<RequestHeader> {
        self.heard = false;
        let forward = self.forward()?;
        let head = &forward.head;
        let request = RequestHeader::build_no_case(head.method.as_str(), head.path_and_query.as_bytes(), Some(0))?;
        // pingora would make a second name for each header, in the case in which it once came
        let mut parts = request::Parts::from(request);
        parts.headers.reserve(head.headers.len() + 1);
        for (name, value) in &head.headers {
            let value = HeaderValue::from_maybe_shared(value.clone()).or_else(|_| Error::err(ErrorType::InvalidHTTPHeader))?;
            parts.headers.append(name, value);
        }
        let mut request = RequestHeader::from(parts);
        let framing = forward.body.as_ref().map_or(self.head.framing, |body| Framing::Length(body.len() as u64));
        if version == http::Version::HTTP_2 {
            request.set_version(version);
            if let Framing::Length(length) = framing {
                request.insert_header("content-length", length.to_string())?;
            }
            return Ok(self.departs_upwards(request));
        }
        match framing {
            // without it pingora would announce a body, which an offer to change the protocol has only on its side
            Framing::None if head.websocket => request.insert_header("content-length", "0")?,
            Framing::None => {}
            Framing::Length(length) => request.insert_header("content-length", length.to_string())?,
            Framing::Chunked => request.insert_header("transfer-encoding", "chunked")?,
        }
        Ok(self.departs_upwards(request))
    }

    fn departs_upwards(&mut self, request: RequestHeader) -> RequestHeader {
        if let Some(forward) = &self.forward {
            self.side.await_answer(forward.head_timeout);
        }
        self.exchange.upstream_begins();
        request
    }

    /// A piece of the body goes up. A body that was written anew goes instead of the one that was read whole.
    pub(super) fn body_passes(&mut self, body: &mut Option<Bytes>, end: BodyEnd) {
        self.count_body();
        if let Some(anew) = self.forward.as_ref().and_then(|forward| forward.body.as_ref()) {
            *body = Some(if end == BodyEnd::Last { anew.clone() } else { Bytes::new() });
        }
        // where there is none, the answer has been waited for since the head
        let has_body = !matches!(self.head.framing, Framing::None | Framing::Length(0));
        if let (BodyEnd::Last, false, true, Some(forward)) = (end, self.heard, has_body, &self.forward) {
            self.side.await_answer(forward.head_timeout);
        }
    }

    /// The request is sent once more, first to the address that has just answered, where it still leads there.
    pub(super) fn goes_again(&mut self, forward: Box<Forward>) {
        let answered = self.forward.as_ref().and_then(|before| before.addresses.get(self.address)).copied();
        self.address = forward.addresses.iter().position(|address| Some(*address) == answered).unwrap_or(0);
        self.turns = 0;
        self.forward = Some(forward);
        self.replays = true;
    }

    /// Whether another address is tried after `peer` could not be reached. Nothing was sent, so any request may.
    pub(super) fn turns_to_next_address(&mut self, peer: &HttpPeer, error: &Error) -> bool {
        tracing::warn!(address = %peer._address, error = error.etype().as_str(), "upstream cannot be reached");
        self.address += 1;
        self.turns += 1;
        self.turns < ADDRESSES && self.forward.as_ref().is_some_and(|forward| self.address < forward.addresses.len())
    }

    /// Whether a request that failed on `peer` is sent once more: where the gateway wants it, or where a pooled connection had died before
    /// the upstream said a word, and sending the request twice does as much as sending it once.
    pub(super) fn tries_again(&mut self, session: &Session, peer: &HttpPeer, error: &Error, link: Link) -> bool {
        if std::mem::take(&mut self.replays) {
            return true;
        }
        tracing::debug!(address = %peer._address, error = error.etype().as_str(), ?link, "upstream broke off");
        let died = link == Link::Pooled && error.retry == RetryType::ReusedOnly;
        // an HTTP/2 upstream that goes away, refuses a stream, or wants HTTP/1 after all
        let turned_away =
            error.retry == RetryType::Decided(true) && matches!(error.etype, ErrorType::H2Error | ErrorType::H2Downgrade | ErrorType::InvalidH2);
        (died || turned_away)
            && !std::mem::replace(&mut self.pool_failed, true)
            && self.head.method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && self.side.client() != Client::Gone
    }

    /// How much of the body could be sent again.
    pub(super) fn body_at_hand(&self, session: &Session) -> BodyAtHand {
        match self.head.framing {
            Framing::None | Framing::Length(0) => BodyAtHand::None,
            Framing::Length(_) | Framing::Chunked if self.side.is_whole() && !session.as_ref().retry_buffer_truncated() => BodyAtHand::Whole,
            Framing::Length(_) | Framing::Chunked => BodyAtHand::Gone,
        }
    }
}
