//! Walking the chain.

use super::backwards::Backwards;
use super::chain::{Head, read_line};
use super::files::{Files, Opened, failed};
use super::{AuditError, Recorded};
use memchr::memmem::Finder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// More findings than this say nothing new.
const FINDINGS: usize = 100;

/// What a walk over all files found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// How many events there are.
    pub events: u64,
    /// How many files.
    pub files: usize,
    /// The number of the first event that is kept.
    pub first_seq: Option<u64>,
    /// The number of the last event.
    pub last_seq: Option<u64>,
    /// The hash of the last event.
    pub head: Option<String>,
    /// A file whose last line is not whole: it is being written, or a kill tore it.
    pub torn: Option<PathBuf>,
    /// What does not hold, the first 100; none: nobody changed anything.
    pub findings: Vec<Finding>,
}

/// One thing that does not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Where.
    pub file: PathBuf,
    /// Where, from 1.
    pub line: u64,
    /// What, to be read after file and line.
    pub what: String,
}

/// Walks the chain over all files of the audit at `path`. Blocks.
///
/// Each file goes on where the one before ended. Where two processes ran beside each other it may
/// also go on from an event in the midst of an older file. The oldest file begins everything, or goes
/// on where the gateway noted that what was too old ended.
///
/// # Errors
/// No file is there, or one cannot be read.
pub fn verify(path: &Path) -> Result<Verified, AuditError> {
    verify_watched(path, &mut |_| {})
}

/// The same; tells `watch` now and then how far it is.
///
/// # Errors
/// No file is there, or one cannot be read.
pub fn verify_watched(path: &Path, watch: &mut dyn FnMut(Walked)) -> Result<Verified, AuditError> {
    let files = Files::at(path);
    let opened = files.open_all()?;
    if opened.is_empty() {
        File::open(files.current()).map_err(failed("open", &files.current()))?;
    }
    let total = opened.iter().map(|one| one.length).sum();
    let way = Way { walked: Walked { done: 0, total }, told: 0, watch };
    // Read behind the files: what is deleted meanwhile is noted before.
    let mut walk = Walk { verified: Verified { files: opened.len(), ..Verified::default() }, last: Last::Pruned(files.pruned()?), way };
    for (number, one) in opened.iter().enumerate() {
        walk.file(one, opened.get(..number).unwrap_or_default())?;
    }
    Ok(walk.ended())
}

/// Walks the youngest file that holds events, and looks for the event that its first one goes on from. None where there
/// is no event yet. Blocks, and no longer than a file is.
///
/// # Errors
/// A file cannot be read.
pub fn verify_end(path: &Path) -> Result<Option<Verified>, AuditError> {
    let files = Files::at(path);
    if !files.folder_exists() {
        return Ok(None);
    }
    let opened = files.open_all()?;
    let Some(at) = opened.iter().rposition(|one| one.length > 0) else { return Ok(None) };
    let (older, youngest) = opened.split_at(at);
    let Some(youngest) = youngest.first() else { return Ok(None) };
    // An event that goes on from another file has to find it there.
    let last = if older.is_empty() { Last::Pruned(files.pruned()?) } else { Last::Event(Head::default()) };
    let way = Way { walked: Walked { done: 0, total: 0 }, told: 0, watch: &mut |_| {} };
    let mut walk = Walk { verified: Verified { files: 1, ..Verified::default() }, last, way };
    walk.file(youngest, older)?;
    Ok(Some(walk.ended()))
}

/// How far a walk is, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Walked {
    /// What was read.
    pub done: u64,
    /// What there was to read when it began.
    pub total: u64,
}

/// How far a walk is, and who wants to know.
struct Way<'w> {
    walked: Walked,
    told: u64,
    watch: &'w mut dyn FnMut(Walked),
}

impl Way<'_> {
    /// Tells each MiB.
    fn goes_on(&mut self, bytes: usize) {
        self.walked.done += bytes as u64;
        if self.walked.done >> 20 > self.told >> 20 {
            self.told = self.walked.done;
            (self.watch)(self.walked);
        }
    }
}

