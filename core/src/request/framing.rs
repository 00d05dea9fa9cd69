//! Where a body ends.

use super::{Ambiguity, Body, Headers, Request, Version};

const LENGTH: Ambiguity = Ambiguity::new("content-length", "the Content-Length is not one plain number");
const CODING: Ambiguity = Ambiguity::new("transfer-encoding", "the Transfer-Encoding is not exactly `chunked`");
const TWO_ENDS: Ambiguity = Ambiguity::new("two-lengths", "the body's end is told by Content-Length and by Transfer-Encoding");
const CODING_VERSION: Ambiguity = Ambiguity::new("transfer-encoding-version", "this version of HTTP knows no Transfer-Encoding");

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes; perhaps none.
    Length(u64),
    /// Nobody knows yet: chunks over HTTP/1 ([`ChunkReader`](super::ChunkReader)), DATA frames over HTTP/2.
    Chunked,
}

/// What an HTTP/2 stream says about its body besides headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamBody {
    /// The stream ended with the head.
    Ended,
    /// DATA frames may follow.
    Open,
}

impl Framing {
    /// Reads `content-length` and `transfer-encoding` of a head. Over HTTP/2 the stream says the rest.
    /// # Errors
    /// A length that is not plain digits, a length beside chunks, any transfer coding but one `chunked`.
    pub(super) fn read(headers: &Headers, version: Version) -> Result<Self, Ambiguity> {
        let length = headers.get("content-length").map(|value| length(value).ok_or(LENGTH)).transpose()?;
        match (length, headers.get("transfer-encoding"), version) {
            (_, Some(_), Version::Http10 | Version::Http2) => Err(CODING_VERSION),
            (Some(_), Some(_), Version::Http11) => Err(TWO_ENDS),
            (None, Some(coding), Version::Http11) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Self::Chunked),
            (None, Some(_), Version::Http11) => Err(CODING),
            (Some(length), None, _) => Ok(Self::Length(length)),
            (None, None, _) => Ok(Self::None),
        }
    }

    /// How the body of a request is told to the API: as it came, or by its length once it was read.
    pub(super) fn of(request: &Request) -> Self {
        let length = request.headers.get("content-length").and_then(|value| length(value));
        match &request.body {
            Body::Whole(body) => Self::Length(body.len() as u64),
            Body::Unread => length.map_or(Self::Chunked, Self::Length),
            Body::None if length.is_some() => Self::Length(0),
            Body::None => Self::None,
        }
    }

    /// What is known of the body.
    pub(super) fn body(self) -> Body {
        match self {
            Self::None | Self::Length(0) => Body::None,
            Self::Length(_) | Self::Chunked => Body::Unread,
        }
    }
}

/// Digits without sign and leading zeros, below 10^18.
fn length(value: &[u8]) -> Option<u64> {
    let plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit) && (value.len() == 1 || value.first() != Some(&b'0'));
    plain.then(|| str::from_utf8(value).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn framing(version: Version, lines: &[(&'static str, &str)]) -> Result<Framing, Ambiguity> {
        let field = |(name, value): &(&'static str, &str)| (http::HeaderName::from_static(name), Bytes::copy_from_slice(value.as_bytes()));
        let headers: Headers = lines.iter().map(field).collect();
        headers.judge()?;
        Framing::read(&headers, version)
    }

    #[test]
    fn a_body_has_one_end() {
        for (lines, expected) in [
            (&[][..], Framing::None),
            (&[("content-length", "0")], Framing::Length(0)),
            (&[("content-length", "17")], Framing::Length(17)),
            (&[("content-length", "999999999999999999")], Framing::Length(999_999_999_999_999_999)),
            (&[("transfer-encoding", "chunked")], Framing::Chunked),
            (&[("transfer-encoding", "Chunked")], Framing::Chunked),
        ] {
            assert_eq!(framing(Version::Http11, lines), Ok(expected), "{lines:?}");
        }
    }

    #[test]
    fn a_message_with_two_ends_is_refused() {
        for value in [
            "",
            "+2",
            "-2",
            " 2",
            "2 ",
            "2, 2",
            "2, 3",
            "2,",
            "0x2",
            "2.0",
            "02",
            "00",
            "1e3",
            "1000000000000000000",
            "99999999999999999999",
            "two",
            "２",
        ] {
            assert_eq!(framing(Version::Http11, &[("content-length", value)]), Err(LENGTH), "{value:?}");
        }
        for value in
            ["", "identity", "chunked, identity", "gzip, chunked", "chunked, chunked", "chunked,", "xchunked", "chunked;q=1", "\"chunked\"", "chunke"]
        {
            assert_eq!(framing(Version::Http11, &[("transfer-encoding", value)]), Err(CODING), "{value:?}");
        }
        for (lines, code) in [
            (&[("content-length", "2"), ("transfer-encoding", "chunked")][..], "two-lengths"),
            (&[("content-length", "2"), ("content-length", "3")], "header-twice"),
            (&[("content-length", "2"), ("content-length", "2")], "header-twice"),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], "header-twice"),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "identity")], "header-twice"),
        ] {
            assert_eq!(framing(Version::Http11, lines).map_err(|reason| reason.code), Err(code), "{lines:?}");
        }
        for version in [Version::Http10, Version::Http2] {
            assert_eq!(framing(version, &[("transfer-encoding", "chunked")]), Err(CODING_VERSION));
        }
    }
}
