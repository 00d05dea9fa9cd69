//! Which request headers reach the API.

use super::query::is_credential;
use std::str::FromStr;

/// A request header that a connector lets pass besides the common list: a name, or a prefix (`x-desk-meta-*`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderPattern {
    text: String,
}

/// Why a connector may not name a request header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ForbiddenHeader(&'static str);

const NO_NAME: ForbiddenHeader = ForbiddenHeader("a header name is a token; a `*` may end it");
const CREDENTIAL: ForbiddenHeader = ForbiddenHeader("headers that carry credentials or cookies never pass");
const HOP: ForbiddenHeader = ForbiddenHeader("headers that hold for one hop alone never pass");
const FORWARDING: ForbiddenHeader = ForbiddenHeader("headers that tell another client, host or path never pass");
const FRAMING: ForbiddenHeader = ForbiddenHeader("the gateway writes this header itself");
const OVERRIDE: ForbiddenHeader = ForbiddenHeader("headers that override the method refuse the request");
const OWN: ForbiddenHeader = ForbiddenHeader("headers of Scopegate end at the gateway");

/// Names that never pass. A final `*` stands for every name that begins so.
const NEVER: [(&[&str], ForbiddenHeader); 6] = [
    (
        &["authorization", "proxy-authorization", "cookie", "cookie2", "set-cookie", "x-goog-api-key", "x-amz-security-token", "x-vault-token"],
        CREDENTIAL,
    ),
    (
        &[
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
            "proxy-*",
        ],
        HOP,
    ),
    (
        &[
            "forwarded",
            "via",
            "x-forwarded-*",
            "x-forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
            "x-client-ip",
            "client-ip",
            "true-client-ip",
            "x-cluster-client-ip",
            "cf-connecting-ip",
            "fastly-client-ip",
            "x-originating-ip",
            "x-remote-ip",
            "x-remote-addr",
            "x-host",
            "x-original-host",
            "x-original-url",
            "x-rewrite-url",
            "x-forwarded-prefix",
            "x-original-uri",
        ],
        FORWARDING,
    ),
    (&["host", "content-length", "content-encoding", "accept-encoding", "expect"], FRAMING),
    (&["x-http-method-override", "x-http-method", "x-method-override"], OVERRIDE),
    (&["scopegate-*", "scopegate-account"], OWN),
];

/// The last parts of names that carry credentials whatever stands before them.
const CREDENTIAL_ENDS: [&str; 6] = ["-authorization", "-api-key", "-auth-token", "-access-token", "-api-token", "-secret"];

impl FromStr for HeaderPattern {
    type Err = ForbiddenHeader;
    /// A header name in any case, or the beginning of names and a final `*`. Never one that carries credentials, cookies, what holds for one hop
    /// alone, what forwards, frames or overrides, or a header of Scopegate.
    fn from_str(text: &str) -> Result<Self, ForbiddenHeader> {
        let text = text.to_ascii_lowercase();
        let prefix = text.strip_suffix('*');
        let name = prefix.unwrap_or(&text);
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() || name.contains('*') {
            return Err(NO_NAME);
        }
        let reason = match prefix {
            None => forbids(name),
            Some(prefix) => forbids(prefix).or_else(|| forbidden_below(prefix)),
        };
        reason.map_or(Ok(Self { text }), Err)
    }
}

impl HeaderPattern {
    /// In lower case, as the author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names the header `name` (lower case). A prefix never reaches a header that must not pass.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.text.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix) && forbids(name).is_none(),
            None => self.text == name,
        }
    }
}

/// Why the header `name` (lower case) never passes; underscores count as hyphens.
fn forbids(name: &str) -> Option<ForbiddenHeader> {
    let name = name.replace('_', "-");
    let named = |pattern: &str| pattern.strip_suffix('*').map_or(name == pattern, |prefix| name.starts_with(prefix));
    if let Some((_, reason)) = NEVER.iter().find(|(patterns, _)| patterns.iter().any(|pattern| named(pattern))) {
        return Some(*reason);
    }
    let bare = name.strip_prefix("x-").unwrap_or(&name);
    let carries = is_credential(bare) || is_credential(&name) || CREDENTIAL_ENDS.iter().any(|end| name.ends_with(end));
    carries.then_some(CREDENTIAL)
}

