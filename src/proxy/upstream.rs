//! One request at an upstream: what goes up, what comes back. pingora connects, keeps connections, and speaks HTTP/1 or HTTP/2.

use crate::gateway::BodyEnd;
use bytes::Bytes;
use h2::SendStream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::{Error, ErrorType, OrErr, Result};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;

/// How a connection to an upstream was come by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// Made for this request.
    Fresh,
    /// Left by another.
    Pooled,
}

/// A request that is on its way, or answered.
pub(super) struct Conversation {
    session: HttpSession,
    idle: Duration,
    stage: Stage,
    /// Over HTTP/2, where the body goes: apart from what comes back.
    up: Option<Up>,
}

/// What comes back next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Head,
    Body,
    Trailers,
    Ended,
}

/// The body of a request on a stream.
struct Up {
    stream: SendStream<Bytes>,
    /// What waits for room.
    waits: Bytes,
    /// Whether nothing follows it.
    last: bool,
    ended: bool,
}

/// What came back, or moved on.
#[derive(Debug)]
pub(super) enum Came {
    /// The head of the answer: see [`Conversation::head`]. Interim answers stay behind.
    Head(BodyEnd),
    /// A piece of its body.
    Body(Bytes, BodyEnd),
    /// Its trailers, which end it.
    Trailers(HeaderMap),
    /// Its end.
    End,
    /// What waited of the request's body has left.
    Left,
    /// The request's body cannot be sent whole; an answer may come all the same.
    Stuck(Box<Error>),
}

impl Conversation {
    /// Begins on `session`, where nothing may stand still for longer than `idle` once the answer has begun.
    pub(super) fn new(mut session: HttpSession, idle: Duration) -> Self {
        session.set_write_timeout(Some(idle));
        Self { session, idle, stage: Stage::Head, up: None }
    }

    /// What is spoken.
    pub(super) fn version(&self) -> Version {
        match self.session {
            HttpSession::H2(_) => Version::HTTP_2,
            HttpSession::H1(_) | HttpSession::Custom(()) => Version::HTTP_11,
        }
    }

    /// Sends the head of the request.
    pub(super) async fn ask(&mut self, request: RequestHeader, end: BodyEnd) -> Result<()> {
        match &mut self.session {
            HttpSession::H2(session) => {
                session.write_request_header(Box::new(request), end == BodyEnd::Last)?;
                let stream = session.take_request_body_writer();
                self.up = stream.map(|stream| Up { stream, waits: Bytes::new(), last: false, ended: end == BodyEnd::Last });
                Ok(())
            }
            other @ (HttpSession::H1(_) | HttpSession::Custom(())) => other.write_request_header(Box::new(request)).await,
        }
    }

    /// Sends a piece of the request's body; over HTTP/2 it may have to wait for room, which [`next`](Self::next) sees to.
    pub(super) async fn put(&mut self, piece: Bytes, end: BodyEnd) -> Result<()> {
        if let Some(up) = &mut self.up {
            (up.waits, up.last) = (piece, end == BodyEnd::Last);
            return Ok(());
        }
        if !piece.is_empty() {
            self.session.write_request_body(piece, end == BodyEnd::Last).await?;
        }
        if end == BodyEnd::Last { self.session.finish_request_body().await } else { Ok(()) }
    }

    /// Whether a piece of the request's body waits for room.
    pub(super) fn waits(&self) -> bool {
        self.up.as_ref().is_some_and(|up| !up.ended && (up.last || !up.waits.is_empty()))
    }

    /// The body of the request cannot be sent whole: what came of the answer may still be read.
    pub(super) fn give_up_body(&mut self) {
        if let Some(up) = &mut self.up {
            (up.waits, up.last, up.ended) = (Bytes::new(), false, true);
        }
    }

    /// From here on bytes pass as they are, both ways.
    pub(super) fn go_raw(&mut self) -> bool {
        match &mut self.session {
            HttpSession::H1(session) if session.was_upgraded() => {
                session.maybe_upgrade_body_writer();
                true
            }
            HttpSession::H1(_) | HttpSession::H2(_) | HttpSession::Custom(()) => false,
        }
    }

    /// The head of the answer, once it came.
    pub(super) fn head(&self) -> Option<&ResponseHeader> {
        self.session.response_header()
    }

