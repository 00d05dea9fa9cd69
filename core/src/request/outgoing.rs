//! The head that is sent to the API, written anew.

use super::allowed::is_common;
use super::escape::{self, Plus, encoded};
use super::headers::read_value;
use super::{Body, Framing, Headers, Method, Request};
use crate::connector::variables::Variables;
use crate::connector::{Connector, NoAddress, Upstream, template::Unfilled};
use bytes::Bytes;
use http::HeaderName;
use http::header::{ACCEPT_ENCODING, CONNECTION, HOST, UPGRADE};
use std::fmt;
use std::sync::Arc;

/// Room for headers that the request did not bring: the credential, and what the connector adds.
const SPARE: usize = 6;

/// What is sent to the API: made from a request by allow-list, so that nothing passes that was not judged.
#[derive(Clone)]
pub struct OutgoingHead {
    /// As decided.
    pub method: Method,
    /// Where it goes; its path prefix stands in front of the path.
    pub upstream: Arc<Upstream>,
    /// The upstream's path prefix, the canonical path and the query as decided.
    pub path_and_query: String,
    /// Headers in order, `host` first; neither `content-length` nor `transfer-encoding` is among them.
    pub headers: Vec<(HeaderName, Bytes)>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether it asks to become a WebSocket; then `connection` and `upgrade` are among the headers.
    pub websocket: bool,
}

/// Shows neither the query nor any header's value: a credential may stand in both.
impl fmt::Debug for OutgoingHead {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("OutgoingHead").field("method", &self.method).field("origin", &self.upstream.origin).finish_non_exhaustive()
    }
}

/// Why there is no head to send.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OutgoingError {
    /// The API has no address for this account.
    #[error(transparent)]
    Address(#[from] NoAddress),
    /// A variable of a fixed header is missing.
    #[error(transparent)]
    Unfilled(#[from] Unfilled),
    /// The connector knows no other origin of this name.
    #[error("the connector has no host `{0}`")]
    UnknownHost(String),
    /// A fixed header holds what no header can.
    #[error("the fixed header `{0}` cannot be sent")]
    FixedHeader(String),
}

/// A name or a value that no header can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct IllegalHeader;

impl OutgoingHead {
    /// Writes the head of `request` for `connector`, without credential. `host` names another origin of the connector.
    /// # Errors
    /// [`OutgoingError`]: facts of connector or account that make no address or header.
    pub fn write(request: &Request, connector: &Connector, host: Option<&str>, variables: &Variables) -> Result<Self, OutgoingError> {
        let address = match host {
            None => &connector.upstream,
            Some(name) => connector.hosts.get(name).ok_or_else(|| OutgoingError::UnknownHost(name.to_owned()))?,
        };
        let mut head = Self::bare(request, address.of(variables)?);
        let sieve = Sieve::new(request, connector);
        let passing = request.headers.names_and_values().filter(|(name, value)| sieve.passes(name.as_str(), value));
        head.headers.extend(passing.map(|(name, value)| (name.clone(), value.clone())));
        if connector.scan_answers {
            head.headers.push((ACCEPT_ENCODING, Bytes::from_static(b"identity")));
        }
        if request.websocket {
            head.headers.push((CONNECTION, Bytes::from_static(b"Upgrade")));
            head.headers.push((UPGRADE, Bytes::from_static(b"websocket")));
        }
        for (name, value) in &connector.headers {
            let value = value.fill(variables)?;
            head.set_header(name, value.into_bytes()).map_err(|IllegalHeader| OutgoingError::FixedHeader(name.clone()))?;
        }
        Ok(head)
    }

    /// The head of `request` at `upstream` with no header but `host`.
    pub(crate) fn bare(request: &Request, upstream: Arc<Upstream>) -> Self {
        let (path, query) = (request.path.as_str(), request.query.as_str());
        let mut path_and_query = [upstream.prefix(), path].concat();
        if let Some(query) = query {
            path_and_query.push('?');
            path_and_query.push_str(query);
        }
        let mut headers = Vec::with_capacity(request.headers.len() + SPARE);
        headers.push((HOST, upstream.authority().clone()));
        Self { method: request.method.clone(), headers, upstream, path_and_query, framing: Framing::of(request), websocket: request.websocket }
    }

    /// Sets a header, instead of all that have its name.
    pub(crate) fn set_header(&mut self, name: &str, value: Vec<u8>) -> Result<(), IllegalHeader> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| IllegalHeader)?;
        read_value(&value).map_err(|_| IllegalHeader)?;
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        Ok(())
    }

    /// Appends a query parameter, instead of all that have its name. `name` stands as it is, `value` encoded.
    pub(crate) fn add_parameter(&mut self, name: &str, value: &str) {
        let (path, query) = self.path_and_query.split_once('?').unwrap_or((&self.path_and_query, ""));
        let others = query.split('&').filter(|piece| !piece.is_empty() && !is_named(piece, name));
        let added = format!("{name}={}", encoded(value));
        let query: Vec<&str> = others.chain([added.as_str()]).collect();
        self.path_and_query = format!("{path}?{}", query.join("&"));
    }
}

