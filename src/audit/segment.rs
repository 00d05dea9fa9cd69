//! One file of the audit, written by one process, which holds its lock as long as it writes.

use super::backwards::{Backwards, Ending, Line};
use super::chain::{Head, read_line};
use super::files::{Files, failed};
use super::{AuditError, Rotation};
use scopegate_core::time::Timestamp;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A file is ended after so long, so that old events can be forgotten by the file.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// How often files that are too old are looked for while none is begun.
const TENDING: i64 = 60 * 60 * 1000;

/// The file that this process writes. Its name may change while it does.
#[derive(Debug)]
pub(super) struct Segment {
    files: Files,
    file: File,
    /// How much of it is whole lines that are on disk.
    length: u64,
    /// Whether there may be part of a line after that.
    ragged: bool,
    began: Timestamp,
    /// When files that are too old were looked for last.
    tended: Timestamp,
}

impl Segment {
    /// Ends the file of the process before, repaired where a kill tore it, and begins a new one. Says where the chain ends.
    pub(super) fn begin(files: Files, now: Timestamp) -> Result<(Self, Head), AuditError> {
        files.make_folder()?;
        let folder = files.folder()?;
        folder.lock().map_err(failed("lock the folder of", &files.current()))?;
        let path = files.current();
        match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => {
                if !is_locked(&file).map_err(failed("lock", &path))? {
                    repair(&files, &path, &file, now)?;
                }
                files.retire_unless_fresh(&path, &file)?;
            }
            Err(fault) if fault.kind() == ErrorKind::NotFound => {}
            Err(fault) => return Err(failed("open", &path)(fault)),
        }
        let head = end_of_chain(&files)?;
        let segment = Self::create(files, &folder, now)?;
        Ok((segment, head))
    }

    /// Makes the current file. The caller holds the folder's lock.
    fn create(files: Files, folder: &File, now: Timestamp) -> Result<Self, AuditError> {
        let path = files.current();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path).map_err(failed("make", &path))?;
        file.lock().and_then(|()| folder.sync_all()).map_err(failed("make", &path))?;
        Ok(Self { files, file, length: 0, ragged: false, began: now, tended: now })
    }

    /// Writes whole lines, and returns when they are on disk. After a failure nothing of them counts, and it can be tried again.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.trim()?;
        self.ragged = true;
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.ragged = false;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Takes away what a failed write left, which will be written again.
    fn trim(&mut self) -> io::Result<()> {
        if self.ragged {
            self.file.set_len(self.length)?;
            self.ragged = false;
        }
        Ok(())
    }

    /// Begins the next file where this one has grown too large or too old, and deletes what need not be kept, each hour in any
    /// case; also where somebody moved this one away and left nothing in its place. Where the files are being opened by a reader
    /// at this moment, or another process has the current one, this one goes on.
    pub(super) fn rotate(&mut self, rotation: Rotation, now: Timestamp) -> Result<(), AuditError> {
        let untended = now.millis().saturating_sub(self.tended.millis()) >= TENDING;
        if self.next(rotation, now)?.is_none() && !untended {
            return Ok(());
        }
        let folder = self.files.folder()?;
        if folder.try_lock().is_err() {
            return Ok(());
        }
        // Another process may have begun a file before the folder was locked.
        if let Some(next) = self.next(rotation, now)? {
            // What is written again stands in the next file, and must not stand in this one too.
            self.trim().and_then(|()| self.file.sync_data()).map_err(failed("end", &self.files.current()))?;
            match next {
                Next::AfterThis => self.files.retire_current()?,
                Next::InItsPlace => {}
            }
            *self = Self::create(self.files.clone(), &folder, now)?;
        }
        self.tended = now;
        self.prune(rotation, now)
    }

    /// Where the next file is to be begun, if it is.
    fn next(&self, rotation: Rotation, now: Timestamp) -> Result<Option<Next>, AuditError> {
        let path = self.files.current();
        let failed = failed("look at", &path);
        let named = match File::open(&path) {
            Ok(named) => named,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Some(Next::InItsPlace)),
            Err(fault) => return Err(failed(fault)),
        };
        let (ours, theirs) = (self.file.metadata().map_err(&failed)?, named.metadata().map_err(&failed)?);
        if (ours.dev(), ours.ino()) != (theirs.dev(), theirs.ino()) {
            let nobodys = theirs.len() == 0 && !is_locked(&named).map_err(&failed)?;
            return Ok(nobodys.then_some(Next::InItsPlace));
        }
        let old = now.millis().saturating_sub(self.began.millis()) >= DAY;
        let due = self.length > 0 && (old || self.length >= rotation.size);
        Ok(due.then_some(Next::AfterThis))
    }

    /// Deletes files whose last event is too old, and notes how far: what is missing beyond that was taken by somebody else.
    pub(super) fn prune(&self, rotation: Rotation, now: Timestamp) -> Result<(), AuditError> {
        let oldest = now.minus(rotation.keep).millis();
        for (_, path) in self.files.older()? {
            let changed = fs::metadata(&path).map_err(failed("look at", &path))?;
            if changed.mtime().saturating_mul(1_000) >= oldest {
                break;
            }
            if let Some(last) = last_event(&path)?
                && self.files.note_pruned(&last).is_err()
            {
                // A full disk has no room for the note until what it is about has gone.
                OpenOptions::new().write(true).truncate(true).open(&path).map_err(failed("empty", &path))?;
                self.files.note_pruned(&last)?;
            }
            fs::remove_file(&path).map_err(failed("delete", &path))?;
        }
        Ok(())
    }
}

