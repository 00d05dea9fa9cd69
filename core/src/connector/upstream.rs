//! Where an API lives: an origin, perhaps with a path prefix.

use super::template::{Template, Unfilled};
use super::variables::Variables;
use crate::request::{CanonicalPath, is_host, is_port, split_port};
use bytes::Bytes;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

const SCHEME: InvalidOrigin = InvalidOrigin("an origin begins with `https://` or `http://`");
const USER: InvalidOrigin = InvalidOrigin("an origin holds no user part");
const BEHIND: InvalidOrigin = InvalidOrigin("an origin holds no query and no fragment");
const HOST: InvalidOrigin = InvalidOrigin("an origin needs a plain host name or address");
const PORT: InvalidOrigin = InvalidOrigin("a port is a number from 1 to 65535");
const PATH: InvalidOrigin = InvalidOrigin("an origin holds no path");
const PREFIX: InvalidOrigin = InvalidOrigin("the path behind the origin has more than one reading");

/// `http` or `https`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scheme {
    /// In the clear; only where `egress.allow_http` says so.
    Http,
    /// Over TLS.
    Https,
}

/// Whether plain HTTP may be spoken to upstreams (`egress.allow_http`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlainHttp {
    /// It may.
    Allowed,
    /// Only https.
    Refused,
}

/// An origin (RFC 6454): scheme, host and port. Two texts of one origin are equal.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// An origin with the path prefix that stands before every path; the prefix is empty or begins with `/` and does not end in one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// Where it is.
    pub origin: Origin,
    prefix: String,
    authority: Bytes,
}

/// Where an API lives, perhaps somewhere else for each account. `{name}` is a variable.
#[derive(Clone, Debug, Default)]
pub struct Address {
    template: Template,
    /// Where it names no variable, it is read once.
    fixed: Option<Arc<Upstream>>,
}

/// Why an API has no address for an account.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoAddress {
    /// A variable of it is missing.
    #[error(transparent)]
    Unfilled(#[from] Unfilled),
    /// The filled text is none.
    #[error("the upstream's address is no origin with an optional path")]
    Invalid,
}

/// A text that is no origin, or no origin with a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOrigin(&'static str);

impl Scheme {
    /// As it stands before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host in lower case; an IPv6 address stands in its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port, the scheme's own where none was said.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in `Host`: the host, and the port where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Whether `pattern` of an `origin_of` names its host: `example.com`, `*.example.com` for any names below it. A pattern without a port names
    /// the scheme's own.
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        let Some((host, port)) = split_port(pattern) else { return false };
        let host = host.to_ascii_lowercase();
        let named = match host.strip_prefix("*.") {
            Some(parent) => self.host.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.')) && is_host(parent),
            None => self.host == host,
        };
        named && port.map_or(self.port == self.scheme.port(), |port| port.parse() == Ok(self.port))
    }

    /// The origin at the front of `text`, and what stands behind it.
    fn split(text: &str) -> Result<(Self, &str), InvalidOrigin> {
        let (scheme, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Scheme::Https, rest),
            (None, Some(rest)) => (Scheme::Http, rest),
            (None, None) => return Err(SCHEME),
        };
        if rest.contains(['?', '#']) {
            return Err(BEHIND);
        }
        let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(USER);
        }
        let (host, port) = split_port(authority).ok_or(HOST)?;
        if !is_host(host) {
            return Err(HOST);
        }
        let port = match port {
            None => scheme.port(),
            Some(port) if is_port(port) => port.parse().map_err(|_| PORT)?,
            Some(_) => return Err(PORT),
        };
        Ok((Self { scheme, host: host.to_ascii_lowercase(), port }, path))
    }
}

