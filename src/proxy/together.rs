//! Requests that are ready at the same time send at the same time.
//!
//! Whoever gets a request or an answer has to be woken for it, unless it is awake; on one machine, that takes the processor longer than
//! all the rest of sending. So where many requests are ready at once each comes as far as its sending, and then all of them send, one right
//! behind the other. Where few are, nobody waits: there it would take longer to wait than to wake.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::task::yield_now;

/// From so many for each thread on it pays.
const CROWD: usize = 6;
/// Where it does not, it is looked once in so many times whether it would.
const LOOK: usize = 32;
/// How many rounds decide whether a crowd is still one.
const ROUNDS: usize = 4;

/// Those who are ready to send.
#[derive(Debug)]
pub(super) struct Together {
    crowd: usize,
    /// How many have come since the first one began to wait for the others; none where nobody does.
    gathered: AtomicUsize,
    /// How many they were in the last rounds, all in all.
    lately: AtomicUsize,
    alone: AtomicUsize,
}

impl Together {
    /// For the threads of this runtime.
    pub(super) fn new(runtime: &Handle) -> Self {
        let crowd = runtime.metrics().num_workers() * CROWD * ROUNDS;
        Self { crowd, gathered: AtomicUsize::new(0), lately: AtomicUsize::new(0), alone: AtomicUsize::new(0) }
    }

    /// Lets all others who are ready come as far as this, if there are many.
    pub(super) async fn gather(&self) {
        let crowded = self.lately.load(Ordering::Relaxed) >= self.crowd;
        if self.gathered.fetch_add(1, Ordering::Relaxed) > 0 {
            if crowded {
                yield_now().await;
            }
            return;
        }
        let first = First(self);
        if crowded {
            yield_now().await;
            let lately = self.lately.load(Ordering::Relaxed);
            self.lately.store(lately - lately / ROUNDS + first.gathered(), Ordering::Relaxed);
        } else if self.alone.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK) {
            yield_now().await;
            self.lately.store(first.gathered() * ROUNDS, Ordering::Relaxed);
        }
    }
}

/// The one who waits for the others, or is gone meanwhile.
struct First<'a>(&'a Together);

impl First<'_> {
    fn gathered(&self) -> usize {
        self.0.gathered.load(Ordering::Relaxed)
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.0.gathered.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::task::JoinSet;

    /// In which order so many come and send, ten times each, with a wait between.
    async fn order(many: usize) -> String {
        let together = Arc::new(Together::new(&Handle::current()));
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut all = JoinSet::new();
        for _ in 0..many {
            let (together, said) = (Arc::clone(&together), said.clone());
            all.spawn(async move {
                for _ in 0..10 {
                    said.send('c').unwrap();
                    together.gather().await;
                    said.send('s').unwrap();
                    yield_now().await;
                }
            });
        }
        drop(said);
        all.join_all().await;
        std::iter::from_fn(|| heard.try_recv().ok()).collect()
    }

    #[tokio::test]
    async fn many_send_one_right_behind_the_other_and_few_wait_for_nobody() {
        // One of them looks how many there are.
        let few = order(3).await;
        assert!(!few.contains("ccc") && !few.contains("sss"), "{few}");
        let crowd = order(20).await;
        assert!(crowd.contains(&format!("{}{}", "c".repeat(20), "s".repeat(20))), "{crowd}");
    }

    #[tokio::test]
    async fn whoever_leaves_while_it_waits_keeps_nobody_waiting() {
        let together = Together::new(&Handle::current());
        {
            let mut first = std::pin::pin!(together.gather());
            let nobody = &mut std::task::Context::from_waker(std::task::Waker::noop());
            assert!(first.as_mut().poll(nobody).is_pending());
            assert_eq!(together.gathered.load(Ordering::Relaxed), 1);
        }
        assert_eq!(together.gathered.load(Ordering::Relaxed), 0);
        together.gather().await;
    }
}
