//! Where the disk takes nothing, or less than comes.

use super::super::members::Members;
use super::super::sink::RETRY;
use super::*;
use scopegate_core::time::Instant;
use std::fs::File;
use std::sync::mpsc::Receiver;

/// The writer without its thread, and the queue before it.
struct Desk<'a> {
    room: &'a Room,
    queue: Arc<Queue>,
    messages: Receiver<Message>,
    writer: Writer,
}

impl<'a> Desk<'a> {
    fn new(room: &'a Room) -> Self {
        let (queue, messages) = Queue::new(room.metrics.clone());
        let (segment, head) = Segment::begin(Files::at(&room.path()), room.clock.timestamp()).unwrap();
        let writer = Writer::new(segment, Chain::new(head), room.rotation, room.clock.clone(), queue.state());
        Self { room, queue, messages, writer }
    }

    fn write(&mut self, number: u8) {
        self.queue.note(&self.room.event(number));
        self.messages.try_iter().for_each(|message| self.writer.take(message));
        self.writer.write_out();
    }
}

/// A disk that takes nothing.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[tokio::test]
async fn what_a_failed_write_left_does_not_stay_in_a_file_that_is_left_for_another() {
    for moved in [true, false] {
        let room = Room::new();
        let mut desk = Desk::new(&room);
        desk.write(1);
        let real = desk.writer.segment().exchange(full());
        desk.write(2);
        // A whole line and half of another came to the disk before it was full.
        let (mut chain, mut lines) = (Chain::new(Head { seq: 1, hash: verify(&room.path()).unwrap().head.unwrap() }), Vec::new());
        (2..=3).for_each(|number| chain.append(&Members::of(&room.event(number)), &mut lines));
        room.append(&lines[..lines.len() - 10]);
        desk.writer.segment().exchange(real);
        if moved {
            fs::rename(room.path(), room.path().with_extension("jsonl.1")).unwrap();
        } else {
            room.hands.advance(Duration::from_hours(24));
        }
        desk.write(3);
        assert_eq!(fs::read_to_string(room.path().with_extension("jsonl.1")).unwrap().lines().count(), 1);
        let verified = room.sound();
        assert_eq!((verified.events, verified.files, verified.torn), (3, 2, None));
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_stops_calls_and_not_refusals_until_it_takes_events_again() {
    let room = Room::new();
    let mut desk = Desk::new(&room);
    desk.write(1);
    let before = desk.queue.reserve().unwrap();

    let real = desk.writer.segment().exchange(full());
    desk.write(2);
    assert!(!desk.queue.is_healthy() && desk.queue.reserve().is_err());
    desk.queue.note(&room.event(9));
    assert_eq!((room.metrics.audit_failures.get(), room.metrics.audit_lost.get()), (1, 0));

    // What the disk took of it before it was full is not there twice afterwards.
    room.append(b"{\"time\":\"20");
    desk.writer.segment().exchange(real);
    desk.write(3);
    assert!(desk.queue.is_healthy() && desk.queue.reserve().is_ok());
    assert_eq!(room.sound().events, 4);
    drop(before);
    assert_eq!(room.metrics.audit_queue.get(), 0);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_tried_now_and_then_and_not_for_each_event() {
    let room = Room::new();
    let (queue, messages) = Queue::new(room.metrics.clone());
    let (mut segment, head) = Segment::begin(Files::at(&room.path()), room.clock.timestamp()).unwrap();
    let real = segment.exchange(full());
    let writer = Writer::new(segment, Chain::new(head), room.rotation, room.clock.clone(), queue.state());
    let written = tasks::thread("audit-writer", move || writer.run(&messages)).unwrap();
    let began = Clock::system();
    // More than are flushed together.
    for events in [5_000, 500] {
        (0..events).for_each(|_| queue.note(&room.event(1)));
        let (done, tried) = oneshot::channel();
        queue.send(Message::Flush(done));
        tried.await.unwrap();
    }
    // Once for each who waits, and once in each such time.
    let (tried, most) = (room.metrics.audit_failures.get(), 4 + began.instant().since(Instant::default()).div_duration_f64(RETRY) as u64);
    assert!((2..=most).contains(&tried), "{tried} times, and {most} at most");
    drop((queue, real));
    room.tasks().blocking(move || written.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn no_more_calls_are_let_in_than_there_are_places() {
    let room = Room::new();
    let (queue, _messages) = Queue::new(room.metrics.clone());
    let places: Vec<Place> = std::iter::from_fn(|| queue.reserve().ok()).take(1 << 20).collect();
    assert_eq!(places.len(), 1 << 16);
    queue.note(&room.event(2));
    assert_eq!(room.metrics.audit_lost.get(), 1);
}

#[tokio::test]
async fn a_flood_of_refusals_leaves_places_for_calls() {
    let room = Room::new();
    let (queue, messages) = Queue::new(room.metrics.clone());
    (0..1_u32 << 16).for_each(|_| queue.note(&room.event(1)));
    let taken = messages.try_iter().count() as u64;
    assert_eq!(taken + room.metrics.audit_lost.get(), 1 << 16);
    assert_eq!(taken, 1 << 15);
    assert!(queue.reserve().is_ok());
}

#[tokio::test]
async fn events_wait_within_a_bound_however_long_their_paths_are() {
    let room = Room::new();
    let (queue, messages) = Queue::new(room.metrics.clone());
    let long = Event { path: Some("/a".repeat(16 << 10)), ..room.event(1) };
    (0..10_000).for_each(|_| queue.note(&long));
    let taken = messages.try_iter().count();
    assert!((950..1_050).contains(&taken), "{taken} refusals of 32 KiB each in 32 MiB");
    assert_eq!(room.metrics.audit_lost.get(), 10_000 - taken as u64);
    let mut calls = 0;
    while let Ok(place) = queue.reserve() {
        place.write(&long);
        calls += 1;
    }
    assert!((950..1_050).contains(&calls), "{calls} calls of 32 KiB each in the other 32 MiB");
}
