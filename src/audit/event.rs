//! The event: what is written of a request.

use arcstr::ArcStr;
use scopegate_core::id::{ConnectorId, CustomerId, RequestId, RoleName, SessionId};
use scopegate_core::refusal::Reason;
use scopegate_core::scope::Scope;
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// One request. Never a token, a handle, a body or a query value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Event {
    /// When it arrived.
    pub time: Timestamp,
    /// Its name in the answer's `Scopegate-Request-Id`.
    pub request_id: RequestId,
    /// The crew's run that it belongs to.
    pub session: Option<SessionId>,
    /// Whose data it is; none until the account is known.
    pub customer: Option<CustomerId>,
    /// The API; none where none of that name is known.
    pub connector: Option<ConnectorId>,
    /// The resolved identifier; an unknown one as given, unless it is a handle.
    pub account: Option<ArcStr>,
    /// The account's role.
    pub role: Option<RoleName>,
    /// The caller's name in the settings.
    pub caller: Option<ArcStr>,
    /// None where it could not be read.
    pub method: Option<Cow<'static, str>>,
    /// The canonical path without the connector's segment and without a query; none where it could not be read.
    pub path: Option<String>,
    /// The operation's id, several sorted and joined with `+`.
    pub operation: Option<ArcStr>,
    /// The operations of the parts of a batch, sorted, each once.
    #[serde(default)]
    pub parts: Vec<ArcStr>,
    /// The alternatives of what is needed.
    pub required: Arc<[Vec<Scope>]>,
    /// What of them is not held.
    pub missing: Vec<Scope>,
    /// What was decided.
    pub decision: Verdict,
    /// Why not, or what went wrong afterwards.
    #[serde(with = "reason")]
    pub reason: Option<Reason>,
    /// The status of the answer; none where the client left before it.
    pub status: Option<u16>,
    /// Whether a byte went to the API.
    pub upstream_called: bool,
    /// The API's status.
    pub upstream_status: Option<u16>,
    /// From arrival to the end of the answer.
    pub duration_ms: u64,
    /// Of that, what the API took; none where it was not called.
    pub upstream_ms: Option<u64>,
    /// Bytes of the client's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// The policies that decided.
    pub policy_hash: Option<ArcStr>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was allowed.
    Allow,
    /// It was refused.
    Deny,
    /// It was allowed because its connector or its role is in shadow mode; it would have been refused.
    WouldDeny,
}

impl Verdict {
    /// As it stands in an event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would_deny",
        }
    }
}

/// An event as it stands in the file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Recorded {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Counts events, from 1.
    pub seq: u64,
    /// The hash of the event before; empty for the first.
    pub prev_hash: String,
    /// SHA-256 in hex over `prev_hash` and this event without `hash` as RFC 8785 writes it.
    pub hash: String,
}

impl Event {
    /// The draft of a request that arrived at `time`: refused, nothing known.
    #[must_use]
    pub fn draft(request_id: RequestId, time: Timestamp) -> Self {
        Self {
            time,
            request_id,
            session: None,
            customer: None,
            connector: None,
            account: None,
            role: None,
            caller: None,
            method: None,
            path: None,
            operation: None,
            parts: Vec::new(),
            required: Arc::default(),
            missing: Vec::new(),
            decision: Verdict::Deny,
            reason: None,
            status: None,
            upstream_called: false,
            upstream_status: None,
            duration_ms: 0,
            upstream_ms: None,
            bytes_in: 0,
            bytes_out: 0,
            policy_hash: None,
        }
    }
}

mod reason {
    use scopegate_core::refusal::Reason;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
    pub(super) fn serialize<S: Serializer>(reason: &Option<Reason>, to: S) -> Result<S::Ok, S::Error> {
        reason.map(Reason::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reason>, D::Error> {
        let word = <Option<std::borrow::Cow<'de, str>>>::deserialize(from)?;
        let reason = |word: &str| Reason::of_word(word).ok_or_else(|| serde::de::Error::custom("not a reason"));
        word.as_deref().map(reason).transpose()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An event with every member, and characters that JSON escapes.
    pub(in crate::audit) fn full_event() -> Event {
        Event {
            session: Some("run-1".parse().unwrap()),
            customer: Some("acme".parse().unwrap()),
            connector: Some("crm".parse().unwrap()),
            account: Some("user_1\u{1}\"é".into()),
            role: Some("researcher".parse().unwrap()),
            caller: Some("network".into()),
            method: Some("PATCH".into()),
            path: Some("/v1/opportunities/7".into()),
            operation: Some("opportunity.update".into()),
            parts: vec!["account.get".into()],
            required: [vec!["opportunities:write".parse().unwrap()], vec!["a:b".parse().unwrap(), "c:d".parse().unwrap()]].into(),
            missing: vec!["opportunities:write".parse().unwrap()],
            reason: Some(Reason::RoleLacksScope),
            status: Some(403),
            upstream_called: true,
            upstream_status: Some(200),
            duration_ms: 12,
            upstream_ms: Some(0),
            bytes_in: 7,
            bytes_out: u64::from(u32::MAX) + 1,
            policy_hash: Some("ab".repeat(32).into()),
            ..Event::draft(RequestId::from_bytes([1; 16]), "2026-11-26T09:00:00.123Z".parse().unwrap())
        }
    }

    #[test]
    fn every_reason_is_read_back() {
        for reason in Reason::ALL {
            let event = Event { reason: Some(*reason), ..full_event() };
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }
}
