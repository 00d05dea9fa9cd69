//! Request lines of HTTP/1.

use super::{Ambiguity, Version, method};

const LINE: Ambiguity = Ambiguity::new("request-line", "the first line is not a method, a target and a version with one blank between them");
const VERSION: Ambiguity = Ambiguity::new("version", "the request is neither HTTP/1.1 nor HTTP/1.0");
const METHOD: Ambiguity = Ambiguity::new("method", "the method is no word of up to 32 upper-case letters, digits and hyphens");

/// The parts of a request line (RFC 9112 section 3), the target unread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

impl<'a> RequestLine<'a> {
    /// Takes `line`, without its line end, apart.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Ambiguity> {
        let method = Self::method_of(line).ok_or(METHOD)?;
        let rest = line.get(method.len() + 1..).unwrap_or_default();
        let (target, version) = memchr::memchr(b' ', rest).and_then(|blank| Some((rest.get(..blank)?, rest.get(blank + 1..)?))).ok_or(LINE)?;
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            more if more.contains(&b' ') => return Err(LINE),
            _ => return Err(VERSION),
        };
        if target.is_empty() {
            return Err(LINE);
        }
        Ok(Self { method, target, version })
    }

    /// The method of a line that may still be growing: a token, followed by a blank.
    pub(super) fn method_of(line: &'a [u8]) -> Option<&'a str> {
        let end = line.iter().take(method::LONGEST + 1).position(|byte| *byte == b' ')?;
        line.get(..end).filter(|token| !token.is_empty() && token.iter().all(|byte| is_token(*byte))).and_then(|token| str::from_utf8(token).ok())
    }

    /// Whether a method can still come of what stands there so far.
    pub(super) fn may_begin(line: &[u8]) -> Result<(), Ambiguity> {
        let mut longest = line.iter().take(method::LONGEST + 1);
        match longest.position(|byte| !is_token(*byte)) {
            Some(at) if at > 0 && line.get(at) == Some(&b' ') => Ok(()),
            None if line.len() <= method::LONGEST => Ok(()),
            Some(_) | None => Err(METHOD),
        }
    }
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_has_three_parts_and_one_blank_between_them() {
        for (line, method, target, version) in [
            ("GET / HTTP/1.1", "GET", "/", Version::Http11),
            ("get /a HTTP/1.0", "get", "/a", Version::Http10),
            ("TRACE * HTTP/1.1", "TRACE", "*", Version::Http11),
        ] {
            assert_eq!(RequestLine::read(line.as_bytes()), Ok(RequestLine { method, target: target.as_bytes(), version }), "{line}");
        }
        for (line, reason) in [
            ("", METHOD),
            ("GET", METHOD),
            (" GET / HTTP/1.1", METHOD),
            ("G\"T / HTTP/1.1", METHOD),
            ("\u{16}\u{3}\u{1} / HTTP/1.1", METHOD),
            (&format!("{} / HTTP/1.1", "X".repeat(33)), METHOD),
            ("GET /", LINE),
            ("GET / ", VERSION),
            ("GET  HTTP/1.1", LINE),
            ("GET  / HTTP/1.1", LINE),
            ("GET / HTTP/1.1 ", LINE),
            ("GET / x HTTP/1.1", LINE),
            ("GET\t/\tHTTP/1.1", METHOD),
            ("GET / HTTP/0.9", VERSION),
            ("GET / HTTP/2.0", VERSION),
            ("GET / http/1.1", VERSION),
            ("GET / HTTP/1.2", VERSION),
            ("GET / HTTP/1.01", VERSION),
            ("GET / HTTP/1,1", VERSION),
            ("rest of it", VERSION),
        ] {
            assert_eq!(RequestLine::read(line.as_bytes()), Err(reason), "{line:?}");
        }
    }
}
