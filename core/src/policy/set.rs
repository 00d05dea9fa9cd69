//! All policies, compiled: immutable, and swapped as a whole.

use super::decision::{Decision, Denial, Operations, Permit, Ruling};
use super::model::Model;
use super::operation::Operation;
use super::rules::Rules;
use super::scopes::Coverage;
use crate::account::{ConnectedAccount, GrantedScopes, Standing};
use crate::connector::Connector;
use crate::id::{ConnectorId, RoleName};
use crate::request::{Ambiguity, Encoded, Request};
use crate::scope::{ProviderScope, Scope};
use arcstr::ArcStr;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// All policies, compiled.
#[derive(Debug)]
pub struct PolicySet {
    hash: ArcStr,
    /// Sorted by name.
    connectors: IndexMap<ConnectorId, Rules>,
    roles: BTreeSet<RoleName>,
    discloses_delegates: bool,
}

impl PolicySet {
    /// Makes the set of a checked model; cannot fail. `hash` is of all documents, lower-case hex.
    #[must_use]
    pub fn assemble(model: Model, hash: String) -> Self {
        let Model { connectors, roles, disclose_delegates } = model;
        let mut compiled: IndexMap<_, _> =
            connectors.into_iter().map(|connector| (connector.connector.id.clone(), Rules::new(connector, &roles))).collect();
        compiled.sort_unstable_keys();
        Self {
            hash: hash.into(),
            connectors: compiled,
            roles: roles.into_iter().map(|role| role.name).collect(),
            discloses_delegates: disclose_delegates,
        }
    }

    /// SHA-256 over all documents, lower-case hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub fn shared_hash(&self) -> &ArcStr {
        &self.hash
    }

    /// A connector by name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Arc<Connector>> {
        self.rules_of(name).map(|rules| &rules.connector)
    }

    /// All connectors, sorted by name.
    pub fn connectors(&self) -> impl Iterator<Item = &Arc<Connector>> {
        self.connectors.values().map(|rules| &rules.connector)
    }

    /// The operations of a connector in the author's order, one for each match.
    pub fn operations(&self, connector: &ConnectorId) -> impl Iterator<Item = &Arc<Operation>> {
        self.rules(connector).into_iter().flat_map(|rules| &rules.rules).map(|rule| &rule.operation)
    }

    /// All roles, sorted by name.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.roles.iter()
    }

    /// Whether a document names this role.
    #[must_use]
    pub fn has_role(&self, role: &RoleName) -> bool {
        self.roles.contains(role)
    }

    /// Whether `role`, or one that it extends, has an entry for `connector`.
    #[must_use]
    pub fn may_use(&self, role: &RoleName, connector: &ConnectorId) -> bool {
        self.rules(connector).is_some_and(|rules| rules.ceilings.contains_key(role))
    }

    /// The gateway scopes of `connector` that `role` allows, implied ones included, sorted by name.
    #[must_use]
    pub fn role_scopes(&self, role: &RoleName, connector: &ConnectorId) -> Vec<Scope> {
        let Some(rules) = self.rules(connector) else { return Vec::new() };
        rules.ceilings.get(role).map(|ceiling| rules.scopes.sorted(ceiling.allowed())).unwrap_or_default()
    }

    /// The gateway scopes of `connector` that these provider scopes cover, implied ones included, sorted by name.
    #[must_use]
    pub fn covered_by(&self, connector: &ConnectorId, granted: &GrantedScopes) -> Vec<Scope> {
        self.rules(connector).map(|rules| rules.scopes.sorted(&rules.scopes.covered(Coverage::Of(granted)))).unwrap_or_default()
    }

    /// The provider scopes that a customer is asked for so that `scopes` work: the first alternative of each, without
    /// repetition, then the connector's `always_request`.
    #[must_use]
    pub fn provider_scopes_for(&self, connector: &ConnectorId, scopes: &[Scope]) -> Vec<ProviderScope> {
        let Some(connector) = self.connector(connector.as_str()) else { return Vec::new() };
        let needed = scopes.iter().filter_map(|scope| connector.scopes.get(scope)?.provider_scopes.first()).flatten();
        let always = connector.oauth.iter().flat_map(|oauth| &oauth.always_request);
        needed.chain(always).cloned().collect::<IndexSet<_>>().into_iter().collect()
    }

    /// Whether denials tell who holds what is missing.
    #[must_use]
    pub fn discloses_delegates(&self) -> bool {
        self.discloses_delegates
    }

    /// Whether whoever stands so may do these operations: by role and by grant.
    #[must_use]
    pub fn could_do(&self, connector: &ConnectorId, standing: &Standing<'_>, operations: &Operations) -> bool {
        self.rules(connector).is_some_and(|rules| rules.could_do(standing, operations))
    }

    pub(super) fn rules(&self, connector: &ConnectorId) -> Option<&Rules> {
        self.rules_of(connector.as_str())
    }

    fn rules_of(&self, connector: &str) -> Option<&Rules> {
        // There are few, and comparing some names takes less than hashing one.
        let at = self.connectors.binary_search_by(|known, _| known.as_str().cmp(connector)).ok()?;
        self.connectors.get_index(at).map(|(_, rules)| rules)
    }
}

/// Judges what only the connector knows of the reading: characters that stand encoded in the path, honest names in the
/// query, and parameters that a `where` asks for. Operations of the same method whose path matches have a say, all of them.
/// # Errors
/// The second reading that no operation of the connector takes off. Without a connector every suspicion is one.
pub fn read(policies: &PolicySet, connector: Option<&ConnectorId>, request: &Request) -> Result<(), Ambiguity> {
    match connector.and_then(|connector| policies.rules(connector)) {
        Some(rules) => rules.read(request),
        None => {
            let encoded = request.path.encoded().first().map(Encoded::ambiguity);
            encoded.or(request.query.suspects().first().map(|suspect| suspect.ambiguity)).map_or(Ok(()), Err)
        }
    }
}

/// The largest body that an operation allows itself whose method and path match; none where none says so.
#[must_use]
pub fn largest_body(policies: &PolicySet, connector: Option<&ConnectorId>, request: &Request) -> Option<u64> {
    let rules = policies.rules(connector?)?;
    rules.find(request).into_operations().filter_map(|operation| operation.limits.body).max()
}

/// Judges `request` for whoever stands so. Serves dry runs, tests and `explain`; opens nothing.
pub fn judge(policies: &PolicySet, connector: &ConnectorId, standing: &Standing<'_>, request: &Request) -> Ruling {
    match policies.rules(connector) {
        Some(rules) => rules.judge(standing, request),
        None => Ruling::Deny(Denial::UnknownOperation),
    }
}

/// Decides `request` for `account`.
pub fn decide(policies: &PolicySet, account: &ConnectedAccount, request: &Request) -> Decision {
    match judge(policies, &account.record.connector, &account.standing(), request) {
        Ruling::Allow(allowance) => Decision::Permit(Permit::new(Arc::clone(&account.record), allowance)),
        Ruling::ReadBody(operations) => Decision::ReadBody(operations),
        Ruling::Deny(denial) => Decision::Deny(denial),
    }
}
