//! Request headers as they came.

use super::Ambiguity;
use bytes::Bytes;
use http::HeaderName;
use std::sync::Arc;

const FOLDED: Ambiguity = Ambiguity::new("folded-header", "a header is folded over several lines");
const NO_COLON: Ambiguity = Ambiguity::new("header-line", "a header line holds no colon");
const BLANK_BEFORE_COLON: Ambiguity = Ambiguity::new("blank-before-colon", "a blank stands between a header's name and its colon");
const NAME: Ambiguity = Ambiguity::new("header-name", "a header's name is no token");
const VALUE: Ambiguity = Ambiguity::new("header-value", "a header's value contains a control character");
const TWICE: Ambiguity = Ambiguity::new("header-twice", "a header that decides stands more than once");
const TWIN: Ambiguity = Ambiguity::new("header-twin", "a header that decides is spelled with underscores");
const OVERRIDE: Ambiguity = Ambiguity::new("method-override", "a header overrides the method");
const CONNECTION: Ambiguity = Ambiguity::new("connection-header", "the Connection header is no list of names");
const CONNECTION_NAMES: Ambiguity = Ambiguity::new("connection-names", "the Connection header names a header that decides");

/// Headers that have to stand once: another reader might take the other one. Identifier headers are judged where they are read.
const ONCE: [&str; 8] =
    ["host", "content-length", "content-type", "transfer-encoding", "authorization", "expect", "scopegate-session", "scopegate-authorization"];

/// Headers that override the method.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Headers in order; names in lower case. Clones share them. `Debug` shows names alone: values may be credentials.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers(Arc<[(HeaderName, Bytes)]>);

impl Headers {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// All values of `name` (lower case), in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The first value of `name` (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Whether a header reads as `name` (lower case, with hyphens) to servers that take `_` for `-`, and is not that header.
    #[must_use]
    pub fn has_twin(&self, name: &str) -> bool {
        self.iter().any(|(known, _)| known.as_bytes().contains(&b'_') && known.replace('_', "-") == name)
    }

    /// What `Connection` names, in lower case.
    pub(super) fn connection(&self) -> impl Iterator<Item = String> {
        self.all("connection").flat_map(|value| tokens(value))
    }

    /// What `Upgrade` offers, in lower case.
    pub(super) fn upgrade(&self) -> impl Iterator<Item = String> {
        self.all("upgrade").flat_map(|value| tokens(value))
    }

