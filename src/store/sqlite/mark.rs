//! Whether the store is older than what this deployment has seen.
//!
//! Commits are counted in the store, and how far the count was is noted in a file of its own: within a second of a commit, and
//! exactly when the process ends. A copy that [`back_up`](super::back_up) made says of itself that it is one. So a store was
//! rolled back where its count is behind the note, where it is another one than the note is of, or where it is a copy and no
//! exact note shows that nothing happened since. Refresh tokens in it may be spent, and revocations forgotten: it is refused,
//! unless the operator takes it; then each grant counts as one whose refresh call was under way when its process ended.
//!
//! The note stands beside the audit, and once more beside the key where that folder can be written: putting back the store's
//! folder as a whole, with all that is in it, does not put both of them back, and the later one counts. To note each commit before it is answered would cost every write a second flush of the disk. So what passes unnoticed
//! is a copy, made by other means, of the last second before a process was killed; it lacks a second at most.

use super::{failed, queries, unreadable};
use crate::clock::Clock;
use crate::store::{Intent, StoreError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use scopegate_core::account::{GrantFacts, GrantState};
use scopegate_core::time::{Instant, Timestamp};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A note is at most so much older than the commits that it counts.
const LAG: Duration = Duration::from_secs(1);

/// Whether an operator takes a store that was rolled back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rollback {
    /// It is refused.
    Refused,
    /// It is taken, once, and refresh tokens are spent with care.
    Accepted,
}

/// In which way a store was rolled back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RolledBack {
    /// It lacks so many commits.
    Behind(u64),
    /// It was copied at this time, and nothing shows what happened since.
    Copy(Timestamp),
    /// It is new, or of another deployment.
    Other,
}

/// To be read after the store's name.
impl fmt::Display for RolledBack {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(1) => to.write_str("lacks the last change that this deployment has seen"),
            Self::Behind(commits) => write!(to, "lacks the last {commits} changes that this deployment has seen"),
            Self::Copy(at) => write!(to, "is a backup of {at}, and nothing here shows what happened since"),
            Self::Other => to.write_str("is new, or another one than this deployment has seen before"),
        }
    }
}

/// Where it is noted how far the store is.
#[derive(Clone, Debug)]
pub struct Notes {
    /// This file has to be written.
    pub file: PathBuf,
    /// A copy stands in this folder, under the store's id, where it can be written: several stores may share the folder.
    pub also_in: Option<PathBuf>,
}

/// What the note says.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    /// The store's id.
    store: String,
    /// How many commits it had.
    commits: u64,
    /// Whether there were no more of them: the process ended well.
    exact: bool,
}

/// Notes how far the store is.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    copy: Option<PathBuf>,
    store: String,
    noted: u64,
    at: Instant,
    clock: Clock,
}

