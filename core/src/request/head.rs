//! Heads of requests: one type for HTTP/1 and HTTP/2.

use super::{Ambiguity, CanonicalPath, Framing, Headers, Host, Method, Request, StreamBody, Target};
use bytes::Bytes;

/// The head of a request with exactly one reading, as it came: the connector still stands in the target or in the host.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its method.
    pub method: Method,
    /// Its target, in origin form.
    pub target: Target,
    /// Its protocol.
    pub version: Version,
    /// The host that it was sent to.
    pub host: Host,
    /// Its headers in order.
    pub headers: Headers,
    /// Where its body ends.
    pub framing: Framing,
    /// Whether another request may follow on this connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether it asks to become a WebSocket. Every other `Upgrade` is ignored (RFC 9110 section 7.8).
    pub websocket: bool,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.0: answered, then closed.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// How large a head may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeadLimits {
    /// Bytes, the request line and the empty line included.
    pub bytes: usize,
    /// Header fields.
    pub headers: usize,
}

impl HeadLimits {
    /// 32 KiB and 100 headers.
    pub const STANDARD: Self = Self { bytes: 32 << 10, headers: 100 };
}

/// A head that is refused, with what of it could be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeadFault {
    /// Why.
    pub reason: HeadFaultReason,
    /// The method, even one that is never forwarded.
    pub method: Option<String>,
    /// The target, where it has one reading.
    pub target: Option<Target>,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadFaultReason {
    /// It has more than one reading: 400.
    Ambiguous(Ambiguity),
    /// It is larger than the limits: 431.
    TooLarge,
    /// It did not come whole within its time: 408.
    TooSlow,
}

impl Head {
    /// Reads an HTTP/1 head that [`HeadScanner`](super::HeadScanner) found: it ends with its empty line. Header values share `bytes`.
    /// # Errors
    /// Whatever has more than one reading, or is larger than `limits`. The connection cannot be used any further.
    pub fn read(_bytes: &Bytes, _limits: &HeadLimits) -> Result<Self, HeadFault> {
        todo!()
    }

    /// Reads the head of an HTTP/2 request; the same rules hold as far as the protocol leaves something to judge.
    /// # Errors
    /// As for [`read`](Self::read); only this stream is at fault.
    pub fn from_http2(_parts: &http::request::Parts, _body: StreamBody, _limits: &HeadLimits) -> Result<Self, HeadFault> {
        todo!()
    }

    /// The request as its connector sees it: `path` without the segment that named the connector.
    #[must_use]
    pub fn request(&self, _path: CanonicalPath) -> Request {
        todo!()
    }
}
