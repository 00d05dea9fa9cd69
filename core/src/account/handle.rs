//! Handles: unguessable stand-ins for one account, or for all accounts of one identifier.

use crate::id::{AccountId, CustomerId, HandleId, Identifier};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The keyed hash of a handle; the only form in which it is stored.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct HandleDigest(pub [u8; 32]);

/// What is stored of a handle.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HandleRecord {
    /// Names it without being it.
    pub id: HandleId,
    /// Its keyed hash.
    pub digest: HandleDigest,
    /// Whose accounts it may stand for.
    pub customer: CustomerId,
    /// What it stands for.
    pub target: HandleTarget,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// What a handle stands for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HandleTarget {
    /// One account; the handle dies with it.
    Account(AccountId),
    /// Whatever account of its customer has this identifier, at any connector.
    Identifier(Identifier),
}
