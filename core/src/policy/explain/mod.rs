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
    /// What it would be refused for if shadow mode did not let it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_deny: Option<DenialReason>,
    /// The operations of the parts of a batch, in order, each as `operation`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// The part of a batch, from 1, on whose account the batch is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<usize>,
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
        Ruling::Allow(allowance) => {
            made.decision = Verdict::Allow;
            made.reason = None;
            made.would_deny = allowance.shadow.as_ref().map(|_| DenialReason::RoleLacksScope);
            let is_held = |name: &Scope| made.role_scopes.contains(name) && made.granted_scopes.contains(name);
            let held = || Lack::fewest(allowance.operations.required(), is_held);
            let lack = allowance.shadow.clone().unwrap_or_else(held);
            made.name(&allowance.operations, &lack);
            scribe.allowed(allowance);
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
            made.part = if let Denial::InBatch { part, .. } = denial { Some(*part) } else { None };
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
        would_deny: None,
        parts: Vec::new(),
        part: None,
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
        self.parts = operations.parts().map(ToString::to_string).collect();
        self.required = operations.required().to_vec();
        self.required_scopes = lack.required_scopes.clone();
        self.missing_scopes = lack.missing_scopes.clone();
        self.missing = lack.missing_scopes.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::Risk;
    use crate::policy::fixture::{assemble, by_json, by_query, connector, operation, provider_scopes, request, role};
    use crate::policy::model::RoleModel;
    use crate::policy::operation::{Need, Operation};
    use crate::request::Body;
    use serde_json::json;

    fn shop() -> PolicySet {
        let operations = vec![
            operation("item.get", "GET /items/{id}", "items:read"),
            operation("item.put", "PUT /items/{id}", "items:write"),
            operation("item.any", "GET /items/{+path}", "none"),
            operation("find", "GET /search", "items:read items:write | items:read"),
            Operation { narrow: vec![by_query("type", "x")], ..operation("find.x", "GET /search", "items:write") },
            Operation { narrow: vec![by_json("/a", 1)], ..operation("note", "POST /notes", "items:read") },
            Operation { risk: Risk::Capability, ..operation("export", "POST /export", "items:read") },
            Operation { need: Need::Unknown, ..operation("unknown", "GET /unknown", "none") },
            Operation { need: Need::Denied("people do this".to_owned()), ..operation("spoken", "GET /spoken", "none") },
            operation("left", "GET /r/{x}/c", "items:read"),
            operation("right", "GET /r/b/{y}", "none"),
        ];
        let globber = RoleModel { spelled_out: [].into_iter().collect(), ..role("globber", &[("shop", "items:read")]) };
        let roles = vec![role("reader", &[("shop", "items:read")]), globber, role("other", &[])];
        assemble(vec![(connector("shop", &["items:read: r", "items:write: w"]), operations)], roles)
    }

    fn explained(role: &str, grant: GrantStanding<'_>, request: &Request) -> Explanation {
        explain(&shop(), &"shop".parse().unwrap(), &Standing { role: &role.parse().unwrap(), grant }, request)
    }

    #[test]
    fn the_json_is_that_of_the_contract() {
        let granted = Granted::of(provider_scopes("r"));
        let came = explained("reader", GrantStanding::Live(&granted), &request("PUT /items/7", None));
        assert_eq!(
            serde_json::to_value(came).unwrap(),
            json!({
                "decision": "deny", "reason": "role_lacks_scope", "operation": "item.put", "connector": "shop", "method": "PUT", "path": "/items/7",
                "required": [["items:write"]], "missing": ["items:write"], "required_scopes": ["items:write"], "missing_scopes": ["items:write"],
                "role_scopes": ["items:read"], "granted_scopes": ["items:read"],
                "explanation": [
                    "the request is `item.put` (PUT /items/{id})", "it needs `items:write`", "the role `reader` does not hold `items:write`",
                    "denied: role_lacks_scope",
                ],
            })
        );
        let came = explained("reader", GrantStanding::Live(&Granted::Assumed), &request("GET /search", None));
        let json = serde_json::to_value(came).unwrap();
        assert_eq!(
            (&json["decision"], &json["reason"], &json["required"]),
            (&json!("allow"), &json!(null), &json!([["items:read", "items:write"], ["items:read"]]))
        );
        assert_eq!((&json["required_scopes"], &json["missing"]), (&json!(["items:read"]), &json!([])));
    }

    #[test]
    fn every_decision_says_why() {
        let assumed = Granted::Assumed;
        let (live, none) = (GrantStanding::Live(&assumed), Granted::of([]));
        for (role, text, grant, sentence) in [
            ("reader", "GET /items/7", live, "`item.any` (GET /items/{+path}) matches too, and is less specific"),
            ("reader", "GET /items/7", live, "nobody said what the customer granted, so it counts as all that the role allows"),
            ("reader", "GET /items/7", live, "allowed"),
            ("reader", "GET /items/7/8", live, "it needs no scope"),
            ("reader", "GET /search", live, "`find.x` (GET /search, narrowed by `where`) matches method and path, and its `where` does not hold"),
            ("reader", "GET /search", live, "it needs one of: `items:read` and `items:write`; `items:read`"),
            (
                "reader",
                "GET /r/b/c",
                live,
                "the request is `left` (GET /r/{x}/c) and `right` (GET /r/b/{y}): none is more specific, so all have to be allowed",
            ),
            ("other", "GET /items/7", live, "the role `other` has no entry for `shop`"),
            ("gone", "GET /items/7", live, "no document has a role `gone`, so it holds nothing"),
            (
                "globber",
                "POST /export",
                live,
                "the role `globber` holds `items:read` by a wildcard alone, which never reaches `export`: its answers carry credentials",
            ),
            ("reader", "GET /unknown", live, "the document says `require: unknown`: nobody knows what it needs, so it is refused"),
            ("reader", "GET /spoken", live, "the document refuses it: people do this"),
            ("reader", "GET /items/7", GrantStanding::Missing, "the customer has not connected this account yet"),
            ("reader", "GET /items/7", GrantStanding::Ended, "the customer's grant has ended: the customer has to connect the account again"),
            ("reader", "GET /items/7", GrantStanding::Live(&none), "the role `reader` would do; the customer has not granted `items:read`"),
            ("reader", "GET /nothing", live, "no operation of `shop` is this request, and silence denies"),
            ("reader", "POST /notes", live, "`note` (POST /notes, narrowed by `where`) matches method and path, and its `where` does not hold"),
            ("reader", "GET /items/7?token=x", live, "denied: ambiguous_request"),
        ] {
            let came = explained(role, grant, &request(text, None));
            assert!(came.explanation.contains(&sentence.to_owned()), "{role} {text}: {:#?}", came.explanation);
        }
        let unread = Request { body: Body::Unread, ..request("POST /notes", None) };
        let came = explained("reader", live, &unread);
        assert_eq!(
            (came.decision, came.explanation[0].as_str()),
            (Verdict::Deny, "the body decides whether this is `note`, and there is none to read")
        );
        let socket = Request { websocket: true, ..request("GET /items/7", None) };
        assert!(explained("reader", live, &socket).explanation[1].ends_with("matches method and path, and does not say `upgrade: websocket`"));
    }

    #[test]
    fn somebody_who_errs_is_told_the_nearest_operation() {
        for (text, nearest) in [
            ("DELETE /items/7", &["item.any", "item.get", "item.put"][..]),
            ("GET /serch", &["find", "find.x"]),
            ("GET /Search", &["find", "find.x"]),
            ("GET /search/", &["find", "find.x"]),
            ("POST /search", &["find", "find.x"]),
            ("GET /r/b", &["left", "right"]),
            ("GET /completely/else", &[]),
        ] {
            let came = explained("reader", GrantStanding::Missing, &request(text, None));
            let found: Vec<_> = came.nearest.iter().map(|nearest| nearest.operation.as_str()).collect();
            assert_eq!(found, nearest, "{text}");
        }
    }

    #[test]
    fn a_target_with_two_readings_is_a_denial_that_says_so() {
        let ambiguity = Request::read("GET", "/a//b", &[], None).unwrap_err();
        let (role, connector) = ("reader".parse().unwrap(), "shop".parse().unwrap());
        let came = explain_ambiguity(&shop(), &connector, &Standing { role: &role, grant: GrantStanding::Missing }, "GET", ambiguity);
        assert_eq!((came.decision, came.reason, came.path), (Verdict::Deny, Some(DenialReason::AmbiguousRequest), None));
        assert_eq!(
            came.explanation,
            ["the request has more than one reading: the path contains two slashes side by side (empty-segment)", "denied: ambiguous_request"]
        );
    }
}
