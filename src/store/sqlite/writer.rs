//! The thread that writes.

use super::mark::{self, Mark};
use super::{PATIENCE, failed, news, queries};
use crate::store::{Follower, News, StoreError};
use rusqlite::Connection;
use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many callers share one commit at most.
const GROUP: usize = 256;

/// How often an idle writer looks whether another process has written.
const GLANCE: Duration = Duration::from_millis(250);

/// What became of one caller's work.
pub(super) enum Done<T> {
    /// Commit it.
    Keep(T),
    /// Leave no trace of it.
    Undo(T),
}

/// What the writer is asked to do.
pub(super) enum Job {
    /// Change something.
    Write(Box<dyn Work>),
    /// Tell everything, and whatever changes from then on.
    Follow { follower: Follower, answer: oneshot::Sender<Result<(), StoreError>> },
}

/// One caller's work, and the caller.
pub(super) trait Work: Send {
    /// Does it, and says whether it is to be committed.
    fn run(&mut self, connection: &Connection) -> Fate;
    /// Tells the caller, who may have left, how it went and whether the commit did.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Whether a caller's work is to be committed.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Fate {
    Keep,
    Undo,
}

struct Caller<T, W> {
    work: Option<W>,
    output: Result<T, StoreError>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl Job {
    /// `work` for the writer, and where its answer comes.
    pub(super) fn write<T, W>(work: W) -> (Self, oneshot::Receiver<Result<T, StoreError>>)
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<Done<T>, StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        (Self::Write(Box::new(Caller { work: Some(work), output: Err(StoreError::Closed), sender })), receiver)
    }
}

impl<T: Send, W: FnOnce(&Connection) -> Result<Done<T>, StoreError> + Send> Work for Caller<T, W> {
    fn run(&mut self, connection: &Connection) -> Fate {
        let Some(work) = self.work.take() else { return Fate::Undo };
        let (fate, output) = match work(connection) {
            Ok(Done::Keep(output)) => (Fate::Keep, Ok(output)),
            Ok(Done::Undo(output)) => (Fate::Undo, Ok(output)),
            Err(fault) => (Fate::Undo, Err(fault)),
        };
        self.output = output;
        fate
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let _ = self.sender.send(committed.and(self.output));
    }
}

/// The one who writes.
pub(super) struct Writer {
    connection: Connection,
    follower: Option<Follower>,
    /// How far the log of changes was told.
    seen: i64,
    /// Changes with every commit of another process.
    version: i64,
    /// Whether something was written since the write-ahead log was emptied last.
    log_is_used: bool,
    /// How many commits there were after the last one of this process.
    commits: u64,
    mark: Option<Mark>,
}

