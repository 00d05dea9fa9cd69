//! The host that a request was sent to.

use super::Ambiguity;

pub(super) const HOST: Ambiguity = Ambiguity::new("host", "the Host is no plain host name or address with an optional port");

/// The `Host` of a request (HTTP/2: `:authority`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    raw: String,
    name: String,
}

impl Host {
    /// Reads `name`, `name:port`, `address`, `[address]:port`. A name's last dot is refused: it would be another spelling of the same host.
    /// # Errors
    /// Anything else, a user part included.
    pub fn parse(raw: &str) -> Result<Self, Ambiguity> {
        let (name, port) = split_port(raw).ok_or(HOST)?;
        if !is_host(name) || port.is_some_and(|port| !is_port(port)) {
            return Err(HOST);
        }
        Ok(Self { raw: raw.to_owned(), name: name.to_ascii_lowercase() })
    }

    /// In lower case, without port; an IPv6 address stands in its brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it was sent.
    #[must_use]
    pub fn as_sent(&self) -> &str {
        &self.raw
    }
}

/// `host` and `port` of `host[:port]`, unchecked.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let (host, rest) = text.split_at_checked(end)?;
        return if rest.is_empty() { Some((host, None)) } else { Some((host, Some(rest.strip_prefix(':')?))) };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// 1 to 5 digits that are a port, without a leading zero.
pub(crate) fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

/// A host name of letters, digits, `-` and `_` in labels, an IPv4 address in its usual spelling, or an IPv6 address in brackets.
pub(crate) fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label =
        |label: &[u8]| (1..=63).contains(&label.len()) && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let labels = || text.as_bytes().split(|byte| *byte == b'.');
    if text.len() > 253 || !labels().all(is_label) {
        return false;
    }
    let last = labels().next_back().unwrap_or_default();
    let numeric = last.iter().all(u8::is_ascii_digit) || last.starts_with(b"0x") || last.starts_with(b"0X");
    !numeric || text.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for (raw, name) in [
            ("Gate.Example", "gate.example"),
            ("gate.example:4100", "gate.example"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:4100", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("scope_gate", "scope_gate"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("3com.example", "3com.example"),
        ] {
            assert_eq!(Host::parse(raw).map(|host| host.name), Ok(name.to_owned()), "{raw}");
        }
    }

    #[test]
    fn a_host_with_another_spelling_or_meaning_is_refused() {
        let long = ["x".repeat(64), format!("{}.example", "x.".repeat(130))];
        for raw in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:+1",
            "a:1:2",
            "a b",
            "a,b",
            "user@a",
            "a/b",
            "a?b",
            "a#b",
            "a.",
            ".a",
            "a..b",
            "*",
            "ä.example",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[127.0.0.1]",
            "127.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "2130706433",
            "1.2.3.4.5",
            "a.0x1",
            "a\\b",
            "a%41",
            &long[0],
            &long[1],
        ] {
            assert_eq!(Host::parse(raw), Err(HOST), "{raw:?}");
        }
    }
}
