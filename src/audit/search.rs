//! Looking for events.

use super::{Recorded, Verdict};
use scopegate_core::id::{ConnectorId, CustomerId, SessionId};
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Which events; what is none does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// As the event has it.
    pub account: Option<String>,
    /// As the event has it.
    pub customer: Option<CustomerId>,
    /// As the event has it.
    pub session: Option<SessionId>,
    /// As the event has it.
    pub connector: Option<ConnectorId>,
    /// The operation's id, with or without its connector's name and a dot before it; one of several joined ones is enough.
    pub operation: Option<String>,
    /// As the event has it.
    pub decision: Option<Verdict>,
    /// As the event has it.
    pub reason: Option<Reason>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// Where a search goes on. Opaque: the hash of the last event seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor(String);

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor of an audit search")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let legal = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if legal { Ok(Self(text.into())) } else { Err(InvalidCursor) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

/// One page of a search.
#[derive(Clone, Debug)]
pub struct Page {
    /// Newest first.
    pub events: Vec<Recorded>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Cursor>,
}
