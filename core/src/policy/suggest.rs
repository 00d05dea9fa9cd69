//! The least scopes that each role really used, as new texts of the documents.
//!
//! What was used is told by what each allowed request needed. Of alternatives the one is kept that adds
//! fewest scopes; of a scope that only came along with a stronger one, the weaker is named.

use super::compile::{Source, glob};
use super::diagnostic::Findings;
use super::document::{self, Entry, Node, Place, Value, in_flow};
use super::rules::Rules;
use super::set::PolicySet;
use crate::id::{ConnectorId, RoleName};
use crate::scope::{Scope, ScopeSet};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What somebody did, and what that needed then.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Use {
    /// Who.
    pub role: RoleName,
    /// Where.
    pub connector: ConnectorId,
    /// All alternatives; none: nothing was needed.
    pub required: Vec<Vec<Scope>>,
}

/// A role's scopes at a connector that are more than was used.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Suggestion {
    /// The role.
    pub role: RoleName,
    /// The connector.
    pub connector: ConnectorId,
    /// What its `allow` says.
    pub allowed: Vec<String>,
    /// What would do.
    pub suggested: Vec<Scope>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// What would do, and the documents that say so.
#[derive(Clone, Debug, Default)]
pub struct Suggested {
    /// Each `allow` that says more than was used.
    pub suggestions: Vec<Suggestion>,
    /// Documents that change: the number of the source, and its new text.
    pub texts: Vec<(usize, String)>,
}

/// What would have been enough for `uses`. `sources` are those that `policies` was compiled from.
#[must_use]
pub fn suggest(policies: &PolicySet, sources: &[Source], uses: &BTreeSet<Use>) -> Suggested {
    let roles = roles(sources);
    let mut made = Suggested::default();
    let mut edits: BTreeMap<usize, Vec<(usize, usize, String)>> = BTreeMap::new();
    let connectors: BTreeSet<&ConnectorId> = roles.values().flat_map(|role| role.allow.keys()).collect();
    for connector in connectors {
        let Some(rules) = policies.rules(connector) else { continue };
        let least = Least { rules, connector, roles: &roles, uses };
        for (name, suggested) in least.all() {
            let Some(said) = roles.get(name).and_then(|role| role.allow.get(connector)) else { continue };
            let list = format!(": [{}]", suggested.iter().map(|scope| in_flow(scope.as_str())).collect::<Vec<_>>().join(", "));
            edits.entry(said.source).or_default().push((said.start, said.end, list));
            made.suggestions.push(Suggestion {
                role: name.clone(),
                connector: connector.clone(),
                allowed: said.items.clone(),
                suggested,
                place: said.place.clone(),
            });
        }
    }
    made.suggestions.sort_by(|left, right| (&left.role, &left.connector).cmp(&(&right.role, &right.connector)));
    made.texts = edits.into_iter().filter_map(|(source, edits)| Some((source, edited(&sources.get(source)?.text, edits)?))).collect();
    made
}

/// A role as it stands in a document.
#[derive(Debug, Default)]
struct Role {
    extends: Vec<String>,
    allow: IndexMap<ConnectorId, Said>,
}

/// An entry of `allow`.
#[derive(Debug)]
struct Said {
    items: Vec<String>,
    source: usize,
    /// Behind the connector's name, and behind the value.
    start: usize,
    end: usize,
    place: Place,
}

/// The least scopes at one connector.
struct Least<'a> {
    rules: &'a Rules,
    connector: &'a ConnectorId,
    roles: &'a IndexMap<RoleName, Role>,
    uses: &'a BTreeSet<Use>,
}

