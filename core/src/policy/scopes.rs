//! The scopes of one connector: what holding one means, and what a grant covers.

use crate::account::{Granted, GrantedScopes};
use crate::connector::Connector;
use crate::scope::{ProviderScope, Scope, ScopeSet, ScopeTable};

/// The scopes of one connector.
#[derive(Debug)]
pub(super) struct Scopes {
    table: ScopeTable,
    facts: Vec<Facts>,
}

/// One scope, by its number.
#[derive(Debug, Default)]
struct Facts {
    /// What holding it means, itself included.
    means: ScopeSet,
    /// The scopes that mean it, itself included.
    meant_by: Vec<usize>,
    /// Alternatives of provider scopes; one list wholly granted covers it.
    provider_scopes: Vec<Vec<ProviderScope>>,
}

/// What a customer granted, as far as scopes ask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Coverage<'a> {
    /// These provider scopes.
    Of(&'a GrantedScopes),
    /// Not a single one.
    Nothing,
    /// Whatever the role needs.
    Everything,
}

impl<'a> From<&'a Granted> for Coverage<'a> {
    fn from(granted: &'a Granted) -> Self {
        match granted {
            Granted::Scopes(scopes) => Self::Of(scopes),
            Granted::Assumed => Self::Everything,
        }
    }
}

impl Scopes {
    /// The scopes that `connector` declares and those of `others`, which nothing covers.
    pub(super) fn new<'a>(connector: &'a Connector, others: impl Iterator<Item = &'a Scope>) -> Self {
        let mut table = ScopeTable::default();
        for scope in connector.scopes.keys().chain(others) {
            table.intern(scope);
        }
        let implied = |number: usize| {
            let facts = table.names().get(number).and_then(|name| connector.scopes.get(name));
            facts.into_iter().flat_map(|facts| &facts.implies).filter_map(|name| table.number(name.as_str()))
        };
        let mut facts: Vec<Facts> = Vec::new();
        for (number, name) in table.names().iter().enumerate() {
            let mut means = ScopeSet::default();
            let mut open = vec![number];
            while let Some(next) = open.pop() {
                if !means.contains(next) {
                    means.insert(next);
                    open.extend(implied(next));
                }
            }
            let provider_scopes = connector.scopes.get(name).map(|facts| facts.provider_scopes.clone()).unwrap_or_default();
            facts.push(Facts { means, meant_by: Vec::new(), provider_scopes });
        }
        let pairs: Vec<_> = facts.iter().enumerate().flat_map(|(by, facts)| facts.means.iter().map(move |meant| (meant, by))).collect();
        for (meant, by) in pairs {
            if let Some(facts) = facts.get_mut(meant) {
                facts.meant_by.push(by);
            }
        }
        Self { table, facts }
    }

    pub(super) fn table(&self) -> &ScopeTable {
        &self.table
    }

    /// These scopes and all that holding them means. One that nobody knows is held by nobody.
    pub(super) fn closed<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) -> ScopeSet {
        let known = scopes.into_iter().filter_map(|scope| self.facts.get(self.table.number(scope.as_str())?));
        known.fold(ScopeSet::default(), |held, facts| held.union(&facts.means))
    }

    /// Whether a grant covers scope `number`: itself, or one that means it.
    pub(super) fn covers(&self, coverage: Coverage<'_>, number: usize) -> bool {
        let is_granted = |facts: &Facts| match coverage {
            Coverage::Everything => true,
            Coverage::Of(granted) => facts.is_granted(|scope| granted.has(scope)),
            Coverage::Nothing => facts.is_granted(|_| false),
        };
        let mut meant_by = self.facts.get(number).into_iter().flat_map(|facts| &facts.meant_by);
        matches!(coverage, Coverage::Everything) || meant_by.any(|by| self.facts.get(*by).is_some_and(is_granted))
    }

    /// Everything that a grant covers.
    pub(super) fn covered(&self, coverage: Coverage<'_>) -> ScopeSet {
        (0..self.facts.len()).filter(|number| self.covers(coverage, *number)).collect()
    }

    /// Whether a scope is in a set.
    pub(super) fn holds(&self, set: &ScopeSet, name: &Scope) -> bool {
        self.table.number(name.as_str()).is_some_and(|number| set.contains(number))
    }

    /// The names of a set, sorted.
    pub(super) fn sorted(&self, set: &ScopeSet) -> Vec<Scope> {
        let mut names = self.table.named(set);
        names.sort_unstable();
        names
    }
}

impl Facts {
    fn is_granted(&self, has: impl Fn(&ProviderScope) -> bool) -> bool {
        self.provider_scopes.iter().any(|alternative| alternative.iter().all(&has))
    }
}
