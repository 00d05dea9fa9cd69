//! What may change, and what memory is told of it.

use super::{AuthorizationRecord, DataKeyRecord, GrantRecord, Intent, KekId, Lease, Sealed, SealedRecord, Snapshot};
use scopegate_core::account::{AccountRecord, GrantFacts, HandleRecord};
use scopegate_core::id::{AccountId, AuthorizationId, CustomerId, GrantId, HandleId, SessionId};
use scopegate_core::time::Timestamp;

/// One change of a batch. Each says what must be true for it; where that is not so, the whole
/// batch is [`Applied::Conflict`].
#[derive(Clone, Debug)]
pub enum Change {
    /// Neither its id nor its name (connector and identifier) may be taken.
    InsertAccount(AccountRecord),
    /// The stored version must be one less than the record's.
    UpdateAccount(AccountRecord),
    /// It must be there. Its own handles and authorizations go with it; its grant stays.
    DeleteAccount(AccountId),
    /// A new version of a grant; clears its intent unless the record brings one.
    PutGrant {
        /// Its `facts.version` must be higher than `expected`.
        record: GrantRecord,
        /// The stored version; none: it must not be there yet.
        expected: Option<u64>,
    },
    /// It must be there.
    DeleteGrant(GrantId),
    /// The grant must be there with this version of its sealed record.
    SetIntent {
        /// Which.
        grant: GrantId,
        /// The stored version.
        version: u64,
        /// What is about to be done; none: it was done, or was not begun.
        intent: Option<Intent>,
    },
    /// Notes the use of a grant. Never conflicts; an earlier time than the stored one changes nothing.
    TouchGrant {
        /// Which; nothing happens where it is gone.
        grant: GrantId,
        /// When.
        used_at: Timestamp,
    },
    /// Neither its id nor its digest may be taken; an account that it stands for must be there.
    InsertHandle(HandleRecord),
    /// It must be there.
    DeleteHandle(HandleId),
    /// A new version of an authorization.
    PutAuthorization {
        /// Its `version` must be higher than `expected`.
        record: AuthorizationRecord,
        /// The stored version; none: it must not be there yet.
        expected: Option<u64>,
    },
    /// Nothing happens where it is gone.
    DeleteAuthorization(AuthorizationId),
    /// Binds a session to a customer, or notes its use. A session that is bound to another
    /// customer and was used after `over_before` conflicts.
    BindSession {
        /// Which.
        id: SessionId,
        /// Whose.
        customer: CustomerId,
        /// When it is used.
        now: Timestamp,
        /// A binding that was not used since then has ended.
        over_before: Timestamp,
    },
    /// Neither its id nor, for the digest key, its purpose may be taken.
    InsertDataKey(DataKeyRecord),
    /// Wraps a data key anew; it must still be wrapped with `expected`.
    RewrapDataKey {
        /// The key as it is to be.
        record: DataKeyRecord,
        /// The wrapping key as it is stored.
        expected: KekId,
    },
    /// Exchanges a ciphertext for another one of the same text; no version changes. Never conflicts: a
    /// record that has changed meanwhile stays as it is.
    Reseal {
        /// As it was read.
        record: SealedRecord,
        /// The other ciphertext.
        sealed: Sealed,
    },
    /// Changes nothing; the lease must still be held.
    Holding(Lease),
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Applied {
    /// All of it is durable.
    Done,
    /// Something was not as a change needs it; nothing was done. Read again.
    Conflict,
}

/// What memory has to take over: the state after a change, whoever made it.
#[derive(Clone, Debug)]
pub enum News {
    /// Too much was missed: this is all there is, and whatever else memory holds is gone.
    Everything(Snapshot),
    /// It is there, like this.
    Account(AccountRecord),
    /// It is gone.
    AccountGone(AccountId),
    /// It is there, like this.
    Grant(GrantFacts),
    /// It is gone.
    GrantGone(GrantId),
    /// It is there.
    Handle(HandleRecord),
    /// It is gone.
    HandleGone(HandleId),
}
