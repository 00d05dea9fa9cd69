//! What comes back: the upstream's answer on its way to the client.

use super::admit::no_token;
use super::exchange::{DECISION, Exchange, REQUEST_ID};
use super::seam::{BodyAtHand, Reply};
use crate::grants::{Admission, After401, Replayable};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use scopegate_core::answer::{AnswerHeaders, AnswerRules, Door, Holding, Links, Mask, Needle, Redirects, Unpacker};
use scopegate_core::connector::Connector;
use scopegate_core::refusal::Refusal;
use scopegate_core::request::{OutgoingHead, Request};
use std::pin::pin;
use std::sync::Arc;

/// What is known before the answer comes, and what happens to its body.
#[derive(Debug)]
pub(super) struct Passage {
    links: Links,
    needles: Arc<[Needle]>,
    unpacker: Option<Box<Unpacker>>,
    mask: Option<Mask>,
    websocket: bool,
}

/// The body of an answer cannot be passed on any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unpassable;

impl Passage {
    pub(super) fn new(connector: &Connector, door: &Door, head: &OutgoingHead, request: &Request, admission: &Admission) -> Self {
        let links = Links::new(door.clone(), Arc::clone(&head.upstream), head.path_and_query.clone(), &connector.inject);
        let needles = if connector.scan_answers { admission.needles() } else { Arc::default() };
        Self { links, needles, unpacker: None, mask: None, websocket: request.websocket }
    }
}

impl Exchange {
    /// The upstream answered: what of its head passes, or what to do instead. Interim answers (1xx) never come here.
    pub async fn answered(&mut self, status: StatusCode, headers: &HeaderMap, body: BodyAtHand) -> Reply {
        self.record.event.upstream_status = Some(status.as_u16());
        // rare, and larger than all the rest
        let verdict = if status == StatusCode::UNAUTHORIZED { Box::pin(self.after_401(body)).await } else { self.after_success() };
        match verdict {
            Ok(Some(replay)) => replay,
            Ok(None) => {
                // what the client sees from here on, should nobody come to finish this
                self.record.event.status = Some(status.as_u16());
                self.pass(status, headers)
            }
            Err(refusal) => Reply::Refuse(self.refuse(refusal)),
        }
    }

    /// Takes a chunk of the answer's body; what can be passed on is left in it.
    /// # Errors
    /// The rest cannot be passed on: a packed answer that is broken, or grows beyond all bounds.
    pub fn body_out(&mut self, chunk: &mut Option<Bytes>, end: BodyEnd) -> Result<(), Unpassable> {
        if let Some(passage) = &mut self.known.passage {
            passage.pass(chunk, end)?;
            let hits = passage.mask.as_ref().map_or(0, Mask::hits);
            if end == BodyEnd::Last && hits > 0 {
                tracing::error!(request_id = %self.record.event.request_id, hits, "the API sent the injected token back; it was overwritten");
            }
        }
        if end == BodyEnd::Last {
            self.is_answered();
        }
        let passed = chunk.as_ref().map_or(0, Bytes::len);
        self.record.event.bytes_out = self.record.event.bytes_out.saturating_add(passed as u64);
        Ok(())
    }

    /// Takes the trailers of an answer; what may pass is left in them.
    pub fn trailers(&mut self, trailers: &mut HeaderMap) {
        let needles = self.known.passage.as_ref().map(|passage| &*passage.needles).unwrap_or_default();
        let passed = AnswerHeaders::pass_trailers(trailers, needles);
        if passed.hits > 0 {
            tracing::error!(request_id = %self.record.event.request_id, hits = passed.hits, "the API sent the injected token back in a trailer; it was overwritten");
        }
        *trailers = passed.headers.into_iter().collect();
    }

    /// The last byte of the answer is about to go to the client, who may send the next request as soon as it is there: that one has its
    /// place.
    fn is_answered(&mut self) {
        self.known.place = None;
    }

    /// An answer of our own, with so many bytes of body, is about to go to the client.
    pub fn answer_out(&mut self, bytes: usize) {
        self.is_answered();
        self.record.event.bytes_out = self.record.event.bytes_out.saturating_add(bytes as u64);
    }