/// Whether a piece of a query is the parameter `name`.
pub(crate) fn is_named(piece: &str, name: &str) -> bool {
    let raw = piece.split_once('=').map_or(piece, |(name, _)| name);
    raw == name || escape::decode(raw, Plus::Blank).is_ok_and(|decoded| decoded == name.as_bytes())
}

/// The names of headers that `request` brought and that do not reach the API, each once, in order: for `explain`, `dev` and the debug log.
/// Headers that are the gateway's own business (framing, connection, its own names) are not told.
#[must_use]
pub fn dropped_headers(request: &Request, connector: &Connector) -> Vec<String> {
    let sieve = Sieve::new(request, connector);
    let mut dropped: Vec<String> = Vec::new();
    for (name, value) in request.headers.iter() {
        if !sieve.passes(name, value) && !is_own_business(name) && !dropped.iter().any(|known| known == name) {
            dropped.push(name.to_owned());
        }
    }
    dropped
}

fn is_own_business(name: &str) -> bool {
    name.starts_with("scopegate-")
        || matches!(name, "host" | "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "upgrade" | "expect" | "accept-encoding")
}

/// Which headers of one request pass.
struct Sieve<'a> {
    connector: &'a Connector,
    body: &'a Body,
    /// What `Connection` names: it holds for one hop alone.
    named: Vec<String>,
    protocol: Protocol,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Plain,
    WebSocket,
    Grpc,
}

impl Protocol {
    fn of(headers: &Headers, websocket: bool) -> Self {
        let grpc = headers.get("content-type").is_some_and(|value| value.starts_with(b"application/grpc"));
        match (websocket, grpc) {
            (true, _) => Self::WebSocket,
            (false, true) => Self::Grpc,
            (false, false) => Self::Plain,
        }
    }

    fn passes(self, name: &str, value: &[u8]) -> bool {
        match self {
            Self::Plain => false,
            Self::WebSocket => name.starts_with("sec-websocket-"),
            Self::Grpc => name.starts_with("grpc-") || (name == "te" && value.eq_ignore_ascii_case(b"trailers")),
        }
    }
}

impl<'a> Sieve<'a> {
    fn new(request: &'a Request, connector: &'a Connector) -> Self {
        let named = request.headers.connection().collect();
        Self { connector, body: &request.body, named, protocol: Protocol::of(&request.headers, request.websocket) }
    }

