//! What is wrong with documents although every piece of them is right.

use super::connector::{ConnectorDraft, Connectors};
use super::operations::OperationDraft;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Node, Value};
use crate::policy::operation::{Narrow, Need};
use crate::policy::template::Letters;
use crate::scope::Scope;
use std::collections::HashMap;

/// Looks at the operations of all connectors.
pub(super) fn shapes(connectors: &Connectors, findings: &mut Findings<'_>) {
    for draft in connectors.values() {
        same_shapes(draft, findings);
        draft.operations.iter().for_each(|operation| write_by_read(operation, findings));
    }
}

/// What two operations have in common that match the same requests.
type Shape = (String, String, Vec<String>);

fn shape(draft: &OperationDraft, letters: Letters) -> Shape {
    let operation = &draft.operation;
    let mut narrow: Vec<String> = operation.narrow.iter().map(condition).collect();
    narrow.sort();
    (operation.method.to_string(), operation.template.shape(letters), narrow)
}

fn condition(narrow: &Narrow) -> String {
    match narrow {
        Narrow::Query { name, value } => format!("query {name:?} {value:?}"),
        Narrow::Json { pointer, value } => format!("json {pointer:?} {value}"),
    }
}

fn same_shapes(draft: &ConnectorDraft, findings: &mut Findings<'_>) {
    let letters = Letters::of(&draft.connector);
    let mut seen: HashMap<Shape, &OperationDraft> = HashMap::new();
    for later in &draft.operations {
        let Some(first) = seen.get(&shape(later, letters)) else {
            seen.insert(shape(later, letters), later);
            continue;
        };
        // Imported operations of one shape are meant: both have to be allowed.
        if [first, later].iter().all(|one| Some(one.span.source) == draft.imported) {
            continue;
        }
        let (one, other) = (&later.operation, &first.operation);
        let place = findings.pointer(first.span, later.span);
        if one.id == other.id {
            findings.add(code::SAME_OPERATION.at(later.span, format!("this match of `{}` stands at {place} already", one.id)).help("leave one out"));
        } else if (&one.need, &one.content, &one.host, one.websocket) == (&other.need, &other.content, &other.host, other.websocket) {
            let message = format!("`{}` matches the same requests as `{}` at {place}", one.id, other.id);
            findings.add(code::SAME_OPERATION.at(later.span, message).help("make them one operation"));
        } else {
            let message = format!("`{}` matches the same requests as `{}` at {place}, and says something else of them", one.id, other.id);
            findings.add(code::SAME_SHAPE.at(later.span, message).help("narrow one with `where`, or make them one operation"));
        }
    }
}

/// A method that changes something, and a scope that sounds like reading alone.
fn write_by_read(draft: &OperationDraft, findings: &mut Findings<'_>) {
    let operation = &draft.operation;
    if !matches!(operation.method.as_str(), "PUT" | "PATCH" | "DELETE") {
        return;
    }
    let Need::Scopes(alternatives) = &operation.need else { return };
    let reading = alternatives.iter().find(|alternative| !alternative.is_empty() && alternative.iter().all(reads_only));
    if let Some(scope) = reading.and_then(|alternative| alternative.first()) {
        let message = format!("`{}` changes something, and `{scope}` sounds as if it only read", operation.id);
        findings.add(code::WRITE_BY_READ.at(draft.span, message).help("check what the API's description says"));
    }
}

fn reads_only(scope: &Scope) -> bool {
    let last = scope.as_str().rsplit([':', '.', '/', '-', '_']).next().unwrap_or_default();
    matches!(last.to_ascii_lowercase().as_str(), "read" | "readonly" | "readbasic" | "view" | "list")
}

/// Looks for secrets anywhere in a document.
pub(super) fn secrets(node: &Node, findings: &mut Findings<'_>) {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => {
            if let Some(kind) = secret(text) {
                let message = format!("this looks like {kind}, and policy files hold no secrets");
                findings.add(
                    code::SECRET
                        .at(node.span, message)
                        .help("take it out and replace it at its provider; our own registrations stand under `clients` of the settings"),
                );
            }
        }
        Value::List(items) => items.iter().for_each(|item| secrets(item, findings)),
        Value::Map(entries) => entries.iter().for_each(|entry| secrets(&entry.value, findings)),
        Value::Refused => {}
    }
}

/// Beginnings of well-known tokens, and how many characters they have at least.
const TOKENS: [(&str, usize, &str); 17] = [
    ("sk_live_", 20, "a Stripe key"),
    ("rk_live_", 20, "a Stripe key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("xapp-", 20, "a Slack token"),
    ("ghp_", 30, "a GitHub token"),
    ("gho_", 30, "a GitHub token"),
    ("ghs_", 30, "a GitHub token"),
    ("github_pat_", 30, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("AKIA", 20, "an AWS key"),
    ("ya29.", 20, "a Google token"),
    ("GOCSPX-", 20, "a Google client secret"),
    ("SG.", 40, "a SendGrid key"),
    ("pat-na1-", 30, "a HubSpot token"),
    ("shpat_", 30, "a Shopify token"),
    ("sgh_", 20, "a handle"),
];

fn secret(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    text.split(|character: char| character.is_whitespace() || matches!(character, '=' | '"' | '\'' | '&' | ',')).find_map(word_secret)
}

fn word_secret(word: &str) -> Option<&'static str> {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+/".contains(&byte));
    let token = TOKENS.iter().find(|(lead, least, _)| plain && word.starts_with(lead) && word.len() >= *least);
    let jwt = plain && word.starts_with("eyJ") && word.matches('.').count() == 2 && word.len() >= 40;
    token.map(|(_, _, kind)| *kind).or(jwt.then_some("a JSON Web Token"))
}
