//! Heads of requests: one type for HTTP/1 and HTTP/2.

use super::headers::{self, Headers};
use super::host::HOST;
use super::line::RequestLine;
use super::{Ambiguity, CanonicalPath, Framing, Host, Method, Request, StreamBody, Target};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

const UNFINISHED: Ambiguity = Ambiguity::new("head-end", "the head does not end with an empty line");
const BARE_LINE_FEED: Ambiguity = Ambiguity::new("bare-line-feed", "a line of the head ends without a carriage return");
const NO_HOST: Ambiguity = Ambiguity::new("no-host", "the request names no Host");
const TWO_HOSTS: Ambiguity = Ambiguity::new("two-hosts", "the Host is not the authority that the request was sent to");
const EXPECT: Ambiguity = Ambiguity::new("expect", "the request expects something else than 100-continue");
const UPGRADE_BODY: Ambiguity = Ambiguity::new("upgrade-body", "a request that asks to become a WebSocket has a body");
const HTTP2_HEADER: Ambiguity = Ambiguity::new("connection-header", "the request holds a header that HTTP/2 does not know");
const HTTP2_LENGTH: Ambiguity = Ambiguity::new("content-length", "the Content-Length is not the length of the body");

/// So many headers most requests have at most.
const USUAL: usize = 16;

/// The head of a request with exactly one reading, as it came: the connector still stands in the target or in the host.
#[derive(Clone, Debug, Eq, PartialEq)]
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

impl HeadFault {
    fn new(reason: HeadFaultReason, method: Option<&str>, target: Option<Target>) -> Self {
        Self { reason, method: method.map(str::to_owned), target }
    }

    /// A fault of a head whose first line is `line`, as far as that can be read.
    pub(super) fn at(reason: HeadFaultReason, line: &[u8]) -> Self {
        let method = RequestLine::method_of(line);
        let target = RequestLine::read(line).ok().and_then(|line| Target::from_bytes(line.target).ok());
        Self::new(reason, method, target)
    }
}

impl Head {
    /// Reads an HTTP/1 head that [`HeadScanner`](super::HeadScanner) found: it ends with its empty line. Header values share `bytes`.
    /// # Errors
    /// Whatever has more than one reading, or is larger than `limits`. The connection cannot be used any further.
    pub fn read(bytes: &Bytes, limits: &HeadLimits) -> Result<Self, HeadFault> {
        let mut rest = bytes.as_ref();
        let first = next_line(&mut rest).unwrap_or(Err(UNFINISHED));
        let fault = |reason| HeadFault::at(reason, first.unwrap_or_default());
        let ambiguous = |ambiguity| fault(HeadFaultReason::Ambiguous(ambiguity));
        if bytes.len() > limits.bytes {
            return Err(fault(HeadFaultReason::TooLarge));
        }
        let line = first.and_then(RequestLine::read).map_err(ambiguous)?;
        let mut headers = Vec::with_capacity(USUAL);
        loop {
            let field = next_line(&mut rest).unwrap_or(Err(UNFINISHED)).map_err(ambiguous)?;
            if field.is_empty() {
                break;
            }
            let (name, value) = headers::read_line(field).map_err(ambiguous)?;
            headers.push((name, bytes.slice_ref(value)));
        }
        if !rest.is_empty() {
            return Err(ambiguous(UNFINISHED));
        }
        if headers.len() > limits.headers {
            return Err(fault(HeadFaultReason::TooLarge));
        }
        let headers: Headers = headers.into_iter().collect();
        let target = Target::from_bytes(line.target).map_err(ambiguous)?;
        let method = line.method.parse().map_err(ambiguous)?;
        let host = headers.get("host").ok_or(NO_HOST).and_then(|host| host_of(host)).map_err(ambiguous)?;
        let framing = headers.judge().and_then(|()| Framing::read(&headers, line.version)).map_err(ambiguous)?;
        Self::assemble(method, target, line.version, host, headers, framing).map_err(ambiguous)
    }