impl Mark {
    /// Compares the store with the later one of the notes, and begins to note.
    pub(super) fn begin(connection: &mut Connection, store: &Path, notes: &Notes, rollback: Rollback, clock: Clock) -> Result<Self, StoreError> {
        let unusable = |cause: io::Error| StoreError::Open { path: notes.file.clone(), cause: Arc::new(cause) };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed("begin to write"))?;
        let (id, mut commits) = (about(&transaction, "id")?.unwrap_or_default(), count(&transaction)?);
        let copy = notes.also_in.as_ref().map(|folder| folder.join(format!("store-mark-{id}")));
        let note = later(read(&notes.file).map_err(unusable)?, copy.as_deref().and_then(read_copy));
        match (rolled_back(&transaction, note.as_ref(), &id, commits)?, rollback) {
            (Some(how), Rollback::Refused) => return Err(StoreError::RolledBack { path: store.into(), how }),
            (Some(how), Rollback::Accepted) => {
                commits = note.as_ref().map_or(0, |note| note.commits).max(commits) + 1;
                let grants = take_with_care(&transaction, commits)?;
                tracing::warn!(grants, "the store {how}, and is taken all the same: what was revoked or taken away since is back");
            }
            (None, Rollback::Accepted) => tracing::warn!("the store was not rolled back: `--accept-rollback` is not needed"),
            (None, Rollback::Refused) => {}
        }
        transaction
            .execute("DELETE FROM about WHERE name = 'copied_at'", [])
            .and_then(|_| transaction.commit())
            .map_err(failed("begin to count commits"))?;
        let mut mark = Self { path: notes.file.clone(), copy, store: id, noted: commits, at: clock.instant(), clock };
        mark.write(commits, false).map_err(unusable)?;
        Ok(mark)
    }

    /// There are so many commits. Noted at once where that was not done for long, else by [`settle`](Self::settle).
    pub(super) fn committed(&mut self, commits: u64) {
        if commits > self.noted && self.clock.instant().since(self.at) >= LAG {
            self.settle(commits);
        }
    }

    /// Notes them, unless they are.
    pub(super) fn settle(&mut self, commits: u64) {
        if commits > self.noted {
            self.note(commits, false);
        }
    }

    /// Notes that there are no more.
    pub(super) fn end(mut self, connection: &Connection) {
        match count(connection) {
            Ok(commits) => self.note(commits, true),
            Err(fault) => tracing::warn!(error = &fault as &(dyn Error + 'static), "how far the store is could not be noted"),
        }
    }

    fn note(&mut self, commits: u64, exact: bool) {
        self.at = self.clock.instant();
        match self.write(commits, exact) {
            Ok(()) => self.noted = commits,
            Err(fault) => tracing::warn!(error = &fault as &(dyn Error + 'static), "how far the store is could not be noted"),
        }
    }

    fn write(&mut self, commits: u64, exact: bool) -> io::Result<()> {
        let note = serde_json::to_string(&Note { store: self.store.clone(), commits, exact })? + "\n";
        if let Some(copy) = &self.copy
            && let Err(fault) = put(copy, &note)
        {
            tracing::info!(
                error = &fault as &(dyn Error + 'static), file = %copy.display(),
                "how far the store is is noted beside the audit alone: no copy of the note can be kept beside the key"
            );
            self.copy = None;
        }
        let folder = folder_of(&self.path);
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        put(&self.path, &note)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whole or not at all, and readable by its owner alone.
fn put(path: &Path, note: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
    file.write_all(note.as_bytes()).and_then(|()| file.as_file().sync_all())?;
    file.persist(path).map(drop).map_err(|fault| fault.error)
}

/// The one of more commits. Of as many it is exact only where both are.
fn later(note: Option<Note>, copy: Option<Note>) -> Option<Note> {
    match (note, copy) {
        (Some(note), Some(copy)) if note.store == copy.store && note.commits == copy.commits => {
            Some(Note { exact: note.exact && copy.exact, ..note })
        }
        (Some(note), Some(copy)) if note.store != copy.store || note.commits > copy.commits => Some(note),
        (None | Some(_), Some(copy)) => Some(copy),
        (note, None) => note,
    }
}

/// A copy that cannot be read says nothing.
fn read_copy(path: &Path) -> Option<Note> {
    read(path).unwrap_or_else(|fault| {
        tracing::warn!(error = &fault as &(dyn Error + 'static), file = %path.display(), "the copy of the note how far the store is cannot be read");
        None
    })
}

fn read(path: &Path) -> io::Result<Option<Note>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn rolled_back(connection: &Connection, note: Option<&Note>, id: &str, commits: u64) -> Result<Option<RolledBack>, StoreError> {
    match note {
        Some(note) if note.store != id => Ok(Some(RolledBack::Other)),
        Some(note) if note.commits > commits => Ok(Some(RolledBack::Behind(note.commits - commits))),
        Some(note) if note.exact => Ok(None),
        Some(_) | None => {
            let copied_at = about(connection, "copied_at")?.map(|text| text.parse().map_err(unreadable("the time of a copy"))).transpose()?;
            Ok(copied_at.map(RolledBack::Copy))
        }
    }
}

/// Counts from `commits` on, and notes for each grant that its refresh token may have been sent. How many.
fn take_with_care(connection: &Connection, commits: u64) -> Result<usize, StoreError> {
    let failed = failed("note what may be spent");
    connection.execute("UPDATE counters SET value = ?1 WHERE name = 'commits'", [super::number(commits)?]).map_err(&failed)?;
    let facts: Vec<GrantFacts> = connection
        .prepare("SELECT facts FROM grants WHERE intent IS NULL")
        .and_then(|mut query| query.query_map([], |row| queries::json(row, 0))?.collect())
        .map_err(&failed)?;
    let mut spendable = 0;
    let mut note = connection.prepare("UPDATE grants SET intent = ?2 WHERE id = ?1").map_err(&failed)?;
    for grant in facts.iter().filter(|facts| facts.state == GrantState::Live && facts.refreshable) {
        // It cannot have been sent before it was issued.
        let intent = serde_json::to_string(&Intent { version: grant.version, at: grant.issued_at }).map_err(unreadable("an intent"))?;
        note.execute(params![grant.id.to_string(), intent]).map_err(&failed)?;
        spendable += 1;
    }
    Ok(spendable)
}

/// What the store says of itself.
fn about(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    connection.query_row("SELECT value FROM about WHERE name = ?1", [name], |row| row.get(0)).optional().map_err(failed("read what it is"))
}

/// How many commits there were.
fn count(connection: &Connection) -> Result<u64, StoreError> {
    let commits: i64 =
        connection.query_row("SELECT value FROM counters WHERE name = 'commits'", [], |row| row.get(0)).map_err(failed("count its commits"))?;
    u64::try_from(commits).map_err(unreadable("a count"))
}

/// Counts a commit; how many there are with it.
pub(super) fn count_one(connection: &Connection) -> Result<u64, StoreError> {
    let commits: i64 = connection
        .prepare_cached("UPDATE counters SET value = value + 1 WHERE name = 'commits' RETURNING value")
        .and_then(|mut query| query.query_row([], |row| row.get(0)))
        .map_err(failed("count a commit"))?;
    u64::try_from(commits).map_err(unreadable("a count"))
}
