//! Connectors: joined with what they stand on, then read whole.

use super::gather::{Gathered, Named};
use super::merge;
use super::names::Names;
use super::operations::{self, OperationDraft};
use super::scopes;
use super::settings::Overrides;
use super::urls::{self, Purpose};
use super::variables::{self, Variables};
use super::{Origin, facts, oauth};
use crate::connector::{Address, Connector};
use crate::id::ConnectorId;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Fields, Located, Node, Value, nearest, values};
use crate::policy::model::Mode;
use indexmap::{IndexMap, IndexSet};

/// All connectors by name, also those with mistakes.
pub(super) type Connectors = IndexMap<String, ConnectorDraft>;

/// A connector that has been read, with places for what later stages report.
#[derive(Debug)]
pub(super) struct ConnectorDraft {
    pub(super) origin: Origin,
    /// The source that says what it was imported from: its operations are not hand-written.
    pub(super) imported: Option<usize>,
    pub(super) connector: Connector,
    pub(super) mode: Mode,
    /// All names of scopes, also of those with mistakes.
    pub(super) scope_names: IndexSet<String>,
    pub(super) operations: Vec<OperationDraft>,
    /// All ids, also of operations with mistakes.
    pub(super) operation_ids: IndexSet<String>,
}

pub(super) fn read_all(gathered: &Gathered, overrides: Overrides, findings: &mut Findings<'_>) -> Connectors {
    let own = unique(gathered, Origin::Own, findings);
    let shipped = unique(gathered, Origin::Catalog, findings);
    let mut chosen: IndexMap<String, Named> = own.iter().map(|(name, named)| (name.clone(), based((*named).clone(), &shipped, findings))).collect();
    for (name, named) in shipped {
        chosen.entry(name).or_insert_with(|| named.clone());
    }
    for (id, tree) in overrides {
        match chosen.get_mut(id.as_str()) {
            Some(named) => named.node = overridden(&named.node, &tree, findings),
            None => {
                let help = nearest(id.as_str(), chosen.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                findings.add(
                    code::OVERRIDE_UNUSED.at(tree.span, format!("no document has a connector `{id}`, so this replaces nothing")).maybe_help(help),
                );
            }
        }
    }
    chosen.into_iter().filter_map(|(name, named)| Some((name, draft(named, findings)?))).collect()
}

/// The connectors of one origin by name; one that stands twice is a finding.
fn unique<'g>(gathered: &'g Gathered, origin: Origin, findings: &mut Findings<'_>) -> IndexMap<String, &'g Named> {
    let mut found: IndexMap<String, &Named> = IndexMap::new();
    for named in gathered.connectors.iter().filter(|named| named.origin == origin) {
        if let Some(first) = found.get(&named.name.value) {
            let place = findings.pointer(first.name.span, named.name.span);
            let message = format!("the connector `{}` stands at {place} already", named.name.value);
            findings.add(code::CONNECTOR_TWICE.at(named.name.span, message).help("keep one of them, or join them"));
        } else {
            found.insert(named.name.value.clone(), named);
        }
    }
    found
}

/// An own connector, over the shipped one where it says `base: catalog`.
fn based(own: Named, shipped: &IndexMap<String, &Named>, findings: &mut Findings<'_>) -> Named {
    let Some(base) = own.node.get("base") else { return own };
    if values::word(base, &[("catalog", ())], findings).is_none() {
        return Named { node: merge::without_base(&own.node), ..own };
    }
    let node = merge::without_base(&own.node);
    match shipped.get(&own.name.value) {
        Some(named) => Named { node: merge::over(&named.node, &node), ..own },
        None => {
            let help = nearest(&own.name.value, shipped.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            findings.add(code::NO_BASE.at(base.span, format!("the catalog has no connector `{}`", own.name.value)).maybe_help(help));
            Named { node, ..own }
        }
    }
}

/// The settings over a connector. What it does not have cannot be replaced: settings add no OAuth and no hosts.
fn overridden(node: &Node, tree: &Node, findings: &mut Findings<'_>) -> Node {
    let mut tree = tree.clone();
    if let Value::Map(sections) = &mut tree.value {
        sections.retain_mut(|section| {
            let known = node.get(&section.key.value);
            if section.key.value == "hosts" {
                if let Value::Map(hosts) = &mut section.value.value {
                    hosts.retain(|host| replaces(known.and_then(|hosts| hosts.get(&host.key.value)), "host of that name", &host.key, findings));
                }
                return known.is_some();
            }
            section.key.value != "oauth" || replaces(known, "`oauth`", &section.key, findings)
        });
    }
    merge::over(node, &tree)
}

fn replaces(known: Option<&Node>, what: &str, key: &Located<String>, findings: &mut Findings<'_>) -> bool {
    if known.is_none() {
        findings.add(code::OVERRIDE_UNUSED.at(key.span, format!("this connector has no {what}, so this replaces nothing")));
    }
    known.is_some()
}

fn draft(named: Named, findings: &mut Findings<'_>) -> Option<ConnectorDraft> {
    let Named { name, node, origin } = named;
    let id: Option<ConnectorId> = values::parsed(Located { value: name.value.as_str(), span: name.span }, findings);
    let mut fields = Fields::open(&node, "a connector", findings)?.named_at(name.span);
    let variables = variables::read(fields.take("variables"), oauth::lookup_pointer(&node), findings);
    let scopes = scopes::read(fields.take("scopes"), findings);
    let hosts = fields.take("hosts").map(|node| hosts(node, &variables, findings)).unwrap_or_default();
    let facts = facts::read(&mut fields, id.as_ref(), &variables, findings);
    let names = fields.take("names").map(|node| Names::read(node, findings)).unwrap_or_default();
    let known = operations::Known { scopes: &scopes, hosts: &hosts.names, names: &names };
    let operations = fields.take("operations").map(|node| operations::read(node, &known, findings)).unwrap_or_default();
    fields.close(findings);
    let imported = node.get("source").map(|said| said.span.source);
    let mode = facts.mode;
    let connector = facts.into_connector(id?, hosts.sound, variables, scopes.sound);
    let (scope_names, operations, operation_ids) = (scopes.names, operations.drafts, operations.ids);
    Some(ConnectorDraft { origin, imported, connector, mode, scope_names, operations, operation_ids })
}

#[derive(Default)]
struct Hosts {
    sound: IndexMap<String, Address>,
    names: Vec<String>,
}

fn hosts(node: &Node, variables: &Variables, findings: &mut Findings<'_>) -> Hosts {
    let mut hosts = Hosts::default();
    for Entry { key, value } in values::entries(node, findings).unwrap_or_default() {
        hosts.names.push(key.value.clone());
        if let Some(template) = urls::read(value, Purpose::Upstream, variables, findings) {
            hosts.sound.insert(key.value.clone(), template.into());
        }
    }
    hosts
}
