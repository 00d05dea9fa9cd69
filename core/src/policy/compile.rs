//! Documents -> [`PolicySet`].

use super::PolicySet;
use super::case::Case;
use super::diagnostic::Diagnostic;
use crate::id::ConnectorId;
use serde::Serialize;
use std::collections::BTreeMap;

/// One policy file.
#[derive(Clone, Debug)]
pub struct Source {
    /// How diagnostics name it: the path as the user gave it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whose it is.
    pub origin: Origin,
}

/// Whose a document is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Shipped in the binary; replaced by an own connector of the same name.
    Catalog,
    /// The platform team's.
    Own,
}

/// Facts of a connector that a deployment replaces (`connectors:` of the settings). Texts are templates.
#[derive(Clone, Debug, Default)]
pub struct Override {
    /// Instead of `upstream`.
    pub upstream: Option<String>,
    /// Instead of `oauth.authorization_url`.
    pub authorization_url: Option<String>,
    /// Instead of `oauth.token_url`.
    pub token_url: Option<String>,
    /// Instead of `oauth.refresh_url`.
    pub refresh_url: Option<String>,
    /// Instead of `oauth.revocation_url`.
    pub revocation_url: Option<String>,
    /// Instead of `hosts.NAME`.
    pub hosts: BTreeMap<String, String>,
}

/// What came of the documents.
#[derive(Debug)]
pub struct Compiled {
    /// The set; none where there is an error among the diagnostics.
    pub policies: Option<PolicySet>,
    /// The tests that the documents hold, in order.
    pub cases: Vec<Case>,
    /// How much there is.
    pub summary: Summary,
    /// All findings, sorted by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// How much the platform team's own documents hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// Connectors.
    pub connectors: usize,
    /// Operations.
    pub operations: usize,
    /// Those of them that are always refused because nobody knows what they need.
    pub operations_unknown: usize,
    /// Roles.
    pub roles: usize,
    /// Requests of tests.
    pub cases: usize,
}

/// Compiles all documents together; reports everything that is wrong with them.
#[must_use]
pub fn compile(_sources: &[Source], _overrides: &BTreeMap<ConnectorId, Override>) -> Compiled {
    todo!()
}
