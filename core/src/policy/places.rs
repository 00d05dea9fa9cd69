//! Where documents say what was decided by: the line of a need, and the line that gives a role a scope.

use super::compile::{Source, glob};
use super::decision::DenialReason;
use super::diagnostic::Findings;
use super::document::{self, Entry, Node, Place, Span, Value};
use super::explain::{Explanation, Verdict};
use super::set::PolicySet;
use crate::id::{ConnectorId, RoleName};
use crate::scope::Scope;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Where the documents say things. Of two documents that say the same thing the later counts.
#[derive(Debug, Default)]
pub struct Places {
    /// By connector and operation: its `require`, or else its id.
    needs: HashMap<(String, String), Place>,
    roles: HashMap<String, RolePlaces>,
}

#[derive(Debug, Default)]
struct RolePlaces {
    extends: Vec<String>,
    /// By connector: scopes and globs.
    allow: HashMap<String, Vec<(String, Place)>>,
}

/// One scope of an alternative, and what comes of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Checked {
    /// The scope.
    pub scope: Scope,
    /// Whether the role holds it.
    pub role: bool,
    /// Whether the customer's grant covers it.
    pub granted: bool,
    /// What gives it to the role, and where that stands: `items:* (policies/shop.yaml:12:30)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a request needs, alternative by alternative, and where that is said.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Needs {
    /// Where the operations say it.
    pub said: Vec<String>,
    /// The alternatives; one of them has to be met wholly.
    pub alternatives: Vec<Vec<Checked>>,
}

impl Places {
    /// Reads where things stand.
    #[must_use]
    pub fn of(sources: &[Source]) -> Self {
        let mut made = Self::default();
        for (number, source) in sources.iter().enumerate() {
            if let Some(root) = document::read(number, &source.text, &mut Findings::new(sources)) {
                made.take(&root, source);
            }
        }
        made
    }

    /// What a decision asked for, and by which lines it is met.
    #[must_use]
    pub fn needs(&self, policies: &PolicySet, role: &RoleName, decided: &Explanation) -> Needs {
        let connector = decided.connector.as_str();
        let ids = decided.operation.iter().flat_map(|ids| ids.split('+'));
        let said = ids.filter_map(|id| Some(format!("{id} ({})", shown(self.needs.get(&(connector.to_owned(), id.to_owned()))?)))).collect();
        let lacks = |scope: &Scope| {
            decided.decision == Verdict::Deny && decided.reason == Some(DenialReason::RoleLacksScope) && decided.missing_scopes.contains(scope)
        };
        let checked = |scope: &Scope| {
            let held = decided.role_scopes.contains(scope) && !lacks(scope);
            let by = self.giver(policies, role, &decided.connector, scope).filter(|_| held);
            Checked { scope: scope.clone(), role: held, granted: decided.granted_scopes.contains(scope), by }
        };
        Needs { said, alternatives: decided.required.iter().map(|all| all.iter().map(checked).collect()).collect() }
    }

