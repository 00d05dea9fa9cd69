//! Looking for events.

use super::backwards::{Backwards, Ending, Line};
use super::files::{Files, failed};
use super::{AuditError, Event, Recorded, Verdict};
use memchr::memmem::Finder;
use scopegate_core::id::{ConnectorId, CustomerId, SessionId};
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
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
    /// The operation's id, with or without its connector's name and a dot before it; one of several joined ones, or a part of a batch, is enough.
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

/// The first events of something that happened.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Oldest first.
    pub events: Vec<Recorded>,
    /// Whether there are more, later ones.
    pub truncated: bool,
}

/// Reads the files from their ends. Blocks.
pub(super) fn search(files: &Files, filter: &Filter, cursor: Option<&Cursor>, limit: usize) -> Result<Page, AuditError> {
    let mut search = Search { filter, needles: filter.needles(), after: cursor, found: Vec::new(), limit };
    backwards(files, filter, |file| search.read(file))?;
    Ok(search.page())
}

/// The oldest events that the filter lets through, at most `limit`. Blocks.
pub(super) fn beginning(files: &Files, filter: &Filter, limit: usize) -> Result<Beginning, AuditError> {
    let (needles, mut found, mut truncated) = (filter.needles(), VecDeque::new(), false);
    backwards(files, filter, |file| {
        let mut lines = Backwards::new(file)?;
        while let Some(line) = lines.next_line()? {
            let Some(event) = filter.event_of(&line, &needles) else { continue };
            found.push_front(event);
            if found.len() > limit {
                found.pop_back();
                truncated = true;
            }
        }
        Ok(Progress::GoOn)
    })?;
    Ok(Beginning { events: found.into(), truncated })
}

/// Each file that may hold events of the filter, the newest first, until `read` has enough.
fn backwards(files: &Files, filter: &Filter, mut read: impl FnMut(&File) -> std::io::Result<Progress>) -> Result<(), AuditError> {
    let mut seen = HashSet::new();
    // The current file first: should it get a number meanwhile, it is met again and left out.
    let older = std::iter::once_with(|| files.older().map(|older| older.into_iter().rev().map(|(_, path)| path).collect::<Vec<_>>()));
    for paths in std::iter::once(Ok(vec![files.current()])).chain(older) {
        for path in paths? {
            let file = match File::open(&path) {
                Err(fault) if fault.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(failed("open", &path))?,
            };
            let facts = file.metadata().map_err(failed("read", &path))?;
            let too_old = filter.since.is_some_and(|since| facts.mtime().saturating_add(1).saturating_mul(1_000) < since.millis());
            if seen.insert((facts.dev(), facts.ino())) && !too_old && read(&file).map_err(failed("read", &path))? == Progress::Enough {
                return Ok(());
            }
        }
    }
    Ok(())
}

struct Search<'a> {
    filter: &'a Filter,
    needles: Vec<Finder<'static>>,
    /// The last event of the page before; none once it was met.
    after: Option<&'a Cursor>,
    found: Vec<Recorded>,
    limit: usize,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Progress {
    GoOn,
    Enough,
}

impl Search<'_> {
    fn read(&mut self, file: &File) -> std::io::Result<Progress> {
        let mut lines = Backwards::new(file)?;
        let cursor = self.after.map(|cursor| Finder::new(cursor.0.as_bytes()).into_owned());
        while let Some(line) = lines.next_line()? {
            if let (Some(after), Some(finder)) = (self.after, &cursor) {
                if line.ending == Ending::LineFeed
                    && finder.find(&line.text).is_some()
                    && parsed(&line.text).is_some_and(|event| event.hash == after.0)
                {
                    self.after = None;
                }
                continue;
            }
            if let Some(event) = self.filter.event_of(&line, &self.needles) {
                self.found.push(event);
                // One more tells whether there is another page.
                if self.found.len() > self.limit {
                    return Ok(Progress::Enough);
                }
            }
        }
        Ok(Progress::GoOn)
    }

    fn page(mut self) -> Page {
        let more = self.found.len() > self.limit;
        self.found.truncate(self.limit);
        let next = self.found.last().filter(|_| more).map(|event| Cursor(event.hash.clone()));
        Page { events: self.found, next }
    }
}

/// A line that somebody spoilt is for `verify` to find.
fn parsed(line: &[u8]) -> Option<Recorded> {
    serde_json::from_slice(line).ok()
}

impl Filter {
    /// Texts that every event of this filter has in its line: most lines need not be parsed.
    fn needles(&self) -> Vec<Finder<'static>> {
        let members = [
            ("account", self.account.as_deref()),
            ("customer", self.customer.as_ref().map(CustomerId::as_str)),
            ("session", self.session.as_ref().map(SessionId::as_str)),
            ("connector", self.connector.as_ref().map(ConnectorId::as_str)),
            ("reason", self.reason.map(Reason::as_str)),
        ];
        let given = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| Finder::new(&format!("\"{name}\":{}", serde_json::Value::from(value))).into_owned()).collect()
    }

    /// The event of this line, if it is let through. What is being written has no line feed yet.
    fn event_of(&self, line: &Line, needles: &[Finder<'static>]) -> Option<Recorded> {
        let may_be = line.ending == Ending::LineFeed && needles.iter().all(|needle| needle.find(&line.text).is_some());
        may_be.then(|| parsed(&line.text)).flatten().filter(|recorded| self.lets_through(&recorded.event))
    }

    fn lets_through(&self, event: &Event) -> bool {
        fn is<T: PartialEq + ?Sized>(wanted: Option<&T>, has: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| has == Some(wanted))
        }
        is(self.account.as_deref(), event.account.as_deref())
            && is(self.customer.as_ref(), event.customer.as_ref())
            && is(self.session.as_ref(), event.session.as_ref())
            && is(self.connector.as_ref(), event.connector.as_ref())
            && is(self.decision.as_ref(), Some(&event.decision))
            && is(self.reason.as_ref(), event.reason.as_ref())
            && self.since.is_none_or(|since| since <= event.time)
            && self.until.is_none_or(|until| event.time < until)
            && self.operation.as_deref().is_none_or(|wanted| is_operation(wanted, event))
    }
}

fn is_operation(wanted: &str, event: &Event) -> bool {
    let wanted_here = event.connector.as_ref().and_then(|connector| wanted.strip_prefix(connector.as_str())?.strip_prefix('.'));
    let is_wanted =
        |has: &str| [Some(wanted), wanted_here].into_iter().flatten().any(|wanted| has == wanted || has.split('+').any(|one| one == wanted));
    event.operation.iter().chain(&event.parts).any(|has| is_wanted(has))
}
