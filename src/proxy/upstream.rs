//! One request at an upstream: what goes up, what comes back. pingora connects, keeps connections, and speaks HTTP/1 or HTTP/2.

use super::due::Due;
use super::sluice::Sluice;
use crate::gateway::BodyEnd;
use bytes::Bytes;
use h2::SendStream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::{Error, ErrorType, OrErr, Result};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How a connection to an upstream was come by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// Made for this request.
    Fresh,
    /// Left by another.
    Pooled,
}

/// How long an upstream whose answer is whole may take nothing of what is left of the request.
const AFTER: Duration = Duration::from_secs(1);
/// As much of a body is handed over at a time where the connection may not take it.
const PIECE: usize = 64 * 1024;

/// A request that is on its way, or answered.
pub(super) struct Conversation {
    session: Box<HttpSession>,
    idle: Duration,
    stage: Stage,
    up: Up,
}

/// What comes back next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Head,
    Body,
    /// An answer that has no body (RFC 9110, section 6.4.1), whose end is still to come.
    Bare,
    Trailers,
    Ended,
}

/// The body of a request.
struct Up {
    /// Over HTTP/2, where it goes: apart from what comes back.
    stream: Option<SendStream<Bytes>>,
    /// What waits for room.
    waits: Bytes,
    /// Whether nothing follows it.
    last: bool,
    ended: bool,
    /// Over HTTP/1: whether the connection still keeps what it was given.
    behind: bool,
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
    /// Something of the request's body has left that waited.
    Left,
    /// The request's body cannot be sent whole; an answer may come all the same.
    Stuck(Box<Error>),
}

impl Conversation {
    /// Begins on `session`, where nothing may stand still for longer than `idle` once the answer has begun.
    pub(super) fn new(mut session: Box<HttpSession>, idle: Duration) -> Self {
        session.set_write_timeout(Some(idle));
        let up = Up { stream: None, waits: Bytes::new(), last: false, ended: false, behind: false };
        Self { session, idle, stage: Stage::Head, up }
    }

    /// What is spoken.
    pub(super) fn version(&self) -> Version {
        match *self.session {
            HttpSession::H2(_) => Version::HTTP_2,
            HttpSession::H1(_) | HttpSession::Custom(()) => Version::HTTP_11,
        }
    }

    /// Sends the head of the request.
    pub(super) async fn ask(&mut self, request: RequestHeader, end: BodyEnd) -> Result<()> {
        self.up.ended = end == BodyEnd::Last;
        match &mut *self.session {
            HttpSession::H2(session) => {
                session.write_request_header(Box::new(request), self.up.ended)?;
                self.up.stream = session.take_request_body_writer();
            }
            other @ (HttpSession::H1(_) | HttpSession::Custom(())) => {
                other.write_request_header(Box::new(request)).await?;
                self.up.behind = is_behind(&self.session);
            }
        }
        Ok(())
    }

    /// Sends a piece of the request's body, which may have to [wait](Self::waits) for room; [`next`](Self::next) sees to that.
    pub(super) async fn put(&mut self, piece: Bytes, end: BodyEnd) -> Result<()> {
        (self.up.waits, self.up.last) = (piece, end == BodyEnd::Last);
        self.feed().await
    }

    /// Over HTTP/1, hands over what waits, up to where the connection falls behind; this itself never waits.
    async fn feed(&mut self) -> Result<()> {
        if self.up.stream.is_some() {
            return Ok(());
        }
        while !self.up.waits.is_empty() && !self.up.behind {
            let piece = self.up.waits.split_to(PIECE.min(self.up.waits.len()));
            let last = self.up.last && self.up.waits.is_empty();
            self.session.write_request_body(piece, last).await?;
            self.up.behind = is_behind(&self.session);
        }
        if self.up.last && self.up.waits.is_empty() && !self.up.ended {
            self.up.ended = true;
            self.session.finish_request_body().await?;
            self.up.behind = is_behind(&self.session);
        }
        Ok(())
    }

    /// Whether a piece of the request's body waits for room.
    pub(super) fn waits(&self) -> bool {
        self.up.behind || !self.up.ended && (self.up.last || !self.up.waits.is_empty())
    }

    /// The body of the request cannot be sent whole: what came of the answer may still be read.
    pub(super) fn give_up_body(&mut self) {
        (self.up.waits, self.up.last, self.up.ended, self.up.behind) = (Bytes::new(), false, true, false);
    }

