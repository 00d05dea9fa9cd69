//! Models for tests, written shortly.

use super::decision::Ruling;
use super::limits::Limits;
use super::model::{ConnectorModel, Mode, Model, RoleModel};
use super::operation::{Narrow, Need, Operation};
use super::set::{PolicySet, judge};
use super::template::PathTemplate;
use crate::account::{GrantStanding, Granted, Standing};
use crate::connector::{Connector, Inject, Risk, ScopeFacts, Template};
use crate::request::Request;
use crate::scope::{ProviderScope, Scope};
use bytes::Bytes;
use indexmap::IndexMap;
use proptest::prelude::*;
use std::sync::Arc;

pub(super) fn scopes(names: &str) -> Vec<Scope> {
    names.split_whitespace().map(|name| name.parse().unwrap()).collect()
}

pub(super) fn provider_scopes(names: &str) -> Vec<ProviderScope> {
    names.split_whitespace().map(|name| name.parse().unwrap()).collect()
}

/// A connector with these scopes, each `name: provider scopes | alternative > implied scopes`.
pub(super) fn connector(id: &str, declared: &[&str]) -> Connector {
    let facts = |text: &str| {
        let (name, rest) = text.split_once(": ").unwrap();
        let (provider, implied) = rest.split_once('>').unwrap_or((rest, ""));
        let provider_scopes = provider.split('|').map(provider_scopes).collect();
        let facts = ScopeFacts { provider_scopes, consent: None, implies: scopes(implied), risk: Risk::Low };
        (name.parse().unwrap(), facts)
    };
    Connector {
        id: id.parse().unwrap(),
        title: id.to_owned(),
        provider: id.to_owned(),
        source: None,
        upstream: Template::parse("https://api.example.com").unwrap().into(),
        hosts: IndexMap::new(),
        variables: IndexMap::new(),
        oauth: None,
        scopes: declared.iter().map(|text| facts(text)).collect(),
        inject: Inject::default().into(),
        headers: Vec::new(),
        request_headers: Vec::new(),
        refuse_headers: Vec::new(),
        allow_query: Vec::new(),
        case_insensitive_paths: false,
        scan_answers: true,
        replay_after_401: false,
        refusal: None,
    }
}

/// An operation; what it needs is `none`, or alternatives of scopes as in `a:read b:read | c:read`.
pub(super) fn operation(id: &str, matches: &str, need: &str) -> Operation {
    let (method, template) = matches.split_once(' ').unwrap();
    Operation {
        id: id.parse().unwrap(),
        method: method.parse().unwrap(),
        template: PathTemplate::parse(template).unwrap(),
        narrow: Vec::new(),
        need: Need::Scopes(if need == "none" { vec![Vec::new()] } else { need.split('|').map(scopes).collect() }),
        content: None,
        risk: Risk::Low,
        host: None,
        body: false,
        websocket: false,
        redirect_passes: false,
        allow_query: Vec::new(),
        allow_encoded: Vec::new(),
        replay_after_401: false,
        limits: Limits::default(),
    }
}

pub(super) fn by_query(name: &str, value: &str) -> Narrow {
    Narrow::Query { name: name.to_owned(), value: value.to_owned() }
}

pub(super) fn by_json(pointer: &str, value: impl Into<serde_json::Value>) -> Narrow {
    Narrow::Json { pointer: pointer.parse().unwrap(), value: value.into() }
}

/// A role with what it allows by connector, each scope spelled out.
pub(super) fn role(name: &str, allow: &[(&str, &str)]) -> RoleModel {
    let allow: IndexMap<_, _> = allow.iter().map(|(connector, names)| (connector.parse().unwrap(), scopes(names))).collect();
    RoleModel { name: name.parse().unwrap(), spelled_out: allow.clone(), allow, deny: IndexMap::new(), mode: Mode::Enforce }
}

pub(super) fn assemble(connectors: Vec<(Connector, Vec<Operation>)>, roles: Vec<RoleModel>) -> PolicySet {
    let connectors = connectors
        .into_iter()
        .map(|(connector, operations)| ConnectorModel { connector: Arc::new(connector), operations, mode: Mode::Enforce })
        .collect();
    PolicySet::assemble(Model { connectors, roles, disclose_delegates: false }, "hash".to_owned())
}

pub(super) fn request(text: &str, body: Option<&str>) -> Request {
    let (method, target) = text.split_once(' ').unwrap();
    let headers: &[(String, String)] = if body.is_some() { &[("content-type".to_owned(), "application/json".to_owned())] } else { &[] };
    Request::read(method, target, headers, body.map(|body| Bytes::from(body.to_owned()))).unwrap()
}

pub(super) fn granted(names: Option<&str>) -> Granted {
    names.map_or(Granted::Assumed, |names| Granted::of(provider_scopes(names)))
}

/// What comes of a request, as an expectation says it.
pub(super) fn ruled(policies: &PolicySet, connector: &str, role: &str, grant: GrantStanding<'_>, request: &Request) -> String {
    let role = role.parse().unwrap();
    said(&judge(policies, &connector.parse().unwrap(), &Standing { role: &role, grant }, request))
}

pub(super) fn said(ruling: &Ruling) -> String {
    match ruling {
        Ruling::Allow(allowance) => format!("allow {}", allowance.operations),
        Ruling::ReadBody(operations) => format!("read {operations}"),
        Ruling::Deny(denial) => {
            let missing = denial.lack().map(|lack| lack.missing_scopes.clone()).unwrap_or_default();
            let names: Vec<_> = std::iter::once(denial.reason().as_str().to_owned()).chain(missing.iter().map(ToString::to_string)).collect();
            format!("deny {}", names.join(" "))
        }
    }
}

/// Path templates that overlap a lot.
pub(super) fn templates() -> impl Strategy<Value = Vec<String>> {
    let plain = || prop::sample::select(vec!["a", "b", "ab", "{x}", "{x}b", "a{x}", "a{x}b", "b:a"]);
    let spanning = prop::sample::select(vec!["", "/{+r}", "/{+r}:a", "/{+r}b"]);
    let last = prop::sample::select(vec!["", "", "/", "/{y}-{z}", "/a{y}b"]);
    let one = (prop::collection::vec(plain(), 1..3), spanning, prop::collection::vec(plain(), 0..2), last).prop_filter_map(
        "names are unique",
        |(before, spanning, behind, last)| {
            let joined = |segments: &[&str]| segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
            let text = joined(&before) + spanning + &joined(&behind) + last;
            PathTemplate::parse(&text).is_ok().then_some(text)
        },
    );
    prop::collection::vec(one, 1..12)
}

/// Paths that many of them match.
pub(super) fn paths() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "aab", "b:a", "a-b", "abb", "x"]);
    (prop::collection::vec(segment, 1..6), prop::sample::select(vec!["", "", "", "/"]))
        .prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
}
