//! Tests that stand in documents: read from their line form, and run as the proxy decides.

use super::decision::{Denial, DenialReason, Ruling};
use super::document::{Place, RawCase};
use super::explain::{Explanation, explain, explain_ambiguity};
use super::set::{PolicySet, judge};
use crate::account::{GrantStanding, Granted, Standing};
use crate::id::{ConnectorId, OperationId, RoleName};
use crate::request::Request;
use crate::scope::Scope;
use bytes::Bytes;
use std::fmt;

/// One request of a test, and what must come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The test's name.
    pub name: String,
    /// Who asks.
    pub role: RoleName,
    /// What the customer granted.
    pub granted: Granted,
    /// The connector.
    pub connector: ConnectorId,
    /// The method, as it stands in a request line.
    pub method: String,
    /// Path and query as they stand in a request line, without the connector's segment.
    pub target: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// What must come of it.
    pub expect: Expectation,
    /// Where the expectation stands.
    pub place: Place,
}

/// What must come of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expectation {
    /// `allow`, `allow OPERATION`, `allow LEFT+RIGHT`: these operations, sorted; empty: any.
    Allow(Vec<OperationId>),
    /// `deny REASON`, `deny REASON SCOPE...`.
    Deny {
        /// Why.
        reason: DenialReason,
        /// Exactly these scopes lack, in any order; empty: any.
        missing: Vec<Scope>,
    },
}

/// A text that is no test.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{sentence}")]
pub struct InvalidCase {
    /// Where it is wrong, in bytes from 0.
    pub offset: usize,
    /// What is wrong: one lower-case sentence.
    pub sentence: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The pieces of the line form, `CONNECTOR METHOD TARGET -> EXPECTATION`, each with its offset in bytes from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaseLine<'a> {
    /// The connector.
    pub connector: (usize, &'a str),
    /// The method.
    pub method: (usize, &'a str),
    /// The target.
    pub target: (usize, &'a str),
    /// The expectation.
    pub expect: (usize, &'a str),
}

impl<'a> CaseLine<'a> {
    /// Takes the line form apart.
    /// # Errors
    /// The piece that lacks, or is too much.
    pub fn parse(text: &'a str) -> Result<Self, InvalidCase> {
        let offset = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
        let arrow = text.split_whitespace().find(|word| *word == "->").map(offset);
        let (request, expect) =
            arrow.and_then(|at| text.split_at_checked(at)).ok_or_else(|| invalid(text.len(), "there is no `->`", Some(LINE_FORM)))?;
        let mut words = request.split_whitespace().map(|word| (offset(word), word));
        let (Some(connector), Some(method), Some(target)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid(request.len(), "connector, method and target stand before `->`", Some(LINE_FORM)));
        };
        if let Some((at, _)) = words.next() {
            return Err(invalid(at, "a word too many stands before `->`", Some("a blank in a target is written `%20`")));
        }
        let expect = expect.trim_start_matches("->").trim();
        Ok(Self { connector, method, target, expect: (if expect.is_empty() { text.len() } else { offset(expect) }, expect) })
    }
}

const LINE_FORM: &str = "write `CONNECTOR METHOD TARGET -> allow OPERATION` or `CONNECTOR METHOD TARGET -> deny REASON SCOPE`";

/// What a test can come to: it has a grant, and that is alive.
const REASONS: [DenialReason; 5] = [
    DenialReason::AmbiguousRequest,
    DenialReason::UnknownOperation,
    DenialReason::OperationDenied,
    DenialReason::RoleLacksScope,
    DenialReason::ConsentRequired,
];

impl Expectation {
    /// Reads `allow`, `allow OPERATION`, `deny REASON` or `deny REASON SCOPE...`.
    /// # Errors
    /// The word that is none of these.
    pub fn parse(text: &str) -> Result<Self, InvalidCase> {
        let offset = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
        let mut words = text.split_whitespace();
        let verdict = words.next().unwrap_or_default();
        match verdict {
            "" => Err(invalid(0, "nothing is expected", Some(EXPECTATION))),
            "allow" => {
                let named = text.trim_start().trim_start_matches("allow").trim();
                let ids = named.split('+').filter(|_| !named.is_empty());
                let parsed = ids.map(|id| id.trim().parse().map_err(|fault| invalid(offset(id), &format!("{fault}"), None)));
                let mut operations = parsed.collect::<Result<Vec<OperationId>, _>>()?;
                operations.sort_unstable();
                Ok(Self::Allow(operations))
            }
            "deny" => {
                let word = words.next().ok_or_else(|| invalid(text.len(), "a denial has a reason", Some(EXPECTATION)))?;
                let reason = REASONS.into_iter().find(|reason| reason.as_str() == word);
                let reason = reason.ok_or_else(|| {
                    let known = REASONS.map(|reason| format!("`{}`", reason.as_str())).join(", ");
                    invalid(offset(word), &format!("`{word}` is no reason that a test can come to"), Some(&format!("the reasons are {known}")))
                })?;
                let scopes = words.map(|word| word.parse().map_err(|fault| invalid(offset(word), &format!("{fault}"), None)));
                Ok(Self::Deny { reason, missing: scopes.collect::<Result<_, _>>()? })
            }
            _ => Err(invalid(offset(verdict), &format!("`{verdict}` is neither `allow` nor `deny`"), Some(EXPECTATION))),
        }
    }

    /// Whether the ruling is what was expected.
    #[must_use]
    pub fn is_met_by(&self, ruling: &Ruling) -> bool {
        match (self, ruling) {
            (Self::Allow(expected), Ruling::Allow(allowance)) => expected.is_empty() || allowance.operations.ids().eq(expected),
            (Self::Deny { reason, missing }, Ruling::Deny(denial)) => {
                let lacks = denial.lack().map(|lack| lack.missing_scopes.as_slice()).unwrap_or_default();
                let same = lacks.iter().all(|scope| missing.contains(scope)) && missing.iter().all(|scope| lacks.contains(scope));
                denial.reason() == *reason && (missing.is_empty() || same)
            }
            (Self::Allow(_), Ruling::ReadBody(_) | Ruling::Deny(_)) | (Self::Deny { .. }, Ruling::ReadBody(_) | Ruling::Allow(_)) => false,
        }
    }
}

const EXPECTATION: &str = "write `allow OPERATION` or `deny REASON SCOPE`";

fn invalid(offset: usize, sentence: &str, help: Option<&str>) -> InvalidCase {
    InvalidCase { offset, sentence: sentence.to_owned(), help: help.map(str::to_owned) }
}

/// As it stands in documents.
impl fmt::Display for Expectation {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(operations) if operations.is_empty() => to.write_str("allow"),
            Self::Allow(operations) => {
                to.write_str("allow ")?;
                operations.iter().enumerate().try_for_each(|(at, id)| write!(to, "{}{id}", if at == 0 { "" } else { "+" }))
            }
            Self::Deny { reason, missing } => {
                write!(to, "deny {}", reason.as_str())?;
                missing.iter().try_for_each(|scope| write!(to, " {scope}"))
            }
        }
    }
}

impl Case {
    /// The case that a document's text says.
    /// # Errors
    /// What is wrong; offsets count in the text of `expect`, or are 0 where a name is none.
    pub fn new(raw: RawCase) -> Result<Self, InvalidCase> {
        let expect = Expectation::parse(&raw.expect.text)?;
        Ok(Self {
            name: raw.name,
            role: raw.role.text.parse().map_err(|fault| invalid(0, &format!("{fault}"), None))?,
            granted: raw.granted.map_or(Granted::Assumed, Granted::of),
            connector: raw.connector.text.parse().map_err(|fault| invalid(0, &format!("{fault}"), None))?,
            method: raw.method.text,
            target: raw.target.text,
            headers: raw.headers,
            body: raw.body,
            expect,
            place: raw.expect.place,
        })
    }

