//! The only place that spawns. Every task has a name, an owner and an end.

use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Spawns on the long-lived runtime, whatever runtime the caller is on. Clones share the tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    end: CancellationToken,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shutdown {
    /// Every task has ended.
    Clean,
    /// So many tasks were still running when the grace was over.
    Left(usize),
}

impl Tasks {
    /// Tasks on `runtime`, which must live as long as the process.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tracker: TaskTracker::new(), end: CancellationToken::new() }
    }

    /// Runs `work` to its end, also when nobody waits for the handle. Work that has no end of its
    /// own watches [`token`](Self::token).
    #[expect(clippy::disallowed_methods, reason = "this is the door to the runtime")]
    pub fn spawn<W>(&self, name: &'static str, work: W) -> JoinHandle<W::Output>
    where
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        let work = work.instrument(tracing::debug_span!("task", name));
        self.runtime.spawn(self.tracker.track_future(work))
    }

    /// Runs `work` on a thread where it may block. It is not cut short, not even by a shutdown.
    #[expect(clippy::disallowed_methods, reason = "this is the door to the runtime")]
    pub fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let place = self.tracker.token();
        self.runtime.spawn_blocking(move || {
            let output = work();
            drop(place);
            output
        })
    }

    /// Where they run.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Is cancelled when the process begins to end.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Tells all tasks to end, and waits for them as long as `grace`.
    pub async fn shutdown(&self, grace: Duration) -> Shutdown {
        self.end.cancel();
        self.tracker.close();
        match tokio::time::timeout(grace, self.tracker.wait()).await {
            Ok(()) => Shutdown::Clean,
            Err(_) => Shutdown::Left(self.tracker.len()),
        }
    }
}

/// Starts a thread of its own for work that blocks as long as the process lives.
///
/// # Errors
/// The system has no thread to give.
#[expect(clippy::disallowed_methods, reason = "this is the door to the system's threads")]
pub fn thread(name: &'static str, work: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shutdown_waits_for_tasks_that_heed_the_token() {
        let tasks = Tasks::new(Handle::current());
        let token = tasks.token();
        let heeding = tasks.spawn("heeding", async move {
            token.cancelled().await;
            7
        });
        assert_eq!(tasks.shutdown(Duration::from_secs(5)).await, Shutdown::Clean);
        assert_eq!(heeding.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_shutdown_tells_how_many_did_not_end() {
        let tasks = Tasks::new(Handle::current());
        let deaf = tasks.spawn("deaf", std::future::pending::<()>());
        assert_eq!(tasks.shutdown(Duration::ZERO).await, Shutdown::Left(1));
        deaf.abort();
    }
}
