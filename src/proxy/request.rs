//! A request on its way to the upstream, and its answer on the way back.

use super::connection::{Next, SKIP, Shared};
use super::door::{Broken, Client};
use super::pool::Peer;
use super::response::{AnswerHead, failure, has_one_framing};
use super::side::{Side, Wants};
use super::upstream::{Came, Conversation, Link};
use crate::gateway::{Answer, BodyAtHand, BodyEnd, Ending, Exchange, Forward, Reply, Step, UpstreamFailure};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode, request};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, RetryType};
use scopegate_core::request::{Framing, Head, Version};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// So many addresses of an upstream are tried, each time that a request is sent.
const ADDRESSES: usize = 3;
/// The most of a body that is kept in order to send it again, where nobody here reads it.
const KEPT: usize = 64 * 1024;

/// One request and its answer.
pub(super) struct Visit<'a> {
    shared: &'a Shared,
    head: Arc<Head>,
    side: Side<'a>,
    exchange: Box<Exchange>,
    /// The body, where a policy read it.
    whole: Option<Bytes>,
    /// What came of it, where none did.
    kept: Kept,
    /// The status that the client was told.
    said: Option<StatusCode>,
    /// Whether what the client sees comes from Scopegate itself.
    spoke: bool,
    next: Next,
    /// Whether this attempt was answered.
    heard: bool,
    /// Which of the addresses is dialled.
    address: usize,
    /// How often another address was turned to since the request was sent, or sent once more.
    turns: usize,
    /// Whether a pooled connection turned out to be dead.
    pool_failed: bool,
    /// Whether a client that waits for `100 Continue` was told to go on.
    told_to_go_on: bool,
    /// Bytes of the body that the exchange knows of.
    counted: u64,
}

/// What remains of a visit.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) exchange: Box<Exchange>,
    pub(super) ending: Ending,
    pub(super) next: Next,
}

/// What came of a body, in case it is sent again.
#[derive(Debug, Default)]
struct Kept {
    bytes: BytesMut,
    truncated: bool,
}

impl Kept {
    fn keep(&mut self, more: &[u8]) {
        if self.truncated || self.bytes.len() + more.len() > KEPT {
            *self = Self { bytes: BytesMut::new(), truncated: true };
        } else {
            self.bytes.extend_from_slice(more);
        }
    }
}

/// Why an attempt came to nothing.
enum Failure {
    /// The body has a fault, the client is gone, or the upstream is overdue: its side knows.
    Side,
    /// There is no connection to that address. Nothing was sent.
    Unreached(Box<Error>),
    /// The upstream broke off.
    Upstream(Box<Error>),
    /// The gateway wants the request sent once more.
    Replay(Box<Forward>),
    /// The gateway answers instead.
    Instead(Answer),
}

impl From<Broken> for Failure {
    fn from(Broken: Broken) -> Self {
        Self::Side
    }
}

impl From<Box<Error>> for Failure {
    fn from(error: Box<Error>) -> Self {
        Self::Upstream(error)
    }
}

/// How the client's side of a visit ended, if not well.
enum Cut {
    /// With the client.
    Client,
    /// With the upstream, in the middle of its answer.
    Upstream,
}

impl From<Broken> for Cut {
    fn from(Broken: Broken) -> Self {
        Self::Client
    }
}

/// What an upstream's connection is good for behind a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaves {
    /// Another request.
    Clean,
    /// Nothing.
    Spoilt,
}

/// What moves next.
enum Event {
    Client(Result<Option<Bytes>, Broken>),
    Upstream(pingora::Result<Came>),
}

/// How far the body of a request is on its way up.
#[derive(Debug, Default)]
struct Upload {
    /// Whether its end is on its way, or it was given up.
    ended: bool,
    /// Why it was given up.
    error: Option<Box<Error>>,
}

