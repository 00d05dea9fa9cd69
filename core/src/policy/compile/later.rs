//! Keys of the language that this version reads and refuses instead of judging: nothing passes that nobody looked at.

use super::operations::requirement;
use super::scopes::Scopes;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Fields, Node, values};

/// The sentence with which an operation is refused that says one of these keys; none where it says none of them.
pub(super) fn read(fields: &mut Fields<'_>, scopes: &Scopes, findings: &mut Findings<'_>) -> Option<String> {
    let mut sentence = None;
    for (key, check) in [("graphql", graphql as Check), ("soql", soql), ("batch", batch), ("limits", limits)] {
        let Some(Entry { key: written, value }) = fields.entry(key) else { continue };
        check(value, scopes, findings);
        let message = format!("this version does not judge `{key}`, so it refuses every request of this operation");
        findings.add(code::NOT_JUDGED.at(written.span, message));
        sentence.get_or_insert_with(|| format!("this version of Scopegate cannot judge its `{key}`"));
    }
    sentence
}

/// `mode: shadow` lets through what a role lacks, and says so in the audit. Without it roles are enforced: nothing is let through.
pub(super) fn mode(node: &Node, findings: &mut Findings<'_>) {
    if values::word(node, &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)], findings) == Some(Mode::Shadow) {
        findings.add(code::NOT_JUDGED.at(node.span, "this version has no shadow mode: it enforces"));
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Enforce,
    Shadow,
}

type Check = fn(&Node, &Scopes, &mut Findings<'_>);

fn graphql(node: &Node, scopes: &Scopes, findings: &mut Findings<'_>) {
    let Some(mut fields) = Fields::open(node, "`graphql`", findings) else { return };
    for kind in ["query", "mutation", "subscription"] {
        if let Some(node) = fields.take(kind) {
            requirements(node, scopes, findings);
        }
    }
    fields.close(findings);
}

fn soql(node: &Node, scopes: &Scopes, findings: &mut Findings<'_>) {
    let Some(mut fields) = Fields::open(node, "`soql`", findings) else { return };
    if let Some(node) = fields.require("query", findings) {
        values::filled(node, findings);
    }
    if let Some(node) = fields.require("objects", findings) {
        requirements(node, scopes, findings);
    }
    fields.close(findings);
}

fn batch(node: &Node, _: &Scopes, findings: &mut Findings<'_>) {
    let Some(mut fields) = Fields::open(node, "`batch`", findings) else { return };
    for key in ["requests", "method", "url"] {
        if let Some(node) = fields.require(key, findings) {
            values::pointer(node, findings);
        }
    }
    for key in ["body", "headers"] {
        if let Some(node) = fields.take(key) {
            values::pointer(node, findings);
        }
    }
    fields.close(findings);
}

fn limits(node: &Node, _: &Scopes, findings: &mut Findings<'_>) {
    values::entries(node, findings);
}

/// A mapping of the author's names to requirements.
fn requirements(node: &Node, scopes: &Scopes, findings: &mut Findings<'_>) {
    for entry in values::entries(node, findings).unwrap_or_default() {
        requirement(&entry.value, scopes, findings);
    }
}
