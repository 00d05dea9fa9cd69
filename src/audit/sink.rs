//! The queue, and the thread that writes what is in it.

use super::chain::Chain;
use super::segment::Segment;
use super::{AuditFull, Event, Rotation};
use crate::clock::Clock;
use crate::metrics::Metrics;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many events may be under way: reserved, waiting, or written and not on disk.
const PLACES: usize = 1 << 16;

/// How many of these a flood of refusals leaves to calls: one of those is not made without a place, and may hold it for long.
const FOR_CALLS: usize = PLACES / 2;

/// How many events are flushed together at most.
const GROUP: usize = 4096;

/// How long the writer lets events gather: well under the second within which they are durable.
const GATHER: Duration = Duration::from_millis(50);

/// How often a disk that took nothing is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How often an idle writer looks whether its file is too old.
const GLANCE: Duration = Duration::from_hours(1);

/// What the writing thread is told.
pub(super) enum Message {
    /// Write it; it has a place.
    Event(Box<Event>),
    /// Tell when all before this is on disk, or cannot be.
    Flush(oneshot::Sender<()>),
}

/// What everybody who has something to write shares.
#[derive(Debug)]
pub(super) struct Queue {
    inbox: Sender<Message>,
    state: Arc<State>,
}

/// What the queue and the writer share.
#[derive(Debug)]
pub(super) struct State {
    free: AtomicUsize,
    healthy: AtomicBool,
    metrics: Metrics,
}

/// A place in the queue, for one event.
#[derive(Debug)]
pub struct Place {
    /// None once it is used.
    queue: Option<Arc<Queue>>,
}

impl Queue {
    pub(super) fn new(metrics: Metrics) -> (Arc<Self>, Receiver<Message>) {
        let (inbox, messages) = mpsc::channel();
        let state = State { free: AtomicUsize::new(PLACES), healthy: AtomicBool::new(true), metrics };
        (Arc::new(Self { inbox, state: Arc::new(state) }), messages)
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state.healthy.load(Ordering::Relaxed)
    }

    pub(super) fn reserve(self: &Arc<Self>) -> Result<Place, AuditFull> {
        if self.is_healthy() && self.state.take_place(0) { Ok(Place { queue: Some(Arc::clone(self)) }) } else { Err(AuditFull) }
    }

    pub(super) fn note(&self, event: Box<Event>) {
        if self.state.take_place(FOR_CALLS) {
            self.send(Message::Event(event));
        } else {
            self.state.metrics.audit_lost.inc();
        }
    }

    /// The writer outlives everybody who can send.
    pub(super) fn send(&self, message: Message) {
        let _ = self.inbox.send(message);
    }
}

impl State {
    /// Takes a place, where more than `left` are free.
    fn take_place(&self, left: usize) -> bool {
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| (free > left).then(|| free - 1)).is_ok();
        if taken {
            self.metrics.audit_queue.inc();
        }
        taken
    }

    fn give_places(&self, number: usize) {
        self.free.fetch_add(number, Ordering::Relaxed);
        self.metrics.audit_queue.dec_by(i64::try_from(number).unwrap_or(i64::MAX));
    }
}

impl Place {
    /// Writes the event that it was taken for.
    pub fn write(mut self, event: Box<Event>) {
        if let Some(queue) = self.queue.take() {
            queue.send(Message::Event(event));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.state.give_places(1);
        }
    }
}

/// The one who writes.
pub(super) struct Writer {
    segment: Segment,
    chain: Chain,
    rotation: Rotation,
    clock: Clock,
    state: Arc<State>,
    /// Lines that are not on disk, and of how many events.
    lines: Vec<u8>,
    events: usize,
    /// Those who wait until all of these are.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Writer {
    pub(super) fn new(segment: Segment, chain: Chain, rotation: Rotation, clock: Clock, state: Arc<State>) -> Self {
        Self { segment, chain, rotation, clock, state, lines: Vec::new(), events: 0, waiting: Vec::new() }
    }

    /// Works until nobody can send any more.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut more_wait = false;
        loop {
            let left_over = self.events > 0;
            match messages.recv_timeout(if left_over { RETRY } else { GLANCE }) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
            if self.waiting.is_empty() && !more_wait {
                gather();
            }
            while self.events < GROUP
                && let Ok(message) = messages.try_recv()
            {
                self.take(message);
            }
            more_wait = self.events >= GROUP;
            self.write_out();
        }
    }

    fn end(&mut self) {
        self.write_out();
        if self.events > 0 {
            tracing::error!(events = self.events, "the disk has taken none of the last audit events, and the process ends: they are lost");
        }
    }

    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Event(event) => {
                self.chain.append(&event, &mut self.lines);
                self.events += 1;
            }
            Message::Flush(done) => self.waiting.push(done),
        }
    }

    /// Tries once to bring all lines to the disk, and tells those who wait for it.
    pub(super) fn write_out(&mut self) {
        if let Err(fault) = self.segment.rotate(self.rotation, self.clock.timestamp()) {
            tracing::warn!(error = &fault as &(dyn Error + 'static), "the audit's files could not be tended: the current one goes on");
        }
        if self.events > 0 {
            match self.segment.append(&self.lines) {
                Ok(()) => self.written(),
                Err(fault) => self.not_written(&fault),
            }
        }
        for done in self.waiting.drain(..) {
            // Whoever waited may have left.
            let _ = done.send(());
        }
    }

    fn written(&mut self) {
        let events = std::mem::take(&mut self.events);
        self.state.metrics.audit_events.inc_by(events as u64);
        self.state.give_places(events);
        self.lines.clear();
        if !self.state.healthy.swap(true, Ordering::Relaxed) {
            tracing::info!("the audit's disk takes events again");
        }
    }

    fn not_written(&mut self, fault: &std::io::Error) {
        self.state.metrics.audit_failures.inc();
        if self.state.healthy.swap(false, Ordering::Relaxed) {
            tracing::error!(error = fault as &(dyn Error + 'static), "the audit's disk takes no events: allowed calls are refused until it does");
        }
    }
}

/// Waits for more events without being woken by each of them.
#[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
fn gather() {
    std::thread::sleep(GATHER);
}

#[cfg(test)]
impl Writer {
    pub(super) fn segment(&mut self) -> &mut Segment {
        &mut self.segment
    }
}
