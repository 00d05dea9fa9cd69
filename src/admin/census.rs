//! How many accounts stand how, counted seldom enough that nobody feels it, whoever asks.
//!
//! Counting looks at every account: with a million of them it takes a while, on a thread of its own. Whoever asks while somebody
//! counts waits for that, and what was counted holds for twenty times as long as it took: few accounts are counted anew each time.

use crate::clock::Clock;
use crate::directory::Directory;
use crate::tasks::Tasks;
use scopegate_core::account::Status;
use scopegate_core::time::Instant;
use std::time::Duration;
use tokio::sync::Mutex;

/// Counting takes no more than one part in so many of the time.
const SHARE: u32 = 20;

/// Accounts by how they stand.
pub(super) type Counts = [(Status, usize); 5];

/// What was counted last.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<Option<Counted>>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    counts: Counts,
    at: Instant,
    took: Duration,
}

impl Census {
    pub(super) async fn by_status(&self, directory: &Directory, clock: &Clock, tasks: &Tasks) -> Option<Counts> {
        let mut last = self.0.lock().await;
        let began = clock.instant();
        if let Some(counted) = last.filter(|counted| counted.holds(began)) {
            return Some(counted.counts);
        }
        let directory = directory.clone();
        // It is cut short where the process ends; then nobody waits for it.
        let counts = tasks.blocking(move || directory.by_status()).await.ok()?;
        let at = clock.instant();
        *last = Some(Counted { counts, at, took: at.since(began) });
        Some(counts)
    }
}

impl Counted {
    fn holds(&self, now: Instant) -> bool {
        now.since(self.at) < self.took * SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_to_count_holds_for_long() {
        let (clock, hands) = Clock::manual(Clock::system().timestamp());
        let of = |took| Counted { counts: [(Status::Active, 1); 5], at: clock.instant(), took: Duration::from_millis(took) };
        let (quick, slow) = (of(0), of(500));
        assert_eq!([quick, slow].map(|counted| counted.holds(clock.instant())), [false, true]);
        hands.advance(Duration::from_secs(9));
        assert!(slow.holds(clock.instant()));
        hands.advance(Duration::from_secs(1));
        assert!(!slow.holds(clock.instant()));
    }
}
