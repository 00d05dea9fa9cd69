//! What an operation reads of a request's content, and what that needs.

use crate::inspect::{BatchShape, GraphqlKind, GraphqlLimits, Pointer};
use crate::scope::Scope;
use indexmap::IndexMap;

/// Alternatives in the author's order; one must be held wholly. One empty alternative: nothing.
pub type Alternatives = Vec<Vec<Scope>>;

/// What an operation reads of the content; what it finds there must be held besides the operation's own need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// A query in SOQL: all objects that it reads.
    Soql(Soql),
    /// A GraphQL request: all root fields that it asks for.
    Graphql(Graphql),
    /// A batch: all its parts, each as an operation of its own.
    Batch(BatchShape),
}

/// Where a query in SOQL stands, and what each object needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Soql {
    /// Where it stands.
    pub place: QueryPlace,
    /// What each object needs. Names compare without case.
    pub objects: IndexMap<String, Alternatives>,
    /// Where relationships lead, as places in `objects`: `Contacts`, or `Account.Contacts` for those of one object alone. Names compare without
    /// case. What does not stand here leads to the object of its own name.
    pub relationships: Vec<(String, Vec<usize>)>,
}

/// Where a text stands in a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QueryPlace {
    /// In a parameter of the query, by its decoded name.
    Parameter(String),
    /// In the JSON body.
    Json(Pointer),
}

/// What the root fields of GraphQL need.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Graphql {
    /// Fields of queries; `*` is every other one whose name does not begin with two underscores.
    pub query: IndexMap<String, Alternatives>,
    /// Fields of mutations.
    pub mutation: IndexMap<String, Alternatives>,
    /// Fields of subscriptions.
    pub subscription: IndexMap<String, Alternatives>,
    /// How many requests may stand in a list; 0: a list is refused.
    pub batched: usize,
    /// How large a document may be.
    pub limits: GraphqlLimits,
}

impl Graphql {
    /// The fields of a kind.
    #[must_use]
    pub fn of(&self, kind: GraphqlKind) -> &IndexMap<String, Alternatives> {
        match kind {
            GraphqlKind::Query => &self.query,
            GraphqlKind::Mutation => &self.mutation,
            GraphqlKind::Subscription => &self.subscription,
        }
    }
}

impl Content {
    /// Everything that something in it may need.
    pub(super) fn needs(&self) -> Vec<&Alternatives> {
        match self {
            Self::Soql(soql) => soql.objects.values().collect(),
            Self::Graphql(graphql) => graphql.query.values().chain(graphql.mutation.values()).chain(graphql.subscription.values()).collect(),
            Self::Batch(_) => Vec::new(),
        }
    }

    /// The key under which it stands.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Soql(_) => "soql",
            Self::Graphql(_) => "graphql",
            Self::Batch(_) => "batch",
        }
    }
}
