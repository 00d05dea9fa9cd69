//! The embedded store: one SQLite file.

use super::{Applied, AuthorizationKey, AuthorizationRecord, Change, DataKeyRecord, Follower, GrantRecord, Intent, Lease, LeaseName, LeaseOwner};
use super::{SessionRecord, Snapshot, Store, StoreError};
use crate::clock::Clock;
use async_trait::async_trait;
use scopegate_core::id::{GrantId, SessionId};
use scopegate_core::time::Timestamp;
use std::path::Path;
use std::time::Duration;

/// The embedded store. Several processes may open one folder.
#[derive(Debug)]
pub struct SqliteStore;

impl SqliteStore {
    /// Opens the store in `folder`, and makes both where they are not there: folder 0700, files 0600.
    ///
    /// # Errors
    /// The folder cannot be used, or a newer version of Scopegate wrote it. Blocks.
    pub fn open(_folder: &Path, _clock: Clock) -> Result<Self, StoreError> {
        todo!()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, _follower: Follower) -> Result<Snapshot, StoreError> {
        todo!()
    }
    async fn apply(&self, _changes: Vec<Change>) -> Result<Applied, StoreError> {
        todo!()
    }
    async fn grant(&self, _id: &GrantId) -> Result<Option<GrantRecord>, StoreError> {
        todo!()
    }
    async fn intents(&self) -> Result<Vec<(GrantId, Intent)>, StoreError> {
        todo!()
    }
    async fn authorization(&self, _key: AuthorizationKey<'_>) -> Result<Option<AuthorizationRecord>, StoreError> {
        todo!()
    }
    async fn session(&self, _id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        todo!()
    }
    async fn data_keys(&self) -> Result<Vec<DataKeyRecord>, StoreError> {
        todo!()
    }
    async fn acquire(&self, _name: &LeaseName, _owner: &LeaseOwner, _ttl: Duration) -> Result<Option<Lease>, StoreError> {
        todo!()
    }
    async fn renew(&self, _lease: &Lease, _ttl: Duration) -> Result<Option<Lease>, StoreError> {
        todo!()
    }
    async fn release(&self, _lease: &Lease) -> Result<(), StoreError> {
        todo!()
    }
    async fn sweep(&self, _before: Timestamp) -> Result<(), StoreError> {
        todo!()
    }
    async fn ready(&self) -> Result<(), StoreError> {
        todo!()
    }
}
