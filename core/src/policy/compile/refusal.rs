//! How refusals look to the clients of a connector.

use crate::connector::RefusalShape;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Node, Span, Value, nearest, values};

/// What a placeholder of `refusal` may name: the members of the problem document, and `held_scopes`.
const PLACEHOLDERS: [&str; 20] = [
    "error",
    "reason",
    "title",
    "status",
    "detail",
    "retryable",
    "next_step",
    "upstream_called",
    "connector",
    "operation",
    "required",
    "required_scopes",
    "missing_scopes",
    "delegates",
    "account",
    "request_id",
    "error_description",
    "message",
    "type",
    "held_scopes",
];

/// Reads `refusal:`.
pub(super) fn read(node: &Node, findings: &mut Findings<'_>) -> Option<RefusalShape> {
    let mut fields = Fields::open(node, "`refusal`", findings)?;
    let status = fields.take("status").map(|node| status(node, findings));
    let body = fields.require("body", findings);
    fields.close(findings);
    let body = body?;
    check_placeholders(body, findings);
    Some(RefusalShape { status: status.map_or(Some(None), |read| read.map(Some))?, body: body.to_json()? })
}

fn status(node: &Node, findings: &mut Findings<'_>) -> Option<u16> {
    let found = values::text(node, findings)?;
    let status = found.value.parse().ok().filter(|status| (200..=599).contains(status));
    if status.is_none() {
        findings.add(code::INVALID_NUMBER.at(found.span, format!("`{}` is no HTTP status from 200 to 599", found.value)));
    }
    status
}

fn check_placeholders(node: &Node, findings: &mut Findings<'_>) {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => {
            for name in text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
                if !PLACEHOLDERS.contains(&name) {
                    let help = nearest(name, PLACEHOLDERS).map(|near| format!("did you mean `{near}`?"));
                    let span = placeholder_span(node.span, text, name, findings);
                    findings.add(code::UNKNOWN_PLACEHOLDER.at(span, format!("a refusal has no member `{name}`")).maybe_help(help));
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| check_placeholders(item, findings)),
        Value::Map(entries) => entries.iter().for_each(|entry| check_placeholders(&entry.value, findings)),
        Value::Refused => {}
    }
}

fn placeholder_span(span: Span, text: &str, name: &str, findings: &Findings<'_>) -> Span {
    let offset = text.find(&format!("{{{name}}}")).map_or(0, |at| at + 1);
    findings.inside(span, text, offset, name.len())
}
