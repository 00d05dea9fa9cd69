//! How far a request under way has come, over either protocol: what is counted of it, and until when the rest must be here.

use crate::gateway::BodyFault;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How fast a body must come: within `grace`, and a second more for each `per_second` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What any body may take.
    pub grace: Duration,
    /// In bytes; at least one.
    pub per_second: u64,
}

/// One request's counters and deadlines.
#[derive(Debug)]
pub(super) struct Progress {
    /// Bytes of content that came.
    received: u64,
    limit: u64,
    fault: Option<BodyFault>,
    /// When the rest of the body must be here.
    body_due: Option<Pin<Box<Sleep>>>,
    /// When the upstream must have answered.
    answer_due: Option<Pin<Box<Sleep>>>,
    overdue: bool,
}

impl Progress {
    /// Nothing came yet; a body that is expected has `pace` to come.
    pub(super) fn begin(expected: Option<Pace>) -> Self {
        let body_due = expected.map(|pace| Box::pin(tokio::time::sleep(pace.grace)));
        Self { received: 0, limit: u64::MAX, fault: None, body_due, answer_due: None, overdue: false }
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
        if let Some(due) = &mut self.body_due {
            let later = due.deadline() + Duration::from_micros(more as u64 * 1_000_000 / pace.per_second.max(1));
            due.as_mut().reset(later);
        }
    }

    /// Counts bytes that are no body any more.
    pub(super) fn passed_raw(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// What comes from here on has all the time of the world.
    pub(super) fn is_raw(&mut self) {
        self.body_due = None;
    }

    /// From here on, and while no body is under way, the upstream may take `timeout` to answer.
    pub(super) fn await_answer(&mut self, timeout: Duration) {
        self.answer_due = Some(Box::pin(tokio::time::sleep(timeout)));
    }

    /// The upstream has answered.
    pub(super) fn answer_came(&mut self) {
        self.answer_due = None;
    }

    /// Whether the upstream took longer than it may.
    pub(super) fn answer_is_overdue(&self) -> bool {
        self.overdue
    }

    /// Ready once the rest of the body is late, which is its fault from then on.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = &mut self.body_due else { return Poll::Pending };
        if due.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.fail(BodyFault::TooSlow);
        Poll::Ready(())
    }

    /// Ready once the upstream took longer than it may.
    pub(super) fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(due) = &mut self.answer_due
            && due.as_mut().poll(cx).is_ready()
        {
            self.answer_due = None;
            self.overdue = true;
        }
        if self.overdue { Poll::Ready(()) } else { Poll::Pending }
    }
}
