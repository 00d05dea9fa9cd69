//! The audit: one event for each request, whatever happened, chained so that a change shows.
//!
//! A place in the queue is reserved before a call is made, so that no allowed call goes
//! unwritten; events are on disk well within a second of their end. The files are JSON lines:
//! the current one under its plain name, older ones with a number that grows.
//!
//! **Invariant: a call that was made has its event.** A [`Place`] that is dropped writes what it has.

mod event;
mod search;
mod verify;

pub use event::{Event, Recorded, Verdict};
pub use search::{Cursor, Filter, Page};
pub use verify::{Finding, Verified, verify};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::tasks::Tasks;
use scopegate_core::id::SessionId;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The audit of this process. Clones share it.
#[derive(Clone, Debug)]
pub struct AuditLog;

/// When a file ends and the next begins, and how long files are kept.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// A file that is larger ends.
    pub size: u64,
    /// A file whose last event is older is deleted.
    pub keep: Duration,
}

/// A place in the queue. Dropped, it writes its draft: that is how a call ends that nobody finished.
#[derive(Debug)]
pub struct Place;

/// No event can be taken: the queue is full, or the disk does not take any. Answer `store_unavailable`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit cannot take another event")]
pub struct AuditFull;

impl AuditLog {
    /// Begins a new file at `path`, chained to what is there; a line torn by a kill is moved aside. Blocks.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn open(_path: &Path, _rotation: Rotation, _clock: Clock, _tasks: Tasks, _metrics: Metrics) -> Result<Self, AuditError> {
        todo!()
    }

    /// A place for the event of a call that is about to be made. `draft` is what is written should nobody finish it.
    ///
    /// # Errors
    /// [`AuditFull`]: do not make the call.
    pub fn reserve(&self, _draft: Event) -> Result<Place, AuditFull> {
        todo!()
    }

    /// Writes the event of a request that made no call. Where the queue is full it is counted as lost:
    /// a refusal is answered all the same.
    pub fn note(&self, _event: Event) {
        todo!()
    }

    /// Events that the filter lets through, newest first, at most `limit`, after `cursor`. Finds also what is not on disk yet.
    ///
    /// # Errors
    /// The files cannot be read.
    pub async fn search(&self, _filter: Filter, _cursor: Option<Cursor>, _limit: usize) -> Result<Page, AuditError> {
        todo!()
    }

    /// The events of a session, oldest first; the newest 10,000.
    ///
    /// # Errors
    /// The files cannot be read.
    pub async fn session(&self, _session: &SessionId) -> Result<Vec<Recorded>, AuditError> {
        todo!()
    }

    /// Whether events reach the disk; for readiness.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        todo!()
    }

    /// Goes on in a new file at the path, after somebody moved the current one away.
    pub fn reopen(&self) {
        todo!()
    }

    /// Waits until everything that was written so far is on disk, or cannot be.
    pub async fn flush(&self) {
        todo!()
    }
}

impl Place {
    /// What is written should nobody finish it.
    pub fn draft(&mut self) -> &mut Event {
        todo!()
    }

    /// Writes the draft as it stands.
    pub fn finish(self) {
        todo!()
    }
}

/// The audit's files could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Reading or writing failed.
    #[error("cannot {deed} the audit file {}", path.display())]
    Io {
        /// What was to be done.
        deed: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}
