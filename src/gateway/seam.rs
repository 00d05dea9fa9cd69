//! What the gateway and the proxy say to each other about one request: values only.
//!
//! The proxy owns sockets and framing and knows no policy; the gateway owns every
//! decision and knows no socket. Each request is one `Exchange`, whose methods the
//! proxy calls in this order:
//!
//! ```text
//! begin -> admit -> [admit_body] -> (Refuse | Forward -> [failed | answered -> body_out ...]) -> finish
//! ```
//!
//! `body_failed` may come at any time after `admit`. An exchange that is dropped
//! without `finish` still leaves its audit event.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use scopegate_core::request::{Ambiguity, OutgoingHead};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a request came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Our end of it.
    pub local: SocketAddr,
}

/// An answer that Scopegate makes itself. The proxy adds `content-length`, `date` and `connection`, and leaves the body
/// out where the request's method wants none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// From 200 to 599.
    pub status: u16,
    /// In order; without framing.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// All of it.
    pub body: Bytes,
}

/// What to do with a request next.
#[derive(Debug)]
pub enum Step {
    /// Send it to the upstream.
    Forward(Box<Forward>),
    /// Policy reads its body: bring all of it, at most `limit` bytes.
    ReadBody {
        /// In bytes; one more is `BodyFault::TooLarge`.
        limit: usize,
    },
    /// Answer it here.
    Refuse(Answer),
}

/// A request as it leaves, and where to.
#[derive(Debug)]
pub struct Forward {
    /// Method, target and headers, credential included; `host` among them, framing left to the proxy.
    pub head: OutgoingHead,
    /// Addresses that egress allows, best first; the proxy dials no other.
    pub addresses: Arc<[SocketAddr]>,
    /// The name that the upstream's certificate must hold; none for plain http.
    pub tls: Option<String>,
    /// The body that is sent, instead of the one that was brought; none: as it comes.
    pub body: Option<Bytes>,
    /// The most bytes that a body which nobody reads may have.
    pub body_limit: u64,
    /// Whether the upstream may answer 101 and take the connection over.
    pub websocket: bool,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long the head of the answer may take once the request is sent.
    pub head_timeout: Duration,
    /// How long nothing at all may move after that.
    pub idle_timeout: Duration,
    /// Pooled connections are shared within one key only.
    pub group_key: u64,
}

/// How much of the request's body could be sent a second time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyAtHand {
    /// There is no body.
    None,
    /// All of it.
    Whole,
    /// Not all of it: it is too large, or has not all come yet.
    Gone,
}

/// What becomes of the upstream's answer.
#[derive(Debug)]
pub enum Reply {
    /// It passes, with exactly these headers (names in lower case); framing is left to the proxy, a `content-length` among them holds.
    Pass {
        /// In order.
        headers: Vec<(HeaderName, HeaderValue)>,
    },
    /// The request is sent once more, so.
    Replay(Box<Forward>),
    /// Scopegate answers instead.
    Refuse(Answer),
}

/// What kept an upstream from answering.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamFailure {
    /// No connection, or no TLS, to any of the addresses: it got nothing.
    Unreachable,
    /// It took too long; it may have got the request.
    Timeout,
    /// It broke off, or what it sent is no HTTP; it may have got the request.
    Broken,
}

/// What is wrong with a body that is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyFault {
    /// More bytes than its limit.
    TooLarge,
    /// Its framing has more than one reading.
    Ambiguous(Ambiguity),
    /// The client ended before the body did.
    Incomplete,
    /// It came too slowly.
    TooSlow,
}

/// How an exchange ended for the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The whole answer was sent.
    Sent {
        /// The status that the client saw.
        status: u16,
    },
    /// The upstream broke off in the middle of its answer, or the request's own body was at fault then, and so did we.
    CutShort {
        /// The status that the client saw.
        status: u16,
    },
    /// The client left before it had its answer.
    ClientGone,
}
