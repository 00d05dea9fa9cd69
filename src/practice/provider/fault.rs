//! What a token endpoint can do wrong, in a queue.

use super::super::Label;
use axum::http::StatusCode;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Whom a setting or a fault concerns.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Whose {
    /// Every consent that has no setting, or no fault waiting, of its own.
    Everybody,
    /// The consents of one label.
    Of(Label),
}

/// What one refresh call meets instead of an honest answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, and a `Retry-After` in seconds.
    Status(StatusCode, Option<u32>),
    /// This status, and a `Retry-After` that is this date.
    Until(StatusCode, &'static str),
    /// Bytes that are no JSON, with status 200.
    Garbage,
    /// JSON that ends in the middle.
    Truncated,
    /// A JSON document of about this many bytes.
    Huge(usize),
    /// 307 to another endpoint, which notes whoever follows.
    Redirect,
    /// Nothing for this long, then 504.
    Hang(Duration),
    /// The connection ends without an answer; nothing happened.
    Reset,
    /// The rotation happens, and the connection ends without the answer.
    LostAnswer,
    /// The rotation happens, and then this status is the answer.
    StatusAfter(StatusCode),
    /// `invalid_grant`, although the token is good.
    InvalidGrant,
    /// `invalid_client`, although the registration is right.
    InvalidClient,
    /// Status 200 with `{"ok": false, "error": "token_expired"}`.
    ErrorIn200,
    /// An honest answer with an access token that the API refuses from the start.
    StillbornToken,
    /// An honest answer with an access token that is somebody else's.
    TokenOf(Label),
    /// An honest answer, with the members of this object in the place of its own; null takes one away.
    Says(Value),
    /// An honest answer, as a form.
    Form,
}

/// The faults that wait for refresh calls.
#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<Whose, VecDeque<Fault>>);

impl Faults {
    pub(super) fn queue(&mut self, whose: Whose, fault: Fault) {
        self.0.entry(whose).or_default().push_back(fault);
    }

    pub(super) fn next(&mut self, label: &Label) -> Option<Fault> {
        let own = self.0.get_mut(&Whose::Of(label.clone())).and_then(VecDeque::pop_front);
        own.or_else(|| self.0.get_mut(&Whose::Everybody).and_then(VecDeque::pop_front))
    }
}
