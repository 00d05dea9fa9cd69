//! What memory holds of one grant, found by one look: its life, its opened token set, and who waits for its flight.

use super::opened::OpenedGrant;
use scopegate_core::refresh::{Landing, Life};
use scopegate_core::time::Instant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// One grant in memory.
#[derive(Debug)]
pub(super) struct Seat(Mutex<Seated>);

#[derive(Debug)]
pub(super) struct Seated {
    pub(super) life: Life,
    pub(super) waiting: Vec<oneshot::Sender<Landing>>,
    /// When a use was last being noted.
    pub(super) noting: Option<Instant>,
    pub(super) opened: Opened,
}

/// An opened token set, as long as there is a place for it.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) grant: Option<Arc<OpenedGrant>>,
    /// Whether it was used since somebody who looked for a place last came by.
    pub(super) used: bool,
    /// Whether this seat is among those that are looked at then.
    pub(super) listed: bool,
}

impl Seat {
    pub(super) fn new(life: Life) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Seated { life, waiting: Vec::new(), noting: None, opened: Opened::default() })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Seated> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// The token set of exactly this version.
    pub(super) fn get(&mut self, version: u64) -> Option<Arc<OpenedGrant>> {
        let opened = self.grant.as_ref().filter(|opened| opened.version == version)?;
        self.used = true;
        Some(Arc::clone(opened))
    }
}
