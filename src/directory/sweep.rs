//! Forgetting what has ended: handles, authorizations, sessions.

use super::Directory;
use super::sessions::over_for_sure;
use crate::clock::Clock;
use crate::store::{Applied, Change, StoreError};
use crate::tasks::Tasks;
use std::error::Error;
use std::time::Duration;

const PAUSE: Duration = Duration::from_hours(1);

impl Directory {
    /// Forgets what has ended, now and every hour, until the process ends.
    pub fn keep_swept(&self, clock: &Clock, tasks: &Tasks) {
        let (directory, clock, end) = (self.clone(), clock.clone(), tasks.token());
        tasks.spawn("sweep", async move {
            loop {
                if let Err(fault) = directory.sweep(&clock).await {
                    tracing::warn!(error = &fault as &(dyn Error + 'static), "what has ended could not be forgotten");
                }
                tokio::select! {
                    () = clock.sleep(PAUSE) => {}
                    () = end.cancelled() => return,
                }
            }
        });
    }

    async fn sweep(&self, clock: &Clock) -> Result<(), StoreError> {
        let now = clock.timestamp();
        self.store.sweep(over_for_sure(now)).await?;
        for handle in self.memory.ended_handles(now) {
            // Where another process was quicker there is nothing to do.
            let _: Applied = self.store.apply(vec![Change::DeleteHandle(handle)]).await?;
        }
        Ok(())
    }
}
