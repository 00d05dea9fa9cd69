//! The client's side of a request, over whichever protocol it came.

use super::door::{Client, Door};
use super::stream::StreamDoor;
use crate::gateway::BodyFault;
use std::time::Duration;

/// Where a visit asks after its client, and sets limits for it.
#[derive(Clone, Debug)]
pub(super) enum Side {
    /// A connection that serves one request after the other.
    Http1(Door),
    /// One of many streams.
    Http2(StreamDoor),
}

impl Side {
    /// The body may have at most `limit` bytes.
    pub(super) fn limit_body(&self, limit: u64) {
        match self {
            Self::Http1(door) => door.limit_body(limit),
            Self::Http2(door) => door.limit_body(limit),
        }
    }

    /// Lets no more than `most` bytes come of what is left of the body, and says whether it could all be read past so.
    pub(super) fn limit_rest(&self, most: u64) -> bool {
        match self {
            Self::Http1(door) => door.limit_rest(most),
            Self::Http2(door) => door.limit_rest(most),
        }
    }

    /// Whatever comes passes, from here to the end of the connection. A stream cannot: no upgrade is offered over HTTP/2.
    pub(super) fn go_raw(&self) {
        if let Self::Http1(door) = self {
            door.go_raw();
        }
    }

    /// The upstream does not change the protocol: a request that offered that ends here.
    pub(super) fn stays_http(&self) {
        if let Self::Http1(door) = self {
            door.stays_http();
        }
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&self, timeout: Duration) {
        match self {
            Self::Http1(door) => door.await_answer(timeout),
            Self::Http2(door) => door.await_answer(timeout),
        }
    }

    /// The upstream has answered.
    pub(super) fn answer_came(&self) {
        match self {
            Self::Http1(door) => door.answer_came(),
            Self::Http2(door) => door.answer_came(),
        }
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        match self {
            Self::Http1(door) => door.answer_is_overdue(),
            Self::Http2(door) => door.answer_is_overdue(),
        }
    }

    /// What is wrong with the body, if anything.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        match self {
            Self::Http1(door) => door.fault(),
            Self::Http2(door) => door.fault(),
        }
    }

    /// Bytes of content that came; of whatever came, once the connection is raw.
    pub(super) fn received(&self) -> u64 {
        match self {
            Self::Http1(door) => door.received(),
            Self::Http2(door) => door.received(),
        }
    }

    /// Whether all of the request came.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Http1(door) => door.is_whole(),
            Self::Http2(door) => door.is_whole(),
        }
    }

    /// What is known of the client.
    pub(super) fn client(&self) -> Client {
        match self {
            Self::Http1(door) => door.client(),
            Self::Http2(door) => door.client(),
        }
    }
}
