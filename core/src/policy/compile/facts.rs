//! What is said of a connector itself.

use super::urls::{self, Purpose};
use super::variables::Variables;
use super::{headers, oauth, refusal, roles};
use crate::connector::{Address, Connector, Inject, OAuth, Provenance, RefusalShape, ScopeFacts, Template};
use crate::id::ConnectorId;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Fields, Node, values};
use crate::policy::model::Mode;
use crate::request::HeaderPattern;
use crate::scope::Scope;
use indexmap::IndexMap;

/// What is said of a connector itself.
pub(super) struct Facts {
    title: Option<String>,
    provider: Option<String>,
    source: Option<Provenance>,
    upstream: Option<Template>,
    oauth: Option<OAuth>,
    inject: Inject,
    headers: Vec<(String, Template)>,
    request_headers: Vec<HeaderPattern>,
    refuse_headers: Vec<String>,
    allow_query: Vec<String>,
    case_insensitive_paths: bool,
    scan_answers: bool,
    replay_after_401: bool,
    refusal: Option<RefusalShape>,
    pub(super) mode: Mode,
}

pub(super) fn read(fields: &mut Fields<'_>, id: Option<&ConnectorId>, variables: &Variables, findings: &mut Findings<'_>) -> Facts {
    let text = |node: Option<&Node>, findings: &mut Findings<'_>| Some(values::filled(node?, findings)?.value.to_owned());
    let flag = |node: Option<&Node>, findings: &mut Findings<'_>| values::flag(node?, findings);
    let title = text(fields.take("title"), findings);
    let provider = text(fields.take("provider"), findings);
    let source = fields.take("source").and_then(|node| provenance(node, findings));
    let upstream = fields.require("upstream", findings).and_then(|node| urls::read(node, Purpose::Upstream, variables, findings));
    let oauth = fields.entry("oauth").and_then(|Entry { key, value }| oauth::read(value, key.span, variables, findings));
    let inject = fields.take("inject").and_then(|node| headers::inject(node, findings)).unwrap_or_default();
    let added = fields.take("headers").map(|node| headers::added(node, &inject, variables, findings)).unwrap_or_default();
    let request_headers = fields.take("request_headers").map(|node| headers::passing(node, findings)).unwrap_or_default();
    let refuse_headers = fields.take("refuse_headers").map(|node| headers::refused(node, findings)).unwrap_or_default();
    let allow_query = fields.take("allow_query").map(|node| names(node, findings)).unwrap_or_default();
    let case_insensitive_paths = flag(fields.take("case_insensitive_paths"), findings).unwrap_or_default();
    let scan_answers = flag(fields.take("scan_answers"), findings).unwrap_or(true);
    let replay_after_401 = fields.take("replay_after_401").is_some_and(|node| values::word(node, &[("all", ())], findings).is_some());
    let refusal = fields.take("refusal").and_then(|node| refusal::read(node, findings));
    let mode = fields.take("mode").and_then(|node| roles::mode(node, findings)).unwrap_or_default();
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
        mode,
    }
}

impl Facts {
    /// Where `upstream` has a mistake, the empty template stands in; the set is not made then.
    pub(super) fn into_connector(
        self,
        id: ConnectorId,
        hosts: IndexMap<String, Address>,
        variables: Variables,
        scopes: IndexMap<Scope, ScopeFacts>,
    ) -> Connector {
        Connector {
            id,
            title: self.title.unwrap_or_default(),
            provider: self.provider.unwrap_or_default(),
            source: self.source,
            upstream: self.upstream.unwrap_or_default().into(),
            hosts,
            variables: variables.sound,
            oauth: self.oauth,
            scopes,
            inject: self.inject.into(),
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