/// Where the next file comes.
enum Next {
    /// In this one's place, which gets a number.
    AfterThis,
    /// Under the name that this one had: somebody moved it away, and left nothing or an empty file.
    InItsPlace,
}

impl Files {
    /// Gives the current file a number, unless it is empty and nobody else writes it.
    fn retire_unless_fresh(&self, path: &Path, file: &File) -> Result<(), AuditError> {
        let length = file.metadata().map_err(failed("look at", path))?.len();
        if length == 0 && !is_locked(file).map_err(failed("lock", path))? {
            return Ok(());
        }
        self.retire_current()
    }
}

/// Whether another process writes the file.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(fault)) => Err(fault),
    }
}

/// Moves what is after the last whole event aside. What lacks nothing but its line feed gets it.
fn repair(files: &Files, path: &Path, file: &File, now: Timestamp) -> Result<(), AuditError> {
    let failed = failed("repair", path);
    let length = file.metadata().map_err(&failed)?.len();
    let mut lines = Backwards::new(file).map_err(&failed)?;
    let mut whole = 0;
    while let Some(Line { text, offset, ending }) = lines.next_line().map_err(&failed)? {
        if read_line(&text).is_ok() {
            if ending == Ending::EndOfFile {
                let mut file = file;
                return file.write_all(b"\n").and_then(|()| file.sync_data()).map_err(&failed);
            }
            whole = offset + text.len() as u64 + 1;
            break;
        }
    }
    if whole == length {
        return Ok(());
    }
    let aside = files.torn(&now.millis().to_string());
    let mut torn = vec![0; usize::try_from(length - whole).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut torn, whole).map_err(&failed)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(&failed)?;
    to.write_all(&torn).and_then(|()| to.sync_all()).map_err(&failed)?;
    file.set_len(whole).and_then(|()| file.sync_data()).map_err(&failed)?;
    tracing::warn!(file = %path.display(), bytes = torn.len(), moved_to = %aside.display(), "the audit's last line was torn");
    Ok(())
}

/// The last event of the youngest file that has one.
fn end_of_chain(files: &Files) -> Result<Head, AuditError> {
    for (_, path) in files.older()?.iter().rev() {
        if let Some(last) = last_event(path)? {
            return Ok(last);
        }
    }
    Ok(Head::default())
}

/// The last event of a file.
fn last_event(path: &Path) -> Result<Option<Head>, AuditError> {
    let failed = failed("read", path);
    let file = File::open(path).map_err(&failed)?;
    let mut lines = Backwards::new(&file).map_err(&failed)?;
    while let Some(line) = lines.next_line().map_err(&failed)? {
        if let Ok(event) = read_line(&line.text) {
            return Ok(Some(event.head()));
        }
    }
    Ok(None)
}

#[cfg(test)]
impl Segment {
    /// Exchanges the file for another, such as one on a full disk.
    pub(super) fn exchange(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }
}
