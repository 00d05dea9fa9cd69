//! GraphQL: which operation a request asks for, and which root fields.

mod document;
mod request;

pub use request::Call;

use crate::request::Ambiguity;

/// The kinds of operations (GraphQL, section 2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GraphqlKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Streams events.
    Subscription,
}

/// What a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// The kind of the operation that is executed.
    pub kind: GraphqlKind,
    /// Its root fields as the schema calls them, each once, in order of their first place. Directives leave none out.
    pub fields: Vec<String>,
}

/// How large a document may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GraphqlLimits {
    /// Selections in selections, through fragments too.
    pub depth: usize,
    /// Words and signs of the text, blanks and comments included.
    pub tokens: usize,
}

impl Default for GraphqlLimits {
    fn default() -> Self {
        Self { depth: 20, tokens: 5000 }
    }
}

const SYNTAX: Ambiguity = Ambiguity::new("graphql-syntax", "policy reads the GraphQL document, and it is none that a server executes");
const LARGE: Ambiguity = Ambiguity::new("graphql-too-large", "policy reads the GraphQL document, and it is longer or deeper than the policy allows");
const CHARACTER: Ambiguity =
    Ambiguity::new("graphql-character", "policy reads the GraphQL document, and a character in it ends a line for some servers and not for others");
const WHICH: Ambiguity =
    Ambiguity::new("graphql-operation", "policy reads the GraphQL document, and which of its operations is executed cannot be told");
const FRAGMENTS: Ambiguity =
    Ambiguity::new("graphql-fragments", "policy reads the GraphQL document, and a fragment in it is missing, twice there or in itself");
const NO_TEXT: Ambiguity = Ambiguity::new("graphql-no-text", "policy reads the GraphQL document, and the request does not carry its text");
const SHAPE: Ambiguity = Ambiguity::new(
    "graphql-request",
    "policy reads the GraphQL request, and it is no object of `query`, `operationName`, `variables` and `extensions` alone",
);
const LIST: Ambiguity = Ambiguity::new("graphql-list", "policy reads the GraphQL request, and it is a list of more requests than the policy allows");
const PERSISTED: Ambiguity = Ambiguity::new("graphql-persisted", "the hash of a persisted query is not that of the GraphQL document beside it");
const TWINS: Ambiguity =
    Ambiguity::new("graphql-twins", "parts of the GraphQL request stand in the query, where some servers read them instead of the body");
const BY_GET: Ambiguity = Ambiguity::new("graphql-get", "by GET a GraphQL server executes queries alone");

#[cfg(test)]
mod tests;
