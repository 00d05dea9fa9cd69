//! Roles: names found, globs expanded, ancestors joined.

use super::connector::{ConnectorDraft, Connectors};
use super::gather::{Gathered, Named};
use super::glob;
use crate::id::{ConnectorId, OperationId, RoleName};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Fields, Located, Node, Span, values};
use crate::policy::model::{Mode, RoleModel};
use crate::scope::Scope;
use indexmap::{IndexMap, IndexSet};

/// All roles by name, their ancestors included.
pub(super) type Roles = IndexMap<String, RoleModel>;

/// A role as it stands alone.
struct Draft {
    name: RoleName,
    span: Span,
    extends: Vec<Located<String>>,
    allow: IndexMap<ConnectorId, Allowed>,
    deny: IndexMap<ConnectorId, IndexSet<OperationId>>,
    mode: Mode,
}

#[derive(Clone, Debug, Default)]
struct Allowed {
    all: IndexSet<Scope>,
    spelled_out: IndexSet<Scope>,
}

pub(super) fn read_all(gathered: &Gathered, connectors: &Connectors, findings: &mut Findings<'_>) -> Roles {
    let chosen = choose(gathered, findings);
    let drafts: IndexMap<String, Draft> =
        chosen.values().filter_map(|named| Some((named.name.value.clone(), draft(named, gathered, connectors, findings)?))).collect();
    report_cycles(&drafts, findings);
    drafts.values().map(|draft| (draft.name.to_string(), joined(draft, &drafts))).collect()
}

/// Two roles of one name are a finding.
fn choose<'g>(gathered: &'g Gathered, findings: &mut Findings<'_>) -> IndexMap<String, &'g Named> {
    let mut chosen: IndexMap<String, &Named> = IndexMap::new();
    for named in &gathered.roles {
        if let Some(first) = chosen.get(&named.name.value) {
            let place = findings.pointer(first.name.span, named.name.span);
            let message = format!("the role `{}` stands at {place} already", named.name.value);
            findings.add(code::ROLE_TWICE.at(named.name.span, message).help("keep one of them, or let one extend the other"));
        } else {
            chosen.insert(named.name.value.clone(), named);
        }
    }
    chosen
}

fn draft(named: &Named, gathered: &Gathered, connectors: &Connectors, findings: &mut Findings<'_>) -> Option<Draft> {
    let Named { name, node, .. } = named;
    let id: Option<RoleName> = values::parsed(Located { value: name.value.as_str(), span: name.span }, findings);
    let mut fields = Fields::open(node, "a role", findings)?.named_at(name.span);
    let mut reader = Reader { gathered, connectors, findings };
    let extends = fields.take("extends").map(|node| reader.extends(node)).unwrap_or_default();
    let allow = fields.take("allow").map(|node| reader.by_connector(node, Reader::allowed)).unwrap_or_default();
    let deny = fields.take("deny").map(|node| reader.by_connector(node, Reader::denied)).unwrap_or_default();
    let mode = fields.take("mode").and_then(|node| mode(node, findings)).unwrap_or_default();
    fields.close(findings);
    Some(Draft { name: id?, span: name.span, extends, allow, deny, mode })
}

/// Reads `mode:`.
pub(super) fn mode(node: &Node, findings: &mut Findings<'_>) -> Option<Mode> {
    values::word(node, &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)], findings)
}

struct Reader<'r, 's> {
    gathered: &'r Gathered,
    connectors: &'r Connectors,
    findings: &'r mut Findings<'s>,
}

impl Reader<'_, '_> {
    fn extends(&mut self, node: &Node) -> Vec<Located<String>> {
        let mut made = Vec::new();
        for found in values::texts(node, self.findings) {
            if self.gathered.has_role(found.value) {
                made.push(found.map(str::to_owned));
            } else {
                self.findings.extend(self.gathered.unknown_role(found, self.findings));
            }
        }
        made
    }

    fn by_connector<T>(&mut self, node: &Node, read: fn(&mut Self, &Node, &ConnectorDraft) -> T) -> IndexMap<ConnectorId, T> {
        let mut made = IndexMap::new();
        for Entry { key, value } in values::entries(node, self.findings).unwrap_or_default() {
            let connectors = self.connectors;
            match connectors.get(&key.value) {
                Some(draft) => drop(made.insert(draft.connector.id.clone(), read(self, value, draft))),
                None => {
                    let name = Located { value: key.value.as_str(), span: key.span };
                    self.findings.extend(self.gathered.unknown_connector(name, self.findings));
                }
            }
        }
        made
    }

    fn allowed(&mut self, node: &Node, draft: &ConnectorDraft) -> Allowed {
        let mut allowed = Allowed::default();
        let scopes = &draft.connector.scopes;
        for found in values::texts(node, self.findings) {
            if let Some((scope, _)) = scopes.get_key_value(found.value) {
                allowed.all.insert(scope.clone());
                allowed.spelled_out.insert(scope.clone());
            } else if glob::is_glob(found.value) {
                allowed.all.extend(self.reached(found, draft));
            } else if !draft.scope_names.contains(found.value) {
                let help = self.findings.suggestion(found.value, draft.scope_names.iter().map(String::as_str));
                let message = format!("the connector `{}` has no scope `{}`", draft.connector.id, found.value);
                self.findings.add(code::UNKNOWN_SCOPE.at(found.span, message).maybe_help(help));
            }
        }
        allowed
    }

