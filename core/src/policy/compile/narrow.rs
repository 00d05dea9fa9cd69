//! `where:` conditions on the query and on the body.

use super::matching::Match;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Located, Node, Span, Value, values};
use crate::policy::operation::Narrow;

/// Reads `where:`.
pub(super) fn read(node: &Node, findings: &mut Findings<'_>) -> Vec<Located<Narrow>> {
    let Some(mut fields) = Fields::open(node, "`where`", findings) else { return Vec::new() };
    let mut made = Vec::new();
    for entry in fields.take("query").and_then(|node| values::entries(node, findings)).unwrap_or_default() {
        if let Some(value) = values::text(&entry.value, findings) {
            let narrow = Narrow::Query { name: entry.key.value.clone(), value: value.value.to_owned() };
            made.push(Located { value: narrow, span: entry.key.span });
        }
    }
    for entry in fields.take("json").and_then(|node| values::entries(node, findings)).unwrap_or_default() {
        let pointer = values::pointer_text(Located { value: entry.key.value.as_str(), span: entry.key.span }, findings);
        let value = scalar(&entry.value, findings);
        if let (Some(pointer), Some(value)) = (pointer, value) {
            made.push(Located { value: Narrow::Json { pointer, value }, span: entry.key.span });
        }
    }
    let is_empty = |node: &Node| matches!(&node.value, Value::Map(entries) if entries.is_empty());
    if made.is_empty() && matches!(&node.value, Value::Map(entries) if entries.iter().all(|entry| is_empty(&entry.value))) {
        findings.add(code::EMPTY.at(node.span, "`where` says nothing").help("write `{query: {name: value}}` or `{json: {/pointer: value}}`"));
    }
    fields.close(findings);
    made
}

fn scalar(node: &Node, findings: &mut Findings<'_>) -> Option<serde_json::Value> {
    match &node.value {
        Value::Plain(_) | Value::Quoted(_) => node.to_json(),
        Value::Refused => None,
        Value::List(_) | Value::Map(_) => {
            findings.add(
                code::WRONG_KIND.at(node.span, format!("a body is compared with a text, a number, a boolean or null, and this is {}", node.kind())),
            );
            None
        }
    }
}

/// Reports conditions on a body that a request of these matches never carries.
pub(super) fn check_reachable(narrow: &[Located<Narrow>], content: Option<Span>, matches: &[Match], body: BodyAllowed, findings: &mut Findings<'_>) {
    let bodiless = |found: &Match| matches!(found.method.as_str(), "GET" | "HEAD");
    if body == BodyAllowed::Always || matches.is_empty() || !matches.iter().any(bodiless) {
        return;
    }
    let json = narrow.iter().find(|one| matches!(one.value, Narrow::Json { .. }));
    json.map(|one| one.span).into_iter().chain(content).for_each(|span| report(span, findings));
}

fn report(span: Span, findings: &mut Findings<'_>) {
    let message = "a GET or HEAD carries no body, so this never holds";
    findings.add(code::NEVER_MET.at(span, message).help("say `body: true` if this API really reads one"));
}

/// Whether GET and HEAD may carry a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyAllowed {
    /// `body: true`.
    Always,
    /// Only where the method has one.
    ByMethod,
}