impl Upload {
    async fn put(&mut self, upstream: &mut Conversation, piece: Bytes, end: BodyEnd) {
        self.ended = end == BodyEnd::Last;
        if let Err(error) = upstream.put(piece, end).await {
            self.give_up(upstream, error);
        }
    }

    /// An upstream that takes no more may have answered all the same.
    fn give_up(&mut self, upstream: &mut Conversation, error: Box<Error>) {
        tracing::debug!(error = error.etype().as_str(), "an upstream takes no more of a body");
        upstream.give_up_body();
        *self = Self { ended: true, error: Some(error) };
    }
}

impl<'a> Visit<'a> {
    pub(super) fn new(shared: &'a Shared, head: Arc<Head>, side: Side<'a>, exchange: Box<Exchange>) -> Self {
        Self {
            shared,
            head,
            side,
            exchange,
            whole: None,
            kept: Kept::default(),
            said: None,
            spoke: false,
            next: Next::Ends,
            heard: false,
            address: 0,
            turns: 0,
            pool_failed: false,
            told_to_go_on: false,
            counted: 0,
        }
    }

    /// Does what the gateway says, up to the last byte of the answer; `step` is what it has said first.
    pub(super) async fn serve(mut self, mut step: Step) -> Departure {
        let served = loop {
            step = match step {
                Step::Forward(forward) => break self.forward(forward).await,
                Step::Refuse(answer) => break self.respond(answer).await,
                Step::ReadBody { limit } => match (self.whole_body(limit).await, self.side.fault()) {
                    (_, Some(fault)) => Step::Refuse(self.exchange.body_failed(fault)),
                    (Ok(body), None) => self.exchange.admit_body(body).await,
                    (Err(Broken), None) => break Err(Cut::Client),
                },
            };
        };
        self.departs(served)
    }

    /// The whole body, which is sent from here where the request goes on.
    async fn whole_body(&mut self, limit: usize) -> Result<Bytes, Broken> {
        self.tell_to_go_on().await?;
        self.side.limit_body(limit as u64);
        let mut body = self.side.body().await?.unwrap_or_default();
        if !self.side.is_whole() {
            let mut all = BytesMut::from(body);
            while let Some(more) = self.side.body().await? {
                all.extend_from_slice(&more);
            }
            body = all.freeze();
        }
        self.count_body();
        self.whole = Some(body.clone());
        Ok(body)
    }

    async fn tell_to_go_on(&mut self) -> Result<(), Broken> {
        if self.waits_for_word() {
            self.side.go_on().await?;
            self.told_to_go_on = true;
        }
        Ok(())
    }

    /// Whether the client sends its body only when told to.
    fn waits_for_word(&self) -> bool {
        self.head.expects_continue && !self.told_to_go_on && !self.side.is_whole() && self.head.version != Version::Http10
    }

    fn count_body(&mut self) {
        let received = self.side.received();
        self.exchange.body_in(usize::try_from(received - self.counted).unwrap_or(usize::MAX));
        self.counted = received;
    }

    /// Answers here. The connection is kept where what is left of the request can be read past.
    async fn respond(&mut self, answer: Answer) -> Result<(), Cut> {
        let stays = self.side.limit_rest(SKIP) && !self.waits_for_word();
        self.next = if stays { self.may_follow() } else { Next::Ends };
        self.spoke = true;
        let head = AnswerHead::own(&answer, self.head.method.as_str());
        self.said = StatusCode::from_u16(answer.status).ok();
        let body = if self.head.method.as_str() == "HEAD" { Bytes::new() } else { answer.body };
        self.exchange.answer_out(body.len());
        self.side.send_head(head, self.next)?;
        self.side.send_body(body, BodyEnd::Last).await?;
        self.send_rest().await
    }

    /// Sends what was collected of the answer.
    async fn send_rest(&mut self) -> Result<(), Cut> {
        self.shared.together.gather().await;
        Ok(self.side.flush().await?)
    }

