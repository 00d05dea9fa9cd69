//! Something that a test can keep shut, and something whose end it can await.

use std::sync::Arc;
use tokio::sync::watch;

/// A place that requests pass. Clones are the same gate.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<watch::Sender<Position>>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Position {
    Open,
    Shut,
}

/// Keeps requests waiting. Dropping it lets them go.
#[derive(Debug)]
pub struct Hold(Gate);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::channel(Position::Open).0))
    }
}

impl Gate {
    pub(super) fn shut(&self) -> Hold {
        self.0.send_replace(Position::Shut);
        Hold(self.clone())
    }

    /// Waits while the gate is shut.
    pub(super) async fn passed(&self) {
        // The sender is this gate's own, so the wait can only end with an open gate.
        let _ = self.0.subscribe().wait_for(|position| *position == Position::Open).await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.send_replace(Position::Open);
    }
}

/// How many connections are open and calls are under way. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Busy(Arc<watch::Sender<usize>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Inside(Busy);

impl Default for Busy {
    fn default() -> Self {
        Self(Arc::new(watch::channel(0).0))
    }
}

impl Busy {
    pub(super) fn enter(&self) -> Inside {
        self.0.send_modify(|count| *count += 1);
        Inside(self.clone())
    }

    /// Waits until there is none.
    pub(super) async fn over(&self) {
        // The sender is this one's own, so the wait can only end with nobody inside.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
