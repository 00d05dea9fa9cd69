//! Looking for events: the newest first, or onwards from a number.
//!
//! A page costs what it reads, however deep it is: a cursor says where in its file an event stands, and within a file numbers
//! grow by one, so that a number is found by halving.

use super::backwards::{Backwards, Ending};
use super::files::{Files, failed};
use super::{AuditError, Event, Recorded, Verdict};
use memchr::memmem::Finder;
use scopegate_core::id::{ConnectorId, CustomerId, SessionId};
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
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
    /// Behind the event of this number, and then the oldest first.
    pub after_seq: Option<u64>,
}

/// Where a search goes on. Opaque: the last event seen, by its place in whatever file it is in and by its hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    offset: u64,
    hash: String,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor of an audit search")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (offset, hash) = text.split_once('-').ok_or(InvalidCursor)?;
        let legal = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let offset = offset.parse().map_err(|_| InvalidCursor)?;
        if legal { Ok(Self { offset, hash: hash.into() }) } else { Err(InvalidCursor) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}-{}", self.offset, self.hash)
    }
}

impl Cursor {
    /// Where the line behind the event begins, if the event stands in this file.
    fn end_in(&self, file: &File) -> io::Result<Option<u64>> {
        let mut line = Vec::new();
        lines_from(file, self.offset)?.read_until(b'\n', &mut line)?;
        let end = self.offset + line.len() as u64;
        let is_it = line.pop_if(|byte| *byte == b'\n').is_some() && parsed(&line).is_some_and(|event| event.hash == self.hash);
        Ok(is_it.then_some(end))
    }
}

/// One page of a search.
#[derive(Clone, Debug)]
pub struct Page {
    /// Newest first; behind a number, oldest first.
    pub events: Vec<Recorded>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Cursor>,
    /// The number of the last event that was looked at, whether the filter let it through or not: what happens later comes behind
    /// it. None where there is no event.
    pub last_seq: Option<u64>,
}

/// The first events of something that happened.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Oldest first.
    pub events: Vec<Recorded>,
    /// Whether there are more, later ones.
    pub truncated: bool,
}

/// Reads the files from their ends, or from a number on. Blocks.
pub(super) fn search(files: &Files, filter: &Filter, cursor: Option<&Cursor>, limit: usize) -> Result<Page, AuditError> {
    // What is written from here on may be found and need not be.
    let newest = newest(files)?;
    let mut search = Search { filter, needles: filter.needles(), found: Vec::new(), limit };
    match filter.after_seq {
        None => search.backwards(files, cursor)?,
        Some(after) => search.onwards(files, after, cursor)?,
    }
    Ok(search.page(newest))
}

/// The files with their paths, the youngest first. The current one is opened before the others are looked for: should it get a
/// number meanwhile, it is met again and left out.
fn youngest_first(files: &Files) -> impl Iterator<Item = Result<(PathBuf, File), AuditError>> {
    let current = std::iter::once_with(|| vec![Ok(files.current())]);
    let older = std::iter::once_with(|| match files.older() {
        Ok(older) => older.into_iter().rev().map(|(_, path)| Ok(path)).collect(),
        Err(fault) => vec![Err(fault)],
    });
    let mut seen = HashSet::new();
    current.chain(older).flatten().filter_map(move |path| {
        let opened = path.and_then(|path| {
            let file = match File::open(&path) {
                Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(failed("open", &path))?,
            };
            let facts = file.metadata().map_err(failed("read", &path))?;
            Ok(seen.insert((facts.dev(), facts.ino())).then_some((path, file)))
        });
        opened.transpose()
    })
}

/// The number of the newest event. Where two processes write beside each other both are asked.
fn newest(files: &Files) -> Result<Option<u64>, AuditError> {
    let mut newest = None;
    let mut with_events = 0;
    for opened in youngest_first(files) {
        let (path, file) = opened?;
        let mut lines = Backwards::new(&file).map_err(failed("read", &path))?;
        while let Some(line) = lines.next_line().map_err(failed("read", &path))? {
            if let Some(event) = parsed(&line.text) {
                newest = newest.max(Some(event.seq));
                with_events += 1;
                break;
            }
        }
        if with_events == 2 {
            break;
        }
    }
    Ok(newest)
}

/// The lines of a file from where one of them begins.
fn lines_from(mut file: &File, offset: u64) -> io::Result<BufReader<&File>> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(BufReader::new(file))
}

/// Where in a file, all of whose numbers grow, the events behind this number begin, or at most so many bytes before.
fn near(file: &File, after: u64) -> io::Result<u64> {
    const NEAR: u64 = 64 * 1024;
    let (mut from, mut to) = (0, file.metadata()?.len());
    while to.saturating_sub(from) > NEAR {
        let middle = from.midpoint(to);
        let mut lines = lines_from(file, middle)?;
        let mut line = Vec::new();
        let mut at = middle + lines.read_until(b'\n', &mut line)? as u64;
        let mut found = None;
        while at < to && found.is_none() {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)? as u64;
            found = parsed(&line).map(|event| (at, event.seq));
            at += length.max(1);
        }
        match found {
            Some((at, seq)) if seq <= after => from = at,
            Some(_) | None => to = middle,
        }
    }
    Ok(from)
}

/// The number of the first event of a file.
fn first_seq(file: &File) -> io::Result<Option<u64>> {
    let mut lines = lines_from(file, 0)?;
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if let Some(event) = parsed(&line) {
            return Ok(Some(event.seq));
        }
        line.clear();
    }
    Ok(None)
}