impl Writer {
    pub(super) fn new(connection: Connection, mark: Option<Mark>) -> Self {
        Self { connection, follower: None, seen: 0, version: 0, log_is_used: false, commits: 0, mark }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = None;
        loop {
            match next.take().map_or_else(|| jobs.recv_timeout(GLANCE), Ok) {
                Ok(Job::Follow { follower, answer }) => {
                    let _ = answer.send(self.follow(follower));
                }
                Ok(Job::Write(work)) => {
                    let mut group: Vec<Box<dyn Work>> = vec![work];
                    while group.len() < GROUP {
                        match jobs.try_recv() {
                            Ok(Job::Write(work)) => group.push(work),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.write(group);
                }
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.empty_log();
        if let Some(mark) = self.mark {
            mark.end(&self.connection);
        }
    }

    fn follow(&mut self, follower: Follower) -> Result<(), StoreError> {
        let reading = self.connection.unchecked_transaction().map_err(failed("read"))?;
        queries::tell_all(&reading, &follower)?;
        self.seen = news::end(&reading)?;
        drop(reading);
        self.follower = Some(follower);
        Ok(())
    }

    /// One transaction for all of `group`; each is answered after its commit.
    fn write(&mut self, mut group: Vec<Box<dyn Work>>) {
        let committed = self.commit(&mut group);
        if committed.is_err() {
            // Where SQLite has rolled back by itself there is nothing to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        group.into_iter().for_each(|work| work.answer(committed.clone()));
        if let Some(mark) = &mut self.mark {
            mark.committed(self.commits);
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed("begin to write"))?;
        for work in group {
            self.with_savepoint(work.as_mut())?;
        }
        let mut seen = self.seen;
        let news = if self.follower.is_some() { news::since(&self.connection, &mut seen)? } else { Vec::new() };
        let commits = mark::count_one(&self.connection)?;
        news::trim(&self.connection).and_then(|_| self.connection.execute_batch("COMMIT")).map_err(failed("commit"))?;
        self.seen = seen;
        self.commits = commits;
        self.log_is_used = true;
        self.tell(news);
        Ok(())
    }

    fn with_savepoint(&self, work: &mut dyn Work) -> Result<(), StoreError> {
        self.connection.execute_batch("SAVEPOINT caller").map_err(failed("write"))?;
        let end = match work.run(&self.connection) {
            Fate::Keep => "RELEASE caller",
            Fate::Undo => "ROLLBACK TO caller; RELEASE caller",
        };
        self.connection.execute_batch(end).map_err(failed("write"))
    }

    fn tell(&self, news: Vec<News>) {
        if let Some(follower) = &self.follower
            && !news.is_empty()
        {
            follower(news);
        }
    }

    /// Nothing to write: takes over what other processes wrote, notes how far the store is, and leaves no old bytes in the
    /// write-ahead log.
    fn idle(&mut self) {
        if let Some(mark) = &mut self.mark {
            mark.settle(self.commits);
        }
        if let Err(fault) = self.catch_up() {
            tracing::warn!(error = &fault as &(dyn Error + 'static), "what other processes wrote could not be read");
        }
        if self.log_is_used {
            self.empty_log();
        }
    }

    fn catch_up(&mut self) -> Result<(), StoreError> {
        let version = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(failed("read"))?;
        if self.follower.is_some() && version != self.version {
            let mut seen = self.seen;
            let reading = self.connection.unchecked_transaction().map_err(failed("read"))?;
            let news = news::since(&reading, &mut seen)?;
            drop(reading);
            (self.seen, self.version) = (seen, version);
            self.tell(news);
        }
        Ok(())
    }

    /// Where somebody reads at this moment, the next idle moment tries again: nobody waits for it.
    fn empty_log(&mut self) {
        let busy = self
            .connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        self.log_is_used = !matches!(busy, Ok(0));
        if let Err(fault) = self.connection.busy_timeout(PATIENCE) {
            tracing::warn!(error = &fault as &(dyn Error + 'static), "the store will not wait for other processes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn writer(more: &str) -> Writer {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(schema::migrate(&mut connection).is_ok());
        connection.execute_batch("CREATE TABLE test (bytes BLOB)").unwrap();
        connection.execute_batch(more).unwrap();
        Writer::new(connection, None)
    }

    /// Lets the writer write a group, and tells of each whether it was done.
    fn write<const N: usize>(writer: &mut Writer, queries: [&'static str; N]) -> [bool; N] {
        let (mut group, mut answers): (Vec<Box<dyn Work>>, Vec<_>) = (Vec::new(), Vec::new());
        for query in queries {
            let (job, answer) = Job::write(move |connection| {
                connection.execute_batch(query).map_err(failed("test"))?;
                Ok(Done::Keep(()))
            });
            match job {
                Job::Write(work) => group.push(work),
                Job::Follow { .. } => panic!("a write is no follower"),
            }
            answers.push(answer);
        }
        writer.write(group);
        let answered: Vec<bool> = answers.into_iter().map(|answer| answer.blocking_recv().unwrap().is_ok()).collect();
        answered.try_into().unwrap()
    }

    fn rows(writer: &Writer) -> i64 {
        writer.connection.query_row("SELECT count(*) FROM test", [], |row| row.get(0)).unwrap()
    }

    const LITTLE: &str = "INSERT INTO test VALUES (zeroblob(10))";

    #[test]
    fn a_failure_of_one_leaves_the_others_of_its_group_alone() {
        let mut writer = writer("");
        assert_eq!(write(&mut writer, [LITTLE, "INSERT INTO nowhere VALUES (1)", LITTLE]), [true, false, true]);
        assert_eq!(rows(&writer), 2);
    }

    #[test]
    fn a_full_disk_is_told_and_the_next_write_that_fits_is_done() {
        let mut writer = writer("PRAGMA max_page_count = 100");
        assert_eq!(write(&mut writer, ["INSERT INTO test VALUES (zeroblob(1000000))"]), [false]);
        assert_eq!(write(&mut writer, [LITTLE]), [true]);
        assert_eq!(rows(&writer), 1);
    }

    #[test]
    fn a_transaction_that_is_gone_is_told_to_its_whole_group_and_the_next_one_works() {
        let mut writer = writer("");
        // As SQLite does by itself where the disk fails.
        assert_eq!(write(&mut writer, [LITTLE, "ROLLBACK", LITTLE]), [false, false, false]);
        assert_eq!(rows(&writer), 0);
        assert_eq!(write(&mut writer, [LITTLE, LITTLE]), [true, true]);
        assert_eq!(rows(&writer), 2);
    }
}
