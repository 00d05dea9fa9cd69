//! The rules of one connector, ready to be asked.

use super::choice;
use super::decision::Operations;
use super::model::{ConnectorModel, RoleModel};
use super::operation::{Narrow, Need, Operation};
use super::role::Ceiling;
use super::router::Router;
use super::scopes::Scopes;
use super::template::Letters;
use crate::connector::Connector;
use crate::id::RoleName;
use crate::scope::{Requirement, Scope, ScopeSet};
use std::collections::HashMap;
use std::sync::Arc;

/// The rules of one connector.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) connector: Arc<Connector>,
    pub(super) scopes: Scopes,
    pub(super) router: Router,
    /// By the numbers that the router knows.
    pub(super) rules: Vec<Rule>,
    /// The roles that have an entry for this connector.
    pub(super) ceilings: HashMap<RoleName, Ceiling>,
    /// Query parameters that some `where` names.
    pub(super) telling: Vec<String>,
}

/// One operation, and what it needs as numbers.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) operation: Arc<Operation>,
    /// Never met where the operation is refused whoever asks.
    pub(super) requirement: Arc<Requirement>,
    /// The answer's part where it is the only one meant.
    alone: Operations,
}

/// The operations that a request is. Never empty; sorted by id.
#[derive(Debug)]
pub(super) struct Meant<'a>(Vec<&'a Rule>);

/// So many alternatives of a product are listed in an answer; the decision itself never looks at the product.
const MOST_LISTED: usize = 256;

impl Rules {
    pub(super) fn new(model: ConnectorModel, roles: &[RoleModel]) -> Self {
        let ConnectorModel { connector, operations } = model;
        let scopes = Scopes::new(&connector, operations.iter().flat_map(|operation| needed(&operation.need)));
        let mut router = Router::new(Letters::of(&connector));
        let mut known = Shared::default();
        let mut rules = Vec::with_capacity(operations.len());
        let mut telling = Vec::new();
        for operation in operations {
            router.add(&operation.method, &operation.template, rules.len());
            for condition in &operation.narrow {
                match condition {
                    Narrow::Query { name, .. } if !telling.contains(name) => telling.push(name.clone()),
                    Narrow::Query { .. } | Narrow::Json { .. } => {}
                }
            }
            rules.push(known.rule(operation, &scopes));
        }
        let ceilings = roles.iter().filter_map(|role| Some((role.name.clone(), Ceiling::new(role, &connector.id, &scopes)?))).collect();
        Self { connector, scopes, router, rules, ceilings, telling }
    }

    /// Whether `role` allows these operations, whatever a customer granted.
    pub(super) fn role_allows(&self, role: &RoleName, operations: &Operations) -> bool {
        let Some(ceiling) = self.ceilings.get(role) else { return false };
        let held = ceiling.held_for(operations.all().iter().map(AsRef::as_ref));
        let is_refused = |operation: &Arc<Operation>| ceiling.denies(&operation.id) || !matches!(operation.need, Need::Scopes(_));
        let holds = |alternative: &Vec<Scope>| alternative.iter().all(|name| self.scopes.holds(held, name));
        !operations.all().iter().any(is_refused) && (operations.required().is_empty() || operations.required().iter().any(holds))
    }
}

impl<'a> Meant<'a> {
    /// Those of the candidates that none of them beats, on a path of `count` segments; none where there is no candidate.
    pub(super) fn of(mut candidates: Vec<&'a Rule>, count: usize) -> Option<Self> {
        if candidates.len() > 1 {
            let is_beaten = |rule: &Rule| candidates.iter().any(|other| choice::beats(&other.operation, &rule.operation, count));
            candidates = candidates.iter().copied().filter(|rule| !is_beaten(rule)).collect();
            candidates.sort_by(|left, right| left.operation.id.cmp(&right.operation.id));
            candidates.dedup_by(|left, right| left.operation.id == right.operation.id);
        }
        (!candidates.is_empty()).then_some(Self(candidates))
    }

    pub(super) fn rules(&self) -> &[&'a Rule] {
        &self.0
    }

    /// Whether each of them has an alternative of which `met` is true.
    pub(super) fn all_meet(&self, met: impl Fn(&ScopeSet) -> bool) -> bool {
        self.0.iter().all(|rule| rule.requirement.alternatives().iter().any(&met))
    }

    /// As they stand in an answer.
    pub(super) fn operations(&self, scopes: &Scopes) -> Operations {
        if let [only] = self.0.as_slice() {
            return only.alone.clone();
        }
        let product = self.0.iter().fold(Requirement::none(), |product, rule| {
            let next = &rule.requirement;
            let fits = product.alternatives().len() * next.alternatives().len() <= MOST_LISTED;
            if fits { product.and(next) } else { first_of(&product, MOST_LISTED / 16).and(&first_of(next, 16)) }
        });
        let alternatives = if product.is_none() { &[] } else { product.alternatives() };
        let named: Vec<_> = alternatives.iter().map(|alternative| scopes.table().named(alternative)).collect();
        Operations::new(self.0.iter().map(|rule| Arc::clone(&rule.operation)).collect(), named.into())
    }
}

fn first_of(requirement: &Requirement, most: usize) -> Requirement {
    Requirement::any(requirement.alternatives().iter().take(most).cloned().collect())
}

fn needed(need: &Need) -> impl Iterator<Item = &Scope> {
    match need {
        Need::Scopes(alternatives) => alternatives.as_slice(),
        Need::Unknown | Need::Denied(_) => &[],
    }
    .iter()
    .flatten()
}

/// What many operations need alike is kept once.
#[derive(Default)]
struct Shared(HashMap<Vec<Vec<Scope>>, Needed>);

/// The same need as numbers, and as it is listed in answers.
type Needed = (Arc<Requirement>, Arc<[Vec<Scope>]>);

impl Shared {
    fn rule(&mut self, operation: Operation, scopes: &Scopes) -> Rule {
        let alternatives = match &operation.need {
            Need::Scopes(alternatives) => alternatives.clone(),
            Need::Unknown | Need::Denied(_) => Vec::new(),
        };
        let (requirement, listed) = self.0.entry(alternatives).or_insert_with_key(|alternatives| {
            let numbers = |names: &Vec<Scope>| names.iter().map(|name| scopes.table().number(name.as_str())).collect::<Option<ScopeSet>>();
            let requirement = Requirement::any(alternatives.iter().filter_map(numbers).collect());
            let listed: Arc<[Vec<Scope>]> = if requirement.is_none() { Arc::default() } else { alternatives.as_slice().into() };
            (Arc::new(requirement), listed)
        });
        let operation = Arc::new(operation);
        let alone = Operations::new(Arc::new([Arc::clone(&operation)]), Arc::clone(listed));
        Rule { operation, requirement: Arc::clone(requirement), alone }
    }
}
