//! A request with exactly one reading.
//!
//! Bytes of the network are parsed here and nowhere else. What two servers could
//! read differently is an [`Ambiguity`], never repaired. What was read is what is
//! decided and what is sent.

mod allowed;
mod ambiguity;
mod chunks;
mod framing;
mod head;
mod headers;
mod host;
mod method;
mod outgoing;
mod path;
mod query;
mod scanner;
mod target;

pub use allowed::{ForbiddenHeader, HeaderPattern};
pub use ambiguity::Ambiguity;
pub use chunks::{ChunkReader, Fed};
pub use framing::{Framing, StreamBody};
pub use head::{Head, HeadFault, HeadFaultReason, HeadLimits, Version};
pub use headers::Headers;
pub use host::Host;
pub use method::Method;
pub use outgoing::{OutgoingError, OutgoingHead, dropped_headers};
pub use path::{CanonicalPath, Encoded};
pub use query::{Parameter, Query, Suspect};
pub use scanner::{HeadScanner, Scan};
pub use target::Target;

use bytes::Bytes;

/// A request with exactly one reading, as the connector sees it: without the segment that names the connector.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: CanonicalPath,
    /// Its query.
    pub query: Query,
    /// Its headers, as they came.
    pub headers: Headers,
    /// Whether it asks to become a WebSocket.
    pub websocket: bool,
    /// Its body, as far as it is known.
    pub body: Body,
}

/// A body, as far as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// There is none.
    None,
    /// There is one; nobody has read it.
    Unread,
    /// All of it.
    Whole(Bytes),
}

impl Request {
    /// Reads a request from its parts, for dry runs, tests and `explain`. `target` is without the segment that names the connector; without
    /// `body`, the headers say whether there is one.
    /// # Errors
    /// Whatever would have more than one reading on the wire.
    pub fn read(_method: &str, _target: &str, _headers: &[(String, String)], _body: Option<Bytes>) -> Result<Self, Ambiguity> {
        todo!()
    }
}
