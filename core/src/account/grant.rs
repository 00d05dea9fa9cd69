//! What is known of a grant without opening it.

use crate::connector::variables::Variables;
use crate::id::{ConnectorId, CustomerId, GrantId};
use crate::scope::ProviderScope;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A grant without its secrets: what a provider issued to a customer, and where it stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GrantFacts {
    /// Never given again.
    pub id: GrantId,
    /// The API that it is for.
    pub connector: ConnectorId,
    /// Whose data it opens.
    pub customer: CustomerId,
    /// Counts writes of the sealed record, from 1; part of its associated data.
    pub version: u64,
    /// Whether it can still be used.
    pub state: GrantState,
    /// The provider scopes that the customer granted.
    pub granted: Granted,
    /// When the access token ends; none: not known, valid until the API says 401.
    pub expires_at: Option<Timestamp>,
    /// When the access token was issued, by our clock.
    pub issued_at: Timestamp,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// Values of the variables that came with the token answer, the callback or a lookup.
    pub variables: Variables,
    /// When a request last used it, to the hour; connecting and bringing credentials count.
    pub used_at: Timestamp,
    /// When the customer connected it, or the credential was brought.
    pub created_at: Timestamp,
}

/// Whether a grant can still be used.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// As far as we know the provider honours it.
    Live,
    /// It will never give a token again.
    Ended(Ended),
}

/// Why a grant ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The provider said `invalid_grant`, or a 401 came and there is nothing to refresh with.
    NotHonoured,
    /// Revoked here.
    Revoked,
}

/// What a customer granted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Granted {
    /// These provider scopes, as the provider said (RFC 6749 section 5.1).
    Scopes(Vec<ProviderScope>),
    /// Nobody said: all that the role needs.
    Assumed,
}
