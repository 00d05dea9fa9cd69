//! Connectors: joined with what they stand on, then read whole.

use super::gather::{Gathered, Named};
use super::merge;
use super::operations::{self, OperationDraft};
use super::scopes;
use super::settings::Overrides;
use super::urls::{self, Purpose};
use super::variables::{self, Variables};
use super::{Origin, headers, later, oauth};
use crate::connector::{Connector, Provenance, RefusalShape, Template};
use crate::id::ConnectorId;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Fields, Located, Node, Span, Value, nearest, values};
use indexmap::IndexMap;

/// All connectors by name, also those with mistakes.
pub(super) type Connectors = IndexMap<String, ConnectorDraft>;

/// A connector that has been read, with places for what later stages report.
#[derive(Debug)]
pub(super) struct ConnectorDraft {
    pub(super) origin: Origin,
    /// The source that says what it was imported from: its operations are not hand-written.
    pub(super) imported: Option<usize>,
    pub(super) connector: Connector,
    /// All names of scopes, also of those with mistakes.
    pub(super) scope_names: Vec<String>,
    pub(super) operations: Vec<OperationDraft>,
    /// All ids, also of operations with mistakes.
    pub(super) operation_ids: Vec<String>,
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
    let facts = facts(&mut fields, id.as_ref(), &variables, findings);
    let known = operations::Known { scopes: &scopes, hosts: &hosts.names };
    let operations = fields.take("operations").map(|node| operations::read(node, &known, findings)).unwrap_or_default();
    fields.close(findings);
    let imported = node.get("source").map(|said| said.span.source);
    let connector = facts.into_connector(id?, hosts.sound, variables, scopes.sound);
    Some(ConnectorDraft { origin, imported, connector, scope_names: scopes.names, operations: operations.drafts, operation_ids: operations.ids })
}

/// What is said of a connector itself.
struct Facts {
    title: Option<String>,
    provider: Option<String>,
    source: Option<Provenance>,
    upstream: Option<Template>,
    oauth: Option<crate::connector::OAuth>,
    inject: crate::connector::Inject,
    headers: Vec<(String, Template)>,
    request_headers: Vec<crate::request::HeaderPattern>,
    refuse_headers: Vec<String>,
    allow_query: Vec<String>,
    case_insensitive_paths: bool,
    scan_answers: bool,
    replay_after_401: bool,
    refusal: Option<RefusalShape>,
}

fn facts(fields: &mut Fields<'_>, id: Option<&ConnectorId>, variables: &Variables, findings: &mut Findings<'_>) -> Facts {
    let text = |node: Option<&Node>, findings: &mut Findings<'_>| Some(values::filled(node?, findings)?.value.to_owned());
    let flag = |node: Option<&Node>, findings: &mut Findings<'_>| values::flag(node?, findings);
    let title = text(fields.take("title"), findings);
    let provider = text(fields.take("provider"), findings);
    let source = fields.take("source").and_then(|node| provenance(node, findings));
    let upstream = fields.require("upstream", findings).and_then(|node| urls::read(node, Purpose::Upstream, variables, findings));
    let oauth = fields.entry("oauth").and_then(|Entry { key, value }| oauth::read(value, key.span, variables, findings));
    let inject = fields.take("inject").and_then(|node| headers::inject(node, findings)).unwrap_or_default();
    let added = fields.take("headers").map(|node| headers::added(node, variables, findings)).unwrap_or_default();
    let request_headers = fields.take("request_headers").map(|node| headers::passing(node, findings)).unwrap_or_default();
    let refuse_headers = fields.take("refuse_headers").map(|node| headers::refused(node, findings)).unwrap_or_default();
    let allow_query = fields.take("allow_query").map(|node| names(node, findings)).unwrap_or_default();
    let case_insensitive_paths = flag(fields.take("case_insensitive_paths"), findings).unwrap_or_default();
    let scan_answers = flag(fields.take("scan_answers"), findings).unwrap_or(true);
    let replay_after_401 = fields.take("replay_after_401").is_some_and(|node| values::word(node, &[("all", ())], findings).is_some());
    let refusal = fields.take("refusal").and_then(|node| refusal(node, findings));
    if let Some(node) = fields.take("mode") {
        later::mode(node, findings);
    }
    Facts {
        title: title.or_else(|| id.map(ToString::to_string)),
        provider: provider.or_else(|| id.map(ToString::to_string)),
        source,
        upstream,
        oauth,
        inject,
        headers: added,
        request_headers,
        refuse_headers,
        allow_query,
        case_insensitive_paths,
        scan_answers,
        replay_after_401,
        refusal,
    }
}

impl Facts {
    /// Where `upstream` has a mistake, the empty template stands in; the set is not made then.
    fn into_connector(
        self,
        id: ConnectorId,
        hosts: IndexMap<String, Template>,
        variables: Variables,
        scopes: IndexMap<crate::scope::Scope, crate::connector::ScopeFacts>,
    ) -> Connector {
        Connector {
            id,
            title: self.title.unwrap_or_default(),
            provider: self.provider.unwrap_or_default(),
            source: self.source,
            upstream: self.upstream.unwrap_or_default(),
            hosts,
            variables: variables.sound,
            oauth: self.oauth,
            scopes,
            inject: self.inject,
            headers: self.headers,
            request_headers: self.request_headers,
            refuse_headers: self.refuse_headers,
            allow_query: self.allow_query,
            case_insensitive_paths: self.case_insensitive_paths,
            scan_answers: self.scan_answers,
            replay_after_401: self.replay_after_401,
            refusal: self.refusal,
        }
    }
}

#[derive(Default)]
struct Hosts {
    sound: IndexMap<String, Template>,
    names: Vec<String>,
}

fn hosts(node: &Node, variables: &Variables, findings: &mut Findings<'_>) -> Hosts {
    let mut hosts = Hosts::default();
    for Entry { key, value } in values::entries(node, findings).unwrap_or_default() {
        hosts.names.push(key.value.clone());
        if let Some(template) = urls::read(value, Purpose::Upstream, variables, findings) {
            hosts.sound.insert(key.value.clone(), template);
        }
    }
    hosts
}

/// Texts that hold something, each once.
pub(super) fn names(node: &Node, findings: &mut Findings<'_>) -> Vec<String> {
    let mut made: Vec<String> = Vec::new();
    for found in values::texts(node, findings) {
        if !made.iter().any(|known| known == found.value) {
            made.push(found.value.to_owned());
        }
    }
    made
}

fn provenance(node: &Node, findings: &mut Findings<'_>) -> Option<Provenance> {
    let mut fields = Fields::open(node, "`source`", findings)?;
    let text = |node: Option<&Node>, findings: &mut Findings<'_>| Some(values::text(node?, findings)?.value.to_owned());
    let kind = text(fields.require("kind", findings), findings);
    let mut optional = |key| text(fields.take(key), findings);
    let (title, version, licence, sha256) = (optional("title"), optional("version"), optional("licence"), optional("sha256"));
    fields.close(findings);
    Some(Provenance { kind: kind?, title, version, licence, sha256 })
}

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

fn refusal(node: &Node, findings: &mut Findings<'_>) -> Option<RefusalShape> {
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
