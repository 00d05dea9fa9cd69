//! Why a ruling is what it is: for people, and as the JSON of dry runs.

use super::decision::DenialReason;
use super::set::PolicySet;
use crate::account::Standing;
use crate::id::ConnectorId;
use crate::request::{Ambiguity, Request};
use crate::scope::Scope;
use serde::Serialize;

/// A decision that explains itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// Allow or deny.
    pub decision: Verdict,
    /// Why not.
    pub reason: Option<DenialReason>,
    /// The operation, or several joined with `+`; none where nothing matched.
    pub operation: Option<String>,
    /// The connector.
    pub connector: ConnectorId,
    /// The method.
    pub method: String,
    /// The canonical path; none where it has more than one reading.
    pub path: Option<String>,
    /// All alternatives of what is needed.
    pub required: Vec<Vec<Scope>>,
    /// The same as `missing_scopes`.
    pub missing: Vec<Scope>,
    /// The alternative that lacks fewest.
    pub required_scopes: Vec<Scope>,
    /// What of it lacks.
    pub missing_scopes: Vec<Scope>,
    /// What the role allows, sorted.
    pub role_scopes: Vec<Scope>,
    /// What the customer's grant covers, sorted.
    pub granted_scopes: Vec<Scope>,
    /// What somebody may have meant where nothing matched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Nearest>,
    /// Sentences, in the order of the decision.
    pub explanation: Vec<String>,
}

/// Whether it may be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// An operation that is near to a request that none matches.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Nearest {
    /// Its id.
    pub operation: String,
    /// Method and path template.
    pub r#match: String,
}

/// Judges `request` as [`super::judge`] does, and says why.
#[must_use]
pub fn explain(_policies: &PolicySet, _connector: &ConnectorId, _standing: &Standing<'_>, _request: &Request) -> Explanation {
    todo!()
}

/// The denial of a request that has more than one reading.
#[must_use]
pub fn explain_ambiguity(
    _policies: &PolicySet,
    _connector: &ConnectorId,
    _standing: &Standing<'_>,
    _method: &str,
    _ambiguity: Ambiguity,
) -> Explanation {
    todo!()
}
