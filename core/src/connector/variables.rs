//! Values that differ by account: an instance, a tenant, a login host.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use url::{Host, Url};

/// Values of variables by name.
pub type Variables = BTreeMap<String, String>;

/// One variable of a connector, and what its values may be.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Where its value comes from.
    pub from: Source,
    /// The value where none came.
    pub default: Option<String>,
    /// What values are legal.
    pub rule: Rule,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A JSON pointer into the token answer.
    Token {
        /// RFC 6901.
        pointer: String,
    },
    /// A parameter of the callback's query, such as `realmId`.
    Callback {
        /// The parameter's name.
        parameter: String,
    },
    /// A JSON pointer into the answer of the connector's `oauth.lookup` call.
    Lookup {
        /// RFC 6901.
        pointer: String,
    },
    /// Given by whoever makes the account.
    Account,
}

/// What a variable's value may be. There is no rule that allows everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// An origin whose host matches one of these.
    OriginOf(Vec<HostPattern>),
    /// One of these values.
    OneOf(Vec<String>),
    /// 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or digit: safe as a host label or a path segment.
    Label,
}

/// Which schemes an origin may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schemes {
    /// `https` alone.
    Https,
    /// `http` too: `egress.allow_http` of the settings.
    HttpToo,
}

/// A value that a variable's rule does not allow. It never repeats the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAdmitted {
    /// For [`Rule::OriginOf`].
    #[error("the value is not an origin of one of the hosts that the connector allows")]
    Origin,
    /// For [`Rule::OneOf`].
    #[error("the value is not one of those that the connector lists")]
    Listed,
    /// For [`Rule::Label`].
    #[error("the value is not 1 to 128 of A-Z, a-z, 0-9, `.`, `_`, `-`, the first a letter or digit")]
    Label,
}

impl Rule {
    /// The value in its one form, if it is legal: an origin without final slash and with its host in lower case.
    /// # Errors
    /// What it should have been.
    pub fn admit(&self, value: &str, schemes: Schemes) -> Result<String, NotAdmitted> {
        match self {
            Self::OriginOf(patterns) => origin(value, schemes)
                .filter(|origin| patterns.iter().any(|pattern| pattern.admits(origin)))
                .map(|origin| origin.origin().ascii_serialization())
                .ok_or(NotAdmitted::Origin),
            Self::OneOf(values) => values.iter().find(|one| *one == value).cloned().ok_or(NotAdmitted::Listed),
            Self::Label => is_label(value).then(|| value.to_owned()).ok_or(NotAdmitted::Label),
        }
    }
}

/// Nothing but a scheme, a host and perhaps a port; no user part, path, query or fragment in any reading.
fn origin(value: &str, schemes: Schemes) -> Option<Url> {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://").filter(|_| schemes == Schemes::HttpToo))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if authority.is_empty() || !authority.bytes().all(legal) {
        return None;
    }
    Url::parse(value).ok().filter(|url| url.path() == "/")
}

fn is_label(value: &str) -> bool {
    (1..=128).contains(&value.len())
        && value.starts_with(|first: char| first.is_ascii_alphanumeric())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Hosts that an origin may have: `example.com`, `*.example.com` (any name below it), `127.0.0.1:8080`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPattern {
    below: bool,
    host: String,
    port: Option<u16>,
}

/// A text that is no pattern of hosts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidHostPattern {
    /// No host at all, or one with a scheme, a path or a star elsewhere than in front.
    #[error("a pattern is a host such as `login.example.com`, `*.example.com` or `127.0.0.1:8080`")]
    Shape,
    /// Everybody can have a name below a top-level domain.
    #[error("a star needs a domain of at least two labels behind it, or anybody could own the host")]
    TooWide,
}

