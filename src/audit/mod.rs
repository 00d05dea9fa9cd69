//! The audit: one event for each request, whatever happened, chained so that a change shows.
//!
//! A place in the queue is reserved before a call is made, so that no allowed call goes
//! unwritten; events are on disk well within a second of their end. The files are JSON lines:
//! the current one under its plain name, older ones with a number that grows.
//!
//! **Invariant: a call that was made has its event.** A [`Place`] that is dropped writes what it has.

mod backwards;
mod chain;
mod event;
mod files;
mod members;
mod past;
mod search;
mod segment;
mod sink;
#[cfg(test)]
mod tests;
mod verify;

pub use event::{Event, Recorded, Verdict};
pub use past::read_past;
pub use search::{Beginning, Cursor, Filter, InvalidCursor, Page};
pub use sink::Place;
pub use verify::{Finding, Verified, Walked, verify, verify_end, verify_watched};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::tasks::{self, Tasks};
use chain::Chain;
use files::Files;
use scopegate_core::id::SessionId;
use segment::Segment;
use sink::{Message, Queue, Writer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The audit of this process. Clones share it. The file is let go of with the last clone and [`Place`].
#[derive(Clone, Debug)]
pub struct AuditLog {
    queue: Arc<Queue>,
    files: Files,
    tasks: Tasks,
}

/// When a file ends and the next begins (each day in any case), and how long files are kept.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// A file that has so many bytes ends.
    pub size: u64,
    /// A file whose last event is older is deleted.
    pub keep: Duration,
}

/// No event can be taken: the queue is full, or the disk does not take any. Answer `store_unavailable`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the audit cannot take another event")]
pub struct AuditFull;

/// A search waits so long for what is not on disk, and then reads what is.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many events of a session are shown.
const SESSION: usize = 10_000;

impl AuditLog {
    /// Begins a new file at `path`, chained to what is there; a line torn by a kill is moved aside. Blocks.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn open(path: &Path, rotation: Rotation, clock: Clock, tasks: Tasks, metrics: Metrics) -> Result<Self, AuditError> {
        let files = Files::at(path);
        let now = clock.timestamp();
        let (segment, head) = Segment::begin(files.clone(), now)?;
        segment.prune(rotation, now)?;
        let (queue, messages) = Queue::new(metrics);
        let writer = Writer::new(segment, Chain::new(head), rotation, clock, queue.state());
        tasks::thread("audit-writer", move || writer.run(&messages)).map_err(files::failed("start writing", path))?;
        Ok(Self { queue, files, tasks })
    }

    /// A place for the event of a call that is about to be made.
    ///
    /// # Errors
    /// [`AuditFull`]: do not make the call.
    pub fn reserve(&self) -> Result<Place, AuditFull> {
        self.queue.reserve()
    }

    /// Writes the event of a request that made no call. Where the queue is full it is counted as lost:
    /// a refusal is answered all the same.
    pub fn note(&self, event: &Event) {
        self.queue.note(event);
    }

    /// Events that the filter lets through, newest first unless it says behind which number, at most `limit`, after `cursor`. Finds
    /// also what is not on disk yet.
    ///
    /// # Errors
    /// [`AuditError::UnknownCursor`], or the files cannot be read.
    pub async fn search(&self, filter: Filter, cursor: Option<Cursor>, limit: usize) -> Result<Page, AuditError> {
        // Where the disk takes nothing, what is on it is found all the same.
        let _ = tokio::time::timeout(PATIENCE, self.flush()).await;
        let files = self.files.clone();
        let searched = self.tasks.blocking(move || search::search(&files, &filter, cursor.as_ref(), limit)).await;
        searched.unwrap_or_else(|_| Err(files::failed("search", &self.files.current())(io::Error::other("it was cut short"))))
    }

    /// The events of a session, oldest first: the oldest 10,000.
    ///
    /// # Errors
    /// The files cannot be read.
    pub async fn session(&self, session: &SessionId) -> Result<Beginning, AuditError> {
        let filter = Filter { session: Some(session.clone()), after_seq: Some(0), ..Filter::default() };
        let Page { events, next, .. } = self.search(filter, None, SESSION).await?;
        Ok(Beginning { events, truncated: next.is_some() })
    }

    /// Whether events reach the disk; for readiness.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.queue.is_healthy()
    }

    /// Goes on in a new file at the path, where somebody moved the current one away. With the next event that happens by itself.
    pub fn reopen(&self) {
        let (done, _) = oneshot::channel();
        self.queue.send(Message::Flush(done));
    }

    /// Waits until everything that was written so far is on disk, or was tried once in vain.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.queue.send(Message::Flush(done));
        // The writer is there as long as this is.
        let _ = flushed.await;
    }
}

/// The audit's files could not be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The event of a cursor is not there: it never was, or is too old to be kept.
    #[error("no event that is kept is the one of this cursor")]
    UnknownCursor,
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
