//! The rules of one connector, ready to be asked.

use super::choice;
use super::content::{Alternatives, Content, Graphql};
use super::decision::Operations;
use super::model::{ConnectorModel, Mode, RoleModel};
use super::operation::{Narrow, Need, Operation};
use super::role::Ceiling;
use super::router::Router;
use super::scopes::{Coverage, Scopes};
use super::template::Letters;
use crate::account::{GrantStanding, Standing};
use crate::connector::Connector;
use crate::id::RoleName;
use crate::inspect::GraphqlKind;
use crate::scope::{Requirement, Scope, ScopeSet};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    pub(super) ceilings: BTreeMap<RoleName, Ceiling>,
    /// The roles that are not enforced here: what they lack is let through, and noted.
    pub(super) shadowed: HashSet<RoleName>,
    /// Query parameters that some `where` names.
    pub(super) telling: Vec<String>,
}

/// One operation, and what it needs as numbers.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) operation: Arc<Operation>,
    /// Never met where the operation is refused whoever asks.
    pub(super) requirement: Arc<Requirement>,
    /// What may be found in its content needs, in the author's order: by kind for `graphql`, the first for `soql`.
    pub(super) contents: [Vec<Arc<Requirement>>; 3],
    /// The answer's part where it is the only one meant.
    alone: Operations,
}

/// The operations that a request is. Never empty; sorted by id.
#[derive(Clone, Debug)]
pub(super) struct Meant<'a>(Rows<'a>);

/// Rules of a request. Most requests have one, and few more than four: these take no memory of their own.
pub(super) type Rows<'a> = SmallVec<[&'a Rule; 4]>;

/// So many alternatives of a product are listed in an answer; the decision itself never looks at the product.
const MOST_LISTED: usize = 256;

impl Rules {
    pub(super) fn new(model: ConnectorModel, roles: &[RoleModel]) -> Self {
        let ConnectorModel { connector, operations, mode } = model;
        let scopes = Scopes::new(&connector, operations.iter().flat_map(needed));
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
        let is_shadowed = |role: &&RoleModel| mode == Mode::Shadow || role.mode == Mode::Shadow;
        let shadowed = roles.iter().filter(is_shadowed).map(|role| role.name.clone()).collect();
        Self { connector, scopes, router, rules, ceilings, shadowed, telling }
    }

    /// Whether whoever stands so may do these operations.
    pub(super) fn could_do(&self, standing: &Standing<'_>, operations: &Operations) -> bool {
        let (Some(ceiling), GrantStanding::Live(granted)) = (self.ceilings.get(standing.role), standing.grant) else { return false };
        let coverage = Coverage::from(granted);
        let held = ceiling.held_for(operations.done().map(AsRef::as_ref));
        let is_refused = |operation: &Arc<Operation>| ceiling.denies(&operation.id) || !matches!(operation.need, Need::Scopes(_));
        let covers = |name: &Scope| self.scopes.table().number(name.as_str()).is_some_and(|number| self.scopes.covers(coverage, number));
        let holds = |alternative: &Vec<Scope>| alternative.iter().all(|name| self.scopes.holds(held, name) && covers(name));
        !operations.done().any(is_refused) && (operations.required().is_empty() || operations.required().iter().any(holds))
    }
}

impl<'a> Meant<'a> {
    /// Those of the candidates that none of them beats, on a path of `count` segments; none where there is no candidate.
    pub(super) fn of(mut candidates: Rows<'a>, count: usize) -> Option<Self> {
        if candidates.len() > 1 {
            let is_beaten = |rule: &Rule| candidates.iter().any(|other| choice::beats(&other.operation, &rule.operation, count));
            candidates = candidates.iter().copied().filter(|rule| !is_beaten(rule)).collect();
            candidates.sort_by(|left, right| left.operation.id.cmp(&right.operation.id));
            candidates.dedup_by(|left, right| left.operation.id == right.operation.id && left.operation.need == right.operation.need);
        }
        (!candidates.is_empty()).then_some(Self(candidates))
    }

    pub(super) fn rules(&self) -> &[&'a Rule] {
        &self.0
    }

