//! Documents -> [`PolicySet`]: everything that can fail happens here, and all of it is reported at once.

mod batch;
mod cases;
mod connector;
mod content;
mod facts;
mod gather;
pub(super) mod glob;
mod headers;
mod limits;
mod lint;
mod matching;
mod merge;
mod names;
mod narrow;
mod oauth;
mod operations;
mod reach;
mod refusal;
mod requirement;
mod roles;
mod scopes;
mod settings;
mod urls;
mod variables;

use super::PolicySet;
use super::case::Case;
use super::diagnostic::{Diagnostic, Findings};
use super::model::{ConnectorModel, Model};
use super::operation::Need;
use crate::id::ConnectorId;
use connector::{ConnectorDraft, Connectors};
use gather::Gathered;
use reach::Places;
use roles::Roles;
use serde::Serialize;
use settings::Overrides;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// The tests that the platform team's documents hold, in order.
    pub cases: Vec<Case>,
    /// The connectors that the platform team's documents name.
    pub own: BTreeSet<ConnectorId>,
    /// How much there is.
    pub summary: Summary,
    /// All findings, sorted by file, line and column. Of shipped documents only errors.
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
pub fn compile(sources: &[Source], overrides: &BTreeMap<ConnectorId, Override>) -> Compiled {
    let (settings, overrides) = settings::as_source(overrides, sources.len());
    let mut findings = Findings::new(sources.iter().chain([&settings]));
    let Read { gathered, places, model, cases, own, summary } = read(sources, overrides, &mut findings);
    let policies = (!findings.has_errors()).then(|| PolicySet::assemble(model, hash_of(sources)));
    if let Some(policies) = &policies {
        reach::lint(policies, &gathered, &places, &mut findings);
    }
    Compiled { policies, cases, own, summary, diagnostics: findings.into_diagnostics() }
}

/// SHA-256 over the names and texts of all documents in their order, lower-case hex.
#[must_use]
pub fn hash_of(sources: &[Source]) -> String {
    let mut hash = Sha256::new();
    for part in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        // The length first: no two lists of documents run together to the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that the documents say.
struct Read {
    gathered: Gathered,
    places: Places,
    model: Model,
    cases: Vec<Case>,
    own: BTreeSet<ConnectorId>,
    summary: Summary,
}

fn read(sources: &[Source], overrides: Overrides, findings: &mut Findings<'_>) -> Read {
    let gathered = gather::gather(sources, findings);
    let connectors = connector::read_all(&gathered, overrides, findings);
    let roles = roles::read_all(&gathered, &connectors, findings);
    let cases = cases::read_all(&gathered, &connectors, &roles, findings);
    lint::shapes(&connectors, findings);
    let places = Places::of(&connectors);
    let own = connectors.values().filter(|draft| draft.origin == Origin::Own).map(|draft| draft.connector.id.clone()).collect();
    let summary = summary(&connectors, &roles, cases.len());
    let disclose_delegates = gathered.disclose_delegates.is_some_and(|said| said.value);
    let model = Model {
        connectors: connectors.into_values().map(ConnectorDraft::into_model).collect(),
        roles: roles.into_values().collect(),
        disclose_delegates,
    };
    Read { gathered, places, model, cases, own, summary }
}

fn summary(connectors: &Connectors, roles: &Roles, cases: usize) -> Summary {
    let own = || connectors.values().filter(|draft| draft.origin == Origin::Own);
    Summary {
        connectors: own().count(),
        operations: own().map(|draft| draft.operation_ids.len()).sum(),
        operations_unknown: own().map(ConnectorDraft::count_unknown).sum(),
        roles: roles.len(),
        cases,
    }
}

impl ConnectorDraft {
    /// Operations whose need nobody knows; one with several matches counts once.
    fn count_unknown(&self) -> usize {
        let unknown = self.operations.iter().filter(|draft| draft.operation.need == Need::Unknown);
        unknown.map(|draft| &draft.operation.id).collect::<BTreeSet<_>>().len()
    }

    fn into_model(self) -> ConnectorModel {
        let operations = self.operations.into_iter().map(|draft| draft.operation).collect();
        ConnectorModel { connector: Arc::new(self.connector), operations, mode: self.mode }
    }
}

#[cfg(test)]
mod tests;
