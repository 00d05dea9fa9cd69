//! Something that a test can keep shut.

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
