//! The chain: each event carries the hash of the one before, and its own.
//!
//! `hash` = SHA-256 in hex over `prev_hash` and the event without `hash` as RFC 8785 (JSON
//! Canonicalization Scheme) writes it; the first `prev_hash` is empty.

use super::Recorded;
use super::members::{Members, NAMES};
use aws_lc_rs::digest::{SHA256, digest};
use scopegate_core::json;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Where a chain ends.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Head {
    /// The number of the last event; 0 before the first.
    pub(super) seq: u64,
    /// Its hash; empty before the first.
    pub(super) hash: String,
}

/// The numbers of the members that the place in the chain decides; they follow those of [`NAMES`].
const SEQ: usize = NAMES.len();
const PREV_HASH: usize = SEQ + 1;

/// Writes events as lines, each chained to the one before.
///
/// Each member is written once and put together twice: in the order of the names for the hash, in
/// the order of the contract for the line.
#[derive(Debug)]
pub(super) struct Chain {
    head: Head,
    seq: Vec<u8>,
    prev_hash: Vec<u8>,
    /// The numbers of the members in the order of RFC 8785.
    canonical: Vec<usize>,
    /// What is hashed.
    text: Vec<u8>,
}

impl Chain {
    pub(super) fn new(head: Head) -> Self {
        let mut canonical: Vec<usize> = (0..=PREV_HASH).collect();
        canonical.sort_by_key(|number| name(*number));
        Self { head, seq: Vec::new(), prev_hash: Vec::new(), canonical, text: Vec::new() }
    }

    /// Puts the event's line at the end of `lines`.
    pub(super) fn append(&mut self, event: &Members, lines: &mut Vec<u8>) {
        self.head.seq += 1;
        begin(&mut self.seq, SEQ);
        json::put_plain(&mut self.seq, self.head.seq);
        begin(&mut self.prev_hash, PREV_HASH);
        json::put_text(&mut self.prev_hash, &self.head.hash);
        let member = |number: usize| match number {
            SEQ => self.seq.as_slice(),
            PREV_HASH => self.prev_hash.as_slice(),
            other => event.get(other),
        };
        self.text.clear();
        self.text.extend_from_slice(self.head.hash.as_bytes());
        join(self.canonical.iter().copied().map(member), &mut self.text);
        self.text.push(b'}');
        let mut hash = [0; 64];
        // Cannot fail: there are twice as many digits as bytes.
        let _ = hex::encode_to_slice(digest(&SHA256, &self.text), &mut hash);
        join((0..=PREV_HASH).map(member), lines);
        lines.extend_from_slice(b",\"hash\":\"");
        lines.extend_from_slice(&hash);
        lines.extend_from_slice(b"\"}\n");
        self.head.hash.clear();
        self.head.hash.push_str(str::from_utf8(&hash).unwrap_or_default());
    }
}

/// Its name, as it is written; no order differs for that.
fn name(number: usize) -> &'static str {
    match number {
        SEQ => r#""seq":"#,
        PREV_HASH => r#""prev_hash":"#,
        other => NAMES.get(other).copied().unwrap_or_default(),
    }
}

/// Begins the member of that number anew.
fn begin(member: &mut Vec<u8>, number: usize) {
    member.clear();
    member.extend_from_slice(name(number).as_bytes());
}

/// Puts the members at the end of `text`: an object but for its last brace.
fn join<'a>(members: impl Iterator<Item = &'a [u8]>, text: &mut Vec<u8>) {
    for (order, member) in members.enumerate() {
        text.push(if order == 0 { b'{' } else { b',' });
        text.extend_from_slice(member);
    }
}

/// What does not hold within one line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum LineFault {
    #[error("is not an event")]
    NoEvent,
    #[error("does not have the hash that it states: it was changed")]
    WrongHash,
}

/// Reads a line without its line feed, and proves its own hash.
pub(super) fn read_line(line: &[u8]) -> Result<Recorded, LineFault> {
    let recorded: Recorded = serde_json::from_slice(line).map_err(|_| LineFault::NoEvent)?;
    let mut members: Object = serde_json::from_slice(line).map_err(|_| LineFault::NoEvent)?;
    members.0.remove("hash");
    let mut text = recorded.prev_hash.clone();
    canonical_object(&members.0, &mut text).ok_or(LineFault::NoEvent)?;
    let hash = hex::encode(digest(&SHA256, text.as_bytes()));
    if hash == recorded.hash { Ok(recorded) } else { Err(LineFault::WrongHash) }
}

impl Recorded {
    pub(super) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash.clone() }
    }
}

/// The members of a JSON object, none of them twice.
struct Object(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Object;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object without a member twice")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member twice"));
                    }
                }
                Ok(Object(members))
            }
        }
        from.deserialize_map(Once)
    }
}