    /// Reads the head of an HTTP/2 request; the same rules hold as far as the protocol leaves something to judge.
    /// # Errors
    /// As for [`read`](Self::read); only this stream is at fault.
    pub fn from_http2(parts: &http::request::Parts, body: StreamBody, limits: &HeadLimits) -> Result<Self, HeadFault> {
        let raw = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
        let target = raw.parse::<Target>();
        let fault = |reason| HeadFault::new(reason, Some(parts.method.as_str()), target.clone().ok());
        let ambiguous = |ambiguity| fault(HeadFaultReason::Ambiguous(ambiguity));
        let size = parts.headers.iter().fold(raw.len(), |size, (name, value)| size + name.as_str().len() + value.len() + 4);
        if size > limits.bytes || parts.headers.len() > limits.headers {
            return Err(fault(HeadFaultReason::TooLarge));
        }
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            headers::read_value(value.as_bytes()).map(|value| (name.clone(), Bytes::copy_from_slice(value)))
        };
        let headers: Headers = parts.headers.iter().map(field).collect::<Result<_, _>>().map_err(ambiguous)?;
        let host = http2_host(parts, &headers).map_err(ambiguous)?;
        let framing = headers.judge().and_then(|()| http2_framing(&headers, body)).map_err(ambiguous)?;
        let method = parts.method.as_str().parse().map_err(ambiguous)?;
        let target = target.clone().map_err(ambiguous)?;
        Self::assemble(method, target, Version::Http2, host, headers, framing).map_err(ambiguous)
    }

    /// Adds what follows from all headers together.
    fn assemble(method: Method, target: Target, version: Version, host: Host, headers: Headers, framing: Framing) -> Result<Self, Ambiguity> {
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        let keep_alive = match version {
            Version::Http10 => false,
            Version::Http11 => !headers.connection().any(|option| option == "close"),
            Version::Http2 => true,
        };
        let expects_continue = match headers.get("expect") {
            None => false,
            Some(expected) if expected.eq_ignore_ascii_case(b"100-continue") => has_body && version != Version::Http10,
            Some(_) => return Err(EXPECT),
        };
        let websocket = version == Version::Http11 && is_websocket(&method, &headers);
        if websocket && has_body {
            return Err(UPGRADE_BODY);
        }
        Ok(Self { method, target, version, host, headers, framing, keep_alive, expects_continue, websocket })
    }

    /// The request as its connector sees it: `path` without the segment that named the connector.
    #[must_use]
    pub fn request(&self, path: CanonicalPath) -> Request {
        Request {
            method: self.method.clone(),
            path,
            query: self.target.query.clone(),
            headers: self.headers.clone(),
            websocket: self.websocket,
            body: self.framing.body(),
        }
    }
}

/// Takes the next line off, without its line end; none where no line feed is left.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<Result<&'a [u8], Ambiguity>> {
    let (line, behind) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
    *rest = behind;
    Some(line.strip_suffix(b"\r\n").ok_or(BARE_LINE_FEED))
}

/// RFC 6455 section 4.1: a GET that offers `websocket` for this connection.
pub(super) fn is_websocket(method: &Method, headers: &Headers) -> bool {
    method.as_str() == "GET" && headers.upgrade().any(|offer| offer == "websocket") && headers.connection().any(|option| option == "upgrade")
}

fn host_of(value: &[u8]) -> Result<Host, Ambiguity> {
    str::from_utf8(value).map_or(Err(HOST), Host::parse)
}

/// The authority; where there is also a Host, they have to be the same.
fn http2_host(parts: &http::request::Parts, headers: &Headers) -> Result<Host, Ambiguity> {
    let host = headers.get("host").map(|value| host_of(value)).transpose()?;
    let authority = parts.uri.authority().map(|authority| Host::parse(authority.as_str())).transpose()?;
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.as_sent().eq_ignore_ascii_case(host.as_sent()) => Err(TWO_HOSTS),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(NO_HOST),
    }
}