    pub(super) fn names_and_values(&self) -> impl Iterator<Item = (&HeaderName, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Judges what no single header shows.
    pub(super) fn judge(&self) -> Result<(), Ambiguity> {
        let mut seen = [false; ONCE.len()];
        for (name, _) in self.iter() {
            let stands_once = ONCE.iter().position(|known| name == *known).and_then(|at| seen.get_mut(at));
            if stands_once.is_some_and(|seen| std::mem::replace(seen, true)) {
                return Err(TWICE);
            }
            if name.as_bytes().contains(&b'_') {
                let twin = name.replace('_', "-");
                if OVERRIDES.contains(&twin.as_str()) {
                    return Err(OVERRIDE);
                }
                if twin.starts_with("scopegate-") || ONCE.contains(&twin.as_str()) {
                    return Err(TWIN);
                }
            }
            if OVERRIDES.contains(&name) {
                return Err(OVERRIDE);
            }
        }
        if self.all("connection").any(|value| !is_token_list(value)) {
            return Err(CONNECTION);
        }
        let decides = |name: &str| name == "host" || name == "authorization" || name.starts_with("scopegate-") || name.starts_with("content-");
        if self.connection().any(|name| decides(&name.replace('_', "-"))) {
            return Err(CONNECTION_NAMES);
        }
        Ok(())
    }
}

impl FromIterator<(HeaderName, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (HeaderName, Bytes)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Reads one header line without its line end: the name, and the value without outer blanks.
pub(super) fn read_line(line: &[u8]) -> Result<(HeaderName, &[u8]), Ambiguity> {
    if line.first().is_some_and(|first| matches!(first, b' ' | b'\t')) {
        return Err(FOLDED);
    }
    let (name, value) = memchr::memchr(b':', line).and_then(|colon| Some((line.get(..colon)?, line.get(colon + 1..)?))).ok_or(NO_COLON)?;
    if name.last().is_some_and(|last| matches!(last, b' ' | b'\t')) {
        return Err(BLANK_BEFORE_COLON);
    }
    Ok((read_name(name)?, read_value(value)?))
}

/// A header's name: a token (RFC 9110 section 5.1), in any case.
pub(super) fn read_name(name: &[u8]) -> Result<HeaderName, Ambiguity> {
    HeaderName::from_bytes(name).map_err(|_| NAME)
}

/// A header's value without outer blanks: visible characters, blanks, tabs, and bytes beyond ASCII (RFC 9110 section 5.5).
pub(super) fn read_value(value: &[u8]) -> Result<&[u8], Ambiguity> {
    // not `any`, which would look at one byte after the other
    let is_legal = value.iter().fold(true, |legal, byte| legal & ((*byte >= 0x20 && *byte != 0x7f) || *byte == b'\t'));
    if is_legal { Ok(trim(value)) } else { Err(VALUE) }
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn tokens(value: &[u8]) -> impl Iterator<Item = String> {
    value.split(|byte| *byte == b',').map(trim).filter(|token| !token.is_empty()).map(|token| String::from_utf8_lossy(token).to_ascii_lowercase())
}

fn is_token_list(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').map(trim).all(|token| token.is_empty() || HeaderName::from_bytes(token).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(lines: &[&str]) -> Result<Headers, Ambiguity> {
        let read = |line: &&str| read_line(line.as_bytes()).map(|(name, value)| (name, Bytes::copy_from_slice(value)));
        let headers: Headers = lines.iter().map(read).collect::<Result<_, _>>()?;
        headers.judge()?;
        Ok(headers)
    }

    #[test]
    fn a_header_line_is_a_token_a_colon_and_a_value() {
        for (line, name, value) in [
            ("Accept: a", "accept", "a"),
            ("X-A:b", "x-a", "b"),
            ("X-A: \t b c\t ", "x-a", "b c"),
            ("X-A:", "x-a", ""),
            ("X-A: a:b", "x-a", "a:b"),
            ("X-A: \u{e9}", "x-a", "\u{e9}"),
            ("!#$%&'*+-.^_`|~9: x", "!#$%&'*+-.^_`|~9", "x"),
        ] {
            let (found, content) = read_line(line.as_bytes()).unwrap();
            assert_eq!((found.as_str(), content), (name, value.as_bytes()), "{line}");
        }
        for (line, reason) in [
            (" b", FOLDED),
            ("\tb: c", FOLDED),
            ("X-A", NO_COLON),
            ("", NO_COLON),
            ("X-A : b", BLANK_BEFORE_COLON),
            ("X-A\t: b", BLANK_BEFORE_COLON),
            (": b", NAME),
            ("X A: b", NAME),
            ("X(A): b", NAME),
            ("X\u{e9}: b", NAME),
            ("X\0: b", NAME),
            ("\"X\": b", NAME),
            ("X: a\0b", VALUE),
            ("X: a\rb", VALUE),
            ("X: a\nb", VALUE),
            ("X: a\u{7f}", VALUE),
            ("X: a\u{b}", VALUE),
            ("X: \u{1b}[0m", VALUE),
        ] {
            assert_eq!(read_line(line.as_bytes()), Err(reason), "{line:?}");
        }
    }

    #[test]
    fn what_decides_stands_once_and_in_one_spelling() {
        for name in ONCE {
            assert_eq!(made(&[&format!("{name}: a"), &format!("{}: a", name.to_uppercase())]), Err(TWICE), "{name}");
        }
        for line in [
            "scopegate_account: a",
            "Scopegate_Session: a",
            "scopegate-account_x: a",
            "content_length: 1",
            "Transfer_Encoding: chunked",
            "content_type: a",
        ] {
            assert_eq!(made(&[line]), Err(TWIN), "{line}");
        }
        for name in ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override", "X_HTTP_Method_Override", "x_method-override"] {
            assert_eq!(made(&[&format!("{name}: DELETE")]), Err(OVERRIDE), "{name}");
        }
        assert!(
            made(&["Scopegate-Account: a", "Scopegate-Account: b", "Accept: a", "Accept: b", "x_y: 1", "X_Y: 2", "Cookie: a", "Cookie: b"]).is_ok()
        );
    }

    #[test]
    fn connection_names_nothing_that_decides() {
        for value in [
            "Scopegate-Account",
            "keep-alive, scopegate-session",
            "Host",
            "close,Content-Length",
            "content-type",
            "Authorization",
            "a, ,HOST",
            "scopegate_account",
        ] {
            assert_eq!(made(&[&format!("Connection: {value}")]), Err(CONNECTION_NAMES), "{value}");
        }
        assert_eq!(made(&["Connection: keep-alive", "Connection: host"]), Err(CONNECTION_NAMES));
        for value in ["keep alive", "\"close\"", "close;x", "cl\u{e9}"] {
            assert_eq!(made(&[&format!("Connection: {value}")]), Err(CONNECTION), "{value}");
        }
        let headers = made(&["Connection: Keep-Alive, X-Hop,", "Connection: Upgrade", "Connection:", "Upgrade: h2c, WebSocket"]).unwrap();
        assert_eq!(headers.connection().collect::<Vec<_>>(), ["keep-alive", "x-hop", "upgrade"]);
        assert_eq!(headers.upgrade().collect::<Vec<_>>(), ["h2c", "websocket"]);
    }

    #[test]
    fn a_twin_is_found_by_the_name_that_it_would_read_as() {
        let headers = made(&["x_agent: a", "X-Other: b"]).unwrap();
        assert!(headers.has_twin("x-agent"));
        assert!(!headers.has_twin("x-other"));
    }
}
