//! Which headers of an answer pass.

use super::links::{Link, Links};
use super::mask::Needle;
use super::unpack::Packing;
use crate::id::ConnectorId;
use crate::request::Method;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, LINK, LOCATION, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// At most so many headers are added, here and by the gateway.
const ADDED: usize = 4;

/// Whether a `Location` to another origin passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Redirects {
    /// It is dropped.
    Stay,
    /// It passes (`redirect: pass` of the operation).
    Pass,
}

/// What is known of the request when its answer's head comes.
#[derive(Debug)]
pub struct AnswerRules<'a> {
    /// The connector that answers.
    pub connector: &'a ConnectorId,
    /// The request's method.
    pub method: &'a Method,
    /// How links of the upstream lead back.
    pub links: &'a Links,
    /// What of redirects passes.
    pub redirects: Redirects,
    /// What must not be in the answer; empty where answers are not searched, which leaves packed ones packed.
    pub needles: &'a [Needle],
}

/// What of an answer's head passes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerHeaders {
    /// In order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How the body has to be unpacked before it is searched and passed on.
    pub packing: Option<Packing>,
    /// How often a needle was found in headers and overwritten.
    pub hits: u64,
}

impl AnswerHeaders {
    /// Lets `headers` of an answer with `status` pass by `rules`. A 401 names the connector as its realm; a 101 keeps its upgrade.
    #[must_use]
    pub fn pass(status: StatusCode, headers: &HeaderMap, rules: &AnswerRules<'_>) -> Self {
        let packing = packing(status, headers, rules);
        let named = named_by_connection(headers);
        let mut passed = Self { headers: Vec::with_capacity(headers.len() + ADDED), packing, hits: 0 };
        for (name, value) in headers {
            let stays = belongs_to_the_hop(name) || speaks_for_the_server(name) || named.iter().any(|named| name.as_str() == named);
            if stays || (packing.is_some() && belongs_to_the_packed(name)) {
                continue;
            }
            if let Some(value) = turned(name, value, rules) {
                passed.push(name.clone(), value, rules.needles);
            }
        }
        if status == StatusCode::UNAUTHORIZED {
            passed.headers.extend(written(format!("Bearer realm=\"{}\"", rules.connector)).map(|realm| (WWW_AUTHENTICATE, realm)));
        }
        if status == StatusCode::SWITCHING_PROTOCOLS {
            passed.headers.push((CONNECTION, HeaderValue::from_static("Upgrade")));
            passed.headers.push((UPGRADE, HeaderValue::from_static("websocket")));
        }
        passed
    }

    /// Lets trailers pass (RFC 9110, section 6.5): none that speaks for the server, frames a message, or leads elsewhere.
    #[must_use]
    pub fn pass_trailers(trailers: &HeaderMap, needles: &[Needle]) -> Self {
        let mut passed = Self { headers: Vec::with_capacity(trailers.len()), packing: None, hits: 0 };
        for (name, value) in trailers {
            let stays = belongs_to_the_hop(name)
                || speaks_for_the_server(name)
                || [CONTENT_LENGTH, CONTENT_ENCODING, LOCATION, CONTENT_LOCATION, LINK].contains(name);
            if !stays {
                passed.push(name.clone(), value.clone(), needles);
            }
        }
        passed
    }

    fn push(&mut self, name: HeaderName, mut value: HeaderValue, needles: &[Needle]) {
        if needles.iter().any(|needle| needle.is_in(&name)) {
            self.hits += 1;
            return;
        }
        for needle in needles {
            if let Some(clean) = needle.overwritten(value.as_bytes()) {
                let Some(clean) = written(clean) else { return };
                value = clean;
                self.hits += 1;
            }
        }
        self.headers.push((name, value));
    }
}

/// The value as it passes: links of the upstream's own origin lead back through the gateway. None where it stays behind.
fn turned(name: &HeaderName, value: &HeaderValue, rules: &AnswerRules<'_>) -> Option<HeaderValue> {
    let as_it_is = || Some(value.clone());
    if *name == LINK {
        return str::from_utf8(value.as_bytes()).map_or_else(|_| as_it_is(), |value| written(rules.links.turn_all(value)));
    }
    if *name != LOCATION && *name != CONTENT_LOCATION {
        return as_it_is();
    }
    let link = str::from_utf8(value.as_bytes()).map_or(Link::Unreadable, |value| rules.links.turn(value));
    match (link, rules.redirects) {
        (Link::Own(link), Redirects::Stay | Redirects::Pass) => written(link),
        (Link::Elsewhere, Redirects::Pass) => as_it_is(),
        (Link::Elsewhere, Redirects::Stay) if *name == CONTENT_LOCATION => as_it_is(),
        (Link::Elsewhere, Redirects::Stay) | (Link::Unreadable, Redirects::Stay | Redirects::Pass) => None,
    }
}

