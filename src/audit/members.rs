//! An event as text, before it has its place in the chain.

use super::Event;
use scopegate_core::id::{ConnectorId, CustomerId, RoleName, SessionId};
use scopegate_core::json;
use scopegate_core::refusal::Reason;
use serde::Serialize;

/// The names of the members of an event that its request decides, as they are written and in the order in which they are.
pub(super) const NAMES: [&str; 24] = [
    r#""time":"#,
    r#""request_id":"#,
    r#""session":"#,
    r#""customer":"#,
    r#""connector":"#,
    r#""account":"#,
    r#""role":"#,
    r#""caller":"#,
    r#""method":"#,
    r#""path":"#,
    r#""operation":"#,
    r#""parts":"#,
    r#""required":"#,
    r#""missing":"#,
    r#""decision":"#,
    r#""reason":"#,
    r#""status":"#,
    r#""upstream_called":"#,
    r#""upstream_status":"#,
    r#""duration_ms":"#,
    r#""upstream_ms":"#,
    r#""bytes_in":"#,
    r#""bytes_out":"#,
    r#""policy_hash":"#,
];

/// Most events fit into so many bytes.
const ROOM: usize = 896;

/// An event's members, each written once. Made where the request ends, while all that it names is at hand: the writer's thread would have
/// to fetch it from memory.
#[derive(Debug)]
pub(super) struct Members {
    /// Name, colon and value of each, one behind the other.
    text: Vec<u8>,
    /// Where in `text` each ends, in the order of [`NAMES`].
    ends: [u32; NAMES.len()],
    written: usize,
}

impl Members {
    pub(super) fn of(event: &Event) -> Self {
        let mut members = Self { text: Vec::with_capacity(ROOM), ends: [0; NAMES.len()], written: 0 };
        members.value(&event.time);
        members.value(&event.request_id);
        members.word(event.session.as_ref().map(SessionId::as_str));
        members.word(event.customer.as_ref().map(CustomerId::as_str));
        members.word(event.connector.as_ref().map(ConnectorId::as_str));
        members.word(event.account.as_deref());
        members.word(event.role.as_ref().map(RoleName::as_str));
        members.word(event.caller.as_deref());
        members.word(event.method.as_deref());
        members.word(event.path.as_deref());
        members.word(event.operation.as_deref());
        members.value(&event.parts);
        members.value(&event.required);
        members.value(&event.missing);
        members.word(Some(event.decision.as_str()));
        members.word(event.reason.map(Reason::as_str));
        members.value(&event.status);
        members.value(&event.upstream_called);
        members.value(&event.upstream_status);
        members.value(&event.duration_ms);
        members.value(&event.upstream_ms);
        members.value(&event.bytes_in);
        members.value(&event.bytes_out);
        members.word(event.policy_hash.as_deref());
        members
    }

    /// The member of that number, as it is written.
    pub(super) fn get(&self, number: usize) -> &[u8] {
        let end = |number: usize| self.ends.get(number).map_or(0, |end| *end as usize);
        let begin = number.checked_sub(1).map_or(0, end);
        self.text.get(begin..end(number)).unwrap_or_default()
    }

    /// What it takes in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }

    /// Strings and whole numbers look the same in RFC 8785 and as serde writes them.
    fn value(&mut self, value: &impl Serialize) {
        self.name();
        // Writing names and numbers into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.text, value);
        self.end();
    }

    /// The same for what is a text, where it is anything.
    fn word(&mut self, value: Option<&str>) {
        self.name();
        match value {
            Some(text) => json::put_text(&mut self.text, text),
            None => self.text.extend_from_slice(b"null"),
        }
        self.end();
    }

    fn name(&mut self) {
        self.text.extend_from_slice(NAMES.get(self.written).copied().unwrap_or_default().as_bytes());
    }

    fn end(&mut self) {
        if let Some(end) = self.ends.get_mut(self.written) {
            // No event has as much as a head may have six times over.
            *end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        }
        self.written += 1;
    }
}