/// RFC 8785. None for a number that is not whole and exact, which no event holds.
fn canonical(value: &Value, text: &mut String) -> Option<()> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Number(number) => {
            const EXACT: u64 = 1 << 53;
            number.as_i64().is_some_and(|number| number.unsigned_abs() <= EXACT).then_some(())?;
            text.push_str(&number.to_string());
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                text.push(if at == 0 { '[' } else { ',' });
                canonical(item, text)?;
            }
            text.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(members) => canonical_object(&members.iter().map(|(name, value)| (name.clone(), value.clone())).collect(), text)?,
    }
    Some(())
}

fn canonical_object(members: &BTreeMap<String, Value>, text: &mut String) -> Option<()> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    for (at, (name, value)) in sorted.iter().enumerate() {
        text.push(if at == 0 { '{' } else { ',' });
        text.push_str(&Value::String((*name).clone()).to_string());
        text.push(':');
        canonical(value, text)?;
    }
    text.push_str(if sorted.is_empty() { "{}" } else { "}" });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Event;
    use crate::audit::event::tests::full_event;
    use scopegate_core::id::RequestId;
    use scopegate_core::time::Timestamp;

    fn lines(events: &[Event]) -> Vec<String> {
        let (mut chain, mut lines) = (Chain::new(Head::default()), Vec::new());
        events.iter().for_each(|event| chain.append(&Members::of(event), &mut lines));
        String::from_utf8(lines).unwrap().lines().map(Into::into).collect()
    }

    fn sparse_event() -> Event {
        Event::draft(RequestId::from_bytes([9; 16]), Timestamp::from_millis(0))
    }

    #[test]
    fn lines_are_the_events_members_in_the_contracts_order() {
        for event in [full_event(), sparse_event()] {
            let line = lines(std::slice::from_ref(&event)).remove(0);
            let read: Recorded = serde_json::from_str(&line).unwrap();
            assert_eq!(read.event, event);
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }

    #[test]
    fn the_hash_is_what_another_implementation_computes() {
        // Python: sha256(json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
        let line = lines(&[sparse_event()]).remove(0);
        let hash = "1662084c2ac19d41f3a11c79351ebec8e84da6c48a95efe0484d0edaaa5298b6";
        assert!(line.ends_with(&format!(",\"seq\":1,\"prev_hash\":\"\",\"hash\":\"{hash}\"}}")), "{line}");
    }

    #[test]
    fn each_event_names_the_one_before() {
        let read: Vec<Recorded> =
            lines(&[full_event(), sparse_event(), full_event()]).iter().map(|line| read_line(line.as_bytes()).unwrap()).collect();
        assert_eq!(read.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(read[0].prev_hash, "");
        assert!(read.windows(2).all(|pair| pair[1].prev_hash == pair[0].hash));
    }

    #[test]
    fn a_line_that_was_changed_is_known() {
        let line = lines(&[full_event()]).remove(0);
        for (from, to, fault) in [
            ("\"status\":403", "\"status\":200", LineFault::WrongHash),
            ("\"decision\":\"deny\"", "\"decision\":\"allow\"", LineFault::WrongHash),
            ("\"seq\":1", "\"seq\":2", LineFault::WrongHash),
            ("{\"time\"", "{\"more\":1,\"time\"", LineFault::WrongHash),
            ("{\"time\"", "{\"status\":200,\"time\"", LineFault::NoEvent),
            ("\"status\":403", "\"status\":403.5", LineFault::NoEvent),
        ] {
            let changed = line.replacen(from, to, 1);
            assert_ne!(changed, line, "{from}");
            assert_eq!(read_line(changed.as_bytes()), Err(fault), "{from} -> {to}");
        }
        assert_eq!(read_line(&line.as_bytes()[..line.len() - 1]), Err(LineFault::NoEvent));
    }

    #[test]
    fn canonical_json_is_that_of_rfc_8785() {
        for (json, expected) in [
            (r#"{"b":1,"a":[],"é":null,"":{}}"#, r#"{"":{},"a":[],"b":1,"é":null}"#),
            (r#"["\u20ac$\u000f\nA'\u0042\u0022\u005c\\\"\/"]"#, "[\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"]"),
            (r#"{"\ud83d\ude00":1,"\ufb33":2}"#, "{\"\u{1f600}\":1,\"\u{fb33}\":2}"),
            ("[true,false,-5,9007199254740992]", "[true,false,-5,9007199254740992]"),
        ] {
            let mut text = String::new();
            canonical(&serde_json::from_str(json).unwrap(), &mut text).unwrap();
            assert_eq!(text, expected);
        }
        for inexact in ["1.5", "1e300", "9007199254740993"] {
            assert_eq!(canonical(&serde_json::from_str(inexact).unwrap(), &mut String::new()), None, "{inexact}");
        }
    }
}
