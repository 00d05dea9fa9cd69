//! An answer on its way to the client: the upstream's, or our own.

use super::connection::{Next, SKIP};
use super::door::Client;
use super::request::{Departure, Visit};
use crate::gateway::{Answer, BodyEnd, Ending, Reply, UpstreamFailure};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use scopegate_core::request::Version;

/// Not by pingora's own means: they make a second name for each header, in the case in which it once came.
fn with_headers(status: StatusCode, headers: impl ExactSizeIterator<Item = (HeaderName, HeaderValue)>) -> ResponseHeader {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.headers.reserve(headers.len() + FRAMING);
    for (name, value) in headers {
        parts.headers.append(name, value);
    }
    parts.into()
}

/// So many headers may be added to an answer: its framing, its date, and whether its connection stays.
const FRAMING: usize = 3;

/// More than the head of an answer of our own takes.
const HEAD: usize = 768;

/// What ends an attempt whose answer the client does not get to see.
const SET_ASIDE: ErrorType = ErrorType::Custom("answer set aside");

impl Visit {
    /// The head of the upstream's answer came: what of it passes, or what happens instead.
    pub(super) async fn answered(&mut self, session: &mut Session, answer: &mut ResponseHeader) -> Result<()> {
        if answer.status.is_informational() && answer.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        self.heard = true;
        self.side.answer_came();
        if !has_one_framing(&answer.headers) {
            tracing::warn!("an upstream's answer says in no plain way where it ends");
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        let at_hand = self.body_at_hand(session);
        match self.exchange.answered(answer.status, &answer.headers, at_hand).await {
            Reply::Pass { headers } => {
                *answer = self.passes(answer, headers)?;
                Ok(())
            }
            Reply::Replay(forward) => {
                self.goes_again(forward);
                Err(Error::new_up(SET_ASIDE))
            }
            Reply::Refuse(answer) => {
                self.instead = Some(answer);
                Err(Error::new_up(SET_ASIDE))
            }
        }
    }

    /// Exactly the headers that the gateway gave, and what an allowed upgrade needs.
    fn passes(&self, came: &ResponseHeader, headers: Vec<(HeaderName, HeaderValue)>) -> Result<ResponseHeader> {
        let mut answer = with_headers(came.status, headers.into_iter());
        answer.set_version(came.version);
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            if !self.forward.as_ref().is_some_and(|forward| forward.websocket) {
                return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
            }
            answer.insert_header("connection", "upgrade")?;
            answer.insert_header("upgrade", "websocket")?;
            self.side.go_raw();
        } else {
            self.side.stays_http();
        }
        Ok(answer)
    }

    /// A piece of the upstream's answer goes to the client.
    pub(super) fn answer_passes(&mut self, body: &mut Option<Bytes>, end: BodyEnd) -> Result<()> {
        self.exchange.body_out(body, end).map_err(|_| Error::new_up(ErrorType::InvalidHTTPHeader))
    }

    /// Trailers of the upstream's answer: what of them passes. What was held back of the body goes in their place, if anything was.
    pub(super) fn trailers_pass(&mut self, trailers: &mut HeaderMap) -> Result<Option<Bytes>> {
        self.exchange.trailers(trailers);
        let mut rest = None;
        self.answer_passes(&mut rest, BodyEnd::Last)?;
        Ok(rest)
    }

    /// Frames an answer of the upstream for this client, where pingora would leave its end to the connection's.
    pub(super) fn frame(&self, session: &mut Session, answer: &mut ResponseHeader) -> Result<()> {
        if session.is_process_shutting_down() {
            session.set_keepalive(None);
        }
        if answer.status == StatusCode::NO_CONTENT {
            // it has none, whatever it says (RFC 9110, section 8.6)
            answer.remove_header("content-length");
        }
        if answer.status.is_informational() || self.head.method.as_str() == "HEAD" || matches!(answer.status.as_u16(), 204 | 304) {
            return Ok(());
        }
        if self.head.version == Version::Http2 || answer.version == http::Version::HTTP_2 {
            // a stream says itself where its answer ends, and pingora frames what comes from one
        } else if self.head.version == Version::Http10 {
            answer.remove_header("transfer-encoding");
        } else if !answer.headers.contains_key("transfer-encoding") && !answer.headers.contains_key("content-length") {
            // it ended with its head
            answer.insert_header("content-length", "0")?;
        }
        Ok(())
    }

