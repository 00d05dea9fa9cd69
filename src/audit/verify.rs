//! Walking the chain.

use super::backwards::Backwards;
use super::chain::{Head, read_line};
use super::files::{Files, failed};
use super::{AuditError, Recorded};
use memchr::memmem::Finder;
use std::fs::File;
use std::io::{BufRead, BufReader};
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
/// also go on from an event in the midst of an older file; and the oldest file may go on from one
/// that was deleted when it was too old.
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
    let folder = files.folder()?;
    // As long as this is held no file is renamed.
    folder.lock_shared().map_err(failed("lock the folder of", path))?;
    let mut paths: Vec<PathBuf> = files.older()?.into_iter().map(|(_, path)| path).collect();
    if paths.is_empty() || files.current().exists() {
        paths.push(files.current());
    }
    let total = paths.iter().filter_map(|path| path.metadata().ok()).map(|found| found.len()).sum();
    let way = Way { walked: Walked { done: 0, total }, told: 0, watch };
    let mut walk = Walk { verified: Verified { files: paths.len(), ..Verified::default() }, last: Last::None, way };
    for (number, path) in paths.iter().enumerate() {
        walk.file(path, paths.get(..number).unwrap_or_default())?;
    }
    if let Last::Event(head) = walk.last {
        walk.verified.head = Some(head.hash);
    }
    Ok(walk.verified)
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
    let folder = files.folder()?;
    folder.lock_shared().map_err(failed("lock the folder of", path))?;
    let mut paths: Vec<PathBuf> = files.older()?.into_iter().map(|(_, path)| path).collect();
    paths.push(files.current());
    let holds_events = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
    let Some(at) = paths.iter().rposition(holds_events) else { return Ok(None) };
    let (older, youngest) = paths.split_at(at);
    let Some(youngest) = youngest.first() else { return Ok(None) };
    // An event that goes on from another file has to find it there.
    let last = if older.is_empty() { Last::None } else { Last::Event(Head::default()) };
    let way = Way { walked: Walked { done: 0, total: 0 }, told: 0, watch: &mut |_| {} };
    let mut walk = Walk { verified: Verified { files: 1, ..Verified::default() }, last, way };
    walk.file(youngest, older)?;
    if let Last::Event(head) = walk.last {
        walk.verified.head = Some(head.hash);
    }
    Ok(Some(walk.verified))
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
    /// Nothing.
    None,
    /// This event, or what a changed line still claims to be.
    Event(Head),
    /// Something that cannot be read.
    Unknown,
}

impl Walk<'_> {
    fn file(&mut self, path: &Path, older: &[PathBuf]) -> Result<(), AuditError> {
        let failed = failed("read", path);
        let mut lines = BufReader::new(File::open(path).map_err(&failed)?);
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
    fn fault_of(&self, event: &Recorded, older: Option<&[PathBuf]>) -> Result<Option<String>, AuditError> {
        let gone = "does not go on from the event before it: events were removed, added or exchanged";
        let follows = |head: &Head| event.prev_hash == head.hash && event.seq == head.seq + 1;
        let holds = match (&self.last, older) {
            (Last::Unknown, _) => true,
            (Last::None, _) => (event.seq == 1) == event.prev_hash.is_empty(),
            (Last::Event(head), None) => follows(head),
            (Last::Event(head), Some(older)) => follows(head) || follows(&find(older, &event.prev_hash)?),
        };
        Ok((!holds).then(|| format!("event {} {gone}", event.seq)))
    }

    fn find(&mut self, file: &Path, line: u64, what: String) {
        if self.verified.findings.len() < FINDINGS {
            self.verified.findings.push(Finding { file: file.into(), line, what });
        }
    }
}

/// The event of that hash in one of the files, or the beginning of everything where there is none.
fn find(files: &[PathBuf], hash: &str) -> Result<Head, AuditError> {
    let needle = Finder::new(hash.as_bytes());
    for path in files.iter().rev() {
        let failed = failed("read", path);
        let file = File::open(path).map_err(&failed)?;
        let mut lines = Backwards::new(&file).map_err(&failed)?;
        while let Some(line) = lines.next_line().map_err(&failed)? {
            let found = needle.find(&line.text).and_then(|_| read_line(&line.text).ok()).filter(|event| event.hash == hash);
            if let Some(event) = found {
                return Ok(event.head());
            }
        }
    }
    Ok(Head::default())
}
