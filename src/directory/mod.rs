//! What memory holds of accounts, grants and handles, always equal to the store.
//!
//! Readers take no lock and do no I/O. Every change goes to the store first; memory follows in
//! the order of commits and before the writer is answered.
//!
//! **Invariant: whoever was told that a change is done finds it here.**

mod sessions;

pub use sessions::{Bound, Sessions};

use crate::store::{Applied, Change, GrantRecord, Store, StoreError};
use scopegate_core::account::{AccountRecord, ConnectedAccount, GrantFacts, HandleDigest, HandleRecord, Status};
use scopegate_core::id::{AccountId, ConnectorId, CustomerId, GrantId, HandleId, Identifier, RoleName};
use scopegate_core::time::Timestamp;
use std::sync::Arc;

/// What memory holds of accounts. Clones share it.
#[derive(Clone, Debug)]
pub struct Directory;

/// Which accounts to list; what is none does not narrow.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Of this API.
    pub connector: Option<ConnectorId>,
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With this role.
    pub role: Option<RoleName>,
    /// With this status.
    pub status: Option<Status>,
}

/// Where a list goes on: after this account. Its text is `connector/identifier`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AccountCursor {
    /// The account's API.
    pub connector: ConnectorId,
    /// The account's identifier.
    pub identifier: Identifier,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct AccountPage {
    /// By connector, then identifier.
    pub accounts: Vec<ConnectedAccount>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<AccountCursor>,
}

impl Directory {
    /// Loads everything from the store, and follows it from then on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(_store: Arc<dyn Store>) -> Result<Self, StoreError> {
        todo!()
    }

    /// An account by its name, as of this moment.
    #[must_use]
    pub fn find(&self, _connector: &ConnectorId, _identifier: &Identifier) -> Option<ConnectedAccount> {
        todo!()
    }

    /// An account by its id.
    #[must_use]
    pub fn by_id(&self, _id: &AccountId) -> Option<ConnectedAccount> {
        todo!()
    }

    /// What is known of a grant without opening it.
    #[must_use]
    pub fn grant(&self, _id: &GrantId) -> Option<Arc<GrantFacts>> {
        todo!()
    }

    /// The handle with this digest, unless it has ended.
    #[must_use]
    pub fn handle(&self, _digest: &HandleDigest, _now: Timestamp) -> Option<Arc<HandleRecord>> {
        todo!()
    }

    /// The handle of this id, ended or not.
    #[must_use]
    pub fn handle_by_id(&self, _id: &HandleId) -> Option<Arc<HandleRecord>> {
        todo!()
    }

    /// Accounts by connector and identifier, at most `limit`, after `cursor`.
    #[must_use]
    pub fn list(&self, _filter: &AccountFilter, _cursor: Option<&AccountCursor>, _limit: usize) -> AccountPage {
        todo!()
    }

    /// All accounts that use this grant.
    #[must_use]
    pub fn sharers(&self, _grant: &GrantId) -> Vec<Arc<AccountRecord>> {
        todo!()
    }

    /// All accounts of a customer at a connector, by identifier.
    #[must_use]
    pub fn holders(&self, _customer: &CustomerId, _connector: &ConnectorId) -> Vec<Arc<AccountRecord>> {
        todo!()
    }

    /// All accounts of that identifier, at any connector and of any customer.
    #[must_use]
    pub fn named(&self, _identifier: &Identifier) -> Vec<Arc<AccountRecord>> {
        todo!()
    }

    /// All grants, for what has to be done ahead of time. In no order.
    pub fn each_grant(&self, _visit: impl FnMut(&Arc<GrantFacts>)) {
        todo!()
    }

    /// The store's [`apply`](Store::apply); readers here see the change before this returns.
    ///
    /// # Errors
    /// The store could not do it; whether a part is durable is all or nothing, but not known.
    pub async fn apply(&self, _changes: Vec<Change>) -> Result<Applied, StoreError> {
        todo!()
    }

    /// A grant with its sealed token set as it stands in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn sealed(&self, _grant: &GrantId) -> Result<Option<GrantRecord>, StoreError> {
        todo!()
    }
}