    /// From here on bytes pass as they are, both ways.
    pub(super) fn go_raw(&mut self) -> bool {
        match &mut *self.session {
            HttpSession::H1(session) if session.was_upgraded() => {
                session.maybe_upgrade_body_writer();
                (self.up.last, self.up.ended) = (false, false);
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
        let before = self.left();
        let mut stands_still = Due::after(if self.stage == Stage::Ended { AFTER } else { self.idle });
        let moved = poll_fn(|cx| match self.poll_move(cx) {
            Poll::Pending if self.left() < before => Poll::Ready(Moved::Up),
            Poll::Pending => stands_still.poll(cx).map(|()| Moved::Stuck(Error::new_up(ErrorType::WriteTimedout))),
            moved @ Poll::Ready(_) => moved,
        });
        match moved.await {
            Moved::Back(came) => came,
            Moved::Stuck(error) => Ok(Came::Stuck(error)),
            Moved::Up => Ok(self.feed().await.map_or_else(Came::Stuck, |()| Came::Left)),
        }
    }

    /// The answer first; what waits of the request moves meanwhile.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        if self.stage != Stage::Ended
            && let Poll::Ready(came) = pin!(self.read()).poll(cx)
        {
            return Poll::Ready(Moved::Back(came));
        }
        let pushed = match (&mut self.up.stream, Sluice::under(&self.session)) {
            (Some(_), _) => ready!(self.up.poll_push(cx)),
            (None, Some(sluice)) => ready!(sluice.poll_through(cx)).or_err(ErrorType::WriteError, "while sending a body"),
            (None, None) => Ok(()),
        };
        self.up.behind = false;
        Poll::Ready(pushed.map_or_else(Moved::Stuck, |()| Moved::Up))
    }

    /// How much of the request is known to wait.
    fn left(&self) -> usize {
        self.up.waits.len() + Sluice::under(&self.session).map_or(0, Sluice::kept)
    }

    async fn read(&mut self) -> Result<Came> {
        read(&mut self.session, &mut self.stage, self.idle).await
    }

    /// What remains of it: its connection, or its stream of one.
    pub(super) fn into_session(self) -> Box<HttpSession> {
        self.session
    }
}

/// What moved while a piece of the request waited.
enum Moved {
    /// The answer.
    Back(Result<Came>),
    /// Some of the piece, or all of it.
    Up,
    /// Nothing: the piece cannot leave.
    Stuck(Box<Error>),
}

/// Whether its connection keeps something of what was written to it.
fn is_behind(session: &HttpSession) -> bool {
    Sluice::under(session).is_some_and(Sluice::is_behind)
}

async fn read(session: &mut HttpSession, stage: &mut Stage, idle: Duration) -> Result<Came> {
    match stage {
        Stage::Head => {
            let end = read_head(session).await?;
            session.set_read_timeout(Some(idle));
            *stage = match end {
                BodyEnd::Last => Stage::Ended,
                BodyEnd::More if is_bare(session) => Stage::Bare,
                BodyEnd::More => Stage::Body,
            };
            Ok(Came::Head(end))
        }
        Stage::Body | Stage::Bare => loop {
            match session.read_response_body().await? {
                Some(piece) if *stage == Stage::Bare && !piece.is_empty() => {
                    *stage = Stage::Ended;
                    return Ok(Came::End);
                }
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
    // the `h2` crate lets a length pass that nothing follows (RFC 9113, section 8.1.1)
    if let HttpSession::H2(stream) = &*session
        && end == BodyEnd::Last
        && !is_bare(session)
        && let Some(length) = stream.response_header().and_then(|head| head.headers.get(CONTENT_LENGTH))
        && length.as_bytes().iter().any(|digit| *digit != b'0')
    {
        return Error::err(ErrorType::InvalidHTTPHeader);
    }
    Ok(end)
}

/// Whether an answer over HTTP/2 has no body whatever its head says and its stream brings. Over HTTP/1 none is ever read there.
fn is_bare(session: &HttpSession) -> bool {
    let HttpSession::H2(session) = session else { return false };
    session.request_header().is_some_and(|request| request.method == Method::HEAD)
        || session.response_header().is_some_and(|head| matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED))
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
    /// Over HTTP/2, sends what waits, as far as there is room for it.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { stream: Some(stream), waits, last, ended, .. } = self else { return Poll::Ready(Ok(())) };
        while !*ended && (*last || !waits.is_empty()) {
            stream.reserve_capacity(waits.len());
            let room = match stream.capacity() {
                0 if !waits.is_empty() => match ready!(stream.poll_capacity(cx)) {
                    Some(room) => room.or_err(ErrorType::WriteError, "while waiting for room")?,
                    None => return Poll::Ready(Error::err(ErrorType::WriteError)),
                },
                room => room,
            };
            let piece = waits.split_to(room.min(waits.len()));
            *ended = *last && waits.is_empty();
            stream.send_data(piece, *ended).or_err(ErrorType::WriteError, "while sending a body")?;
        }
        Poll::Ready(Ok(()))
    }
}
