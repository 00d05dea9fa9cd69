//! Probes: for everything that a policy names, one request that is it. What sets, roles and operations have to do with each
//! other is found by judging them, as the proxy judges.

use super::content::{Content, Graphql, QueryPlace, Soql};
use super::decision::{DenialReason, Operations, Ruling};
use super::operation::{Narrow, Operation};
use super::rules::Rules;
use super::set::{PolicySet, judge};
use crate::account::{GrantStanding, Granted, Standing};
use crate::id::{ConnectorId, OperationId, RoleName};
use crate::inspect::{GraphqlKind, Pointer};
use crate::request::{Body, Request, encoded};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a probe is a request of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Probed {
    /// The connector.
    pub connector: ConnectorId,
    /// The operation.
    pub operation: OperationId,
    /// Method and path template, with what narrows it.
    pub r#match: String,
    /// What it asks for in its content: `soql Account`, `mutation createIssue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// What a role comes to with a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It is allowed, whatever the customer granted.
    Allow,
    /// It is let through by shadow mode.
    Shadow,
    /// It is denied.
    Deny(DenialReason),
}

impl Answer {
    /// `allow`, `shadow`, or the reason of the denial.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Shadow => "shadow",
            Self::Deny(reason) => reason.as_str(),
        }
    }
}

impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// Requests of what it names; more than one where its paths differ in length. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) probed: Probed,
    pub(super) requests: Vec<Request>,
}

/// A text that no document would write where a parameter stands.
const FILLER: &str = "0~";

/// So many segments are tried for a parameter that spans them: a path of fewer may be a more specific operation's.
const MOST_SPANNED: usize = 6;

/// So many of these paths are kept.
const MOST_REQUESTS: usize = 3;

/// The probes of a connector, in the author's order.
pub(super) fn probes(policies: &PolicySet, connector: &ConnectorId) -> Vec<Probe> {
    let Some(rules) = policies.rules(connector) else { return Vec::new() };
    rules.rules.iter().flat_map(|rule| of_operation(policies, rules, &rule.operation)).collect()
}

/// What `role` comes to with the first of its requests.
pub(super) fn answer(policies: &PolicySet, role: &RoleName, granted: &Granted, probe: &Probe) -> Answer {
    answers(policies, role, granted, probe).next().unwrap_or(Answer::Deny(DenialReason::UnknownOperation))
}

/// What `role` comes to with each of its requests.
pub(super) fn answers<'a>(policies: &'a PolicySet, role: &'a RoleName, granted: &'a Granted, probe: &'a Probe) -> impl Iterator<Item = Answer> + 'a {
    let standing = Standing { role, grant: GrantStanding::Live(granted) };
    probe.requests.iter().map(move |request| match judge(policies, &probe.probed.connector, &standing, request) {
        Ruling::Allow(allowance) if allowance.shadow.is_some() => Answer::Shadow,
        Ruling::Allow(_) | Ruling::ReadBody(_) => Answer::Allow,
        Ruling::Deny(denial) => Answer::Deny(denial.reason()),
    })
}

/// The operations that the first of its requests is in `policies`, joined with `+`.
pub(super) fn meant(policies: &PolicySet, role: &RoleName, probe: &Probe) -> Option<String> {
    let standing = Standing { role, grant: GrantStanding::Live(&Granted::Assumed) };
    operations(judge(policies, &probe.probed.connector, &standing, probe.requests.first()?)).map(|operations| operations.to_string())
}

fn operations(ruling: Ruling) -> Option<Operations> {
    match ruling {
        Ruling::Allow(allowance) => Some(allowance.operations),
        Ruling::ReadBody(operations) => Some(operations),
        Ruling::Deny(denial) => denial.operations().cloned(),
    }
}

fn of_operation(policies: &PolicySet, rules: &Rules, operation: &Operation) -> Vec<Probe> {
    let spans = if operation.template.rest().is_some() { 1..=MOST_SPANNED } else { 1..=1 };
    let paths: Vec<String> = spans.map(|spanned| operation.template.example(FILLER, spanned)).collect();
    let made = asked(operation).into_iter().filter_map(|asked| {
        let probed = Probed {
            connector: rules.connector.id.clone(),
            operation: operation.id.clone(),
            r#match: matched(operation),
            content: asked.name.clone(),
        };
        let all: Vec<Request> = paths.iter().filter_map(|path| request(operation, path, &asked)).collect();
        let mut requests: Vec<Request> = all.iter().filter(|request| is_meant(policies, &probed, request)).take(MOST_REQUESTS).cloned().collect();
        if requests.is_empty() {
            requests.extend(all.into_iter().take(1));
        }
        (!requests.is_empty()).then_some(Probe { probed, requests })
    });
    made.collect()
}