struct Search<'a> {
    filter: &'a Filter,
    needles: Vec<Finder<'static>>,
    /// What was found, and where in its file.
    found: Vec<(u64, Recorded)>,
    limit: usize,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Progress {
    GoOn,
    Enough,
}

impl Search<'_> {
    fn backwards(&mut self, files: &Files, mut cursor: Option<&Cursor>) -> Result<(), AuditError> {
        for opened in youngest_first(files) {
            let (path, file) = opened?;
            let failed = failed("read", &path);
            let lines = match cursor {
                None => Backwards::new(&file).map_err(&failed)?,
                Some(after) if after.end_in(&file).map_err(&failed)?.is_some() => {
                    cursor = None;
                    Backwards::before(&file, after.offset)
                }
                Some(_) => continue,
            };
            if !self.is_too_old(&file).map_err(&failed)? && self.read_backwards(lines).map_err(&failed)? == Progress::Enough {
                break;
            }
        }
        if cursor.is_some() { Err(AuditError::UnknownCursor) } else { Ok(()) }
    }

    fn read_backwards(&mut self, mut lines: Backwards<'_>) -> io::Result<Progress> {
        while let Some(line) = lines.next_line()? {
            // What is being written has no line feed yet.
            if line.ending == Ending::LineFeed && self.look_at(&line.text, line.offset) == Progress::Enough {
                return Ok(Progress::Enough);
            }
        }
        Ok(Progress::GoOn)
    }

    fn onwards(&mut self, files: &Files, after: u64, cursor: Option<&Cursor>) -> Result<(), AuditError> {
        // The current file is kept open, for its name may pass to another; names of older ones stay.
        let (mut places, mut begin): (Vec<(PathBuf, Option<File>)>, _) = (Vec::new(), None);
        for opened in youngest_first(files) {
            let (path, file) = opened?;
            let failed = failed("read", &path);
            match cursor {
                Some(cursor) => begin = cursor.end_in(&file).map_err(&failed)?,
                // Behind nothing is everything, also where two processes have both begun with the first number.
                None if after > 0 && first_seq(&file).map_err(&failed)?.is_some_and(|first| first <= after.saturating_add(1)) => {
                    begin = Some(near(&file, after).map_err(&failed)?);
                }
                None => {}
            }
            let is_current = places.is_empty();
            places.push((path, is_current.then_some(file)));
            if begin.is_some() {
                break;
            }
        }
        if cursor.is_some() && begin.is_none() {
            return Err(AuditError::UnknownCursor);
        }
        for (path, file) in places.into_iter().rev() {
            let offset = begin.take().unwrap_or(0);
            let file = match file.map_or_else(|| File::open(&path), Ok) {
                // It was too old.
                Err(fault) if fault.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(failed("open", &path))?,
            };
            let failed = failed("read", &path);
            if !self.is_too_old(&file).map_err(&failed)? && self.read_onwards(&file, offset).map_err(&failed)? == Progress::Enough {
                break;
            }
        }
        Ok(())
    }

    /// Whether all of a file is from before the time that is asked for.
    fn is_too_old(&self, file: &File) -> io::Result<bool> {
        let changed = file.metadata()?.mtime();
        Ok(self.filter.since.is_some_and(|since| changed.saturating_add(1).saturating_mul(1_000) < since.millis()))
    }

    fn read_onwards(&mut self, file: &File, mut offset: u64) -> io::Result<Progress> {
        let mut lines = lines_from(file, offset)?;
        let mut line = Vec::new();
        loop {
            let length = lines.read_until(b'\n', &mut line)?;
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                return Ok(Progress::GoOn);
            }
            if self.look_at(&line, offset) == Progress::Enough {
                return Ok(Progress::Enough);
            }
            offset += length as u64;
            line.clear();
        }
    }

    fn look_at(&mut self, line: &[u8], offset: u64) -> Progress {
        if self.needles.iter().all(|needle| needle.find(line).is_some())
            && let Some(event) = parsed(line).filter(|recorded| self.filter.lets_through(recorded))
        {
            self.found.push((offset, event));
        }
        // One more tells whether there is another page.
        if self.found.len() > self.limit { Progress::Enough } else { Progress::GoOn }
    }

    fn page(mut self, newest: Option<u64>) -> Page {
        let more = self.found.len() > self.limit;
        self.found.truncate(self.limit);
        let next = self.found.last().filter(|_| more).map(|(offset, event)| Cursor { offset: *offset, hash: event.hash.clone() });
        let highest = self.found.iter().map(|(_, event)| event.seq).max();
        // Where onwards there is more, what is behind the page was not looked at.
        let last_seq = if more && self.filter.after_seq.is_some() { highest } else { newest.max(highest) };
        Page { events: self.found.into_iter().map(|(_, event)| event).collect(), next, last_seq }
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

    fn lets_through(&self, recorded: &Recorded) -> bool {
        let event = &recorded.event;
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
            && self.after_seq.is_none_or(|after| after < recorded.seq)
            && self.operation.as_deref().is_none_or(|wanted| is_operation(wanted, event))
    }
}

fn is_operation(wanted: &str, event: &Event) -> bool {
    let wanted_here = event.connector.as_ref().and_then(|connector| wanted.strip_prefix(connector.as_str())?.strip_prefix('.'));
    let is_wanted =
        |has: &str| [Some(wanted), wanted_here].into_iter().flatten().any(|wanted| has == wanted || has.split('+').any(|one| one == wanted));
    event.operation.iter().chain(&event.parts).any(|has| is_wanted(has))
}
