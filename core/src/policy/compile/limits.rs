//! `limits:` of an operation.

use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Node, values};
use crate::policy::limits::{Limits, Size};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Reads `limits:`.
pub(super) fn read(node: &Node, findings: &mut Findings<'_>) -> Limits {
    let Some(mut fields) = Fields::open(node, "`limits`", findings) else { return Limits::default() };
    let body = fields.take("body").and_then(|node| parsed(node, "size", findings)).map(|Size(size)| size);
    let requests_per_account = fields.take("requests_per_account").and_then(|node| parsed(node, "rate", findings));
    let (connect, head, idle) = fields.take("upstream").map(|node| upstream(node, findings)).unwrap_or_default();
    fields.close(findings);
    Limits { body, requests_per_account, connect, head, idle }
}

fn upstream(node: &Node, findings: &mut Findings<'_>) -> (Option<Duration>, Option<Duration>, Option<Duration>) {
    let Some(mut fields) = Fields::open(node, "`limits.upstream`", findings) else { return Default::default() };
    let mut duration = |key| {
        let node = fields.take(key)?;
        let duration = values::duration(node, findings)?;
        if duration.is_zero() {
            findings.add(code::INVALID_NUMBER.at(node.span, "in no time nothing can be done"));
        }
        Some(duration)
    };
    let all = (duration("connect"), duration("head"), duration("idle"));
    fields.close(findings);
    all
}

fn parsed<T: FromStr<Err: Display>>(node: &Node, what: &str, findings: &mut Findings<'_>) -> Option<T> {
    let found = values::filled(node, findings)?;
    match found.value.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            findings.add(code::INVALID_NUMBER.at(found.span, format!("`{}` is no {what}", found.value)).help(format!("{error}")));
            None
        }
    }
}