impl Least<'_> {
    /// For each role with an `allow` that says more than was used: what would do, ancestors first.
    fn all(&self) -> Vec<(&RoleName, Vec<Scope>)> {
        let demanded: IndexMap<&RoleName, ScopeSet> = self.roles.keys().map(|role| (role, self.demanded(role))).collect();
        let mut kept: IndexMap<&RoleName, ScopeSet> = IndexMap::new();
        let mut made = Vec::new();
        for name in self.ancestors_first() {
            let Some(said) = self.roles.get(name).and_then(|role| role.allow.get(self.connector)) else { continue };
            let own = self.brought(&said.items);
            let inherited =
                self.lineage(name).iter().skip(1).filter_map(|ancestor| kept.get(ancestor)).fold(ScopeSet::default(), |all, one| all.union(one));
            let here = self.roles.keys().filter(|other| self.lineage(other).contains(&name)).filter_map(|other| demanded.get(other));
            let wanted = here.fold(ScopeSet::default(), |all, one| all.union(one)).intersection(&own).difference(&inherited);
            let named = self.without_implied(&wanted);
            let closed = self.closed(&named);
            kept.insert(name, closed.union(&inherited));
            if !own.is_subset(&closed) {
                made.push((name, self.rules.scopes.sorted(&named)));
            }
        }
        made
    }

    /// A set of scopes of the role, as small as may be, that would have been enough for all that it did.
    fn demanded(&self, role: &RoleName) -> ScopeSet {
        let items: Vec<String> = self
            .lineage(role)
            .iter()
            .filter_map(|name| self.roles.get(*name)?.allow.get(self.connector))
            .flat_map(|said| said.items.clone())
            .collect();
        let held = self.brought(&items);
        let used = self.uses.iter().filter(|used| used.role == *role && used.connector == *self.connector && !used.required.is_empty());
        let mut needs: Vec<Vec<ScopeSet>> = used.map(|used| self.alternatives(&used.required, &held)).filter(|all| !all.is_empty()).collect();
        // What has no choice is settled first.
        needs.sort_by_key(Vec::len);
        let mut chosen = ScopeSet::default();
        for need in &needs {
            let closed = self.closed(&chosen);
            let cheapest = need.iter().min_by_key(|all| (all.difference(&closed).len(), self.weight(all)));
            chosen = cheapest.map_or(chosen.clone(), |all| chosen.union(all));
        }
        let met = |set: &ScopeSet| {
            let closed = self.closed(set);
            needs.iter().all(|need| need.iter().any(|all| all.is_subset(&closed)))
        };
        let mut strongest_first: Vec<usize> = chosen.iter().collect();
        strongest_first.sort_by_key(|scope| std::cmp::Reverse(self.weight(&std::iter::once(*scope).collect())));
        for scope in strongest_first {
            let without = chosen.difference(&std::iter::once(scope).collect());
            if met(&without) {
                chosen = without;
            }
        }
        chosen
    }

    /// The alternatives that lie in what the role holds.
    fn alternatives(&self, required: &[Vec<Scope>], held: &ScopeSet) -> Vec<ScopeSet> {
        let numbers = |all: &Vec<Scope>| all.iter().map(|scope| self.rules.scopes.table().number(scope.as_str())).collect::<Option<ScopeSet>>();
        required.iter().filter_map(numbers).filter(|all| all.is_subset(held)).collect()
    }

    /// How much comes with these.
    fn weight(&self, set: &ScopeSet) -> usize {
        self.closed(set).len()
    }

    fn closed(&self, set: &ScopeSet) -> ScopeSet {
        self.rules.scopes.closed(&self.rules.scopes.table().named(set))
    }

    /// Without scopes that another of them brings.
    fn without_implied(&self, set: &ScopeSet) -> ScopeSet {
        let mut kept = set.clone();
        for scope in set.iter() {
            let without = kept.difference(&std::iter::once(scope).collect());
            if self.closed(&without).contains(scope) {
                kept = without;
            }
        }
        kept
    }

    /// What items of `allow` bring.
    fn brought(&self, items: &[String]) -> ScopeSet {
        let names = self.rules.scopes.table().names();
        let is_meant = |name: &&Scope| items.iter().any(|item| item == name.as_str() || glob::is_glob(item) && glob::matches(item, name.as_str()));
        self.rules.scopes.closed(&names.iter().filter(is_meant).cloned().collect::<Vec<_>>())
    }

    /// The role, and all that it extends.
    fn lineage<'r>(&'r self, role: &'r RoleName) -> Vec<&'r RoleName> {
        let mut found: Vec<&RoleName> = Vec::new();
        let mut open = vec![role];
        while let Some(next) = open.pop() {
            if !found.contains(&next) {
                found.push(next);
                let parents = self.roles.get(next).into_iter().flat_map(|role| &role.extends);
                open.extend(parents.filter_map(|name| self.roles.get_key_value(name.as_str()).map(|(name, _)| name)));
            }
        }
        found
    }

    fn ancestors_first(&self) -> Vec<&RoleName> {
        let mut names: Vec<&RoleName> = self.roles.keys().collect();
        names.sort_by_key(|name| (self.lineage(name).len(), *name));
        names
    }
}

/// The roles of the platform team's documents.
fn roles(sources: &[Source]) -> IndexMap<RoleName, Role> {
    let mut made = IndexMap::new();
    for (number, source) in sources.iter().enumerate().filter(|(_, source)| source.origin == super::Origin::Own) {
        let root = document::read(number, &source.text, &mut Findings::new(sources));
        for Entry { key, value } in root.as_ref().and_then(|root| root.get("roles")).into_iter().flat_map(entries) {
            let Ok(name) = key.value.parse::<RoleName>() else { continue };
            let allow = value.get("allow").into_iter().flat_map(entries).filter_map(|entry| said(entry, number, source));
            made.insert(name, Role { extends: value.get("extends").map(texts).unwrap_or_default(), allow: allow.collect() });
        }
    }
    made
}