    /// Answers in the upstream's stead. The connection is kept where what is left of the request can be read past.
    pub(super) async fn respond(&mut self, session: &mut Session, answer: Answer) -> Result<()> {
        if !self.side.limit_rest(SKIP) || self.waits_for_word() || session.is_process_shutting_down() {
            session.set_keepalive(None);
        }
        let head = head_of(&answer)?;
        self.spoke = true;
        session.write_response_header(Box::new(head), false).await?;
        if self.head.method.as_str() != "HEAD" {
            self.exchange.answer_out(answer.body.len());
        }
        session.write_response_body(Some(answer.body), true).await
    }

    /// The request has failed for good: tells the client why, if it can still be told, and with which status.
    pub(super) async fn has_failed(&mut self, session: &mut Session, error: &Error) -> u16 {
        let Some(answer) = self.last_word(session, error) else { return 0 };
        let status = answer.status;
        if let Err(error) = self.respond(session, answer).await {
            tracing::debug!(error = error.etype().as_str(), "an answer could not be sent");
        }
        status
    }

    fn last_word(&mut self, session: &Session, error: &Error) -> Option<Answer> {
        if status_sent(session).is_some() || self.side.client() == Client::Gone {
            return None;
        }
        if let Some(answer) = self.instead.take() {
            return Some(answer);
        }
        if let Some(fault) = self.side.fault() {
            return Some(self.exchange.body_failed(fault));
        }
        if self.side.answer_is_overdue() {
            return Some(self.exchange.failed(UpstreamFailure::Timeout));
        }
        match error.esource() {
            ErrorSource::Downstream => None,
            ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset => Some(self.exchange.failed(failure(error))),
        }
    }

    /// pingora is done with the request; what remains goes to the connection.
    pub(super) fn departs(mut self: Box<Self>, session: &Session, error: Option<&Error>) {
        self.count_body();
        let client_failed = error.is_some_and(|error| *error.esource() == ErrorSource::Downstream && !self.spoke);
        let ending = match status_sent(session) {
            Some(101) => Ending::Sent { status: 101 },
            Some(_) if client_failed || self.side.client() == Client::Gone => Ending::ClientGone,
            Some(status) if error.is_some() && !self.spoke => Ending::CutShort { status },
            Some(status) => Ending::Sent { status },
            None => Ending::ClientGone,
        };
        let follows = (error.is_none() || self.spoke) && session.get_keepalive().is_some();
        let next = if follows { Next::Follows } else { Next::Ends };
        let Self { exchange, leaves, .. } = *self;
        // The connection waits for it, or is being torn down; then the exchange ends here.
        let _ = leaves.send(Departure { exchange, ending, next });
    }
}

/// Whether there is one way to tell where an answer ends: a plain length, or `chunked` and nothing else, since nobody asked for
/// another coding, and nothing hides in one. Where both are said, pingora goes by the chunks and the length is dropped.
fn has_one_framing(headers: &HeaderMap) -> bool {
    let is_length = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = codings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none();
    chunked && headers.get_all(CONTENT_LENGTH).iter().all(is_length)
}

/// The status of the answer, if its head is sent; interim answers are none.
fn status_sent(session: &Session) -> Option<u16> {
    let status = session.response_written()?.status.as_u16();
    (status == 101 || status >= 200).then_some(status)
}

/// The head of an answer of our own, but for what belongs to its connection.
pub(super) fn head_of(answer: &Answer) -> Result<ResponseHeader> {
    let status = StatusCode::from_u16(answer.status).or_else(|_| Error::err(ErrorType::InvalidHTTPHeader))?;
    let mut head = with_headers(status, answer.headers.iter().cloned());
    head.insert_header("content-length", answer.body.len().to_string())?;
    Ok(head)
}

/// An answer as bytes, for a request that pingora never sees; `body` is what is sent of its body.
pub(super) fn as_bytes(answer: &Answer, body: &[u8], next: Next) -> Vec<u8> {
    let phrase = StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
    let connection = if next == Next::Follows { "keep-alive" } else { "close" };
    let (status, length, date) = (answer.status.to_string(), answer.body.len().to_string(), get_cached_date());
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    let mut put = |parts: [&[u8]; 4]| parts.into_iter().for_each(|part| bytes.extend_from_slice(part));
    put([b"HTTP/1.1 ", status.as_bytes(), b" ", phrase.as_bytes()]);
    for (name, value) in &answer.headers {
        put([b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()]);
    }
    put([b"\r\ncontent-length: ", length.as_bytes(), b"\r\ndate: ", date.as_bytes()]);
    put([b"\r\nconnection: ", connection.as_bytes(), b"\r\n\r\n", body]);
    bytes
}

/// What an error of pingora's says of the upstream.
#[expect(clippy::wildcard_enum_match_arm, reason = "pingora's enum: whatever else it says, the upstream may have got the request")]
fn failure(error: &Error) -> UpstreamFailure {
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