/// Whether a request is meant as what it is to be a probe of.
fn is_meant(policies: &PolicySet, probed: &Probed, request: &Request) -> bool {
    // A role that nobody has is refused for what the operations need, and the refusal names them.
    let Ok(nobody) = "nobody".parse::<RoleName>() else { return false };
    let standing = Standing { role: &nobody, grant: GrantStanding::Live(&Granted::Assumed) };
    let meant = operations(judge(policies, &probed.connector, &standing, request));
    meant.is_some_and(|operations| operations.ids().any(|id| *id == probed.operation))
}

/// Method and template, and what narrows them: `GET /search where type=user`.
pub(super) fn matched(operation: &Operation) -> String {
    let mut text = format!("{} {}", operation.method, operation.template);
    for (number, condition) in operation.narrow.iter().enumerate() {
        text.push_str(if number == 0 { " where " } else { " and " });
        match condition {
            Narrow::Query { name, value } => text.push_str(&format!("{name}={value}")),
            Narrow::Json { pointer, value } => text.push_str(&format!("{}={value}", pointer.as_str())),
        }
    }
    text
}

/// What a request asks for in its content.
#[derive(Clone, Debug, Default)]
struct Asked {
    name: Option<String>,
    /// Where the text stands, and the text.
    text: Option<(QueryPlace, String)>,
    /// Whether nobody has read the body.
    unread: bool,
}

/// Each thing that an operation's content may ask for; one plain request where it reads none.
fn asked(operation: &Operation) -> Vec<Asked> {
    match operation.content.as_deref() {
        None => vec![Asked::default()],
        Some(Content::Batch(_)) => vec![Asked { unread: true, ..Asked::default() }],
        Some(Content::Soql(soql)) => soql.objects.keys().map(|object| of_object(soql, object)).collect(),
        Some(Content::Graphql(graphql)) => KINDS.into_iter().flat_map(|(kind, word)| of_fields(operation, graphql, kind, word)).collect(),
    }
}

const KINDS: [(GraphqlKind, &str); 3] =
    [(GraphqlKind::Query, "query"), (GraphqlKind::Mutation, "mutation"), (GraphqlKind::Subscription, "subscription")];

fn of_object(soql: &Soql, object: &str) -> Asked {
    Asked { name: Some(format!("soql {object}")), text: Some((soql.place.clone(), format!("SELECT Id FROM {object}"))), unread: false }
}

fn of_fields(operation: &Operation, graphql: &Graphql, kind: GraphqlKind, word: &str) -> Vec<Asked> {
    let place = || match operation.method.as_str() {
        "GET" | "HEAD" => Some(QueryPlace::Parameter("query".into())),
        _ => "/query".parse().ok().map(QueryPlace::Json),
    };
    let one = |field: &String| {
        let asked = if field == "*" { "anyOtherField" } else { field.as_str() };
        Some(Asked { name: Some(format!("{word} {field}")), text: Some((place()?, format!("{word} {{ {asked} }}"))), unread: false })
    };
    graphql.of(kind).keys().filter_map(one).collect()
}

fn request(operation: &Operation, path: &str, asked: &Asked) -> Option<Request> {
    let mut query: Vec<(&str, &str)> = Vec::new();
    let mut body = Map::new();
    for condition in &operation.narrow {
        match condition {
            Narrow::Query { name, value } => query.push((name, value)),
            Narrow::Json { pointer, value } => put(&mut body, pointer, value.clone()),
        }
    }
    match &asked.text {
        Some((QueryPlace::Parameter(name), text)) => query.push((name, text)),
        Some((QueryPlace::Json(pointer), text)) => put(&mut body, pointer, text.as_str().into()),
        None => {}
    }
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let target = if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) };
    let json = (!body.is_empty()).then(|| Bytes::from(Value::Object(body).to_string()));
    let headers = if json.is_some() { vec![("content-type".to_owned(), "application/json".to_owned())] } else { Vec::new() };
    let request = Request::read(operation.method.as_str(), &target, &headers, json).ok()?;
    Some(if asked.unread { Request { body: Body::Unread, ..request } } else { request })
}

/// Puts a value where the pointer leads, through objects alone.
fn put(body: &mut Map<String, Value>, pointer: &Pointer, value: Value) {
    let tokens: Vec<&str> = pointer.tokens().collect();
    let Some((last, way)) = tokens.split_last() else { return };
    let mut at = body;
    for token in way {
        let next = at.entry(*token).or_insert_with(|| Value::Object(Map::new()));
        match next.as_object_mut() {
            Some(object) => at = object,
            None => return,
        }
    }
    at.insert((*last).to_owned(), value);
}
