//! Who is connected, and who of them keeps a connection without a request.
//!
//! Connections are bounded. Where all of them are taken, those that have waited longest for a
//! client's next request, or for the rest of its head, make room for whoever comes: so neither
//! idle clients nor slow ones keep others out. A request that is under way is never ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture, WaitForCancellationFutureOwned};

/// How many make room at once: looking for them takes longer the more there are.
const SHARE: usize = 128;
/// When to look again, where those who were asked to leave had got a request meanwhile.
const AGAIN: Duration = Duration::from_millis(100);
/// A guest that has a request under way.
const BUSY: u64 = 0;

/// All connections.
#[derive(Debug)]
pub struct Guests {
    places: Arc<Semaphore>,
    most: usize,
    /// Clients that are accepted and have no place yet.
    queueing: AtomicUsize,
    /// Grows with each wait, so that the longest is the one that began first.
    turn: AtomicU64,
    present: Mutex<HashMap<u64, Arc<Guest>>>,
}

#[derive(Debug)]
struct Guest {
    waits_since: AtomicU64,
    leaves: CancellationToken,
}

/// The place of one connection; dropped, it is free.
#[derive(Debug)]
pub struct Seat {
    guests: Arc<Guests>,
    number: u64,
    guest: Arc<Guest>,
    _place: OwnedSemaphorePermit,
}

impl Guests {
    /// At most so many.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            queueing: AtomicUsize::new(0),
            turn: AtomicU64::new(BUSY + 1),
            present: Mutex::default(),
        })
    }

    /// A place for one more; waits where all are taken by requests that are under way. None: the end has come.
    pub async fn seat(self: &Arc<Self>) -> Option<Seat> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.queue().await?,
        };
        let guest = Arc::new(Guest { waits_since: AtomicU64::new(self.next_turn()), leaves: CancellationToken::new() });
        let number = self.next_turn();
        self.present().insert(number, Arc::clone(&guest));
        Some(Seat { guests: Arc::clone(self), number, guest, _place: place })
    }

    async fn queue(self: &Arc<Self>) -> Option<OwnedSemaphorePermit> {
        let _queueing = Queueing::new(&self.queueing);
        loop {
            self.make_room();
            if let Ok(place) = tokio::time::timeout(AGAIN, Arc::clone(&self.places).acquire_owned()).await {
                return place.ok();
            }
        }
    }

    /// Asks those to leave who have waited longest.
    pub fn make_room(&self) {
        let mut waiting: Vec<(u64, Arc<Guest>)> = self.present().values().filter_map(|guest| Some((guest.waits()?, Arc::clone(guest)))).collect();
        let share = (self.most / SHARE).max(1);
        if waiting.len() > share {
            waiting.select_nth_unstable_by_key(share, |(since, _)| *since);
            waiting.truncate(share);
        }
        waiting.iter().for_each(|(_, guest)| guest.leaves.cancel());
    }

    fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn present(&self) -> MutexGuard<'_, HashMap<u64, Arc<Guest>>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Since when it waits, where it does and was not asked to leave.
    fn waits(&self) -> Option<u64> {
        let since = self.waits_since.load(Ordering::Relaxed);
        (since != BUSY && !self.leaves.is_cancelled()).then_some(since)
    }
}

impl Seat {
    /// A request ended. Whether the client may keep its connection: not where another waits for the place.
    #[must_use]
    pub fn may_stay(&self) -> bool {
        self.guest.waits_since.store(self.guests.next_turn(), Ordering::Relaxed);
        self.guests.queueing.load(Ordering::Relaxed) == 0
    }

    /// A request begins.
    pub fn has_a_request(&self) {
        self.guest.waits_since.store(BUSY, Ordering::Relaxed);
    }

    /// Ends when it was asked to leave.
    pub fn asked_to_leave(&self) -> WaitForCancellationFuture<'_> {
        self.guest.leaves.cancelled()
    }

    /// The same, for whoever keeps it beside the seat.
    pub(crate) fn leaves(&self) -> WaitForCancellationFutureOwned {
        self.guest.leaves.clone().cancelled_owned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.guests.present().remove(&self.number);
    }
}

/// Counts one who queues, for as long as it does.
struct Queueing<'a>(&'a AtomicUsize);

impl<'a> Queueing<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Queueing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Poll;

    async fn seats(guests: &Arc<Guests>, number: usize) -> Vec<Seat> {
        let mut seats = Vec::new();
        for _ in 0..number {
            seats.push(guests.seat().await.unwrap());
        }
        seats
    }

    fn asked(seats: &[Seat]) -> Vec<bool> {
        seats.iter().map(|seat| seat.guest.leaves.is_cancelled()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_makes_room_and_nobody_who_has_a_request() {
        let guests = Guests::new(3);
        let mut seats = seats(&guests, 3).await;
        seats[0].has_a_request();
        assert!(seats[1].may_stay(), "nobody queues");
        let mut newcomer = pin!(guests.seat());
        assert!(so_far(&mut newcomer).await.is_none());
        assert_eq!(asked(&seats), [false, false, true], "the second has served one since, and waits for a shorter time");
        seats.remove(2);
        let newcomer = newcomer.await.unwrap();
        assert_eq!(guests.present().len(), 3);
        drop(newcomer);
        assert_eq!(guests.present().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_busy_the_first_who_is_not_any_more_makes_room() {
        let guests = Guests::new(1);
        let first = guests.seat().await.unwrap();
        first.has_a_request();
        let mut newcomer = pin!(guests.seat());
        assert!(so_far(&mut newcomer).await.is_none());
        assert!(!first.guest.leaves.is_cancelled() && !first.may_stay());
        drop(first);
        assert!(newcomer.await.is_some());
    }

    /// What has come of it so far.
    async fn so_far<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