    /// The item of `allow` that gives a scope: spelled out before implied before by wildcard, the role's own before its ancestors'.
    fn giver(&self, policies: &PolicySet, role: &RoleName, connector: &ConnectorId, scope: &Scope) -> Option<String> {
        let lineage = self.lineage(role.as_str());
        let items: Vec<(&str, &(String, Place))> = lineage
            .iter()
            .flat_map(|name| self.roles.get(*name)?.allow.get(connector.as_str()).map(|items| (name, items)))
            .flat_map(|(name, items)| items.iter().map(move |item| (*name, item)))
            .collect();
        let facts = policies.connector(connector.as_str())?;
        let implies = |item: &str| {
            let mut open: Vec<&Scope> = facts.scopes.get(item).into_iter().flat_map(|facts| &facts.implies).collect();
            let mut seen = HashSet::new();
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    open.extend(facts.scopes.get(next).into_iter().flat_map(|facts| &facts.implies));
                }
            }
            seen.contains(scope)
        };
        let reached = |item: &str| {
            facts
                .scopes
                .keys()
                .filter(|name| glob::is_glob(item) && glob::matches(item, name.as_str()))
                .any(|name| name == scope || implies(name.as_str()))
        };
        let found = items.iter().find(|(_, (item, _))| item == scope.as_str());
        let found = found.or_else(|| items.iter().find(|(_, (item, _))| implies(item))).or_else(|| items.iter().find(|(_, (item, _))| reached(item)));
        found.map(|(name, (item, place))| {
            let of = if *name == role.as_str() { String::new() } else { format!(" of `{name}`") };
            format!("`{item}`{of} ({})", shown(place))
        })
    }

    /// The role, and all that it extends.
    fn lineage<'p>(&'p self, role: &'p str) -> Vec<&'p str> {
        let mut found: Vec<&str> = Vec::new();
        let mut open = vec![role];
        while let Some(next) = open.pop() {
            if !found.contains(&next) {
                found.push(next);
                open.extend(self.roles.get(next).into_iter().flat_map(|role| role.extends.iter().map(String::as_str)));
            }
        }
        found
    }

    fn take(&mut self, root: &Node, source: &Source) {
        let place = |span: Span| Place { file: source.name.clone(), line: span.line, column: span.column };
        for Entry { key: connector, value } in root.get("connectors").into_iter().flat_map(entries) {
            for operation in value.get("operations").into_iter().flat_map(items) {
                let Some(id) = operation.get("id") else { continue };
                let span = ["require", "soql", "graphql", "batch", "deny"].into_iter().find_map(|key| operation.get(key)).unwrap_or(id).span;
                self.needs.insert((connector.value.clone(), id.as_text().unwrap_or_default().to_owned()), place(span));
            }
        }
        for Entry { key: role, value } in root.get("roles").into_iter().flat_map(entries) {
            let into = self.roles.entry(role.value.clone()).or_default();
            into.extends = value.get("extends").into_iter().flat_map(texts).map(|node| node.as_text().unwrap_or_default().to_owned()).collect();
            for Entry { key: connector, value } in value.get("allow").into_iter().flat_map(entries) {
                let given = texts(value).into_iter().map(|node| (node.as_text().unwrap_or_default().to_owned(), place(node.span)));
                into.allow.insert(connector.value.clone(), given.collect());
            }
        }
    }
}

fn shown(place: &Place) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Refused => &[],
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => &[],
    }
}

/// One text, or those of a list.
fn texts(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::List(items) => items.iter().filter(|item| item.as_text().is_some()).collect(),
        Value::Plain(_) | Value::Quoted(_) => vec![node],
        Value::Map(_) | Value::Refused => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{GrantStanding, Granted, Standing};
    use crate::policy::{Origin, compile, explain};
    use crate::request::Request;
    use std::collections::BTreeMap;

    const SHOP: &str = "version: 1
connectors:
  shop:
    upstream: https://shop.example
    scopes: {a: , b: {implies: [a]}, c: , d: }
    operations:
      - {id: one, match: GET /one, require: {any: [{all: [a, c]}, d]}}
      - {id: two, match: GET /two, require: {all: [a, c]}}
      - {id: none, match: GET /none, require: none}
roles:
  base: {allow: {shop: [b]}}
  reader: {extends: base, allow: {shop: [\"c*\"]}}
  other: {allow: {shop: [c]}}
";

    fn needs(role: &str, target: &str, granted: &str) -> Needs {
        let sources = [Source { name: "p.yaml".into(), text: SHOP.into(), origin: Origin::Own }];
        let policies = compile(&sources, &BTreeMap::new()).policies.unwrap();
        let (role, shop) = (role.parse::<RoleName>().unwrap(), "shop".parse().unwrap());
        let granted = Granted::Scopes(granted.split_whitespace().map(|scope| scope.parse().unwrap()).collect());
        let decided = explain(
            &policies,
            &shop,
            &Standing { role: &role, grant: GrantStanding::Live(&granted) },
            &Request::read("GET", target, &[], None).unwrap(),
        );
        Places::of(&sources).needs(&policies, &role, &decided)
    }

    fn lines(needs: &Needs) -> Vec<String> {
        let one = |checked: &Checked| format!("{} {} {} {}", checked.scope, checked.role, checked.granted, checked.by.as_deref().unwrap_or("-"));
        needs.alternatives.iter().map(|all| all.iter().map(one).collect::<Vec<_>>().join(", ")).collect()
    }

    #[test]
    fn each_scope_is_met_by_a_line_or_not_at_all() {
        let met = needs("reader", "/one", "a b");
        assert_eq!(met.said, ["one (p.yaml:7:45)"]);
        assert_eq!(lines(&met), ["a true true `b` of `base` (p.yaml:11:25), c true false `c*` (p.yaml:12:42)", "d false false -"]);
        assert_eq!(lines(&needs("other", "/two", "c")), ["a false false -, c true true `c` (p.yaml:13:26)"]);
        assert_eq!(needs("reader", "/none", "").alternatives, [[]; 0]);
    }
}