    /// Whether another request may follow, as far as client and gateway go.
    fn may_follow(&self) -> Next {
        if self.head.keep_alive && !*self.shared.closing.borrow() { Next::Follows } else { Next::Ends }
    }

    /// Sends the request, as often as may be.
    async fn forward(&mut self, mut forward: Box<Forward>) -> Result<(), Cut> {
        self.side.limit_body(forward.body_limit);
        self.tell_to_go_on().await?;
        loop {
            let failure = match self.attempt(&forward).await {
                Ok(()) => return self.send_rest().await,
                Err(failure) => failure,
            };
            match failure {
                Failure::Replay(again) => {
                    self.goes_again(&forward, &again);
                    forward = again;
                }
                Failure::Instead(answer) => return self.respond(answer).await,
                Failure::Unreached(error) if !self.turns_to_next_address(&forward, &error) => {
                    return self.has_failed(Some(&error)).await;
                }
                Failure::Upstream(error) => return self.has_failed(Some(&error)).await,
                Failure::Side => return self.has_failed(None).await,
                Failure::Unreached(_) => {}
            }
        }
    }

    /// One connection's try; a pooled one that was dead is made up for by another, once.
    async fn attempt(&mut self, forward: &Forward) -> Result<(), Failure> {
        let Some(address) = forward.addresses.get(self.address) else { return Err(Error::new_up(ErrorType::ConnectNoRoute).into()) };
        let mut peer = Peer {
            address: *address,
            tls: forward.tls.as_deref(),
            // an upgrade is HTTP/1's alone, and a client of HTTP/1.0 cannot be sent an answer of unknown length in chunks
            http1: self.head.websocket || self.head.version == Version::Http10,
            group: forward.group_key,
            timeout: forward.connect_timeout,
        };
        let pool = &self.shared.pool;
        loop {
            let (session, link) = pool.connect(&peer).await.map_err(Failure::Unreached)?;
            let mut upstream = Conversation::new(session, forward.idle_timeout);
            let relayed = self.relay(&mut upstream, forward).await;
            let session = upstream.into_session();
            match &relayed {
                Ok(Leaves::Clean) => pool.keep(session, &peer).await,
                Ok(Leaves::Spoilt) | Err(_) => pool.let_go(*session, &peer).await,
            }
            match relayed {
                Ok(_) => return Ok(()),
                Err(Failure::Upstream(error)) if self.tries_again(&error, link) => {
                    // this once: what one request brought about is nobody else's
                    peer.http1 |= matches!(error.etype(), ErrorType::H2Downgrade | ErrorType::InvalidH2);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The head that the upstream gets: the gateway's, and the framing of the body at hand.
    fn request(forward: &Forward, version: http::Version, framing: Framing) -> pingora::Result<RequestHeader> {
        let head = &forward.head;
        let request = RequestHeader::build_no_case(head.method.as_str(), head.path_and_query.as_bytes(), Some(0))?;
        // pingora would make a second name for each header, in the case in which it once came
        let mut parts = request::Parts::from(request);
        parts.headers.reserve(head.headers.len() + 1);
        for (name, value) in &head.headers {
            let value = HeaderValue::from_maybe_shared(value.clone()).or_else(|_| Error::err(ErrorType::InvalidHTTPHeader))?;
            parts.headers.append(name, value);
        }
        match framing {
            Framing::None => {}
            Framing::Length(length) => drop(parts.headers.insert(CONTENT_LENGTH, length.into())),
            Framing::Chunked if version == http::Version::HTTP_2 => {}
            Framing::Chunked => drop(parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
        }
        parts.version = version;
        Ok(parts.into())
    }

    /// Sends the request, and passes on what comes back, both at once.
    async fn relay(&mut self, upstream: &mut Conversation, forward: &Forward) -> Result<Leaves, Failure> {
        self.heard = false;
        self.shared.together.gather().await;
        self.side.await_no_answer();
        self.is_awaited().await?;
        let whole = forward.body.as_ref().or(self.whole.as_ref()).cloned();
        let framing = forward.body.as_ref().map_or(self.head.framing, |body| Framing::Length(body.len() as u64));
        let request = Self::request(forward, upstream.version(), framing)?;
        self.exchange.upstream_begins();
        let bodiless = matches!(framing, Framing::None | Framing::Length(0));
        upstream.ask(request, if bodiless { BodyEnd::Last } else { BodyEnd::More }).await?;
        let mut upload = Upload { ended: bodiless, error: None };
        match whole {
            Some(body) if !bodiless => upload.put(upstream, body, BodyEnd::Last).await,
            None if !self.kept.bytes.is_empty() => upload.put(upstream, self.kept.bytes.clone().freeze(), self.end_of_body()).await,
            Some(_) | None => {}
        }
        self.expects_answer(forward);
        let mut answered = false;
        // whoever moved last comes second where both can move
        let mut clients_turn = true;
        while !answered || !upload.ended || upstream.waits() {
            let wants = if upload.ended || upstream.waits() { Wants::Nothing } else { Wants::Body };
            let listens = !answered || upstream.waits();
            let event = {
                let mut next = pin!(upstream.next());
                poll_fn(|cx| {
                    if clients_turn
                        && wants == Wants::Body
                        && let Poll::Ready(came) = self.side.poll_body(cx)
                    {
                        return Poll::Ready(Event::Client(came));
                    }
                    if listens && let Poll::Ready(came) = next.as_mut().poll(cx) {
                        return Poll::Ready(Event::Upstream(came));
                    }
                    // what was collected is sent when nothing more is there to go with it
                    self.side.poll_attend(cx, wants).map(Event::Client)
                })
                .await
            };
            clients_turn = matches!(event, Event::Upstream(_));
            let was_answered = answered;
            match event {
                Event::Client(Ok(piece)) => {
                    self.count_body();
                    // the end of either side ends what is no HTTP any more
                    answered |= piece.is_none() && self.is_raw();
                    let end = if piece.is_none() { BodyEnd::Last } else { self.end_of_body() };
                    let piece = piece.unwrap_or_default();
                    if self.whole.is_none() && !self.is_raw() {
                        self.kept.keep(&piece);
                    }
                    upload.put(upstream, piece, end).await;
                    self.expects_answer(forward);
                }
                // the client has what it asked for, and leaves the rest of its own body out
                Event::Client(Err(Broken)) if answered => {
                    self.next = Next::Ends;
                    return Ok(Leaves::Spoilt);
                }
                Event::Client(Err(broken)) => return Err(broken.into()),
                Event::Upstream(Ok(Came::Head(end))) => {
                    self.answered(upstream, forward, end).await?;
                    answered = end == BodyEnd::Last;
                    upload.ended &= !self.is_raw();
                }
                Event::Upstream(Ok(Came::Body(piece, end))) => {
                    self.passes(Some(piece), end).await?;
                    answered = end == BodyEnd::Last;
                }
                Event::Upstream(Ok(Came::End)) => {
                    self.passes(None, BodyEnd::Last).await?;
                    answered = true;
                }
                Event::Upstream(Ok(Came::Trailers(mut trailers))) => {
                    self.exchange.trailers(&mut trailers);
                    // what was held back of the body
                    let mut rest = None;
                    self.body_out(&mut rest, BodyEnd::Last)?;
                    self.side.send_body(rest.unwrap_or_default(), BodyEnd::More).await?;
                    self.side.send_trailers(trailers).await?;
                    answered = true;
                }
                Event::Upstream(Ok(Came::Left)) => self.expects_answer(forward),
                Event::Upstream(Ok(Came::Stuck(error))) => {
                    upload.give_up(upstream, error);
                    self.expects_answer(forward);
                }
                Event::Upstream(Err(error)) => return Err(upload.error.unwrap_or(error).into()),
            }
            if self.is_raw() {
                // what cannot be sent whole is not sent in part and forgotten
                if let Some(error) = upload.error.take() {
                    return Err(error.into());
                }
                if answered {
                    break;
                }
            } else if answered && !was_answered && !upload.ended {
                self.side.rest_is_due();
            }
        }
        Ok(if upload.error.is_none() { Leaves::Clean } else { Leaves::Spoilt })
    }

    /// Nothing is done at an upstream for a client that left while its token was fetched, or a connection made.
    async fn is_awaited(&mut self) -> Result<(), Broken> {
        if self.head.method.is_safe() {
            return Ok(());
        }
        let gone = poll_fn(|cx| Poll::Ready(self.side.poll_attend(cx, Wants::Nothing).is_ready())).await;
        if gone { Err(Broken) } else { Ok(()) }
    }

    /// The upstream took something of the request, or all of it: its answer is due from now on, whenever the client has nothing to add.
    fn expects_answer(&mut self, forward: &Forward) {
        if !self.heard {
            self.side.await_answer(forward.head_timeout);
        }
    }

    fn is_raw(&self) -> bool {
        self.said == Some(StatusCode::SWITCHING_PROTOCOLS)
    }

    /// Whether anything of the body is still to come from the client.
    fn end_of_body(&self) -> BodyEnd {
        if self.side.is_whole() { BodyEnd::Last } else { BodyEnd::More }
    }

    /// The head of the upstream's answer came: what of it passes, or what happens instead.
    async fn answered(&mut self, upstream: &mut Conversation, forward: &Forward, end: BodyEnd) -> Result<(), Failure> {
        let unreadable = || Failure::Upstream(Error::new_up(ErrorType::InvalidHTTPHeader));
        self.heard = true;
        self.side.answer_came();
        let at_hand = self.body_at_hand();
        let head = upstream.head().filter(|head| has_one_framing(&head.headers));
        let Some(head) = head else {
            tracing::warn!("an upstream's answer says in no plain way where it ends");
            return Err(unreadable());
        };
        let status = head.status;
        let headers = match self.exchange.answered(status, &head.headers, at_hand).await {
            Reply::Pass { headers } => headers,
            Reply::Replay(forward) => return Err(Failure::Replay(forward)),
            Reply::Refuse(answer) => return Err(Failure::Instead(answer)),
        };
        let raw = status == StatusCode::SWITCHING_PROTOCOLS;
        if raw && !(forward.websocket && upstream.go_raw()) {
            return Err(unreadable());
        }
        let answer = AnswerHead::passing(status, headers, &self.head, end);
        self.next = if raw || answer.ends_with_the_connection() { Next::Ends } else { self.may_follow() };
        self.side.send_head(answer, self.next)?;
        self.said = Some(status);
        if raw {
            self.side.go_raw();
        }
        if end == BodyEnd::Last { self.passes(None, end).await } else { Ok(()) }
    }

    /// A piece of the upstream's answer goes to the client.
    async fn passes(&mut self, mut piece: Option<Bytes>, end: BodyEnd) -> Result<(), Failure> {
        self.body_out(&mut piece, end)?;
        Ok(self.side.send_body(piece.unwrap_or_default(), end).await?)
    }

    fn body_out(&mut self, piece: &mut Option<Bytes>, end: BodyEnd) -> Result<(), Failure> {
        self.exchange.body_out(piece, end).map_err(|_| Failure::Upstream(Error::new_up(ErrorType::InvalidHTTPHeader)))
    }

    /// How much of the body could be sent again.
    fn body_at_hand(&self) -> BodyAtHand {
        match self.head.framing {
            Framing::None | Framing::Length(0) => BodyAtHand::None,
            Framing::Length(_) | Framing::Chunked if self.whole.is_some() => BodyAtHand::Whole,
            Framing::Length(_) | Framing::Chunked if self.side.is_whole() && !self.kept.truncated => BodyAtHand::Whole,
            Framing::Length(_) | Framing::Chunked => BodyAtHand::Gone,
        }
    }

    /// The request is sent once more, first to the address that has just answered, where it still leads there.
    fn goes_again(&mut self, before: &Forward, again: &Forward) {
        let answered = before.addresses.get(self.address);
        self.address = again.addresses.iter().position(|address| Some(address) == answered).unwrap_or(0);
        self.turns = 0;
    }

    /// Whether another address is tried after one that could not be reached. Nothing was sent, so any request may.
    fn turns_to_next_address(&mut self, forward: &Forward, error: &Error) -> bool {
        let address = forward.addresses.get(self.address);
        tracing::warn!(address = address.map(tracing::field::display), error = error.etype().as_str(), "upstream cannot be reached");
        self.address += 1;
        self.turns += 1;
        self.turns < ADDRESSES && self.address < forward.addresses.len()
    }

    /// Whether a request whose attempt failed is sent once more: where a pooled connection had died before the upstream said a word, or an
    /// HTTP/2 upstream turned the request away unread, and sending it twice does as much as sending it once.
    fn tries_again(&mut self, error: &Error, link: Link) -> bool {
        tracing::debug!(error = error.etype().as_str(), ?link, "upstream broke off");
        let died = link == Link::Pooled && has_died(error);
        // an HTTP/2 upstream that goes away, refuses a stream, or wants HTTP/1 after all
        let turned_away =
            error.retry == RetryType::Decided(true) && matches!(error.etype, ErrorType::H2Error | ErrorType::H2Downgrade | ErrorType::InvalidH2);
        (died || turned_away)
            && !self.heard
            && !std::mem::replace(&mut self.pool_failed, true)
            && self.head.method.is_idempotent()
            && !self.kept.truncated
            && self.side.client() != Client::Gone
    }

    /// The request has failed for good: tells the client why, if it can still be told.
    async fn has_failed(&mut self, upstream: Option<&Error>) -> Result<(), Cut> {
        let cut = if upstream.is_some() { Cut::Upstream } else { Cut::Client };
        if self.said.is_some() || self.side.client() == Client::Gone {
            self.next = self.side.cut();
            // what came of the answer is the client's
            let _ = self.side.flush().await;
            return Err(cut);
        }
        let answer = match (self.side.fault(), upstream) {
            (Some(fault), _) => self.exchange.body_failed(fault),
            (None, _) if self.side.answer_is_overdue() => self.exchange.failed(UpstreamFailure::Timeout),
            (None, Some(error)) => self.exchange.failed(failure(error)),
            (None, None) => return Err(cut),
        };
        self.respond(answer).await
    }

    fn departs(mut self, served: Result<(), Cut>) -> Departure {
        self.count_body();
        let ending = match (self.said.map(|status| status.as_u16()), served.as_ref().err()) {
            (Some(101), _) => Ending::Sent { status: 101 },
            (None, _) => Ending::ClientGone,
            (Some(_), _) if self.side.client() == Client::Gone => Ending::ClientGone,
            // its body was at fault, and the client has seen this status
            (Some(status), Some(Cut::Client)) if self.side.fault().is_some() => Ending::CutShort { status },
            (Some(_), Some(Cut::Client)) => Ending::ClientGone,
            (Some(status), Some(Cut::Upstream)) => Ending::CutShort { status },
            (Some(status), None) => Ending::Sent { status },
        };
        let next = if served.is_err() && self.next == Next::Follows { Next::Ends } else { self.next };
        Departure { exchange: self.exchange, ending, next }
    }
}

/// Whether this is how a connection fails that its upstream had closed. pingora says so of some such errors only: of none where the request
/// could not be written, or where TLS ended without a word.
fn has_died(error: &Error) -> bool {
    error.retry == RetryType::ReusedOnly || matches!(error.etype, ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError)
}
