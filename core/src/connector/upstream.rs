//! Where an API lives: an origin, perhaps with a path prefix.

use std::fmt;
use std::str::FromStr;

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
}

/// A text that is no origin, or no origin with a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOrigin(&'static str);

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
        todo!()
    }

    /// Whether `pattern` of an `origin_of` names its host: `example.com`, `*.example.com` for any names below it; with a port, that port alone.
    #[must_use]
    pub fn matches(&self, _pattern: &str) -> bool {
        todo!()
    }
}

/// `https://host`, `http://host:port`; nothing behind it but at most one slash.
impl FromStr for Origin {
    type Err = InvalidOrigin;
    fn from_str(_text: &str) -> Result<Self, InvalidOrigin> {
        todo!()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, _to: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Upstream {
    /// What stands before every path; perhaps empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// An origin, or an origin and a canonical path.
impl FromStr for Upstream {
    type Err = InvalidOrigin;
    fn from_str(_text: &str) -> Result<Self, InvalidOrigin> {
        todo!()
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}{}", self.origin, self.prefix)
    }
}