    fn passes(&self, name: &str, value: &[u8]) -> bool {
        if name != "te" && self.named.iter().any(|named| named == name) {
            return false;
        }
        match name {
            "content-encoding" => !matches!(self.body, Body::Whole(_)),
            "accept-encoding" => !self.connector.scan_answers,
            name if is_common(name) || self.protocol.passes(name, value) => true,
            name => self.connector.request_headers.iter().any(|pattern| pattern.matches(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{Inject, Template};
    use indexmap::IndexMap;

    fn connector() -> Connector {
        Connector {
            id: "desk".parse().unwrap(),
            title: "Desk".into(),
            provider: "desk".into(),
            source: None,
            upstream: Template::parse("https://{region}.desk.example/api").unwrap().into(),
            hosts: IndexMap::from([("upload".to_owned(), Template::parse("http://127.0.0.1:81").unwrap().into())]),
            variables: IndexMap::new(),
            oauth: None,
            scopes: IndexMap::new(),
            inject: Inject::default().into(),
            headers: Vec::new(),
            request_headers: ["X-Desk-Version", "x-desk-meta-*"].map(|pattern| pattern.parse().unwrap()).into(),
            refuse_headers: Vec::new(),
            allow_query: Vec::new(),
            case_insensitive_paths: false,
            scan_answers: true,
            replay_after_401: false,
            refusal: None,
        }
    }

    fn variables() -> Variables {
        Variables::from([("region".to_owned(), "eu".to_owned())])
    }

    fn request(method: &str, headers: &[(&str, &str)], body: Option<&'static str>) -> Request {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request::read(method, "/v1/%41%20b?b=2&a=%41", &headers, body.map(Bytes::from)).unwrap()
    }

    fn sent(request: &Request, connector: &Connector) -> Vec<(String, String)> {
        let head = OutgoingHead::write(request, connector, None, &variables()).unwrap();
        head.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value).into_owned())).collect()
    }

    #[test]
    fn the_head_is_written_for_the_upstream() {
        let head = OutgoingHead::write(&request("GET", &[("Host", "gate.example")], None), &connector(), None, &variables()).unwrap();
        assert_eq!(
            (head.method.as_str(), head.upstream.origin.to_string(), head.path_and_query.as_str()),
            ("GET", "https://eu.desk.example".into(), "/api/v1/A%20b?b=2&a=%41")
        );
        assert_eq!(head.headers, [(HOST, Bytes::from("eu.desk.example")), (ACCEPT_ENCODING, Bytes::from("identity"))]);
        let head = OutgoingHead::write(&request("GET", &[], None), &connector(), Some("upload"), &variables()).unwrap();
        assert_eq!((head.path_and_query.as_str(), head.headers.first()), ("/v1/A%20b?b=2&a=%41", Some(&(HOST, Bytes::from("127.0.0.1:81")))));
    }

    #[test]
    fn facts_that_make_no_address_or_header_are_an_error() {
        let request = request("GET", &[], None);
        let write = |connector: &Connector, host, variables: &Variables| OutgoingHead::write(&request, connector, host, variables).map(|_| ());
        assert_eq!(write(&connector(), None, &Variables::new()), Err(OutgoingError::Address(NoAddress::Unfilled(Unfilled("region".into())))));
        assert_eq!(write(&connector(), Some("other"), &variables()), Err(OutgoingError::UnknownHost("other".into())));
        let wrong = Variables::from([("region".to_owned(), "evil.example/".to_owned())]);
        assert!(write(&connector(), None, &wrong).is_ok(), "a rule keeps such values out; here the path is only the prefix");
        let wrong = Variables::from([("region".to_owned(), "a@b".to_owned())]);
        assert_eq!(write(&connector(), None, &wrong), Err(OutgoingError::Address(NoAddress::Invalid)));
        let fixed = Connector { headers: vec![("x-a".into(), Template::parse("b\nc").unwrap())], ..connector() };
        assert_eq!(write(&fixed, None, &variables()), Err(OutgoingError::FixedHeader("x-a".into())));
    }

    #[test]
    fn headers_of_the_list_and_of_the_connector_pass_and_no_others() {
        let passing = [
            ("Accept", "a/b"),
            ("Content-Type", "text/plain"),
            ("If-None-Match", "\"b\""),
            ("X-Request-ID", "r-1"),
            ("User-Agent", "crew/1.0"),
            ("X-Desk-Version", "2"),
            ("x-desk-meta-colour", "red"),
            ("Accept", "c/d"),
        ];
        let staying = [
            ("Authorization", "canary"),
            ("Cookie", "canary"),
            ("Proxy-Authorization", "canary"),
            ("X-Forwarded-For", "canary"),
            ("Forwarded", "canary"),
            ("Via", "canary"),
            ("Origin", "canary"),
            ("X-Api-Key", "canary"),
            ("X-Anything", "canary"),
            ("x-desk-metal", "canary"),
            ("TE", "trailers"),
            ("Impersonate-User", "canary"),
            ("Sec-WebSocket-Key", "canary"),
            ("grpc-timeout", "canary"),
            ("X-Anything", "canary"),
        ];
        let own =
            [("Scopegate-Session", "canary"), ("Keep-Alive", "canary"), ("Expect", "100-continue"), ("Accept-Encoding", "gzip"), ("Host", "canary")];
        let all: Vec<_> = passing.iter().chain(&staying).chain(&own).copied().collect();
        let request = request("GET", &all, None);
        let mut expected = vec![("host".to_owned(), "eu.desk.example".to_owned())];
        expected.extend(passing.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())));
        expected.push(("accept-encoding".into(), "identity".into()));
        assert_eq!(sent(&request, &connector()), expected);
        let dropped: Vec<_> = staying.iter().map(|(name, _)| name.to_lowercase()).take(staying.len() - 1).collect();
        assert_eq!(dropped_headers(&request, &connector()), dropped);
    }

    #[test]
    fn what_connection_names_is_left_out() {
        let request =
            request("GET", &[("Connection", "keep-alive, Prefer, X-Desk-Version"), ("Prefer", "a"), ("X-Desk-Version", "1"), ("Pragma", "b")], None);
        let names: Vec<_> = sent(&request, &connector()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "pragma", "accept-encoding"]);
    }

    #[test]
    fn upgrades_and_grpc_bring_their_own_headers() {
        let upgrade = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "k"),
            ("Sec-WebSocket-Version", "13"),
            ("grpc-timeout", "1S"),
        ];
        let names: Vec<_> = sent(&request("GET", &upgrade, None), &connector()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "sec-websocket-key", "sec-websocket-version", "accept-encoding", "connection", "upgrade"]);
        let grpc = [("Content-Type", "application/grpc+proto"), ("TE", "trailers"), ("grpc-timeout", "1S"), ("Sec-WebSocket-Key", "k")];
        let names: Vec<_> = sent(&request("POST", &grpc, None), &connector()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["host", "content-type", "te", "grpc-timeout", "accept-encoding"]);
        assert!(
            !sent(&request("POST", &[("Content-Type", "application/grpc"), ("TE", "gzip")], None), &connector()).iter().any(|(name, _)| name == "te")
        );
    }

    #[test]
    fn fixed_headers_replace_the_clients() {
        let fixed = Connector {
            headers: vec![
                ("x-desk-version".into(), Template::parse("2022-06-28").unwrap()),
                ("x-region".into(), Template::parse("r-{region}").unwrap()),
            ],
            ..connector()
        };
        let made = sent(&request("GET", &[("X-Desk-Version", "1999-01-01")], None), &fixed);
        let expected = [("host", "eu.desk.example"), ("accept-encoding", "identity"), ("x-desk-version", "2022-06-28"), ("x-region", "r-eu")];
        assert_eq!(made, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_answer_that_is_not_searched_may_come_packed() {
        let raw = Connector { scan_answers: false, ..connector() };
        for (headers, encodings) in [(&[("Accept-Encoding", "gzip, br")][..], vec!["gzip, br"]), (&[], vec![])] {
            let made = sent(&request("GET", headers, None), &raw);
            let found: Vec<_> = made.iter().filter(|(name, _)| name == "accept-encoding").map(|(_, value)| value.as_str()).collect();
            assert_eq!(found, encodings);
        }
    }

    #[test]
    fn a_packed_body_passes_only_where_nobody_read_it() {
        for (length, body, passes) in [("2", None, true), ("2", Some("{}"), false)] {
            let request = request("POST", &[("Content-Length", length), ("Content-Encoding", "gzip")], body);
            assert_eq!(sent(&request, &connector()).iter().any(|(name, _)| name == "content-encoding"), passes, "{body:?}");
        }
    }

    #[test]
    fn the_framing_is_that_of_the_body() {
        for (headers, body, framing) in [
            (&[][..], None, Framing::None),
            (&[("Content-Length", "0")], None, Framing::Length(0)),
            (&[("Content-Length", "7")], None, Framing::Length(7)),
            (&[("Transfer-Encoding", "chunked")], None, Framing::Chunked),
            (&[("Transfer-Encoding", "chunked")], Some("abc"), Framing::Length(3)),
            (&[("Content-Length", "7")], Some("abc"), Framing::Length(3)),
        ] {
            let head = OutgoingHead::write(&request("PUT", headers, body), &connector(), None, &variables()).unwrap();
            assert_eq!(head.framing, framing, "{headers:?}");
            assert!(!head.headers.iter().any(|(name, _)| matches!(name.as_str(), "content-length" | "transfer-encoding")));
        }
    }
}
