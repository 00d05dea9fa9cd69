//! A moment that is put off more often than it comes.

use super::rarely::Rarely;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// When something is due. Putting it off costs nothing: its timer stays where it stands, and is set anew when it goes off too early, which is
/// at most once in each such time.
#[derive(Debug, Default)]
pub(super) struct Due {
    at: Option<Instant>,
    timer: Option<Rarely<Pin<Box<Sleep>>>>,
}

impl Due {
    /// After `wait`, from now on.
    pub(super) fn after(wait: Duration) -> Self {
        let mut due = Self::default();
        due.put(wait);
        due
    }

    /// From now on it is due after `wait`.
    pub(super) fn put(&mut self, wait: Duration) {
        self.at = Some(sleep(wait).deadline());
    }

    /// It is due so much later.
    pub(super) fn put_off(&mut self, more: Duration) {
        self.at = self.at.map(|at| at + more);
    }

    /// It is not due at all.
    pub(super) fn clear(&mut self) {
        self.at = None;
    }

    /// Ready once it is due, and from then on until it is put off.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Rarely::new(Box::pin(sleep_until(at))));
        if timer.get().deadline() > at {
            timer.change(|timer| timer.as_mut().reset(at));
        }
        loop {
            ready!(Pin::new(&mut *timer).poll(cx));
            if timer.get().deadline() >= at {
                return Poll::Ready(());
            }
            timer.change(|timer| timer.as_mut().reset(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const SECOND: Duration = Duration::from_secs(1);

    async fn waited(due: &mut Due) -> Duration {
        let now = || sleep(Duration::ZERO).deadline();
        let began = now();
        poll_fn(|cx| due.poll(cx)).await;
        now() - began
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_due_when_it_was_last_said_to_be() {
        let mut due = Due::after(10 * SECOND);
        assert_eq!(waited(&mut due).await, 10 * SECOND);
        assert_eq!(waited(&mut due).await, Duration::ZERO, "it stays due");
        due.put(3 * SECOND);
        assert_eq!(waited(&mut due).await, 3 * SECOND);
        for (first, then) in [(5, 60), (60, 5), (5, 5)] {
            let mut due = Due::after(first * SECOND);
            let early = tokio::time::timeout(2 * SECOND, waited(&mut due)).await;
            assert!(early.is_err());
            due.put(then * SECOND);
            assert_eq!(waited(&mut due).await, then * SECOND, "{first} and then {then}");
            due.put(SECOND);
            due.put_off(2 * SECOND);
            assert_eq!(waited(&mut due).await, 3 * SECOND);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_due_never_comes() {
        let mut due = Due::after(SECOND);
        due.clear();
        assert!(tokio::time::timeout(3600 * SECOND, waited(&mut due)).await.is_err());
        due.put(SECOND);
        assert_eq!(waited(&mut due).await, SECOND);
    }
}
