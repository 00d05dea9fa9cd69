//! The embedded store: one SQLite file, one thread that writes and one that reads.
//!
//! The writer takes what waits for it into one transaction, a savepoint for each caller, and
//! answers all of them after the commit: many callers share one flush of the disk.

mod changes;
mod copy;
mod inspect;
mod leases;
mod mark;
mod news;
mod process;
mod queries;
mod writer;

pub use copy::{CopyError, back_up, restore};
pub use inspect::{Inspected, inspect};
pub use mark::{Notes, Rollback, RolledBack};

use super::schema::{self, SchemaFault};
use super::{Applied, AuthorizationKey, AuthorizationRecord, Change, DataKeyId, DataKeyRecord, Follower, GrantRecord, Intent, Lease, LeaseName};
use super::{LeaseOwner, SealedId, SealedRecord, SessionRecord, Store, StoreError, Unconfirmed};
use crate::clock::Clock;
use crate::tasks;
use async_trait::async_trait;
use mark::Mark;
use process::Process;
use rusqlite::Connection;
use scopegate_core::id::{GrantId, SessionId};
use scopegate_core::time::Timestamp;
use std::error::Error;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use writer::{Done, Job, Writer};

const FILE: &str = "scopegate.db";

/// How long a process waits for another one that writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The embedded store. Several processes may open one folder. Dropped, it finishes what it was asked.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Option<mpsc::Sender<Job>>,
    reader: Option<mpsc::Sender<Question>>,
    threads: Vec<JoinHandle<()>>,
    process: Arc<Process>,
    clock: Clock,
}

/// Something to look up on the reading thread; it answers by itself.
type Question = Box<dyn FnOnce(&Connection) + Send>;