/// RFC 9113 section 8.2.2, and the length by what the stream says.
fn http2_framing(headers: &Headers, body: StreamBody) -> Result<Framing, Ambiguity> {
    let foreign = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    if foreign.iter().any(|name| headers.get(name).is_some()) || headers.all("te").any(|value| !value.eq_ignore_ascii_case(b"trailers")) {
        return Err(HTTP2_HEADER);
    }
    match (Framing::read(headers, Version::Http2)?, body) {
        (Framing::Length(length), StreamBody::Ended) if length > 0 => Err(HTTP2_LENGTH),
        (Framing::None, StreamBody::Open) => Ok(Framing::Chunked),
        (framing, StreamBody::Ended | StreamBody::Open) => Ok(framing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{HeadScanner, Scan};

    const SMALL: HeadLimits = HeadLimits { bytes: 200, headers: 4 };

    /// What comes of bytes that arrive in these pieces: the head, or the fault; and how many bytes it took.
    fn fed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: HeadLimits) -> Option<Result<(Head, usize), HeadFault>> {
        let (mut scanner, mut buffer) = (HeadScanner::new(limits), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            match scanner.scan(&buffer) {
                Ok(Scan::More) => {}
                Ok(Scan::Head(end)) => return Some(Head::read(&Bytes::copy_from_slice(&buffer[..end]), &limits).map(|head| (head, end))),
                Err(fault) => return Some(Err(fault)),
            }
        }
        None
    }

    fn read(text: &str) -> Result<Head, HeadFault> {
        fed([text.as_bytes()], HeadLimits::STANDARD).expect("a whole head").map(|(head, _)| head)
    }

    fn code(text: &str) -> Result<(), &'static str> {
        match read(text) {
            Ok(_) => Ok(()),
            Err(HeadFault { reason: HeadFaultReason::Ambiguous(ambiguity), .. }) => Err(ambiguity.code),
            Err(HeadFault { reason: HeadFaultReason::TooLarge, .. }) => Err("too-large"),
            Err(HeadFault { reason: HeadFaultReason::TooSlow, .. }) => Err("too-slow"),
        }
    }

    /// A head of these lines, `Host` included.
    fn with(lines: &[&str]) -> String {
        format!("GET /crm/a HTTP/1.1\r\nHost: gate\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>())
    }

    #[test]
    fn a_head_says_what_stands_in_it() {
        let head =
            read("PUT /crm/%41?b=c HTTP/1.1\r\nHost: Gate.Example:4100\r\nX-A:  b \r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.target.path.as_str(), head.target.query.as_str()), ("PUT", "/crm/A", Some("b=c")));
        assert_eq!((head.version, head.host.name(), head.host.as_sent()), (Version::Http11, "gate.example", "Gate.Example:4100"));
        assert_eq!((head.framing, head.keep_alive, head.expects_continue, head.websocket), (Framing::Length(5), true, true, false));
        let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name, value.as_ref())).collect();
        assert_eq!(headers, [("host", &b"Gate.Example:4100"[..]), ("x-a", b"b"), ("content-length", b"5"), ("expect", b"100-Continue")]);
        let request = head.request(head.target.connector_by_path().unwrap().1);
        assert_eq!((request.path.as_str(), request.query.as_str(), request.body), ("/A", Some("b=c"), crate::request::Body::Unread));
    }

    #[test]
    fn the_connection_lives_on_where_the_client_lets_it() {
        for (version, lines, keeps) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.1", "Connection: keep-alive\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", false),
        ] {
            assert_eq!(read(&format!("GET /a HTTP/{version}\r\nHost: a\r\n{lines}\r\n")).unwrap().keep_alive, keeps, "{version} {lines}");
        }
    }

    #[test]
    fn heads_with_two_readings_are_refused() {
        for (text, reason) in [
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "method"),
            ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "method-never-forwarded"),
            ("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", "method-never-forwarded"),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "target-form"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "target-form"),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "target-form"),
            ("GET /\r\n", "request-line"),
            ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", "version"),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "version"),
            ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "request-line"),
            ("GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", "control-character"),
            ("GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", "control-character"),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "leading-line"),
            ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "leading-line"),
            (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "method"),
            ("\u{16}\u{3}\u{1}\u{2}", "method"),
            ("GET / HTTP/1.1\nHost: a\n\n", "bare-line-feed"),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", "bare-line-feed"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", "bare-line-feed"),
            ("GET / HTTP/1.1\r\n\r\n", "no-host"),
            ("GET / HTTP/1.0\r\n\r\n", "no-host"),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "host"),
            ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "host"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "header-twice"),
            ("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer-encoding-version"),
            (&with(&["Content-Length: 2", "Transfer-Encoding: chunked"]), "two-lengths"),
            (&with(&["Content-Length: +2"]), "content-length"),
            (&with(&["Content-Length: 2, 3"]), "content-length"),
            (&with(&["Content-Length : 2"]), "blank-before-colon"),
            (&with(&["X-Fold: a", " b"]), "folded-header"),
            (&with(&["X-A"]), "header-line"),
            (&with(&["X-A: a\rb"]), "header-value"),
            (&with(&["X-A: a\0b"]), "header-value"),
            (&with(&["X A: b"]), "header-name"),
            (&with(&["Content-Type: a", "Content-Type: b"]), "header-twice"),
            (&with(&["scopegate_account: a"]), "header-twin"),
            (&with(&["X-HTTP-Method: DELETE"]), "method-override"),
            (&with(&["Connection: content-length"]), "connection-names"),
            (&with(&["Expect: 200-ok"]), "expect"),
            (&with(&["Expect: 100-continue", "Expect: 100-continue"]), "header-twice"),
            (&with(&["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2"]), "upgrade-body"),
        ] {
            assert_eq!(code(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn only_a_get_over_http_1_1_that_names_the_upgrade_is_a_websocket() {
        for (start, lines, websocket) in [
            ("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
            ("GET / HTTP/1.1", "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\nContent-Length: 0\r\n", true),
            ("GET / HTTP/1.1", "Upgrade: websocket\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade\r\n", false),
            ("GET / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", false),
            ("POST / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
            ("GET / HTTP/1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false),
        ] {
            assert_eq!(read(&format!("{start}\r\nHost: a\r\n{lines}\r\n")).unwrap().websocket, websocket, "{start} {lines}");
        }
    }

    #[test]
    fn an_expectation_without_a_body_or_over_http_1_0_is_none() {
        for (version, lines, expects) in [
            ("1.1", "Transfer-Encoding: chunked\r\n", true),
            ("1.1", "", false),
            ("1.1", "Content-Length: 0\r\n", false),
            ("1.0", "Content-Length: 5\r\n", false),
        ] {
            let head = read(&format!("PUT / HTTP/{version}\r\nHost: a\r\nExpect: 100-continue\r\n{lines}\r\n")).unwrap();
            assert_eq!(head.expects_continue, expects, "{version} {lines}");
        }
    }

    #[test]
    fn a_head_beyond_its_limits_is_too_large_however_it_continues() {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n";
        let exactly = |size: usize| format!("{start}X: {}\r\n\r\n", "y".repeat(size - start.len() - 7));
        assert!(fed([exactly(200).as_bytes()], SMALL).unwrap().is_ok());
        for text in [
            exactly(201),
            exactly(200).replace("\r\n\r\n", "\r\nzz"),
            format!("GET /{}", "y".repeat(300)),
            format!("{start}{}\r\n", "X: y\r\n".repeat(4)),
        ] {
            assert_eq!(fed([text.as_bytes()], SMALL).unwrap().unwrap_err().reason, HeadFaultReason::TooLarge, "{text:?}");
        }
        assert!(fed([format!("{start}{}\r\n", "X: y\r\n".repeat(3)).as_bytes()], SMALL).unwrap().is_ok());
        let direct = Head::read(&Bytes::from(exactly(201)), &SMALL).unwrap_err();
        assert_eq!(direct.reason, HeadFaultReason::TooLarge);
    }

    #[test]
    fn a_fault_says_what_could_be_read() {
        for (text, method, path) in [
            ("TRACE /crm/a HTTP/1.1\r\nHost: a\r\n\r\n", Some("TRACE"), Some("/crm/a")),
            ("get /crm/a HTTP/1.1\r\nHost: a\r\n\r\n", Some("get"), Some("/crm/a")),
            ("GET /crm//a HTTP/1.1\r\nHost: a\r\n\r\n", Some("GET"), None),
            ("GET /crm/a HTTP/1.1\r\nX: a\0\r\n\r\n", Some("GET"), Some("/crm/a")),
            ("GET /crm/a HTTP/1.1\nHost: a", Some("GET"), Some("/crm/a")),
            ("GET /crm/a\r\n", Some("GET"), None),
            ("\u{1}", None, None),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.method.as_deref(), fault.target.as_ref().map(|target| target.path.as_str())), (method, path), "{text:?}");
        }
    }

    #[test]
    fn a_head_reads_the_same_however_its_bytes_come() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(300));
        for text in [
            "GET /crm/a HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\n",
            "POST /crm/a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
            "GET /crm//a HTTP/1.1\r\nHost: a\r\n\r\nrest",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\rX: b\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET /\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "rest of it\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PROPFINDPROPFINDPROPFINDPROPFINDPROPFIND / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n",
            &long,
        ] {
            let bytes = text.as_bytes();
            let whole = fed([bytes], SMALL);
            assert_eq!(fed(bytes.chunks(1), SMALL), whole, "{text:?} byte by byte");
            for cut in 0..=bytes.len() {
                let (before, behind) = bytes.split_at(cut);
                assert_eq!(fed([before, behind], SMALL), whole, "{text:?} cut at {cut}");
            }
        }
    }

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> http::request::Parts {
        let mut made = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            made = made.header(*name, *value);
        }
        made.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_http_2_head_is_read_by_the_same_rules() {
        let made = parts("POST", "https://Gate.Example/crm/%41?b", &[("scopegate-account", "a"), ("te", "trailers")]);
        let head = Head::from_http2(&made, StreamBody::Open, &HeadLimits::STANDARD).unwrap();
        assert_eq!(
            (head.version, head.host.name(), head.target.path.as_str(), head.target.query.as_str()),
            (Version::Http2, "gate.example", "/crm/A", Some("b"))
        );
        assert_eq!((head.framing, head.keep_alive, head.websocket), (Framing::Chunked, true, false));
        for (body, headers, framing) in [
            (StreamBody::Ended, &[][..], Framing::None),
            (StreamBody::Open, &[("content-length", "3")], Framing::Length(3)),
            (StreamBody::Ended, &[("content-length", "0")], Framing::Length(0)),
        ] {
            assert_eq!(Head::from_http2(&parts("PUT", "https://a/b", headers), body, &HeadLimits::STANDARD).unwrap().framing, framing, "{headers:?}");
        }
    }

    #[test]
    fn http_2_heads_with_two_readings_are_refused() {
        for (method, uri, headers, reason) in [
            ("GET", "https://a/crm//b", &[][..], "empty-segment"),
            ("GET", "https://a/crm/x/../b", &[], "dot-segment"),
            ("TRACE", "https://a/b", &[], "method-never-forwarded"),
            ("get", "https://a/b", &[], "method"),
            ("GET", "/b", &[], "no-host"),
            ("GET", "https://u@a/b", &[], "host"),
            ("GET", "https://a/b", &[("host", "other")], "two-hosts"),
            ("GET", "https://a/b", &[("connection", "close")], "connection-header"),
            ("GET", "https://a/b", &[("transfer-encoding", "chunked")], "connection-header"),
            ("GET", "https://a/b", &[("te", "gzip")], "connection-header"),
            ("GET", "https://a/b", &[("content-length", "1")], "content-length"),
            ("GET", "https://a/b", &[("content-type", "a"), ("content-type", "b")], "header-twice"),
            ("GET", "https://a/b", &[("x-http-method-override", "DELETE")], "method-override"),
            ("GET", "https://a/b", &[("scopegate_account", "a")], "header-twin"),
        ] {
            let fault = Head::from_http2(&parts(method, uri, headers), StreamBody::Ended, &HeadLimits::STANDARD).unwrap_err();
            let HeadFaultReason::Ambiguous(ambiguity) = fault.reason else { panic!("{fault:?}") };
            assert_eq!(ambiguity.code, reason, "{method} {uri} {headers:?}");
        }
        let large = parts("GET", &format!("https://a/{}", "b".repeat(300)), &[]);
        assert_eq!(Head::from_http2(&large, StreamBody::Ended, &SMALL).unwrap_err().reason, HeadFaultReason::TooLarge);
    }
}
