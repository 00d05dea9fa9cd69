//! An answer on its way to the client: the upstream's, or our own.

use super::connection::Next;
use super::door::{Broken, Door};
use crate::gateway::{Answer, BodyEnd, UpstreamFailure};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora::protocols::http::date::get_cached_date;
use pingora::{Error, ErrorType};
use scopegate_core::request::{Head, Version};
use std::fmt::Write;

/// More than the head of most answers takes.
const HEAD: usize = 1024;

/// The head of an answer, but for what belongs to its connection.
pub(super) struct AnswerHead {
    status: StatusCode,
    /// Without framing.
    headers: Vec<(HeaderName, HeaderValue)>,
    length: Length,
}

/// How long the body of an answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Length {
    /// There is none, whatever length is announced.
    Bodiless(Option<u64>),
    /// So many bytes.
    Known(u64),
    /// As long as more comes: in chunks, or, for a client that knows none, up to the end of the connection.
    Unknown(Version),
}

impl AnswerHead {
    /// An answer of our own to a request of `method`.
    pub(super) fn own(answer: &Answer, method: &str) -> Self {
        let length = answer.body.len() as u64;
        let length = if method == "HEAD" || length == 0 { Length::Bodiless(Some(length)) } else { Length::Known(length) };
        // the gateway says no other
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: answer.headers.clone(), length }
    }

    /// The answer of an upstream to `request`; `end` says whether anything follows.
    pub(super) fn passing(status: StatusCode, mut headers: Vec<(HeaderName, HeaderValue)>, request: &Head, end: BodyEnd) -> Self {
        let announced = headers.iter().find(|(name, _)| *name == CONTENT_LENGTH).and_then(|(_, value)| value.to_str().ok()?.parse().ok());
        headers.retain(|(name, _)| *name != CONTENT_LENGTH);
        let length = match announced {
            // it has none, whatever it says (RFC 9110, section 8.6)
            _ if status.is_informational() || status == StatusCode::NO_CONTENT => Length::Bodiless(None),
            announced if request.method.as_str() == "HEAD" || status == StatusCode::NOT_MODIFIED => Length::Bodiless(announced),
            // of length 0 it may still have trailers
            Some(0) if end == BodyEnd::Last => Length::Bodiless(Some(0)),
            Some(announced) => Length::Known(announced),
            // a stream says itself where its answer ends
            None if end == BodyEnd::Last && request.version == Version::Http2 => Length::Bodiless(None),
            None if end == BodyEnd::Last => Length::Known(0),
            None => Length::Unknown(request.version),
        };
        Self { status, headers, length }
    }

    /// Whether only the end of the connection can end it.
    pub(super) fn ends_with_the_connection(&self) -> bool {
        self.length == Length::Unknown(Version::Http10)
    }

    /// Writes it as HTTP/1 does, and says how the body is to be framed.
    pub(super) fn write(&self, to: &mut BytesMut, next: Next) -> Framed {
        to.reserve(HEAD);
        let mut put = |parts: [&[u8]; 4]| parts.into_iter().for_each(|part| to.extend_from_slice(part));
        put([b"HTTP/1.1 ", self.status.as_str().as_bytes(), b" ", self.status.canonical_reason().unwrap_or_default().as_bytes()]);
        for (name, value) in &self.headers {
            put([b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
        if !self.headers.iter().any(|(name, _)| *name == DATE) {
            put([b"\r\n", b"date", b": ", get_cached_date().as_bytes()]);
        }
        let framed = match self.length {
            Length::Bodiless(_) => Framed::Bare,
            Length::Known(left) => Framed::Sized { left },
            Length::Unknown(Version::Http10) => Framed::UntilClose,
            Length::Unknown(Version::Http11 | Version::Http2) => {
                put([b"\r\n", b"transfer-encoding", b": ", b"chunked"]);
                Framed::Chunked
            }
        };
        if self.status != StatusCode::SWITCHING_PROTOCOLS {
            put([b"\r\n", b"connection", b": ", if next == Next::Follows { b"keep-alive" } else { b"close" }]);
        }
        if let Length::Bodiless(Some(length)) | Length::Known(length) = self.length {
            // nothing that is written to memory fails
            let _ = write!(to, "\r\ncontent-length: {length}");
        }
        to.extend_from_slice(b"\r\n\r\n");
        framed
    }

    /// As HTTP/2 sends it, and whether it is all of the answer.
    pub(super) fn for_stream(self) -> (StatusCode, HeaderMap, BodyEnd) {
        // length and date may be added
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if let Length::Bodiless(Some(length)) | Length::Known(length) = self.length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        headers.entry(DATE).or_insert_with(get_cached_date);
        let all = matches!(self.length, Length::Bodiless(_));
        (self.status, headers, if all { BodyEnd::Last } else { BodyEnd::More })
    }
}

/// How the body of an answer is framed over HTTP/1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framed {
    /// There is none.
    Bare,
    /// By its length.
    Sized {
        /// Bytes to come.
        left: u64,
    },
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
    /// Not at all: the connection speaks another protocol.
    Raw,
}

impl Framed {
    /// Writes a piece of the body.
    /// # Errors
    /// The client is gone, or the body is not as long as its head said.
    pub(super) async fn send(&mut self, door: &mut Door, piece: Bytes, end: BodyEnd) -> Result<(), Broken> {
        match self {
            Self::Bare => return Ok(()),
            Self::Sized { left } => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Broken)?;
                if end == BodyEnd::Last && *left > 0 {
                    return Err(Broken);
                }
            }
            Self::Chunked if piece.is_empty() => {}
            Self::Chunked => {
                let _ = write!(door.going(), "{:x}\r\n", piece.len());
            }
            Self::UntilClose | Self::Raw => {}
        }
        door.write(&piece).await.map_err(|_| Broken)?;
        if *self == Self::Chunked {
            if !piece.is_empty() {
                door.going().extend_from_slice(b"\r\n");
            }
            if end == BodyEnd::Last {
                door.going().extend_from_slice(b"0\r\n\r\n");
            }
        }
        Ok(())
    }
}

/// Whether there is one way to tell where an answer ends: a plain length, or `chunked` and nothing else, since nobody asked for
/// another coding, and nothing hides in one. Where both are said, pingora goes by the chunks and the length is dropped.
pub(super) fn has_one_framing(headers: &HeaderMap) -> bool {
    let is_length = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = codings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none();
    chunked && headers.get_all(CONTENT_LENGTH).iter().all(is_length)
}

/// What an error of pingora's says of the upstream.
#[expect(clippy::wildcard_enum_match_arm, reason = "pingora's enum: whatever else it says, the upstream may have got the request")]
pub(super) fn failure(error: &Error) -> UpstreamFailure {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => UpstreamFailure::Timeout,
        ErrorType::ConnectTimedout
        | ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::ConnectProxyFailure
        | ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::TLSWantX509Lookup
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError
        | ErrorType::BindError
        | ErrorType::SocketError => UpstreamFailure::Unreachable,
        _ => UpstreamFailure::Broken,
    }
}
