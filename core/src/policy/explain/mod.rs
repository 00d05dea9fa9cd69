//! Why a ruling is what it is: for people, and as the JSON of dry runs.

mod nearest;
mod sentences;

use super::decision::{Denial, DenialReason, Lack, Operations, Ruling};
use super::set::{PolicySet, judge};
use crate::account::{GrantStanding, Granted, Standing};
use crate::id::ConnectorId;
use crate::request::{Ambiguity, Request};
use crate::scope::Scope;
use sentences::Scribe;
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
    /// Sentences, in the order of the decision. They hold names and sentences of the documents, and nothing of the request.
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

/// Judges `request` as [`super::judge`] does, and says why. A body that decides has to be there; without it this is a denial.
#[must_use]
pub fn explain(policies: &PolicySet, connector: &ConnectorId, standing: &Standing<'_>, request: &Request) -> Explanation {
    let ruling = judge(policies, connector, standing, request);
    let mut made = blank(policies, connector, standing, request.method.as_str());
    made.path = Some(request.path.as_str().to_owned());
    let mut scribe = Scribe::new(policies, connector, standing, request);
    match &ruling {
        Ruling::Allow(operations) => {
            made.decision = Verdict::Allow;
            made.reason = None;
            let is_held = |name: &Scope| made.role_scopes.contains(name) && made.granted_scopes.contains(name);
            let lack = Lack::fewest(operations.required(), is_held);
            made.name(operations, &lack);
            scribe.allowed(operations);
        }
        Ruling::ReadBody(operations) => {
            made.name(operations, &Lack::default());
            scribe.body_lacks(operations);
        }
        Ruling::Deny(denial) => {
            made.reason = Some(denial.reason());
            if let Some(operations) = denial.operations() {
                made.name(operations, denial.lack().unwrap_or(&Lack::default()));
            }
            made.nearest = scribe.denied(denial);
        }
    }
    made.explanation = scribe.sentences;
    made
}

/// The denial of a request that has more than one reading, so that there is no [`Request`] to judge.
#[must_use]
pub fn explain_ambiguity(policies: &PolicySet, connector: &ConnectorId, standing: &Standing<'_>, method: &str, ambiguity: Ambiguity) -> Explanation {
    let mut made = blank(policies, connector, standing, method);
    made.explanation = sentences::ambiguous(ambiguity);
    made
}

fn blank(policies: &PolicySet, connector: &ConnectorId, standing: &Standing<'_>, method: &str) -> Explanation {
    let role_scopes = policies.role_scopes(standing.role, connector);
    let granted_scopes = match standing.grant {
        GrantStanding::Live(Granted::Scopes(granted)) => policies.covered_by(connector, granted),
        GrantStanding::Live(Granted::Assumed) => role_scopes.clone(),
        GrantStanding::Missing | GrantStanding::Ended => Vec::new(),
    };
    Explanation {
        decision: Verdict::Deny,
        reason: Some(DenialReason::AmbiguousRequest),
        operation: None,
        connector: connector.clone(),
        method: method.to_owned(),
        path: None,
        required: Vec::new(),
        missing: Vec::new(),
        required_scopes: Vec::new(),
        missing_scopes: Vec::new(),
        role_scopes,
        granted_scopes,
        nearest: Vec::new(),
        explanation: Vec::new(),
    }
}

impl Explanation {
    fn name(&mut self, operations: &Operations, lack: &Lack) {
        self.operation = Some(operations.to_string());
        self.required = operations.required().to_vec();
        self.required_scopes = lack.required_scopes.clone();
        self.missing_scopes = lack.missing_scopes.clone();
        self.missing = lack.missing_scopes.clone();
    }
}