impl SqliteStore {
    /// Opens the store in `folder`, and makes both where they are not there: folder 0700, files 0600. Blocks.
    ///
    /// # Errors
    /// The folder cannot be used, or a newer version of Scopegate wrote it.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, StoreError> {
        Self::open_and(folder, clock, |_, _| Ok(None))
    }

    /// Opens the store in `folder` as [`open`](Self::open) does, unless it is older than what is noted.
    ///
    /// # Errors
    /// [`StoreError::RolledBack`] where it is older and that is refused.
    pub fn open_marked(folder: &Path, clock: Clock, notes: &Notes, rollback: Rollback) -> Result<Self, StoreError> {
        let time = clock.clone();
        Self::open_and(folder, clock, |connection, path| Mark::begin(connection, path, notes, rollback, time).map(Some))
    }

    fn open_and(
        folder: &Path,
        clock: Clock,
        mark: impl FnOnce(&mut Connection, &Path) -> Result<Option<Mark>, StoreError>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let unusable = |cause: Box<dyn Error + Send + Sync>| StoreError::Open { path: path.clone(), cause: cause.into() };
        make_folder(folder).map_err(|cause| unusable(cause.into()))?;
        // Before anything is opened, so that nobody puts another file in its place meanwhile.
        let process = Arc::new(Process::register(folder).map_err(|cause| unusable(cause.into()))?);
        make_private(&path).map_err(|cause| unusable(cause.into()))?;
        let mut writing = connect(&path).map_err(|cause| unusable(cause.into()))?;
        schema::migrate(&mut writing).map_err(|fault| match fault {
            SchemaFault::Newer { found, known } => StoreError::Newer { path: path.clone(), found, known },
            SchemaFault::Failed(cause) => unusable(cause.into()),
        })?;
        let id = hex::encode(crate::chance::bytes::<16>());
        writing.execute("INSERT OR IGNORE INTO about VALUES ('id', ?1)", [id]).map_err(|cause| unusable(cause.into()))?;
        let mark = mark(&mut writing, &path)?;
        let reading = connect(&path).and_then(|connection| connection.pragma_update(None, "query_only", true).map(|()| connection));
        let reading = reading.map_err(|cause| unusable(cause.into()))?;

        let (writer, jobs) = mpsc::channel();
        let (reader, questions) = mpsc::channel::<Question>();
        let threads = [
            tasks::thread("store-writer", move || Writer::new(writing, mark).run(&jobs)),
            tasks::thread("store-reader", move || questions.into_iter().for_each(|question| question(&reading))),
        ];
        let threads = threads.into_iter().collect::<Result<_, _>>().map_err(|cause| unusable(cause.into()))?;
        Ok(Self { writer: Some(writer), reader: Some(reader), threads, process, clock })
    }

    /// Does `work` on the writing thread, inside of a savepoint, and answers after the commit.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<Done<T>, StoreError> + Send + 'static,
    {
        let (job, answer) = Job::write(work);
        self.send(job)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.writer.as_ref().and_then(|writer| writer.send(job).ok()).ok_or(StoreError::Closed)
    }

    /// Does `work` on the reading thread, on what was committed last.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Whoever asked may have left.
            let _ = answer.send(work(connection));
        });
        self.reader.as_ref().and_then(|reader| reader.send(question).ok()).ok_or(StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.writer = None;
        self.reader = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has already said so.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn follow(&self, follower: Follower) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Follow { follower, answer })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        let now = self.clock.timestamp();
        self.write(move |connection| {
            for change in changes {
                match changes::apply(connection, change, now)? {
                    Applied::Done => {}
                    Applied::Conflict => return Ok(Done::Undo(Applied::Conflict)),
                }
            }
            Ok(Done::Keep(Applied::Done))
        })
        .await
    }

    async fn grant(&self, id: &GrantId) -> Result<Option<GrantRecord>, StoreError> {
        let id = id.clone();
        self.read(move |connection| queries::grant(connection, &id)).await
    }

    async fn intents(&self) -> Result<Vec<(GrantId, Intent)>, StoreError> {
        self.read(queries::intents).await
    }

    async fn authorization(&self, key: AuthorizationKey<'_>) -> Result<Option<AuthorizationRecord>, StoreError> {
        match key {
            AuthorizationKey::Id(id) => {
                let id = id.clone();
                self.read(move |connection| queries::authorization(connection, "id", id.to_string())).await
            }
            AuthorizationKey::Link(digest) => {
                let digest = digest.0;
                self.read(move |connection| queries::authorization(connection, "link", digest)).await
            }
            AuthorizationKey::State(digest) => {
                let digest = digest.0;
                self.read(move |connection| queries::authorization(connection, "state", digest)).await
            }
        }
    }

    async fn unconfirmed(&self, which: Unconfirmed<'_>) -> Result<Vec<AuthorizationRecord>, StoreError> {
        match which {
            Unconfirmed::Of(account) => {
                let account = account.clone();
                self.read(move |connection| queries::unconfirmed(connection, "account =", account.to_string())).await
            }
            Unconfirmed::OverBy(moment) => self.read(move |connection| queries::unconfirmed(connection, "expires_at <=", moment.millis())).await,
        }
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let id = id.clone();
        self.read(move |connection| queries::session(connection, &id)).await
    }

    async fn data_keys(&self) -> Result<Vec<DataKeyRecord>, StoreError> {
        self.read(queries::data_keys).await
    }

    async fn sealed_counts(&self) -> Result<Vec<(DataKeyId, u64)>, StoreError> {
        self.read(queries::sealed_counts).await
    }

    async fn sealed_with(&self, key: DataKeyId, after: Option<SealedId>, limit: usize) -> Result<Vec<SealedRecord>, StoreError> {
        self.read(move |connection| queries::sealed_with(connection, key, after.as_ref(), limit)).await
    }

    async fn acquire(&self, name: &LeaseName, owner: &LeaseOwner, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let (now, process) = (self.clock.timestamp(), Arc::clone(&self.process));
        let wanted = Lease { name: name.clone(), owner: *owner, fence: 0, expires_at: now.plus(ttl) };
        self.write(move |connection| leases::acquire(connection, &process, wanted, now)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let (now, held) = (self.clock.timestamp(), lease.clone());
        self.write(move |connection| leases::renew(connection, held, now, now.plus(ttl))).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let held = lease.clone();
        self.write(move |connection| leases::release(connection, &held)).await
    }

    async fn sweep(&self, before: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| changes::sweep(connection, before)).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.write(changes::prove_writable).await
    }
}

/// A folder that only its owner can use.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() { Ok(()) } else { DirBuilder::new().recursive(true).mode(0o700).create(folder) }
}

/// A file that only its owner can use. What SQLite puts beside it gets its mode.
fn make_private(file: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(fault) if fault.kind() != ErrorKind::AlreadyExists => Err(fault),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // What is deleted is overwritten, and what is answered is on the disk.
    for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("secure_delete", "ON"), ("foreign_keys", "ON")] {
        connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(no_rows)?;
    }
    Ok(connection)
}

/// Some pragmas answer with their new value, others with nothing.
fn no_rows(fault: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(fault, rusqlite::Error::QueryReturnedNoRows) { Ok(()) } else { Err(fault) }
}

/// For `map_err`: what was to be done when SQLite failed.
fn failed(deed: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |cause| StoreError::Failed { deed, cause: Arc::new(cause) }
}

/// For `map_err`: which kind of record is not what it should be.
fn unreadable<E: Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |cause| StoreError::Unreadable { what, cause: Arc::new(cause) }
}

/// Versions and fencing numbers count from 1 and stay far below what SQLite's integers hold.
fn number(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(unreadable("a number"))
}