fn said(entry: &Entry, number: usize, source: &Source) -> Option<(ConnectorId, Said)> {
    let Entry { key, value } = entry;
    let start = key.span.end;
    // Where nothing stands, the value has the place of its key.
    let end = value.span.end.max(source.text.get(start..)?.find(':').map_or(start, |colon| start + colon + 1));
    let end = start + source.text.get(start..end)?.trim_end().len();
    let place = Place { file: source.name.clone(), line: key.span.line, column: key.span.column };
    Some((key.value.parse().ok()?, Said { items: texts(value), source: number, start, end, place }))
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Refused => &[],
    }
}

fn texts(node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
        Value::Plain(_) | Value::Quoted(_) => node.as_text().map(str::to_owned).into_iter().collect(),
        Value::Map(_) | Value::Refused => Vec::new(),
    }
}

/// A text with other pieces, each from a byte to a byte.
fn edited(text: &str, mut edits: Vec<(usize, usize, String)>) -> Option<String> {
    edits.sort();
    let mut made = String::new();
    let mut at = 0;
    for (start, end, piece) in edits {
        made.push_str(text.get(at..start)?);
        made.push_str(&piece);
        at = end;
    }
    made.push_str(text.get(at..)?);
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Origin, compile};

    const SHOP: &str = "version: 1
connectors:
  shop:
    upstream: https://shop.example
    scopes: {r: , w: {implies: [r]}, x: , y: , z: }
    operations: []
roles:
  base: {allow: {shop: [w, z]}}   # all of it
  reader:
    extends: base
    allow:
      shop:
        - \"x*\"
        - y
  idle: {allow: {shop: [x]}}
";

    fn suggested(uses: &[(&str, &[&[&str]])]) -> (Vec<String>, String) {
        let sources = [Source { name: "p.yaml".into(), text: SHOP.into(), origin: Origin::Own }];
        let policies = compile(&sources, &BTreeMap::new()).policies.unwrap();
        let scopes = |all: &&[&str]| all.iter().map(|name| name.parse().unwrap()).collect();
        let used = uses.iter().map(|(role, required)| Use {
            role: role.parse().unwrap(),
            connector: "shop".parse().unwrap(),
            required: required.iter().map(scopes).collect(),
        });
        let made = suggest(&policies, &sources, &used.collect());
        let line =
            |one: &Suggestion| format!("{} {}: {}", one.place.line, one.role, one.suggested.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "));
        let text = made.texts.into_iter().map(|(_, text)| text).next().unwrap_or_else(|| SHOP.to_owned());
        assert!(compile(&[Source { text: text.clone(), ..sources[0].clone() }], &BTreeMap::new()).policies.is_some(), "{text}");
        (made.suggestions.iter().map(line).collect(), text)
    }

    #[test]
    fn what_was_used_is_enough_and_no_more_is_kept() {
        for (uses, expected) in [
            (&[("base", &[&["w"][..]][..]), ("base", &[&["z"]]), ("reader", &[&["x"]]), ("reader", &[&["y"]]), ("idle", &[&["x"]])][..], &[][..]),
            (&[("base", &[&["r"]]), ("idle", &[&["x"]])], &["8 base: r", "12 reader: "]),
            (&[("reader", &[&["w"]]), ("reader", &[&["x"]]), ("idle", &[&["x"]])], &["8 base: w", "12 reader: x"]),
        ] {
            assert_eq!(suggested(uses).0, expected, "{uses:?}");
        }
    }

    #[test]
    fn of_alternatives_the_one_that_adds_least_is_kept() {
        let (made, text) = suggested(&[("reader", &[&["z", "x"], &["y"]]), ("reader", &[&["y"]]), ("idle", &[])]);
        assert_eq!(made, ["8 base: ", "15 idle: ", "12 reader: y"]);
        assert_eq!(
            text.split("roles:\n").nth(1).unwrap(),
            "  base: {allow: {shop: []}}   # all of it\n  reader:\n    extends: base\n    allow:\n      shop: [\"y\"]\n  idle: {allow: {shop: []}}\n"
        );
    }

    #[test]
    fn what_the_role_could_not_have_used_says_nothing() {
        assert_eq!(suggested(&[("idle", &[&["w"], &["gone"]])]).0, ["8 base: ", "15 idle: ", "12 reader: "]);
    }
}