    /// What comes of it, and why.
    #[must_use]
    pub fn explanation(&self, policies: &PolicySet) -> Explanation {
        let standing = Standing { role: &self.role, grant: GrantStanding::Live(&self.granted) };
        match Request::read(&self.method, &self.target, &self.headers, self.body.clone().map(Bytes::from)) {
            Ok(request) => explain(policies, &self.connector, &standing, &request),
            Err(ambiguity) => explain_ambiguity(policies, &self.connector, &standing, &self.method, ambiguity),
        }
    }

    /// What comes of it.
    pub fn ruling(&self, policies: &PolicySet) -> Ruling {
        let body = self.body.clone().map(Bytes::from);
        match Request::read(&self.method, &self.target, &self.headers, body) {
            Ok(request) => {
                let standing = Standing { role: &self.role, grant: GrantStanding::Live(&self.granted) };
                judge(policies, &self.connector, &standing, &request)
            }
            Err(ambiguity) => Ruling::Deny(Denial::Ambiguous(ambiguity)),
        }
    }
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseOutcome<'a> {
    /// The case.
    pub case: &'a Case,
    /// What was decided.
    pub ruling: Ruling,
}

impl CaseOutcome<'_> {
    /// Whether it is what was expected.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.case.expect.is_met_by(&self.ruling)
    }

    /// What was decided, as an expectation says it: `deny role_lacks_scope items:write`.
    #[must_use]
    pub fn came(&self) -> String {
        match &self.ruling {
            Ruling::Allow(allowance) => format!("allow {}", allowance.operations),
            Ruling::ReadBody(operations) => format!("the body decides on {operations}, and the test has none"),
            Ruling::Deny(denial) => {
                let missing = denial.lack().map(|lack| lack.missing_scopes.clone()).unwrap_or_default();
                Expectation::Deny { reason: denial.reason(), missing }.to_string()
            }
        }
    }
}

