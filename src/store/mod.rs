//! What is durable: accounts, grants, handles, authorizations, sessions, leases and wrapped keys.
//!
//! A store never sees plaintext: what is secret comes to it [`Sealed`], and digests stand for
//! what somebody has to show. It decides nothing: a batch of [`Change`]s says what has to be
//! true for it to be applied.
//!
//! **Invariant: all or nothing, and durable before it is answered.** A batch of which one
//! change conflicts leaves no trace; one that was answered [`Applied::Done`] survives a kill.

mod change;
mod lease;
mod record;
mod schema;
mod sealed;
mod sqlite;

pub use change::{Applied, Change, News};
pub use lease::{Lease, LeaseName, LeaseOwner};
pub use record::{
    AuthorizationPhase, AuthorizationRecord, Confirmation, DataKeyId, DataKeyPurpose, DataKeyRecord, GrantRecord, Intent, KekId, ProofDigest,
    SealedId, SealedRecord, SessionRecord, Snapshot,
};
pub use sealed::Sealed;
pub(crate) use sealed::SealedParts;
pub use sqlite::{CopyError, Inspected, Notes, Rollback, RolledBack, SqliteStore, back_up, inspect, restore};

use async_trait::async_trait;
use scopegate_core::id::{AccountId, AuthorizationId, GrantId, SessionId};
use scopegate_core::time::Timestamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What names an authorization.
#[derive(Clone, Copy, Debug)]
pub enum AuthorizationKey<'a> {
    /// Its id, as the admin API knows it.
    Id(&'a AuthorizationId),
    /// The digest of its link's secret.
    Link(&'a ProofDigest),
    /// The digest of its `state`; found only between sending the form and the callback.
    State(&'a ProofDigest),
}

/// Which finished authorizations that nobody has confirmed.
#[derive(Clone, Copy, Debug)]
pub enum Unconfirmed<'a> {
    /// Those of one account.
    Of(&'a AccountId),
    /// Those whose time to be confirmed was over by then.
    OverBy(Timestamp),
}

/// Is told of what memory has to take over, one committed batch at a time, in the order of
/// commits and before the writer is answered. It must be quick and must not call the store.
pub type Follower = Box<dyn Fn(Vec<News>) + Send + Sync>;

/// Where everything durable is kept. Dropping a future does not undo what it asked for.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Tells `follower`, who knows nothing yet, all accounts, grants and handles before it returns, and
    /// from that moment on what changes, whoever changed it: here at once, what another process wrote
    /// within a second. There is one follower; a later one takes the place of an earlier.
    async fn follow(&self, follower: Follower) -> Result<(), StoreError>;

    /// Applies all changes or none. Durable when it returns [`Applied::Done`].
    async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError>;

    /// A grant with its sealed token set, as it stands in the store at this moment.
    async fn grant(&self, id: &GrantId) -> Result<Option<GrantRecord>, StoreError>;

    /// Grants whose refresh call was under way when its process ended, or still is.
    async fn intents(&self) -> Result<Vec<(GrantId, Intent)>, StoreError>;

    /// An authorization, whatever its phase; none once it was swept.
    async fn authorization(&self, key: AuthorizationKey<'_>) -> Result<Option<AuthorizationRecord>, StoreError>;

    /// Finished authorizations that nobody has confirmed.
    async fn unconfirmed(&self, which: Unconfirmed<'_>) -> Result<Vec<AuthorizationRecord>, StoreError>;

    /// What a session is bound to, also after its end, until it is swept.
    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError>;

    /// All wrapped data keys, oldest first.
    async fn data_keys(&self) -> Result<Vec<DataKeyRecord>, StoreError>;

    /// How many records each data key seals; one that seals nothing may be missing.
    async fn sealed_counts(&self) -> Result<Vec<(DataKeyId, u64)>, StoreError>;

    /// Records that this data key seals, ordered by name, at most `limit`, after `after`.
    async fn sealed_with(&self, key: DataKeyId, after: Option<SealedId>, limit: usize) -> Result<Vec<SealedRecord>, StoreError>;

    /// Takes the lease for `ttl`, unless somebody else holds it. A holder whose process is known
    /// to be gone holds nothing. The fencing number is higher than that of every lease of that
    /// name before.
    async fn acquire(&self, name: &LeaseName, owner: &LeaseOwner, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Holds on to the lease for another `ttl`; none where it was lost meanwhile.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Option<Lease>, StoreError>;

    /// Gives the lease back; nothing happens where it was lost meanwhile.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Forgets what ended before `before`: authorizations, and sessions not used since. An authorization that holds tokens stays,
    /// until whoever sees to them deletes it.
    async fn sweep(&self, before: Timestamp) -> Result<(), StoreError>;

    /// Whether a write would be durable at this moment; for readiness.
    async fn ready(&self) -> Result<(), StoreError>;
}

/// The store could not do it. Cheap to clone: all callers of one commit get the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or file cannot be used.
    #[error("cannot open the store at {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Written by a newer version of Scopegate.
    #[error("the store at {} has schema version {found}, and this version of scopegate knows none above {known}: use a newer scopegate", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Older than what was seen of it.
    #[error(
        "the store at {} {how}: refresh tokens in it may be spent and revocations forgotten; put the newest copy in its place, or take this one with `scopegate serve --accept-rollback`",
        path.display()
    )]
    RolledBack {
        /// Which.
        path: PathBuf,
        /// In which way.
        how: RolledBack,
    },
    /// A record that cannot be read back.
    #[error("the store holds {what} that cannot be read")]
    Unreadable {
        /// Which kind of record.
        what: &'static str,
        /// Why.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Reading or writing failed: a full disk, a broken file.
    #[error("the store could not {deed}")]
    Failed {
        /// What it was to do.
        deed: &'static str,
        /// Why.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed, or its thread is gone.
    #[error("the store is closed")]
    Closed,
}