/// `https://host`, `http://host:port`; nothing behind it but at most one slash.
impl FromStr for Origin {
    type Err = InvalidOrigin;
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        match Self::split(text)? {
            (origin, "" | "/") => Ok(origin),
            (_, _) => Err(PATH),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl Upstream {
    /// What stands before every path; perhaps empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What stands in `Host`, as [`Origin::authority`] says.
    #[must_use]
    pub fn authority(&self) -> &Bytes {
        &self.authority
    }
}

impl Address {
    /// Where it is for whoever has these variables.
    /// # Errors
    /// A variable without a value, or a filled text that is no upstream.
    pub fn of(&self, variables: &Variables) -> Result<Arc<Upstream>, NoAddress> {
        match &self.fixed {
            Some(fixed) => Ok(Arc::clone(fixed)),
            None => self.template.fill(variables)?.parse().map(Arc::new).map_err(|_| NoAddress::Invalid),
        }
    }
}

impl From<Template> for Address {
    fn from(template: Template) -> Self {
        let text = if template.variables().next().is_none() { template.fill(&Variables::new()).ok() } else { None };
        Self { fixed: text.and_then(|text| text.parse().ok()).map(Arc::new), template }
    }
}

impl std::ops::Deref for Address {
    type Target = Template;
    fn deref(&self) -> &Template {
        &self.template
    }
}

/// An origin, or an origin and a path that is canonical; a final slash is left out.
impl FromStr for Upstream {
    type Err = InvalidOrigin;
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (origin, path) = Origin::split(text)?;
        let authority = Bytes::from(origin.authority());
        if path.is_empty() {
            return Ok(Self { origin, prefix: String::new(), authority });
        }
        let path: CanonicalPath = path.parse().map_err(|_| PREFIX)?;
        if !path.encoded().is_empty() {
            return Err(PREFIX);
        }
        let prefix = path.as_str();
        Ok(Self { origin, prefix: prefix.strip_suffix('/').unwrap_or(prefix).to_owned(), authority })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}{}", self.origin, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_origin_are_equal() {
        for (text, shown, authority) in [
            ("https://API.example", "https://api.example", "api.example"),
            ("https://api.example:443/", "https://api.example", "api.example"),
            ("http://api.example:80", "http://api.example", "api.example"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
            ("https://acme--dev.sandbox.my.salesforce.com", "https://acme--dev.sandbox.my.salesforce.com", "acme--dev.sandbox.my.salesforce.com"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!((origin.to_string(), origin.authority()), (shown.to_owned(), authority.to_owned()), "{text}");
            assert_eq!(shown.parse(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_none() {
        for (text, reason) in [
            ("", SCHEME),
            ("api.example", SCHEME),
            ("//api.example", SCHEME),
            ("HTTPS://api.example", SCHEME),
            ("ftp://api.example", SCHEME),
            ("https:/api.example", SCHEME),
            (" https://api.example", SCHEME),
            ("https://", HOST),
            ("https:///a", HOST),
            ("https://a b", HOST),
            ("https://a\\b", HOST),
            ("https://a%2eb", HOST),
            ("https://.example", HOST),
            ("https://127.1", HOST),
            ("https://2130706433", HOST),
            ("https://[::1", HOST),
            ("https://user@api.example", USER),
            ("https://x.my.salesforce.com@127.0.0.1:9000", USER),
            ("https://api.example:x@127.0.0.1", USER),
            ("https://api.example/?.my.salesforce.com", BEHIND),
            ("https://api.example?a", BEHIND),
            ("https://api.example#a", BEHIND),
            ("https://api.example:", PORT),
            ("https://api.example:0", PORT),
            ("https://api.example:65536", PORT),
            ("https://api.example/a", PATH),
            ("https://api.example//", PATH),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(reason), "{text}");
        }
    }

    #[test]
    fn an_upstream_may_have_a_path_before_every_path() {
        for (text, origin, prefix) in [
            ("https://a.example", "https://a.example", ""),
            ("https://a.example/", "https://a.example", ""),
            ("https://api.atlassian.com/ex/jira/7a-%41", "https://api.atlassian.com", "/ex/jira/7a-A"),
            ("http://a.example:81/b/", "http://a.example:81", "/b"),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!((upstream.origin.to_string().as_str(), upstream.prefix()), (origin, prefix), "{text}");
            assert_eq!(upstream.to_string(), format!("{origin}{prefix}"));
        }
        for text in ["https://a/..", "https://a//b", "https://a/b%2Fc", "https://a/b;c", "https://a/b c"] {
            assert_eq!(text.parse::<Upstream>(), Err(PREFIX), "{text}");
        }
        assert_eq!("https://a/b?c".parse::<Upstream>(), Err(BEHIND));
    }

    #[test]
    fn a_pattern_names_a_host_and_its_usual_port_unless_it_says_another() {
        for (origin, pattern, expected) in [
            ("https://one.my.salesforce.com", "*.my.salesforce.com", true),
            ("https://one.sandbox.my.salesforce.com", "*.my.salesforce.com", true),
            ("https://ONE.my.salesforce.com", "*.My.Salesforce.com", true),
            ("https://my.salesforce.com", "*.my.salesforce.com", false),
            ("https://evilmy.salesforce.com", "*.my.salesforce.com", false),
            ("https://one.my.salesforce.com.evil.example", "*.my.salesforce.com", false),
            ("https://a.example", "a.example", true),
            ("https://b.a.example", "a.example", false),
            ("https://a.example:8443", "a.example", false),
            ("https://a.example:8443", "a.example:8443", true),
            ("https://a.example:8443", "a.example:443", false),
            ("https://a.example", "a.example:443", true),
            ("http://127.0.0.1:9000", "127.0.0.1:9000", true),
            ("http://127.0.0.1:9001", "127.0.0.1:9000", false),
            ("https://[::1]:9", "[::1]:9", true),
            ("https://x.*.example", "*.example", false),
            ("https://a.example", "*", false),
            ("https://a.example", "*.", false),
            ("https://a.example", "", false),
            ("https://a.example", "a.example:", false),
        ] {
            assert_eq!(origin.parse::<Origin>().is_ok_and(|origin| origin.matches(pattern)), expected, "{origin} {pattern}");
        }
    }
}