/// A value as a header holds it; none where it cannot, which nothing that came as one turns into.
fn written(value: impl Into<Bytes>) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(value.into()).ok()
}

/// How the body has to be unpacked: not at all where it is not searched, is no whole, or is packed in a way that nobody knows.
fn packing(status: StatusCode, headers: &HeaderMap, rules: &AnswerRules<'_>) -> Option<Packing> {
    let whole = rules.method.as_str() != "HEAD"
        && !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    if rules.needles.is_empty() || !whole || headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0") {
        return None;
    }
    let values = headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut codings = values.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
    match (codings.next(), codings.next()) {
        (Some(coding), None) => Packing::named(coding),
        (_, _) => None,
    }
}

/// What `Connection` names, in lower case.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}

/// RFC 9110 section 7.6.1.
fn belongs_to_the_hop(name: &HeaderName) -> bool {
    matches!(name.as_str(), "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade")
}

/// Headers with which the API speaks for itself as a server, or would set credentials for the gateway's origin.
fn speaks_for_the_server(name: &HeaderName) -> bool {
    name.as_str().starts_with("scopegate-")
        || matches!(
            name.as_str(),
            "set-cookie"
                | "set-cookie2"
                | "www-authenticate"
                | "proxy-authenticate"
                | "authentication-info"
                | "proxy-authentication-info"
                | "authorization"
                | "cookie"
                | "alt-svc"
                | "strict-transport-security"
                | "clear-site-data"
                | "refresh"
        )
}