    /// The scopes that a glob reaches. It never reaches what is `risk: capability`, nor a scope that implies such a one.
    fn reached(&mut self, glob: Located<&str>, draft: &ConnectorDraft) -> Vec<Scope> {
        let fits = |name: &str| glob::matches(glob.value, name);
        let (capable, reached): (Vec<Scope>, Vec<Scope>) =
            draft.connector.scopes.keys().filter(|scope| fits(scope.as_str())).cloned().partition(|scope| draft.connector.opens_credentials(scope));
        let faulty = draft.scope_names.iter().any(|name| !draft.connector.scopes.contains_key(name.as_str()) && fits(name));
        if reached.is_empty() && !faulty {
            let help = match capable.first() {
                Some(scope) => format!("a glob never reaches what is `risk: capability`: name `{scope}`"),
                None => "look at the scopes that the connector has".into(),
            };
            let message = format!("`{}` reaches no scope of `{}`", glob.value, draft.connector.id);
            self.findings.add(code::GLOB_REACHES_NOTHING.at(glob.span, message).help(help));
        }
        reached
    }

    fn denied(&mut self, node: &Node, draft: &ConnectorDraft) -> IndexSet<OperationId> {
        let mut denied = IndexSet::new();
        for found in values::texts(node, self.findings) {
            let exact = draft.operation_ids.get(found.value).into_iter();
            let by_glob = draft.operation_ids.iter().filter(|id| glob::is_glob(found.value) && glob::matches(found.value, id));
            let reached: IndexSet<&String> = exact.chain(by_glob).collect();
            denied.extend(reached.iter().filter_map(|id| id.parse::<OperationId>().ok()));
            if !reached.is_empty() {
                continue;
            }
            if glob::is_glob(found.value) {
                let message = format!("`{}` reaches no operation of `{}`", found.value, draft.connector.id);
                self.findings.add(code::GLOB_REACHES_NOTHING.at(found.span, message).help("look at the ids that the connector's operations have"));
            } else {
                let help = self.findings.suggestion(found.value, draft.operation_ids.iter().map(String::as_str));
                let message = format!("the connector `{}` has no operation `{}`", draft.connector.id, found.value);
                self.findings.add(code::UNKNOWN_OPERATION.at(found.span, message).maybe_help(help));
            }
        }
        denied
    }
}

/// Each circle is reported once, at the first of its roles.
fn report_cycles(drafts: &IndexMap<String, Draft>, findings: &mut Findings<'_>) {
    let mut reported: IndexSet<&str> = IndexSet::new();
    for (name, draft) in drafts {
        let ancestors = ancestors(name, drafts);
        if !ancestors.contains(name.as_str()) || reported.contains(name.as_str()) {
            continue;
        }
        let circle: IndexSet<&str> = ancestors.iter().copied().filter(|other| self::ancestors(other, drafts).contains(name.as_str())).collect();
        let others: Vec<String> = circle.iter().filter(|other| **other != name.as_str()).map(|other| format!("`{other}`")).collect();
        let with = if others.is_empty() { "itself".to_owned() } else { format!("itself by way of {}", others.join(", ")) };
        let span = draft.extends.iter().find(|other| circle.contains(other.value.as_str())).map_or(draft.span, |other| other.span);
        findings.add(code::ROLE_CYCLE.at(span, format!("the role `{name}` extends {with}")).help("take one `extends` out"));
        reported.extend(circle);
    }
}

/// Everything that `name` extends, directly or not; itself only in a circle.
fn ancestors<'d>(name: &str, drafts: &'d IndexMap<String, Draft>) -> IndexSet<&'d str> {
    let mut found: IndexSet<&str> = IndexSet::new();
    let mut open: Vec<&str> = parents(name, drafts).collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(parents(next, drafts));
        }
    }
    found
}

fn parents<'d>(name: &str, drafts: &'d IndexMap<String, Draft>) -> impl Iterator<Item = &'d str> {
    drafts.get(name).into_iter().flat_map(|draft| draft.extends.iter().map(|parent| parent.value.as_str()))
}

/// The role with all that its ancestors allow and deny.
fn joined(draft: &Draft, drafts: &IndexMap<String, Draft>) -> RoleModel {
    let name = draft.name.to_string();
    let lineage = std::iter::once(draft).chain(ancestors(&name, drafts).into_iter().filter_map(|ancestor| drafts.get(ancestor)));
    let mut allow: IndexMap<ConnectorId, Allowed> = IndexMap::new();
    let mut deny: IndexMap<ConnectorId, IndexSet<OperationId>> = IndexMap::new();
    for one in lineage {
        for (connector, allowed) in &one.allow {
            let into = allow.entry(connector.clone()).or_default();
            into.all.extend(allowed.all.iter().cloned());
            into.spelled_out.extend(allowed.spelled_out.iter().cloned());
        }
        for (connector, denied) in &one.deny {
            deny.entry(connector.clone()).or_default().extend(denied.iter().cloned());
        }
    }
    RoleModel {
        name: draft.name.clone(),
        spelled_out: allow.iter().map(|(connector, allowed)| (connector.clone(), allowed.spelled_out.iter().cloned().collect())).collect(),
        allow: allow.into_iter().map(|(connector, allowed)| (connector, allowed.all.into_iter().collect())).collect(),
        deny: deny.into_iter().map(|(connector, denied)| (connector, denied.into_iter().collect())).collect(),
        mode: draft.mode,
    }
}
