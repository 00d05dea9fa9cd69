//! What is known of a grant without opening it.

use crate::connector::variables::Variables;
use crate::id::{ConnectorId, CustomerId, GrantId};
use crate::scope::ProviderScope;
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

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
    Scopes(GrantedScopes),
    /// Nobody said: all that the role needs.
    Assumed,
}

impl Granted {
    /// These provider scopes.
    pub fn of(scopes: impl IntoIterator<Item = ProviderScope>) -> Self {
        Self::Scopes(scopes.into_iter().collect())
    }
}

/// Provider scopes, sorted, each once. Grants share them: of a million grants, most hold the same few sets.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct GrantedScopes(Arc<Vec<ProviderScope>>);

impl std::ops::Deref for GrantedScopes {
    type Target = [ProviderScope];
    fn deref(&self) -> &[ProviderScope] {
        &self.0
    }
}

impl FromIterator<ProviderScope> for GrantedScopes {
    fn from_iter<I: IntoIterator<Item = ProviderScope>>(scopes: I) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(Arc::new(scopes))
    }
}

impl GrantedScopes {
    /// Whether `scope` is one of them.
    #[must_use]
    pub fn has(&self, scope: &ProviderScope) -> bool {
        self.0.binary_search(scope).is_ok()
    }
}

impl Serialize for GrantedScopes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for GrantedScopes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(|scopes: Vec<ProviderScope>| scopes.into_iter().collect())
    }
}