/// Headers that describe the packed form, and are wrong once it is unpacked.
fn belongs_to_the_packed(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "content-encoding" | "content-length" | "etag" | "content-digest" | "repr-digest" | "digest" | "content-md5" | "accept-ranges"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Door;
    use crate::connector::Inject;
    use std::sync::Arc;

    fn passed(status: u16, method: &str, headers: &[(&str, &str)], redirects: Redirects, needle: Option<&str>) -> AnswerHeaders {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let connector: ConnectorId = "crm".parse().unwrap();
        let door = Door::Path { connector: connector.clone(), external_url: None };
        let links = Links::new(door, Arc::new("https://api.example".parse().unwrap()), "/v1/x".into(), &Inject::default());
        let needles: Vec<_> = needle.and_then(|text| Needle::new(text.as_bytes())).into_iter().collect();
        let rules = AnswerRules { connector: &connector, method: &method.parse().unwrap(), links: &links, redirects, needles: &needles };
        AnswerHeaders::pass(StatusCode::from_u16(status).unwrap(), &map, &rules)
    }

    fn pairs(answer: &AnswerHeaders) -> Vec<(&str, &str)> {
        answer.headers.iter().map(|(name, value)| (name.as_str(), str::from_utf8(value.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn trailers_pass_without_the_token_and_what_belongs_in_a_head() {
        let mut trailers = HeaderMap::new();
        for (name, value) in [("grpc-status", "0"), ("grpc-message", "no sesame-1234567890"), ("set-cookie", "a=b"), ("location", "/x"), ("te", "a")]
        {
            trailers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let passed = AnswerHeaders::pass_trailers(&trailers, &[Needle::new(b"sesame-1234567890").unwrap()]);
        assert_eq!(pairs(&passed), [("grpc-status", "0"), ("grpc-message", "no *****************")]);
        assert_eq!(passed.hits, 1);
    }

    #[test]
    fn headers_that_speak_of_the_content_pass_and_those_of_the_server_stay() {
        let stay = [
            "Set-Cookie",
            "Set-Cookie2",
            "WWW-Authenticate",
            "Proxy-Authenticate",
            "Authentication-Info",
            "Authorization",
            "Cookie",
            "Alt-Svc",
            "Strict-Transport-Security",
            "Clear-Site-Data",
            "Refresh",
            "Keep-Alive",
            "Proxy-Connection",
            "Trailer",
            "TE",
            "Transfer-Encoding",
            "Upgrade",
            "Scopegate-Decision",
            "Scopegate-Request-Id",
            "X-Hop",
        ];
        let pass = [
            ("etag", "\"e-1\""),
            ("retry-after", "7"),
            ("x-ratelimit-remaining", "41"),
            ("cache-control", "private"),
            ("vary", "Accept"),
            ("content-length", "2"),
            ("content-type", "text/plain"),
            ("vary", "Origin"),
        ];
        let mut headers: Vec<_> = stay.iter().map(|name| (*name, "a")).chain(pass).collect();
        headers.push(("connection", "close, X-Hop"));
        let answer = passed(200, "GET", &headers, Redirects::Stay, Some("token"));
        let mut expected: Vec<_> = pass.to_vec();
        expected.sort_unstable();
        let mut found = pairs(&answer);
        found.sort_unstable();
        assert_eq!((found, answer.packing, answer.hits), (expected, None, 0));
    }

    #[test]
    fn links_lead_back_and_a_location_elsewhere_stays() {
        let away = "http://elsewhere.example/steal";
        for (name, value, redirects, expected) in [
            ("location", "https://api.example/v1/accounts/9", Redirects::Stay, Some("/crm/v1/accounts/9")),
            ("location", "/v1/accounts/9", Redirects::Pass, Some("/crm/v1/accounts/9")),
            ("location", away, Redirects::Stay, None),
            ("location", away, Redirects::Pass, Some(away)),
            ("location", "http://a b/", Redirects::Pass, None),
            ("content-location", "/v1/x.json", Redirects::Stay, Some("/crm/v1/x.json")),
            ("content-location", away, Redirects::Stay, Some(away)),
            (
                "link",
                "</v1?page=2>; rel=next, <http://elsewhere.example/>; rel=x",
                Redirects::Stay,
                Some("</crm/v1?page=2>; rel=next, <http://elsewhere.example/>; rel=x"),
            ),
        ] {
            let answer = passed(302, "GET", &[(name, value)], redirects, None);
            assert_eq!(pairs(&answer), expected.map(|value| (name, value)).into_iter().collect::<Vec<_>>(), "{name}: {value}");
        }
    }

    #[test]
    fn an_upstreams_challenge_names_the_connector_alone() {
        let answer = passed(
            401,
            "GET",
            &[("www-authenticate", "Bearer realm=\"upstream\", error=\"x\""), ("www-authenticate", "Basic")],
            Redirects::Stay,
            None,
        );
        assert_eq!(pairs(&answer), [("www-authenticate", "Bearer realm=\"crm\"")]);
    }

    #[test]
    fn an_upgrade_that_was_granted_passes() {
        let answer =
            passed(101, "GET", &[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "k")], Redirects::Stay, Some("token"));
        assert_eq!(pairs(&answer), [("sec-websocket-accept", "k"), ("connection", "Upgrade"), ("upgrade", "websocket")]);
    }

    #[test]
    fn a_token_in_a_header_is_overwritten() {
        let answer =
            passed(200, "GET", &[("x-echo", "Bearer tok-1 tok-1"), ("location", "/v1?t=tok-1"), ("x-other", "a")], Redirects::Stay, Some("tok-1"));
        assert_eq!((pairs(&answer), answer.hits), (vec![("x-echo", "Bearer ***** *****"), ("location", "/crm/v1?t=*****"), ("x-other", "a")], 2));
    }

    #[test]
    fn an_answer_that_will_be_unpacked_loses_what_described_the_packed_form() {
        let headers = [("content-encoding", "gzip"), ("content-length", "9"), ("etag", "\"e\""), ("content-digest", "d"), ("content-type", "a/b")];
        let kept = ["content-encoding", "content-length", "etag", "content-digest", "content-type"];
        for (status, method, needle, packing, names) in [
            (200, "GET", Some("t"), Some(Packing::Gzip), &["content-type"][..]),
            (404, "POST", Some("t"), Some(Packing::Gzip), &["content-type"]),
            (200, "GET", None, None, &kept),
            (200, "HEAD", Some("t"), None, &kept),
            (206, "GET", Some("t"), None, &kept),
            (304, "GET", Some("t"), None, &kept),
        ] {
            let answer = passed(status, method, &headers, Redirects::Stay, needle);
            let found: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!((answer.packing, found.as_slice()), (packing, names), "{status} {method}");
        }
        for (coding, packing) in [
            ("x-gzip", Some(Packing::Gzip)),
            ("GZIP", Some(Packing::Gzip)),
            ("identity, br", Some(Packing::Brotli)),
            ("deflate", Some(Packing::Deflate)),
            ("zstd", Some(Packing::Zstd)),
            ("identity", None),
            ("gzip, br", None),
            ("dcb", None),
            ("", None),
        ] {
            assert_eq!(passed(200, "GET", &[("content-encoding", coding)], Redirects::Stay, Some("t")).packing, packing, "{coding}");
        }
        assert_eq!(passed(200, "GET", &[("content-encoding", "gzip"), ("content-length", "0")], Redirects::Stay, Some("t")).packing, None);
    }
}