struct Walk<'w> {
    verified: Verified,
    last: Last,
    way: Way<'w>,
}

/// What came before.
enum Last {
    /// What was deleted for its age, up to this event; the beginning of everything where nothing was.
    Pruned(Head),
    /// This event, or what a changed line still claims to be.
    Event(Head),
    /// Something that cannot be read.
    Unknown,
}

impl Walk<'_> {
    fn file(&mut self, walked: &Opened, older: &[Opened]) -> Result<(), AuditError> {
        let path = walked.path.as_path();
        let failed = failed("read", path);
        let mut lines = BufReader::new((&walked.file).take(walked.length));
        let (mut line, mut number, mut before) = (Vec::new(), 0, Some(older));
        while lines.read_until(b'\n', &mut line).map_err(&failed)? > 0 {
            number += 1;
            self.way.goes_on(line.len());
            let whole = line.pop_if(|byte| *byte == b'\n').is_some();
            match read_line(&line) {
                Ok(event) => {
                    if let Some(what) = self.fault_of(&event, before.take())? {
                        self.find(path, number, what);
                    }
                    self.verified.events += 1;
                    self.verified.first_seq.get_or_insert(event.seq);
                    self.verified.last_seq = Some(event.seq);
                    self.last = Last::Event(event.head());
                }
                // Should somebody have cut it off, the next file goes on from an event that is gone.
                Err(_) if !whole => self.verified.torn = Some(path.into()),
                Err(fault) => {
                    self.find(path, number, format!("the line {fault}"));
                    before = None;
                    let claimed = serde_json::from_slice::<Recorded>(&line);
                    self.last = claimed.map_or(Last::Unknown, |event| Last::Event(event.head()));
                }
            }
            line.clear();
        }
        Ok(())
    }

    /// What is wrong with the place of an event; `older` are the files before, where it is the first of its own.
    fn fault_of(&self, event: &Recorded, older: Option<&[Opened]>) -> Result<Option<String>, AuditError> {
        let gone = "does not go on from the event before it: events were removed, added or exchanged";
        let follows = |head: &Head| event.prev_hash == head.hash && event.seq == head.seq + 1;
        let holds = match (&self.last, older) {
            (Last::Unknown, _) => true,
            // What is noted and still there was about to be deleted, or was written beside what was.
            (Last::Pruned(head), _) if follows(head) || event.seq <= head.seq => true,
            (Last::Pruned(head), _) => return Ok(Some(missing(head, event))),
            (Last::Event(head), None) => follows(head),
            (Last::Event(head), Some(older)) => follows(head) || follows(&find(older, &event.prev_hash)?),
        };
        Ok((!holds).then(|| format!("event {} {gone}", event.seq)))
    }

    fn ended(mut self) -> Verified {
        if let Last::Event(head) = self.last {
            self.verified.head = Some(head.hash);
        }
        self.verified
    }

    fn find(&mut self, file: &Path, line: u64, what: String) {
        if self.verified.findings.len() < FINDINGS {
            self.verified.findings.push(Finding { file: file.into(), line, what });
        }
    }
}

/// What is to be said of the first event that is kept where it does not begin what may be kept.
fn missing(pruned: &Head, first: &Recorded) -> String {
    let kept =
        if pruned.seq == 0 { "nothing was deleted for its age".into() } else { format!("what was deleted for its age ends with {}", pruned.seq) };
    format!("event {} is the first that is kept, and {kept}: events were removed or exchanged", first.seq)
}

/// The event of that hash in one of the files, or the beginning of everything where there is none.
fn find(files: &[Opened], hash: &str) -> Result<Head, AuditError> {
    let needle = Finder::new(hash.as_bytes());
    for one in files.iter().rev() {
        let failed = failed("read", &one.path);
        let mut lines = Backwards::before(&one.file, one.length);
        while let Some(line) = lines.next_line().map_err(&failed)? {
            let found = needle.find(&line.text).and_then(|_| read_line(&line.text).ok()).filter(|event| event.hash == hash);
            if let Some(event) = found {
                return Ok(event.head());
            }
        }
    }
    Ok(Head::default())
}