impl HostPattern {
    fn admits(&self, origin: &Url) -> bool {
        let Some(host) = origin.host_str() else { return false };
        let named = if self.below {
            host.strip_suffix(self.host.as_str()).and_then(|rest| rest.strip_suffix('.')).is_some_and(|label| !label.is_empty())
        } else {
            host == self.host
        };
        named && origin.port_or_known_default() == self.port.or_else(|| default_port(origin.scheme()))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;
    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let (below, authority) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let url = origin(&format!("https://{authority}"), Schemes::Https).ok_or(InvalidHostPattern::Shape)?;
        let host = url.host_str().ok_or(InvalidHostPattern::Shape)?.to_owned();
        if authority.ends_with('/') {
            return Err(InvalidHostPattern::Shape);
        }
        if below && !matches!(url.host(), Some(Host::Domain(name)) if name.contains('.')) {
            return Err(InvalidHostPattern::TooWide);
        }
        // `url` leaves the default port out; a pattern that says 443 means it.
        let port = url.port().or_else(|| authority.ends_with(":443").then_some(443));
        Ok(Self { below, host, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { below, host, port } = self;
        write!(to, "{}{host}", if *below { "*." } else { "" })?;
        port.map_or(Ok(()), |port| write!(to, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(patterns: &[&str]) -> Rule {
        Rule::OriginOf(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
    }

    #[test]
    fn an_origin_is_admitted_when_its_host_and_port_are_those_of_a_pattern() {
        let rule = hosts(&["*.my.salesforce.com", "login.example", "127.0.0.1:8080"]);
        for (value, admitted) in [
            ("https://acme.my.salesforce.com", Some("https://acme.my.salesforce.com")),
            ("https://ACME.My.Salesforce.com/", Some("https://acme.my.salesforce.com")),
            ("https://a.b.my.salesforce.com", Some("https://a.b.my.salesforce.com")),
            ("https://login.example:443", Some("https://login.example")),
            ("https://127.0.0.1:8080", Some("https://127.0.0.1:8080")),
            ("https://my.salesforce.com", None),
            ("https://evilmy.salesforce.com", None),
            ("https://acme.my.salesforce.com.evil.example", None),
            ("https://acme.my.salesforce.com.", None),
            ("https://acme.my.salesforce.com:8443", None),
            ("http://acme.my.salesforce.com", None),
            ("https://127.0.0.1", None),
            ("https://127.0.0.1:8081", None),
            ("https://acme.my.salesforce.com/path", None),
            ("https://evil.example/?.my.salesforce.com", None),
            ("https://evil.example\\.my.salesforce.com", None),
            ("https://evil.example#.my.salesforce.com", None),
            ("https://acme.my.salesforce.com@evil.example", None),
            ("https://x@acme.my.salesforce.com", None),
            ("https://evil.example%2f.my.salesforce.com", None),
            ("https:acme.my.salesforce.com", None),
            (" https://acme.my.salesforce.com", None),
            ("acme.my.salesforce.com", None),
            ("ftp://acme.my.salesforce.com", None),
            ("", None),
        ] {
            assert_eq!(rule.admit(value, Schemes::Https).ok().as_deref(), admitted, "{value}");
        }
    }

    #[test]
    fn plain_http_is_an_origin_only_where_the_settings_say_so() {
        let rule = hosts(&["127.0.0.1:8080", "api.example"]);
        for (value, admitted) in [("http://127.0.0.1:8080", true), ("http://api.example", true), ("http://api.example:443", false)] {
            assert_eq!(rule.admit(value, Schemes::HttpToo).is_ok(), admitted, "{value}");
            assert!(rule.admit(value, Schemes::Https).is_err(), "{value}");
        }
    }

    #[test]
    fn a_label_and_a_listed_value_are_taken_as_they_are() {
        for (value, admitted) in [("acme-7", true), ("a.b_c", true), ("", false), ("-a", false), ("a/b", false), ("a@b", false), ("é", false)] {
            assert_eq!(Rule::Label.admit(value, Schemes::Https).is_ok(), admitted, "{value}");
        }
        let rule = Rule::OneOf(vec!["eu".into(), "us".into()]);
        for (value, admitted) in [("eu", true), ("EU", false), ("eu ", false), ("", false)] {
            assert_eq!(rule.admit(value, Schemes::Https).is_ok(), admitted, "{value}");
        }
    }

    #[test]
    fn a_pattern_names_hosts_that_one_owner_can_hold() {
        for (text, fault) in [
            ("*.com", InvalidHostPattern::TooWide),
            ("*.127.0.0.1", InvalidHostPattern::TooWide),
            ("*", InvalidHostPattern::Shape),
            ("a.*.example", InvalidHostPattern::Shape),
            ("https://example.com", InvalidHostPattern::Shape),
            ("example.com/", InvalidHostPattern::Shape),
            ("example.com/x", InvalidHostPattern::Shape),
            ("user@example.com", InvalidHostPattern::Shape),
            ("", InvalidHostPattern::Shape),
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(fault), "{text}");
        }
        for text in ["*.example.com", "localhost", "127.0.0.1:8080", "[::1]:8080", "example.com:443"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }
}