/// Why a prefix may not be named: it would reach a name that never passes.
fn forbidden_below(prefix: &str) -> Option<ForbiddenHeader> {
    NEVER.iter().find(|(patterns, _)| patterns.iter().any(|pattern| pattern.starts_with(prefix))).map(|(_, reason)| *reason)
}

/// The common list: headers that speak of the content and of conditions.
pub(crate) fn is_common(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "accept-charset"
            | "accept-language"
            | "cache-control"
            | "content-type"
            | "content-language"
            | "content-disposition"
            | "content-md5"
            | "content-digest"
            | "repr-digest"
            | "content-range"
            | "date"
            | "if-match"
            | "if-none-match"
            | "if-modified-since"
            | "if-unmodified-since"
            | "if-range"
            | "idempotency-key"
            | "last-event-id"
            | "pragma"
            | "prefer"
            | "range"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "x-request-id"
            | "x-correlation-id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_names_headers_and_prefixes() {
        for (pattern, name, matches) in [
            ("X-Desk-Version", "x-desk-version", true),
            ("x-desk-version", "x-desk-version-2", false),
            ("x-desk-meta-*", "x-desk-meta-colour", true),
            ("x-desk-meta-*", "x-desk-metal", false),
            ("x-desk-*", "x-desk-authorization", false),
            ("x-desk-*", "x-desk-api_key", false),
            ("origin", "origin", true),
            ("x-csrf-token", "x-csrf-token", true),
            ("x-page-token", "x-page-token", true),
            ("if-*", "if-x", true),
        ] {
            assert_eq!(pattern.parse::<HeaderPattern>().unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn no_connector_can_name_what_never_passes() {
        for (pattern, reason) in [
            ("", NO_NAME),
            ("*", NO_NAME),
            ("a b", NO_NAME),
            ("x-*-y", NO_NAME),
            ("x-**", NO_NAME),
            ("Authorization", CREDENTIAL),
            ("Cookie", CREDENTIAL),
            ("Set-Cookie", CREDENTIAL),
            ("X-Api-Key", CREDENTIAL),
            ("X_Api_Key", CREDENTIAL),
            ("X-Auth-Token", CREDENTIAL),
            ("X-Goog-Api-Key", CREDENTIAL),
            ("X-Amz-Security-Token", CREDENTIAL),
            ("X-Desk-Access-Token", CREDENTIAL),
            ("Password", CREDENTIAL),
            ("auth*", CREDENTIAL),
            ("c*", CREDENTIAL),
            ("Proxy-Authorization", CREDENTIAL),
            ("Connection", HOP),
            ("Keep-Alive", HOP),
            ("TE", HOP),
            ("Transfer-Encoding", HOP),
            ("Upgrade", HOP),
            ("Proxy-Anything", HOP),
            ("t*", HOP),
            ("X-Forwarded-For", FORWARDING),
            ("X-Forwarded-Anything", FORWARDING),
            ("x-forwarded-*", FORWARDING),
            ("x-forwarded*", FORWARDING),
            ("Forwarded", FORWARDING),
            ("Via", FORWARDING),
            ("X-Real-IP", FORWARDING),
            ("X-Original-URL", FORWARDING),
            ("Host", FRAMING),
            ("Content-Length", FRAMING),
            ("content-*", FRAMING),
            ("Accept-Encoding", FRAMING),
            ("X-HTTP-Method-Override", OVERRIDE),
            ("x-method*", OVERRIDE),
            ("Scopegate-Account", OWN),
            ("scopegate-*", OWN),
            ("scope*", OWN),
        ] {
            assert_eq!(pattern.parse::<HeaderPattern>(), Err(reason), "{pattern}");
        }
        assert!("x-*".parse::<HeaderPattern>().is_err());
    }
}
