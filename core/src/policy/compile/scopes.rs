//! The gateway scopes of a connector.

use super::requirement::{BareList, alternatives};
use crate::connector::{Risk, ScopeFacts};
use crate::policy::code;
use crate::policy::diagnostic::{Finding, Findings};
use crate::policy::document::{Entry, Fields, Located, Node, values};
use crate::scope::{ProviderScope, Scope};
use indexmap::{IndexMap, IndexSet};

/// The scopes of a connector.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// Those without a mistake.
    pub(super) sound: IndexMap<Scope, ScopeFacts>,
    /// All names, also of those whose mistakes are reported already.
    pub(super) names: IndexSet<String>,
}

impl Scopes {
    /// The scope of that name; a finding where there is none. None without one where its own mistakes are reported.
    pub(super) fn find(&self, name: Located<&str>, findings: &mut Findings<'_>) -> Option<Scope> {
        if let Some((scope, _)) = self.sound.get_key_value(name.value) {
            return Some(scope.clone());
        }
        if !self.names.contains(name.value) {
            findings.add(self.unknown(name, findings));
        }
        None
    }

    fn unknown(&self, name: Located<&str>, findings: &Findings<'_>) -> Finding {
        let help = findings.suggestion(name.value, self.names.iter().map(String::as_str)).unwrap_or_else(|| "declare it under `scopes`".into());
        code::UNKNOWN_SCOPE.at(name.span, format!("this connector has no scope `{}`", name.value)).help(help)
    }
}

/// How the risk of a scope or an operation is said.
pub(super) const RISKS: [(&str, Risk); 3] = [("low", Risk::Low), ("high", Risk::High), ("capability", Risk::Capability)];

/// Reads `scopes:`.
pub(super) fn read(node: Option<&Node>, findings: &mut Findings<'_>) -> Scopes {
    let entries = match node {
        Some(node) if !node.is_null() => values::entries(node, findings).unwrap_or_default(),
        _ => &[],
    };
    let mut scopes = Scopes { sound: IndexMap::new(), names: entries.iter().map(|entry| entry.key.value.clone()).collect() };
    for entry in entries {
        if let Some((scope, facts)) = scope(entry, &scopes.names, findings) {
            scopes.sound.insert(scope, facts);
        }
    }
    scopes
}

fn scope(entry: &Entry, names: &IndexSet<String>, findings: &mut Findings<'_>) -> Option<(Scope, ScopeFacts)> {
    let Entry { key, value } = entry;
    if matches!(key.value.as_str(), "none" | "unknown") {
        findings.add(code::INVALID_NAME.at(key.span, format!("`{}` is a word of the language and names no scope", key.value)));
    }
    let scope: Option<Scope> = values::parsed(Located { value: key.value.as_str(), span: key.span }, findings);
    if value.is_null() {
        let scope = scope?;
        let provider_scopes = own_name(&scope);
        return Some((scope, ScopeFacts { provider_scopes, consent: None, implies: Vec::new(), risk: Risk::Low }));
    }
    let mut fields = Fields::open(value, "a scope", findings)?.named_at(key.span);
    let provider_scopes = match fields.take("provider_scopes") {
        Some(node) => provider_scopes(node, findings),
        None => scope.as_ref().map(own_name),
    };
    let consent = fields.take("consent").and_then(|node| values::filled(node, findings)).map(|text| text.value.to_owned());
    let implies = fields.take("implies").map(|node| implied(node, names, findings)).unwrap_or_default();
    let risk = fields.take("risk").and_then(|node| values::word(node, &RISKS, findings)).unwrap_or_default();
    fields.close(findings);
    Some((scope?, ScopeFacts { provider_scopes: provider_scopes?, consent, implies, risk }))
}

fn own_name(scope: &Scope) -> Vec<Vec<ProviderScope>> {
    // Both kinds of scope have one grammar, RFC 6749 section 3.3.
    scope.as_str().parse().map(|own| vec![vec![own]]).unwrap_or_default()
}

fn provider_scopes(node: &Node, findings: &mut Findings<'_>) -> Option<Vec<Vec<ProviderScope>>> {
    if node.as_text() == Some("none") {
        return Some(vec![Vec::new()]);
    }
    alternatives(node, BareList::All, &mut |name, findings| values::parsed(name, findings), findings)
}

fn implied(node: &Node, names: &IndexSet<String>, findings: &mut Findings<'_>) -> Vec<Scope> {
    let mut implied = Vec::new();
    for name in values::texts(node, findings) {
        if names.contains(name.value) {
            implied.extend(name.value.parse::<Scope>().ok());
        } else {
            let help = findings.suggestion(name.value, names.iter().map(String::as_str));
            findings.add(code::UNKNOWN_SCOPE.at(name.span, format!("this connector has no scope `{}`", name.value)).maybe_help(help));
        }
    }
    implied
}
