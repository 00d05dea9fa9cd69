//! What roles reach, and what nobody does: looked at when everything is right so far, on the compiled set.
//!
//! Only the platform team's own documents are looked at, and of imported ones only roles: a description has more than
//! anybody allows.

use super::connector::Connectors;
use super::gather::{Gathered, Named};
use super::{Origin, glob};
use crate::connector::Risk;
use crate::id::{ConnectorId, RoleName};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Located, Node, Span, Value};
use crate::policy::operation::Need;
use crate::policy::role::Ceiling;
use crate::policy::rules::{Rule, Rules};
use crate::policy::set::PolicySet;
use crate::scope::ScopeSet;
use std::collections::BTreeSet;

/// Where operations of hand-written connectors stand.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(ConnectorId, Vec<Span>)>);

impl Places {
    /// Each match of each operation, in the order in which the set has them.
    pub(super) fn of(connectors: &Connectors) -> Self {
        let own = connectors.values().filter(|draft| draft.origin == Origin::Own && draft.imported.is_none());
        Self(own.map(|draft| (draft.connector.id.clone(), draft.operations.iter().map(|operation| operation.span).collect())).collect())
    }
}

/// Looks at everything.
pub(super) fn lint(policies: &PolicySet, gathered: &Gathered, places: &Places, findings: &mut Findings<'_>) {
    for (connector, spans) in &places.0 {
        let Some(rules) = policies.rules(connector).filter(|rules| !rules.ceilings.is_empty()) else { continue };
        scopes_of_nobody(rules, gathered, findings);
        operations_of_nobody(rules, spans, findings);
    }
    for role in &gathered.roles {
        idle_role(policies, role, gathered, findings);
        for (rules, items) in allowed(policies, role) {
            shadowed(rules, role, &items, findings);
            wildcards(rules, role, &items, findings);
        }
    }
}

/// What a role's own `allow` says, by connector.
fn allowed<'p>(policies: &'p PolicySet, role: &'p Named) -> Vec<(&'p Rules, Vec<Located<&'p str>>)> {
    let entries = match role.node.get("allow").map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    let rules = |entry: &'p Entry| Some((policies.rules(&entry.key.value.parse().ok()?)?, texts(&entry.value)));
    entries.iter().filter_map(rules).collect()
}

fn texts(node: &Node) -> Vec<Located<&str>> {
    let text = |node: &'_ Node| node.as_text().map(|_| node.span);
    let all: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => vec![node],
    };
    all.into_iter().filter_map(|node| Some(Located { span: text(node)?, value: node.as_text()? })).collect()
}

impl Rules {
    /// Whether a ceiling is enough for an operation, whatever it denies.
    fn holds(&self, ceiling: &Ceiling, rule: &Rule) -> bool {
        rule.requirement.is_met_by(ceiling.held_for(std::iter::once(&*rule.operation)))
    }

    /// Whether a role can do an operation.
    fn can_do(&self, ceiling: &Ceiling, rule: &Rule) -> bool {
        !ceiling.denies(&rule.operation.id) && matches!(rule.operation.need, Need::Scopes(_)) && self.holds(ceiling, rule)
    }

    /// The scopes that an item of `allow` brings, implied ones included.
    fn brought(&self, item: &str) -> ScopeSet {
        let names = self.scopes.table().names();
        let named: Vec<_> = names.iter().filter(|name| name.as_str() == item || glob::matches(item, name.as_str())).cloned().collect();
        self.scopes.closed(&named)
    }
}

/// A scope that no role allows at a connector that some role may use.
fn scopes_of_nobody(rules: &Rules, gathered: &Gathered, findings: &mut Findings<'_>) {
    let held = rules.ceilings.values().fold(ScopeSet::default(), |held, ceiling| held.union(ceiling.allowed()));
    let named = gathered.connectors.iter().filter(|named| named.origin == Origin::Own && named.name.value == rules.connector.id.as_str());
    for entry in named.filter_map(|named| named.node.get("scopes")).flat_map(entries) {
        let is_held = rules.scopes.table().number(&entry.key.value).is_none_or(|number| held.contains(number));
        if !is_held {
            let message = format!("no role allows `{}`", entry.key.value);
            findings.add(code::NEVER_ALLOWED.at(entry.key.span, message).help("allow it to a role, or take it out"));
        }
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Refused => &[],
    }
}

