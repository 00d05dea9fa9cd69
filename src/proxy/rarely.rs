//! A future that is asked only where it has called.
//!
//! A connection's task is woken for each piece of each message, and waits beside that for what hardly ever comes: a silence, a drain, its own
//! end. Asking all of them each time would take as long as much of the rest, and fetch all that they are made of from memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Asks `F` once, and then only where it has called. Once it is over it stays over.
#[derive(Debug)]
pub(super) struct Rarely<F> {
    future: F,
    over: bool,
    /// None before it is asked for the first time.
    call: Option<Arc<Call>>,
}

/// Who is called.
#[derive(Debug)]
struct Call {
    came: AtomicBool,
    task: Waker,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.came.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F: Future<Output = ()> + Unpin> Rarely<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future, over: false, call: None }
    }

    /// What it is.
    pub(super) fn get(&self) -> &F {
        &self.future
    }

    /// Changes it, so that it has to be asked anew.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut F)) {
        change(&mut self.future);
        self.over = false;
        self.call = None;
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Rarely<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.over {
            return Poll::Ready(());
        }
        let call = match &self.call {
            Some(call) if call.task.will_wake(cx.waker()) => {
                if !call.came.load(Ordering::Acquire) {
                    return Poll::Pending;
                }
                // before it is asked: what it calls for from here on counts
                call.came.swap(false, Ordering::AcqRel);
                Arc::clone(call)
            }
            Some(_) | None => {
                let call = Arc::new(Call { came: AtomicBool::new(false), task: cx.waker().clone() });
                self.call = Some(Arc::clone(&call));
                call
            }
        };
        let asked = Pin::new(&mut self.future).poll(&mut Context::from_waker(&Waker::from(call)));
        self.over = asked.is_ready();
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;
    use tokio::task::{JoinSet, yield_now};
    use tokio::time::{Sleep, sleep, timeout};
    use tokio_util::sync::CancellationToken;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts how often it is asked.
    struct Counted<F>(F, Arc<AtomicUsize>);

    impl<F: Future<Output = ()> + Unpin> Future for Counted<F> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll(cx)
        }
    }

    #[tokio::test]
    async fn it_is_asked_once_and_again_when_it_has_called() {
        let (token, asked) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let mut waits = Rarely::new(Counted(Box::pin(token.clone().cancelled_owned()), Arc::clone(&asked)));
        for _ in 0..10 {
            tokio::select! {
                biased;
                () = &mut waits => panic!("nobody has called"),
                () = yield_now() => {}
            }
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        token.cancel();
        for _ in 0..2 {
            timeout(SECOND, &mut waits).await.expect("it is over, and stays so");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_for_it_also_in_another_task() {
        let token = CancellationToken::new();
        let mut waits = Rarely::new(Box::pin(token.clone().cancelled_owned()));
        let nobody = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut waits).poll(nobody).is_pending());
        let mut others = JoinSet::new();
        others.spawn(waits);
        yield_now().await;
        token.cancel();
        timeout(SECOND, others.join_all()).await.expect("it was woken");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_changed_is_asked_anew() {
        let now = || sleep(Duration::ZERO).deadline();
        let began = now();
        let mut waits: Rarely<Pin<Box<Sleep>>> = Rarely::new(Box::pin(sleep(SECOND)));
        poll_fn(|cx| Pin::new(&mut waits).poll(cx)).await;
        for seconds in [5, 3] {
            waits.change(|sleep| sleep.as_mut().reset(began + SECOND * seconds));
            poll_fn(|cx| Pin::new(&mut waits).poll(cx)).await;
        }
        assert_eq!(now() - began, SECOND * 5);
    }
}
