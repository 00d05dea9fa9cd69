//! Roles: a ceiling over what accounts may do, whatever their customers granted.

use super::model::RoleModel;
use super::operation::Operation;
use super::scopes::Scopes;
use crate::connector::Risk;
use crate::id::{ConnectorId, OperationId};
use crate::scope::ScopeSet;
use std::collections::HashSet;

/// What one role may do at one connector.
#[derive(Debug)]
pub(super) struct Ceiling {
    allowed: ScopeSet,
    spelled_out: ScopeSet,
    denied: HashSet<OperationId>,
}

impl Ceiling {
    /// None where the role has no entry for the connector.
    pub(super) fn new(role: &RoleModel, connector: &ConnectorId, scopes: &Scopes) -> Option<Self> {
        let allowed = role.allow.get(connector)?;
        let spelled_out = role.spelled_out.get(connector).map(Vec::as_slice).unwrap_or_default();
        let denied = role.deny.get(connector).into_iter().flatten().cloned().collect();
        Some(Self { allowed: scopes.closed(allowed), spelled_out: scopes.closed(spelled_out), denied })
    }

    /// The scopes that it holds, implied ones included.
    pub(super) fn allowed(&self) -> &ScopeSet {
        &self.allowed
    }

    /// The scopes that count for these operations: what only a wildcard brought never reaches one whose answers carry credentials.
    pub(super) fn held_for<'a>(&self, mut operations: impl Iterator<Item = &'a Operation>) -> &ScopeSet {
        if operations.any(|operation| operation.risk == Risk::Capability) { &self.spelled_out } else { &self.allowed }
    }

    /// Whether it has a `deny`.
    pub(super) fn denies_any(&self) -> bool {
        !self.denied.is_empty()
    }

    /// Whether its `deny` names the operation.
    pub(super) fn denies(&self, operation: &OperationId) -> bool {
        self.denied.contains(operation)
    }
}