/// Runs all cases, in order.
#[must_use]
pub fn run<'a>(policies: &PolicySet, cases: &'a [Case]) -> Vec<CaseOutcome<'a>> {
    cases.iter().map(|case| CaseOutcome { case, ruling: case.ruling(policies) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::document::Placed;
    use crate::policy::fixture::{assemble, by_json, connector, operation, provider_scopes, role};
    use crate::policy::operation::Operation;

    #[test]
    fn a_line_is_connector_method_target_and_expectation() {
        let line = CaseLine::parse("shop  GET /a?b->c ->  allow GET /a/{b} ").unwrap();
        assert_eq!(line, CaseLine { connector: (0, "shop"), method: (6, "GET"), target: (10, "/a?b->c"), expect: (22, "allow GET /a/{b}") });
        for (text, offset) in [("shop GET /a", 11), ("shop GET /a->allow", 18), ("shop GET -> allow", 9), ("shop GET /a b -> allow", 12), ("", 0)] {
            assert_eq!(CaseLine::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }

    #[test]
    fn an_expectation_is_allow_or_deny_with_a_reason() {
        let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<_>>();
        let scopes = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        for (text, expected) in [
            ("allow", Expectation::Allow(vec![])),
            ("allow item.get", Expectation::Allow(ids(&["item.get"]))),
            ("allow GET /a/{b}", Expectation::Allow(ids(&["GET /a/{b}"]))),
            ("allow right+left", Expectation::Allow(ids(&["left", "right"]))),
            ("deny unknown_operation", Expectation::Deny { reason: DenialReason::UnknownOperation, missing: vec![] }),
            ("deny role_lacks_scope b:w a:r", Expectation::Deny { reason: DenialReason::RoleLacksScope, missing: scopes(&["b:w", "a:r"]) }),
        ] {
            assert_eq!(Expectation::parse(text), Ok(expected), "{text}");
        }
        for (text, offset) in [
            ("", 0),
            ("allowed", 0),
            ("deny", 4),
            ("deny nope", 5),
            ("deny rate_limited", 5),
            ("deny reauthorization_required", 5),
            ("deny role_lacks_scope \"a\"", 22),
            ("allow a+", 8),
        ] {
            assert_eq!(Expectation::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }

    fn raw(method: &str, target: &str, expect: &str) -> RawCase {
        let placed = |text: &str| Placed { text: text.to_owned(), place: Place::default() };
        RawCase {
            name: "a test".to_owned(),
            role: placed("reader"),
            granted: None,
            connector: placed("shop"),
            method: placed(method),
            target: placed(target),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: None,
            expect: placed(expect),
        }
    }

    #[test]
    fn cases_come_out_as_the_proxy_decides() {
        let operations = vec![
            operation("item.get", "GET /items/{id}", "items:read"),
            operation("item.put", "PUT /items/{id}", "items:write items:read"),
            operation("left", "GET /r/{x}/c", "items:read"),
            operation("right", "GET /r/b/{y}", "items:read"),
            Operation { narrow: vec![by_json("/a", 1)], ..operation("note", "POST /notes", "items:read") },
        ];
        let policies =
            assemble(vec![(connector("shop", &["items:read: r", "items:write: w"]), operations)], vec![role("reader", &[("shop", "items:read")])]);
        let few = RawCase { granted: Some(provider_scopes("w")), ..raw("GET", "/items/7", "deny consent_required items:read") };
        let body = |body: &str, expect| RawCase { body: Some(body.to_owned()), ..raw("POST", "/notes", expect) };
        let unsent = RawCase { headers: vec![("Content-Length".to_owned(), "9".to_owned())], ..raw("POST", "/notes", "allow note") };
        for (case, expected, came) in [
            (raw("GET", "/items/7", "allow item.get"), true, "allow item.get"),
            (raw("GET", "/items/7", "allow"), true, "allow item.get"),
            (raw("GET", "/items/7", "allow item.put"), false, "allow item.get"),
            (raw("GET", "/items/7", "deny unknown_operation"), false, "allow item.get"),
            (raw("GET", "/r/b/c", "allow right+left"), true, "allow left+right"),
            (raw("GET", "/r/b/c", "allow left"), false, "allow left+right"),
            (raw("PUT", "/items/7", "deny role_lacks_scope items:write"), true, "deny role_lacks_scope items:write"),
            (raw("PUT", "/items/7", "deny role_lacks_scope"), true, "deny role_lacks_scope items:write"),
            (raw("PUT", "/items/7", "deny role_lacks_scope items:read items:write"), false, "deny role_lacks_scope items:write"),
            (raw("PUT", "/items/7", "deny consent_required items:write"), false, "deny role_lacks_scope items:write"),
            (few, true, "deny consent_required items:read"),
            (raw("GET", "/items//7", "deny ambiguous_request"), true, "deny ambiguous_request"),
            (raw("get", "/items/7", "deny ambiguous_request"), true, "deny ambiguous_request"),
            (body("{\"a\":1}", "allow note"), true, "allow note"),
            (body("{\"a\":2}", "deny unknown_operation"), true, "deny unknown_operation"),
            (unsent, false, "the body decides on note, and the test has none"),
        ] {
            let cases = [Case::new(case).unwrap()];
            let outcomes = run(&policies, &cases);
            let [outcome] = outcomes.as_slice() else { panic!("one case, {} outcomes", outcomes.len()) };
            assert_eq!((outcome.is_expected(), outcome.came().as_str()), (expected, came), "{} {}", cases[0].target, cases[0].expect);
        }
    }
}