    /// What each of them needs.
    pub(super) fn requirements(&self) -> impl Iterator<Item = &'a Requirement> {
        self.0.iter().map(|rule| &*rule.requirement)
    }

    /// As they stand in an answer.
    pub(super) fn operations(&self, scopes: &Scopes) -> Operations {
        match self.0.as_slice() {
            [only] => only.alone.clone(),
            all => Operations::new(all.iter().map(|rule| Arc::clone(&rule.operation)).collect(), product(self.requirements(), scopes)),
        }
    }
}

/// All of these together, as they are listed in an answer: each alternative by its names.
pub(super) fn product<'a>(requirements: impl Iterator<Item = &'a Requirement>, scopes: &Scopes) -> Arc<[Vec<Scope>]> {
    let mut seen: Vec<&Requirement> = Vec::new();
    let product = requirements.fold(Requirement::none(), |product, next| {
        if seen.contains(&next) {
            return product;
        }
        seen.push(next);
        let fits = product.alternatives().len() * next.alternatives().len() <= MOST_LISTED;
        if fits { product.and(next) } else { first_of(&product, MOST_LISTED / 16).and(&first_of(next, 16)) }
    });
    let alternatives = if product.is_none() { &[] } else { product.alternatives() };
    alternatives.iter().map(|alternative| scopes.table().named(alternative)).collect()
}

fn first_of(requirement: &Requirement, most: usize) -> Requirement {
    Requirement::any(requirement.alternatives().iter().take(most).cloned().collect())
}

/// All scopes that an operation, or something in its content, may need.
fn needed(operation: &Operation) -> impl Iterator<Item = &Scope> {
    let own = match &operation.need {
        Need::Scopes(alternatives) => alternatives.as_slice(),
        Need::Unknown | Need::Denied(_) => &[],
    };
    let within = operation.content.as_deref().into_iter().flat_map(Content::needs).flatten();
    own.iter().chain(within).flatten()
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
        let (requirement, listed) = self.needed(&alternatives, scopes);
        let mut each = |all: &mut dyn Iterator<Item = &Alternatives>| all.map(|alternatives| self.needed(alternatives, scopes).0).collect();
        let contents = match operation.content.as_deref() {
            Some(Content::Soql(soql)) => [each(&mut soql.objects.values()), Vec::new(), Vec::new()],
            Some(Content::Graphql(graphql)) => KINDS.map(|kind| each(&mut graphql.of(kind).values())),
            Some(Content::Batch(_)) | None => Default::default(),
        };
        let operation = Arc::new(operation);
        let alone = Operations::new(Arc::new([Arc::clone(&operation)]), listed);
        Rule { operation, requirement, contents, alone }
    }

    fn needed(&mut self, alternatives: &Alternatives, scopes: &Scopes) -> Needed {
        if let Some(known) = self.0.get(alternatives) {
            return known.clone();
        }
        let numbers = |names: &Vec<Scope>| names.iter().map(|name| scopes.table().number(name.as_str())).collect::<Option<ScopeSet>>();
        let requirement = Requirement::any(alternatives.iter().filter_map(numbers).collect());
        let listed: Arc<[Vec<Scope>]> = if requirement.is_none() { Arc::default() } else { alternatives.as_slice().into() };
        let needed = (Arc::new(requirement), listed);
        self.0.insert(alternatives.clone(), needed.clone());
        needed
    }
}

/// The kinds of GraphQL operations, as `Rule::contents` has them.
const KINDS: [GraphqlKind; 3] = [GraphqlKind::Query, GraphqlKind::Mutation, GraphqlKind::Subscription];

/// What a root field of `graphql` needs; none where the operation does not name it.
pub(super) fn of_field<'a>(rule: &'a Rule, graphql: &Graphql, kind: GraphqlKind, field: &str) -> Option<&'a Requirement> {
    let fields = graphql.of(kind);
    let rest = || if field.starts_with("__") { None } else { fields.get_index_of("*") };
    let place = KINDS.iter().position(|known| *known == kind)?;
    rule.contents.get(place)?.get(fields.get_index_of(field).or_else(rest)?).map(AsRef::as_ref)
}