    /// What comes next. May be dropped and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Came> {
        if !self.waits() {
            return self.read().await;
        }
        let Self { session, idle, stage, up } = self;
        let Some(up) = up else { return Error::err(ErrorType::InternalError) };
        let ended = *stage == Stage::Ended;
        let pushed = tokio::select! {
            biased;
            came = read(session, stage, *idle), if !ended => return came,
            pushed = timeout(*idle, poll_fn(|cx| up.poll_push(cx))) => pushed,
        };
        Ok(match pushed {
            Ok(Ok(())) => Came::Left,
            Ok(Err(error)) => Came::Stuck(error),
            Err(_) => Came::Stuck(Error::new_up(ErrorType::WriteTimedout)),
        })
    }

    async fn read(&mut self) -> Result<Came> {
        read(&mut self.session, &mut self.stage, self.idle).await
    }

    /// What remains of it: its connection, or its stream of one.
    pub(super) fn into_session(self) -> HttpSession {
        self.session
    }
}

async fn read(session: &mut HttpSession, stage: &mut Stage, idle: Duration) -> Result<Came> {
    match stage {
        Stage::Head => {
            let end = read_head(session).await?;
            session.set_read_timeout(Some(idle));
            *stage = if end == BodyEnd::Last { Stage::Ended } else { Stage::Body };
            Ok(Came::Head(end))
        }
        Stage::Body => loop {
            match session.read_response_body().await? {
                Some(piece) => {
                    let end = has_ended(session)?;
                    if end == BodyEnd::Last {
                        *stage = Stage::Ended;
                    }
                    // frames may be empty without being the last
                    if !piece.is_empty() || end == BodyEnd::Last {
                        return Ok(Came::Body(piece, end));
                    }
                }
                None => {
                    *stage = Stage::Trailers;
                    return read_trailers(session, stage).await;
                }
            }
        },
        Stage::Trailers => read_trailers(session, stage).await,
        Stage::Ended => Ok(Came::End),
    }
}

/// Reads up to the head of the answer; interim ones are passed over.
async fn read_head(session: &mut HttpSession) -> Result<BodyEnd> {
    loop {
        session.read_response_header().await?;
        let status = session.response_header().map(|head| head.status);
        if status.is_some_and(|status| !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS) {
            break;
        }
    }
    let end = has_ended(session)?;
    if let HttpSession::H2(session) = session
        && end == BodyEnd::Last
    {
        // the `h2` crate lets a length pass that nothing follows (RFC 9113, section 8.1.1)
        let asked_for_head = session.request_header().is_some_and(|request| request.method == Method::HEAD);
        let announced = session.response_header().is_some_and(|head| {
            let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            !bodiless && head.headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'))
        });
        if announced && !asked_for_head {
            return Error::err(ErrorType::InvalidHTTPHeader);
        }
    }
    Ok(end)
}

/// Whether nothing of the answer is left; over HTTP/2 an end may be an error.
fn has_ended(session: &mut HttpSession) -> Result<BodyEnd> {
    let ended = match session {
        HttpSession::H2(session) => session.check_response_end_or_error()?,
        HttpSession::H1(_) | HttpSession::Custom(()) => session.response_done(),
    };
    Ok(if ended { BodyEnd::Last } else { BodyEnd::More })
}

async fn read_trailers(session: &mut HttpSession, stage: &mut Stage) -> Result<Came> {
    let trailers = match session {
        HttpSession::H2(session) => session.read_trailers().await?,
        HttpSession::H1(_) | HttpSession::Custom(()) => None,
    };
    *stage = Stage::Ended;
    Ok(trailers.map_or(Came::End, Came::Trailers))
}

impl Up {
    /// Sends what waits, as far as there is room for it.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.waits.is_empty() {
            self.stream.reserve_capacity(self.waits.len());
            let room = match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(cx)) {
                    Some(room) => room.or_err(ErrorType::WriteError, "while waiting for room")?,
                    None => return Poll::Ready(Error::err(ErrorType::WriteError)),
                },
                room => room,
            };
            let piece = self.waits.split_to(room.min(self.waits.len()));
            let last = self.last && self.waits.is_empty();
            self.send(piece, last)?;
        }
        if self.last && !self.ended {
            self.send(Bytes::new(), true)?;
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, piece: Bytes, last: bool) -> Result<()> {
        self.ended |= last;
        self.stream.send_data(piece, last).or_err(ErrorType::WriteError, "while sending a body")
    }
}