    fn after_success(&mut self) -> Result<Option<Reply>, Refusal> {
        if let Some(admission) = &self.known.admission {
            admission.not_401();
        }
        Ok(None)
    }

    async fn after_401(&mut self, body: BodyAtHand) -> Result<Option<Reply>, Refusal> {
        let (Some(mut admission), Some(connector), Some(request), Some(operations)) =
            (self.known.admission.take(), &self.known.connector, &self.known.request, &self.known.operations)
        else {
            return Ok(None);
        };
        let harmless = request.method.is_idempotent() || connector.replay_after_401 || operations.replay_after_401();
        let replayable = if harmless && body != BodyAtHand::Gone { Replayable::Yes } else { Replayable::No };
        let verdict = self.unless_it_may_not(pin!(admission.after_401(replayable))).await;
        self.known.admission = Some(admission);
        match verdict? {
            After401::Answer => Ok(None),
            After401::Refuse(why) => Err(self.gone_or(no_token(why, operations))),
            After401::Replay => self.replayed().await.map(Some),
        }
    }

    /// The request once more, with the new token, and to where that leads: with it the API may have said another address.
    async fn replayed(&mut self) -> Result<Reply, Refusal> {
        let (Some(admission), Some(operations)) = (&self.known.admission, &self.known.operations) else {
            return Err(Refusal::UnknownAccount);
        };
        let addressed = self.addressed(admission, operations).await?;
        self.still_may()?;
        Ok(Reply::Replay(self.leaves(addressed)?))
    }

    fn pass(&mut self, status: StatusCode, headers: &HeaderMap) -> Reply {
        let decision = self.decision_header();
        let (Some(passage), Some(connector), Some(request), Some(operations)) =
            (&mut self.known.passage, &self.known.connector, &self.known.request, &self.known.operations)
        else {
            return Reply::Refuse(self.refuse(Refusal::PolicyUnavailable));
        };
        let passes = operations.redirect_passes();
        let rules = AnswerRules {
            connector: &connector.id,
            method: &request.method,
            links: &passage.links,
            redirects: if passes { Redirects::Pass } else { Redirects::Stay },
            needles: &passage.needles,
        };
        let answer = AnswerHeaders::pass(status, headers, &rules);
        if answer.hits > 0 {
            tracing::error!(request_id = %self.record.event.request_id, hits = answer.hits, "the API sent the injected token back in a header; it was overwritten");
        }
        match answer.packing.map(Unpacker::new).transpose() {
            Ok(unpacker) => passage.unpacker = unpacker.map(Box::new),
            Err(error) => tracing::warn!(request_id = %self.record.event.request_id, error = %error, "no decoder for a packed answer"),
        }
        let held = passage.websocket || is_grpc(headers);
        if !passage.needles.is_empty() {
            passage.mask = Some(Mask::new(Arc::clone(&passage.needles), if held { Holding::Never } else { Holding::Long }));
        }
        let mut headers = answer.headers;
        let own = [(REQUEST_ID, self.record.event.request_id.to_string()), (DECISION, decision)];
        headers.extend(own.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?))));
        Reply::Pass { headers }
    }
}

/// Whether more of a body follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyEnd {
    /// More may follow.
    More,
    /// This was all.
    Last,
}

impl Passage {
    fn pass(&mut self, chunk: &mut Option<Bytes>, end: BodyEnd) -> Result<(), Unpassable> {
        if let Some(unpacker) = &mut self.unpacker {
            let mut plain = match chunk.take() {
                Some(packed) => unpacker.feed(&packed).map_err(|_| Unpassable)?,
                None => Bytes::new(),
            };
            if end == BodyEnd::Last {
                plain = joined(plain, unpacker.finish().map_err(|_| Unpassable)?);
            }
            *chunk = Some(plain).filter(|plain| !plain.is_empty());
        }
        if let Some(mask) = &mut self.mask {
            let mut clean = chunk.take().map(|chunk| mask.feed(chunk)).unwrap_or_default();
            if end == BodyEnd::Last {
                clean = joined(clean, mask.finish());
            }
            *chunk = Some(clean).filter(|clean| !clean.is_empty());
        }
        Ok(())
    }
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first,
        (true, false) => second,
        (false, false) => [first, second].concat().into(),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
