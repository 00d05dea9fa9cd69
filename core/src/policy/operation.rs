//! One operation: a method on a path template, perhaps narrowed, and what it needs.

use super::content::{Alternatives, Content};
use super::limits::Limits;
use super::template::PathTemplate;
use crate::connector::Risk;
use crate::id::OperationId;
use crate::inspect::Pointer;
use crate::request::Method;
use std::sync::Arc;

/// One operation of a connector, with one match; a list of matches makes several of the same id.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub template: PathTemplate,
    /// What else must be so of the request; empty: nothing. All must hold.
    pub narrow: Vec<Narrow>,
    /// What it needs.
    pub need: Need,
    /// What it reads of the content, which has needs of its own.
    pub content: Option<Arc<Content>>,
    /// How much harm it can do.
    pub risk: Risk,
    /// Another origin of the connector.
    pub host: Option<String>,
    /// Whether GET and HEAD may carry a body.
    pub body: bool,
    /// Whether it is a WebSocket.
    pub websocket: bool,
    /// Whether a `Location` to another origin passes.
    pub redirect_passes: bool,
    /// Query parameters that pass although they look like a credential or an override.
    pub allow_query: Vec<String>,
    /// Characters that may stand encoded in a parameter, by parameter.
    pub allow_encoded: Vec<(String, String)>,
    /// Whether a 401 means that nothing was executed.
    pub replay_after_401: bool,
    /// What it limits itself.
    pub limits: Limits,
}

/// A condition on the request besides method and path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Narrow {
    /// A query parameter stands exactly once and has this value (decoded).
    Query {
        /// Decoded name.
        name: String,
        /// Decoded value.
        value: String,
    },
    /// A pointer into the JSON body (RFC 6901) finds this value.
    Json {
        /// Where.
        pointer: Pointer,
        /// What stands there.
        value: serde_json::Value,
    },
}

/// What an operation needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Need {
    /// Alternatives in the author's order; one must be held wholly. One empty alternative: nothing.
    Scopes(Alternatives),
    /// `require: unknown`: always refused.
    Unknown,
    /// `deny`: always refused, with the author's sentence.
    Denied(String),
}
