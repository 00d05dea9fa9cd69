//! How far a request under way has come, over either protocol: what is counted of it, and until when the rest must be here.

use super::due::Due;
use crate::gateway::BodyFault;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How fast a body must come: within `grace`, and a second more for each `per_second` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What any body may take.
    pub grace: Duration,
    /// In bytes; at least one.
    pub per_second: u64,
}

/// One request's counters and deadlines.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes of content that came.
    received: u64,
    limit: u64,
    fault: Option<BodyFault>,
    /// When the rest of the body must be here.
    body_due: Due,
    /// When the upstream must have answered.
    answer_due: Due,
    overdue: bool,
}

impl Progress {
    /// Begins with the next request, of which nothing came yet; a body that is expected has `pace` to come.
    pub(super) fn begin(&mut self, expected: Option<Pace>) {
        (self.received, self.limit, self.fault, self.overdue) = (0, u64::MAX, None, false);
        self.answer_due.clear();
        match expected {
            Some(pace) => self.body_due.put(pace.grace),
            None => self.body_due.clear(),
        }
    }

    /// Bytes of content that came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// What is wrong with the body, if anything.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.fault
    }

    /// The body is no good.
    pub(super) fn fail(&mut self, fault: BodyFault) {
        self.fault.get_or_insert(fault);
    }

    /// The body may have at most `limit` bytes, of which `announced` are still to come for sure.
    pub(super) fn limit(&mut self, limit: u64, announced: u64) {
        self.limit = limit;
        if self.received.saturating_add(announced) > limit {
            self.fail(BodyFault::TooLarge);
        }
    }

    /// At most `most` bytes more may come.
    pub(super) fn limit_rest(&mut self, most: u64) {
        self.limit = self.received.saturating_add(most);
    }

    /// Counts `more` bytes of content, which give the rest more time.
    pub(super) fn arrived(&mut self, more: usize, pace: Pace) {
        self.received += more as u64;
        if self.received > self.limit {
            self.fail(BodyFault::TooLarge);
        }
        self.body_due.put_off(Duration::from_micros(more as u64 * 1_000_000 / pace.per_second.max(1)));
    }

    /// Counts bytes that are no body any more.
    pub(super) fn passed_raw(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// What comes from here on has all the time of the world: beside an answer that goes on, or where this is no HTTP any more.
    pub(super) fn takes_its_time(&mut self) {
        self.body_due.clear();
    }

    /// What is left of a body has `pace` to come, as if it began now.
    pub(super) fn rest_is_due(&mut self, pace: Pace) {
        self.body_due.put(pace.grace);
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&mut self, timeout: Duration) {
        self.answer_due.put(timeout);
    }

    /// Nothing is due from the upstream: it has answered, or was not asked yet.
    pub(super) fn await_no_answer(&mut self) {
        self.answer_due.clear();
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.overdue
    }

    /// Ready once the rest of the body is late, which is its fault from then on.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.body_due.poll(cx));
        self.fail(BodyFault::TooSlow);
        Poll::Ready(())
    }

    /// Ready once the upstream took longer than it may.
    pub(super) fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.overdue |= self.answer_due.poll(cx).is_ready();
        if self.overdue { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::timeout;

    const PACE: Pace = Pace { grace: Duration::from_secs(60), per_second: 1024 };

    #[tokio::test(start_paused = true)]
    async fn a_body_has_all_the_time_that_its_answer_takes_and_its_own_before_and_after() {
        let is_late = async |progress: &mut Progress, wait| {
            let late = timeout(Duration::from_secs(wait), poll_fn(|cx| progress.poll_late(cx))).await;
            (late.is_ok(), progress.fault())
        };
        let mut progress = Progress::default();
        progress.begin(Some(PACE));
        progress.limit(u64::MAX, 0);
        assert_eq!(is_late(&mut progress, 59).await, (false, None));
        progress.takes_its_time();
        assert_eq!(is_late(&mut progress, 3600).await, (false, None));
        progress.arrived(1, PACE);
        assert_eq!(is_late(&mut progress, 3600).await, (false, None));
        progress.rest_is_due(PACE);
        assert_eq!(is_late(&mut progress, 59).await, (false, None));
        assert_eq!(is_late(&mut progress, 2).await, (true, Some(BodyFault::TooSlow)));
    }
}
