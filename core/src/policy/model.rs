//! What all documents together say: checked, complete, without spans. Made by
//! [`super::compile`], turned into a [`super::PolicySet`] by [`super::PolicySet::assemble`].

use super::operation::Operation;
use crate::connector::Connector;
use crate::id::{ConnectorId, OperationId, RoleName};
use crate::scope::Scope;
use indexmap::IndexMap;
use std::sync::Arc;

/// All documents.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Connectors with their operations.
    pub connectors: Vec<ConnectorModel>,
    /// Roles; `extends` is resolved and globs are expanded.
    pub roles: Vec<RoleModel>,
    /// Whether denials tell which accounts of the same customer hold what is missing.
    pub disclose_delegates: bool,
}

/// One connector and its operations.
#[derive(Clone, Debug)]
pub struct ConnectorModel {
    /// Its facts.
    pub connector: Arc<Connector>,
    /// Its operations in the author's order.
    pub operations: Vec<Operation>,
    /// Whether roles are enforced at it.
    pub mode: Mode,
}

/// Whether what a role lacks is refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// It is.
    #[default]
    Enforce,
    /// It is done, and the audit says that it would have been refused.
    Shadow,
}

/// One role: what it may use, by connector. A connector without an entry may not be used at all.
#[derive(Clone, Debug)]
pub struct RoleModel {
    /// Its name.
    pub name: RoleName,
    /// Scopes that it allows, its ancestors' included, before implication.
    pub allow: IndexMap<ConnectorId, Vec<Scope>>,
    /// Those of `allow` that somebody spelled out. Only these, and what they imply, reach an operation that is
    /// [`Risk::Capability`](crate::connector::Risk::Capability): no wildcard does.
    pub spelled_out: IndexMap<ConnectorId, Vec<Scope>>,
    /// Operations that it refuses, its ancestors' included.
    pub deny: IndexMap<ConnectorId, Vec<OperationId>>,
    /// Whether it is enforced.
    pub mode: Mode,
}