/// An operation each of whose scopes is allowed to some role, and all that it needs to none. Once for each operation.
fn operations_of_nobody(rules: &Rules, spans: &[Span], findings: &mut Findings<'_>) {
    let held = rules.ceilings.values().fold(ScopeSet::default(), |held, ceiling| held.union(ceiling.allowed()));
    let mut told = BTreeSet::new();
    for (rule, span) in rules.rules.iter().zip(spans) {
        let is_known = matches!(rule.operation.need, Need::Scopes(_)) && rule.requirement.alternatives().iter().any(|all| all.is_subset(&held));
        if !is_known || rules.ceilings.values().any(|ceiling| rules.can_do(ceiling, rule)) || !told.insert(&rule.operation.id) {
            continue;
        }
        // Where a wildcard would do, that is told at the wildcard.
        if rule.operation.risk == Risk::Capability && rules.ceilings.values().any(|ceiling| rule.requirement.is_met_by(ceiling.allowed())) {
            continue;
        }
        let denied = rules.ceilings.values().any(|ceiling| rules.holds(ceiling, rule));
        let why = if denied { "whoever holds what it needs has it in `deny`" } else { "no role holds all that one of its alternatives needs" };
        findings.add(code::UNREACHABLE.at(*span, format!("no role can do `{}`: {why}", rule.operation.id)));
    }
}

/// A role that can do nothing, unless it is there for others to extend.
fn idle_role(policies: &PolicySet, role: &Named, gathered: &Gathered, findings: &mut Findings<'_>) {
    let name = role.name.value.as_str();
    let Ok(id) = name.parse::<RoleName>() else { return };
    let extends = |other: &Named| other.node.get("extends").is_some_and(|node| texts(node).iter().any(|text| text.value == name));
    let does = |rules: &Rules| {
        let Some(ceiling) = rules.ceilings.get(&id) else { return false };
        rules.shadowed.contains(&id) || rules.rules.iter().any(|rule| rules.can_do(ceiling, rule))
    };
    let all = policies.connectors().filter_map(|connector| policies.rules(&connector.id));
    if !all.into_iter().any(does) && !gathered.roles.iter().any(extends) {
        let help = "allow it a scope that some operation needs, or take it out";
        findings.add(code::IDLE_ROLE.at(role.name.span, format!("the role `{name}` can do nothing")).help(help));
    }
}

/// A scope of which `deny` leaves nothing.
fn shadowed(rules: &Rules, role: &Named, items: &[Located<&str>], findings: &mut Findings<'_>) {
    let Some(ceiling) = role.name.value.parse::<RoleName>().ok().and_then(|id| rules.ceilings.get(&id)).filter(|ceiling| ceiling.denies_any()) else {
        return;
    };
    for item in items {
        let brought = rules.brought(item.value);
        let opens = |rule: &&Rule| {
            let by_it = |all: &ScopeSet| !all.intersection(&brought).is_empty() && all.is_subset(ceiling.allowed());
            matches!(rule.operation.need, Need::Scopes(_)) && rule.requirement.alternatives().iter().any(by_it)
        };
        let mut opened = rules.rules.iter().filter(opens).peekable();
        if opened.peek().is_some() && opened.all(|rule| ceiling.denies(&rule.operation.id)) {
            let message = format!("everything that `{}` opens to `{}` is refused by `deny`", item.value, role.name.value);
            findings.add(code::SHADOWED.at(item.span, message).help("take it out of `allow`, or the operations out of `deny`"));
        }
    }
}

/// A wildcard that holds what an operation needs whose answers carry credentials.
fn wildcards(rules: &Rules, role: &Named, items: &[Located<&str>], findings: &mut Findings<'_>) {
    let Some(ceiling) = role.name.value.parse::<RoleName>().ok().and_then(|id| rules.ceilings.get(&id)) else { return };
    for item in items.iter().filter(|item| glob::is_glob(item.value)) {
        let brought = rules.brought(item.value);
        let missed = |rule: &&Rule| {
            let by_it = |all: &ScopeSet| !all.intersection(&brought).is_empty() && all.is_subset(ceiling.allowed());
            let would = rule.operation.risk == Risk::Capability && rule.requirement.alternatives().iter().any(by_it);
            would && !rules.holds(ceiling, rule) && !ceiling.denies(&rule.operation.id)
        };
        let mut all = rules.rules.iter().filter(missed).map(|rule| &rule.operation.id).collect::<BTreeSet<_>>().into_iter();
        let Some(first) = all.next() else { continue };
        let more = match all.count() {
            0 => String::new(),
            count => format!(" and {count} more operations"),
        };
        let message = format!("`{}` holds what `{first}`{more} needs, and no wildcard reaches what is `risk: capability`", item.value);
        findings.add(
            code::WILDCARD_TO_CAPABILITY.at(item.span, message).help("name the scope where the role shall do it; narrow the wildcard where not"),
        );
    }
}
