//! All policies, compiled: immutable, and swapped as a whole.

use super::decision::{Decision, Permit, Ruling};
use super::model::Model;
use crate::account::{ConnectedAccount, Standing};
use crate::connector::Connector;
use crate::id::{ConnectorId, RoleName};
use crate::request::{Ambiguity, Request};
use crate::scope::{ProviderScope, Scope};
use std::sync::Arc;

/// All policies, compiled.
#[derive(Debug)]
pub struct PolicySet;

impl PolicySet {
    /// Makes the set of a checked model; cannot fail. `hash` is of all documents, lower-case hex.
    #[must_use]
    pub fn assemble(_model: Model, _hash: String) -> Self {
        todo!()
    }

    /// SHA-256 over all documents, lower-case hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        todo!()
    }

    /// A connector by name.
    #[must_use]
    pub fn connector(&self, _name: &str) -> Option<&Arc<Connector>> {
        todo!()
    }

    /// All connectors, sorted by name.
    pub fn connectors(&self) -> impl Iterator<Item = &Arc<Connector>> {
        std::iter::empty()
    }

    /// All roles, sorted by name.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        std::iter::empty()
    }

    /// Whether a document names this role.
    #[must_use]
    pub fn has_role(&self, _role: &RoleName) -> bool {
        todo!()
    }

    /// The gateway scopes of `connector` that `role` allows, implied ones included, sorted by name.
    #[must_use]
    pub fn role_scopes(&self, _role: &RoleName, _connector: &ConnectorId) -> Vec<Scope> {
        todo!()
    }

    /// The gateway scopes of `connector` that these provider scopes cover, implied ones included, sorted by name.
    #[must_use]
    pub fn covered_by(&self, _connector: &ConnectorId, _granted: &[ProviderScope]) -> Vec<Scope> {
        todo!()
    }

    /// The provider scopes that a customer is asked for so that `scopes` work: the first alternative of each, without
    /// repetition, then the connector's `always_request`.
    #[must_use]
    pub fn provider_scopes_for(&self, _connector: &ConnectorId, _scopes: &[Scope]) -> Vec<ProviderScope> {
        todo!()
    }

    /// Whether denials tell who holds what is missing.
    #[must_use]
    pub fn discloses_delegates(&self) -> bool {
        todo!()
    }
}

/// Judges what only the connector knows of the reading: characters that stand encoded in the path, honest names in the query.
/// # Errors
/// The second reading that no operation of the connector takes off. Without a connector every suspicion is one.
pub fn read(_policies: &PolicySet, _connector: Option<&ConnectorId>, _request: &Request) -> Result<(), Ambiguity> {
    todo!()
}

/// Judges `request` for whoever stands so. Serves dry runs, tests and `explain`; opens nothing.
pub fn judge(_policies: &PolicySet, _connector: &ConnectorId, _standing: &Standing<'_>, _request: &Request) -> Ruling {
    todo!()
}

/// Decides `request` for `account`.
pub fn decide(policies: &PolicySet, account: &ConnectedAccount, request: &Request) -> Decision {
    match judge(policies, &account.record.connector, &account.standing(), request) {
        Ruling::Allow(operations) => Decision::Permit(Permit::new(Arc::clone(&account.record), operations)),
        Ruling::ReadBody(operations) => Decision::ReadBody(operations),
        Ruling::Deny(denial) => Decision::Deny(denial),
    }
}
