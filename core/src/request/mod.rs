//! A request with exactly one reading.
//!
//! Bytes of the network are parsed here and nowhere else. What two servers could
//! read differently is an [`Ambiguity`], never repaired. What was read is what is
//! decided and what is sent.

mod allowed;
mod ambiguity;
mod chunks;
mod escape;
mod framing;
mod head;
mod headers;
mod host;
mod line;
mod method;
mod outgoing;
mod path;
mod query;
mod scanner;
mod target;

pub(crate) use allowed::is_common;
pub use allowed::{ForbiddenHeader, HeaderPattern};
pub use ambiguity::Ambiguity;
pub use chunks::{ChunkReader, Fed};
pub(crate) use escape::{decode_leniently as decoded_leniently, encoded};
pub use framing::{Framing, StreamBody};
pub use head::{Head, HeadFault, HeadFaultReason, HeadLimits, Version};
pub use headers::Headers;
pub use host::Host;
pub(crate) use host::{is_host, is_port, split_port};
pub use method::Method;
pub(crate) use outgoing::is_named;
pub use outgoing::{OutgoingError, OutgoingHead, dropped_headers};
pub use path::{CanonicalPath, Encoded};
pub(crate) use query::is_override;
pub use query::{Parameter, Query, Suspect};
pub use scanner::{HeadScanner, Scan};
pub use target::Target;

use bytes::Bytes;

const PART: Ambiguity = Ambiguity::new("batch-part-framing", "a part of the batch announces a body or a protocol that is not there");

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

/// A body, as far as it is known. `Debug` shows its length alone.
#[derive(Clone, Eq, PartialEq)]
pub enum Body {
    /// There is none.
    None,
    /// There is one; nobody has read it.
    Unread,
    /// All of it.
    Whole(Bytes),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => to.write_str("None"),
            Self::Unread => to.write_str("Unread"),
            Self::Whole(body) => write!(to, "Whole({} bytes)", body.len()),
        }
    }
}

impl Request {
    /// Reads a request from its parts, for dry runs, tests and `explain`. `target` is without the segment that names the connector; without
    /// `body`, the headers say whether there is one.
    /// # Errors
    /// Whatever would have more than one reading on the wire.
    pub fn read(method: &str, target: &str, headers: &[(String, String)], body: Option<Bytes>) -> Result<Self, Ambiguity> {
        let method: Method = method.parse()?;
        Self::new(method, target.parse()?, headers, body)
    }

    /// A part of a batch, whose body is all there.
    /// # Errors
    /// Whatever would have more than one reading on the wire.
    pub(crate) fn part(method: &str, target: Target, headers: &[(String, String)], body: Option<Bytes>) -> Result<Self, Ambiguity> {
        let request = Self::new(method.parse()?, target, headers, body)?;
        if request.body == Body::Unread || request.websocket { Err(PART) } else { Ok(request) }
    }

    /// How long its body is, as far as that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match Framing::of(self) {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked => None,
        }
    }

    fn new(method: Method, target: Target, headers: &[(String, String)], body: Option<Bytes>) -> Result<Self, Ambiguity> {
        let Target { path, query } = target;
        let field = |(name, value): &(String, String)| {
            let name = headers::read_name(name.as_bytes())?;
            headers::read_value(value.as_bytes()).map(|value| (name, Bytes::copy_from_slice(value)))
        };
        let read: Headers = headers.iter().map(field).collect::<Result<_, _>>()?;
        read.judge()?;
        let framing = Framing::read(&read, Version::Http11)?;
        let websocket = head::is_websocket(&method, &read);
        Ok(Self { method, path, query, headers: read, websocket, body: body.map_or_else(|| framing.body(), Body::Whole) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str, headers: &[(&str, &str)], body: Option<&'static str>) -> Result<Request, &'static str> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request::read(method, target, &headers, body.map(Bytes::from)).map_err(|ambiguity| ambiguity.code)
    }

    #[test]
    fn a_dry_run_reads_as_the_wire_does() {
        let request = read("POST", "/v1/%41?b", &[("Content-Type", " text/plain ")], Some("x")).unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str(), request.websocket), ("/v1/A", Some("b"), false));
        assert_eq!((request.headers.get("content-type").unwrap().as_ref(), request.body), (&b"text/plain"[..], Body::Whole("x".into())));
        assert_eq!(read("GET", "/", &[("Content-Length", "5")], None).unwrap().body, Body::Unread);
        assert_eq!(read("GET", "/", &[("Content-Length", "0")], None).unwrap().body, Body::None);
        assert!(read("GET", "/", &[("Connection", "Upgrade"), ("Upgrade", "websocket")], None).unwrap().websocket);
        for (method, target, headers, reason) in [
            ("get", "/", &[][..], "method"),
            ("GET", "/a//b", &[], "empty-segment"),
            ("GET", "/a?b=%", &[], "query-escape"),
            ("GET", "/a", &[("X A", "b")], "header-name"),
            ("GET", "/a", &[("X-A", "b\nc")], "header-value"),
            ("GET", "/a", &[("X-Method-Override", "b")], "method-override"),
            ("PUT", "/a", &[("Content-Length", "1"), ("Transfer-Encoding", "chunked")], "two-lengths"),
        ] {
            assert_eq!(read(method, target, headers, None).map(|_| ()), Err(reason), "{method} {target} {headers:?}");
        }
    }

    #[test]
    fn debug_shows_no_value_of_a_request() {
        let headers = [("Authorization".to_owned(), "canary-1".to_owned())];
        let request = Request::read("POST", "/v1/a?b=canary-2", &headers, Some("canary-3".into())).unwrap();
        let shown = format!("{request:?}");
        assert!(!shown.contains("canary") && shown.contains("authorization"), "{shown}");
    }
}
