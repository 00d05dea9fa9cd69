//! The only place that asks what time it is.
//!
//! Everybody else is given a [`Clock`], so that a test can hold its [`Hands`].

use scopegate_core::time::{Instant, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Wall-clock and monotonic time. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: std::time::Instant },
    Held(watch::Receiver<Face>),
}

/// What a held clock shows.
#[derive(Clone, Copy, Debug)]
struct Face {
    wall: Timestamp,
    since_start: Instant,
}

/// Moves a clock that stands still: for tests and simulations.
#[derive(Clone, Debug)]
pub struct Hands(Arc<watch::Sender<Face>>);

impl Clock {
    /// The machine's clock; its monotonic part starts at zero here.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the machine's clock")]
    pub fn system() -> Self {
        Self(Source::System { start: std::time::Instant::now() })
    }

    /// A clock that shows `wall` until its hands are moved. Its monotonic part starts at zero.
    #[must_use]
    pub fn manual(wall: Timestamp) -> (Self, Hands) {
        let (hands, face) = watch::channel(Face { wall, since_start: Instant::default() });
        (Self(Source::Held(face)), Hands(Arc::new(hands)))
    }

    /// Wall-clock time: durable, may jump.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the machine's clock")]
    pub fn timestamp(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => Timestamp::default().plus(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()),
            Source::Held(face) => face.borrow().wall,
        }
    }

    /// Monotonic time: never stored, never jumps.
    #[must_use]
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System { start } => Instant::default().plus(start.elapsed()),
            Source::Held(face) => face.borrow().since_start,
        }
    }

    /// Waits until this clock has gone on by `pause`. On a held clock: until its hands were moved that far.
    pub async fn sleep(&self, pause: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(pause).await,
            Source::Held(face) => {
                let mut face = face.clone();
                let end = face.borrow().since_start.plus(pause);
                if face.wait_for(|face| face.since_start >= end).await.is_err() {
                    // Nobody can move the hands any more, so the pause never ends.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

impl Hands {
    /// Lets time go on: both wall-clock and monotonic.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|face| *face = Face { wall: face.wall.plus(by), since_start: face.since_start.plus(by) });
    }

    /// Sets the wall clock alone, as an operator or NTP does; monotonic time stays.
    pub fn set_wall(&self, wall: Timestamp) {
        self.0.send_modify(|face| face.wall = wall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_wall_clock_leaves_monotonic_time_alone() {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_000));
        hands.advance(Duration::from_millis(5));
        hands.set_wall(Timestamp::from_millis(7));
        assert_eq!((clock.timestamp().millis(), clock.instant().millis()), (7, 5));
    }

    #[test]
    fn the_machines_clock_is_later_than_this_line_was_written() {
        let clock = Clock::system();
        assert!(clock.timestamp() > "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(clock.instant() <= clock.instant());
    }

    #[tokio::test]
    async fn a_held_clock_wakes_sleepers_only_when_it_has_gone_far_enough() {
        let (clock, hands) = Clock::manual(Timestamp::default());
        let mut sleeper = Box::pin(clock.sleep(Duration::from_secs(10)));
        assert!(futures_poll(&mut sleeper).await.is_none());
        hands.advance(Duration::from_secs(9));
        assert!(futures_poll(&mut sleeper).await.is_none());
        hands.advance(Duration::from_secs(1));
        sleeper.await;
    }

    /// What the future gives when it is asked once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
