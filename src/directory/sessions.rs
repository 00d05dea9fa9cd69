//! Sessions: one run of a crew, bound to one customer by its first request.

use crate::clock::Clock;
use crate::store::{SessionRecord, Store, StoreError};
use crate::tasks::Tasks;
use scopegate_core::id::{CustomerId, SessionId};
use std::sync::Arc;

/// Sessions. Clones share them.
#[derive(Clone, Debug)]
pub struct Sessions;

/// Whether a session may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Bound {
    /// It is this customer's.
    Bound,
    /// It is another customer's.
    Mismatch,
}

impl Sessions {
    /// Sessions as the store knows them.
    #[must_use]
    pub fn new(_store: Arc<dyn Store>, _clock: Clock, _tasks: Tasks) -> Self {
        todo!()
    }

    /// Binds the session to the customer at its first use, or says whose it is. It lives 24 h after
    /// its last use. A first binding is durable when this returns; later uses do no I/O here.
    ///
    /// # Errors
    /// The store could not take the first binding.
    pub async fn bind(&self, _session: &SessionId, _customer: &CustomerId) -> Result<Bound, StoreError> {
        todo!()
    }

    /// What is known of a session, for whoever looks back at it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, _session: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        todo!()
    }
}
