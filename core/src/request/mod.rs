//! A request with exactly one reading.
//!
//! Bytes of the network are parsed here and nowhere else. What two servers could
//! read differently is an [`Ambiguity`], never repaired. What was read is what is
//! decided and what is sent.

mod ambiguity;
mod headers;
mod method;
mod path;
mod query;

pub use ambiguity::Ambiguity;
pub use headers::Headers;
pub use method::Method;
pub use path::{CanonicalPath, Encoded};
pub use query::{Parameter, Query, Suspect};

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
