//! The queue, and the thread that writes what is in it.

use super::chain::Chain;
use super::members::Members;
use super::segment::Segment;
use super::{AuditFull, Event, Rotation};
use crate::clock::Clock;
use crate::metrics::Metrics;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many events may be under way: reserved, waiting, or written and not on disk.
const PLACES: usize = 1 << 16;

/// How many of these a flood of refusals leaves to calls: one of those is not made without a place, and may hold it for long.
const FOR_CALLS: usize = PLACES / 2;

/// How many bytes these events may take: each may have a path as long as a head.
const BYTES: usize = 64 << 20;

/// How many bytes of these a flood of refusals leaves to calls.
const BYTES_FOR_CALLS: usize = BYTES / 2;

/// As much as most events take, and the least that any counts as.
const USUAL: usize = 1024;

/// A buffer that a backlog has made larger than this is given back.
const BUFFER: usize = 4 << 20;

/// How many events are flushed together at most.
const GROUP: usize = 4096;

/// How long the writer lets events gather: well under the second within which they are durable.
const GATHER: Duration = Duration::from_millis(50);

/// How often a disk that took nothing is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(250);

/// How often an idle writer looks whether its file is too old.
const GLANCE: Duration = Duration::from_hours(1);

/// What the writing thread is told.
pub(super) enum Message {
    /// Write it; it has a place.
    Event(Members),
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
    /// What the events take, in bytes: those of calls under way as if they were usual ones.
    taken: AtomicUsize,
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
        let state = State { free: AtomicUsize::new(PLACES), taken: AtomicUsize::new(0), healthy: AtomicBool::new(true), metrics };
        (Arc::new(Self { inbox, state: Arc::new(state) }), messages)
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state.healthy.load(Ordering::Relaxed)
    }

    pub(super) fn reserve(self: &Arc<Self>) -> Result<Place, AuditFull> {
        if self.is_healthy() && self.state.take_place(USUAL, Left::NOTHING) { Ok(Place { queue: Some(Arc::clone(self)) }) } else { Err(AuditFull) }
    }

    pub(super) fn note(&self, event: &Event) {
        let members = Members::of(event);
        if self.state.take_place(weight(&members), Left::FOR_CALLS) {
            self.send(Message::Event(members));
        } else {
            self.state.metrics.audit_lost.inc();
        }
    }

    /// The writer outlives everybody who can send.
    pub(super) fn send(&self, message: Message) {
        let _ = self.inbox.send(message);
    }
}

/// What somebody who takes a place leaves to others.
struct Left {
    places: usize,
    bytes: usize,
}

impl Left {
    const NOTHING: Self = Self { places: 0, bytes: 0 };
    const FOR_CALLS: Self = Self { places: FOR_CALLS, bytes: BYTES_FOR_CALLS };
}

/// What an event counts as, waiting and as a line.
fn weight(event: &Members) -> usize {
    event.weight().max(USUAL)
}

impl State {
    /// Takes a place and so many bytes, where more than is to be left are free.
    fn take_place(&self, bytes: usize, left: Left) -> bool {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= BYTES - left.bytes);
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| (free > left.places).then(|| free - 1)).is_ok();
        if taken {
            self.metrics.audit_queue.inc();
        } else {
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give_places(&self, number: usize, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.free.fetch_add(number, Ordering::Relaxed);
        self.metrics.audit_queue.dec_by(i64::try_from(number).unwrap_or(i64::MAX));
    }
}

impl Place {
    /// Writes the event that it was taken for.
    pub fn write(mut self, event: &Event) {
        if let Some(queue) = self.queue.take() {
            let members = Members::of(event);
            queue.state.taken.fetch_add(weight(&members) - USUAL, Ordering::Relaxed);
            queue.send(Message::Event(members));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.state.give_places(1, USUAL);
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
    /// Lines that are not on disk, of how many events, and what these took while they waited.
    lines: Vec<u8>,
    events: usize,
    bytes: usize,
    /// Those who wait until all of these are.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Writer {
    pub(super) fn new(segment: Segment, chain: Chain, rotation: Rotation, clock: Clock, state: Arc<State>) -> Self {
        Self { segment, chain, rotation, clock, state, lines: Vec::new(), events: 0, bytes: 0, waiting: Vec::new() }
    }

    /// Works until nobody can send any more.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut more_wait = false;
        loop {
            // What the disk did not take is tried again after a while, whoever comes meanwhile: each try costs as much as all of it.
            let left_over = self.events > 0;
            if left_over {
                pause(RETRY);
            } else {
                match messages.recv_timeout(GLANCE) {
                    Ok(message) => self.take(message),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return self.end(),
                }
                if self.waiting.is_empty() && !more_wait {
                    pause(GATHER);
                }
            }
            // Who waits for a try behind many events is told of it as soon as they have had theirs.
            let most = if left_over { PLACES } else { GROUP };
            while self.events < most {
                match messages.try_recv() {
                    Ok(message) => self.take(message),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.end(),
                }
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
                self.bytes += weight(&event);
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
        self.state.give_places(events, std::mem::take(&mut self.bytes));
        self.lines.clear();
        self.lines.shrink_to(BUFFER);
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
fn pause(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
impl Writer {
    pub(super) fn segment(&mut self) -> &mut Segment {
        &mut self.segment
    }
}
