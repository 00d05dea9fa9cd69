//! `gateway` and `admin`.

use super::scalar::Scalars;
use super::{AdminSettings, GatewaySettings, ListenSettings, Protocol};
use crate::admin::MetricsAccess;
use crate::certificates::CertificateFiles;
use crate::gateway::TokenSlot;
use scopegate_core::id::ConnectorId;
use scopegate_core::policy::document::{Fields, Node, Value, values};
use scopegate_core::secret::BearerSecret;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) fn gateway(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<GatewaySettings> {
    let mut settings = GatewaySettings {
        listen: vec![ListenSettings { address: SocketAddr::from(([127, 0, 0, 1], 4100)), protocol: Protocol::Plain }],
        identifier_headers: vec!["scopegate-account".into()],
        token_slot: TokenSlot::Taken,
        hosts: HashMap::new(),
        external_url: None,
        threads: None,
        connections: 10_000,
        drain: Duration::ZERO,
        grace: Duration::from_secs(30),
    };
    let Some(node) = node else { return Some(settings) };
    let mut fields = Fields::open(node, "`gateway`", scalars.findings)?;
    if let Some(node) = fields.take("listen") {
        settings.listen = listeners(node, scalars);
    }
    if let Some(node) = fields.take("identifier_headers") {
        settings.identifier_headers = identifier_headers(node, scalars);
    }
    if let Some(taken) = fields.take("token_slot").and_then(|node| values::flag(node, scalars.findings)) {
        settings.token_slot = if taken { TokenSlot::Taken } else { TokenSlot::Ignored };
    }
    if let Some(node) = fields.take("hosts") {
        settings.hosts = hosts(node, scalars);
    }
    settings.external_url = fields.take("external_url").and_then(|node| scalars.origin(node));
    settings.threads = fields.take("threads").and_then(|node| scalars.count(node));
    if let Some(most) = fields.take("connections").and_then(|node| scalars.count(node)) {
        settings.connections = most;
    }
    if let Some(drain) = fields.take("drain").and_then(|node| scalars.duration(node)) {
        settings.drain = drain;
    }
    if let Some(grace) = fields.take("grace").and_then(|node| scalars.duration(node)) {
        settings.grace = grace;
    }
    fields.close(scalars.findings);
    Some(settings)
}

/// One address, or a list; each a text or `{address, tls, h2c}`.
fn listeners(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Vec<ListenSettings> {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            scalars.wrong(node, "at least one address to listen at");
            Vec::new()
        }
        Value::List(items) => items.iter().filter_map(|item| listener(item, scalars)).collect(),
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => listener(node, scalars).into_iter().collect(),
    }
}

fn listener(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<ListenSettings> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(ListenSettings { address: address(node, scalars)?, protocol: Protocol::Plain });
    }
    let mut fields = Fields::open(node, "a listener", scalars.findings)?;
    let found = fields.require("address", scalars.findings).and_then(|node| address(node, scalars));
    let prior_knowledge = fields.take("h2c").and_then(|node| values::flag(node, scalars.findings).map(|said| (node, said)));
    let protocol = match (fields.take("tls"), prior_knowledge) {
        (Some(_), Some((node, true))) => {
            scalars.wrong(node, "`h2c` is for plain addresses: over `tls` clients choose HTTP/2 by ALPN");
            None
        }
        (Some(node), _) => tls(node, scalars).map(Protocol::Tls),
        (None, Some((_, true))) => Some(Protocol::PriorKnowledge),
        (None, _) => Some(Protocol::Plain),
    };
    fields.close(scalars.findings);
    Some(ListenSettings { address: found?, protocol: protocol? })
}

/// `{cert_file, key_file, client_ca_file?}`.
fn tls(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<CertificateFiles> {
    let mut fields = Fields::open(node, "`tls`", scalars.findings)?;
    let cert_file = fields.require("cert_file", scalars.findings).and_then(|node| scalars.path(node));
    let key_file = fields.require("key_file", scalars.findings).and_then(|node| scalars.path(node));
    let client_ca_file = fields.take("client_ca_file").map(|node| scalars.path(node));
    fields.close(scalars.findings);
    // an authority that is said and not understood must not become none
    let client_ca_file = client_ca_file.map_or(Some(None), |path| path.map(Some))?;
    Some(CertificateFiles { cert_file: cert_file?, key_file: key_file?, client_ca_file })
}

fn address(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<SocketAddr> {
    scalars.parsed(node, "address such as 127.0.0.1:4100")
}

fn identifier_headers(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Vec<String> {
    let mut names = Vec::new();
    for item in values::items(node, scalars.findings).unwrap_or_default() {
        let Some(text) = scalars.text(item) else { continue };
        match http::HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if ["authorization", "host", "cookie", "content-length", "transfer-encoding", "connection"].contains(&name.as_str()) => {
                scalars.wrong(item, format!("`{text}` means something else already"));
            }
            Ok(name) => names.push(name.as_str().to_owned()),
            Err(_) => scalars.wrong(item, format!("`{text}` is no header name")),
        }
    }
    if names.is_empty() {
        scalars.wrong(node, "at least one header that names the account");
    }
    names
}

fn hosts(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> HashMap<String, ConnectorId> {
    let mut hosts = HashMap::new();
    for entry in values::entries(node, scalars.findings).unwrap_or_default() {
        let connector = values::name::<ConnectorId>(&entry.value, scalars.findings);
        match scopegate_core::request::Host::parse(&entry.key.value) {
            Ok(host) => {
                if let Some(connector) = connector {
                    hosts.insert(host.name().to_owned(), connector.value);
                }
            }
            Err(_) => scalars.wrong(&entry.value, format!("`{}` is no host name", entry.key.value)),
        }
    }
    hosts
}

pub(super) fn admin(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<AdminSettings> {
    let empty = Node::empty_mapping();
    let node = node.unwrap_or(&empty);
    let mut fields = Fields::open(node, "`admin`", scalars.findings)?;
    let listen = match fields.take("listen") {
        Some(node) => address(node, scalars),
        None => Some(SocketAddr::from(([127, 0, 0, 1], 4101))),
    };
    let by_default = Node { span: node.span, value: Value::Quoted("${SCOPEGATE_ADMIN_TOKEN}".into()) };
    let token = scalars.secret(fields.take("token").unwrap_or(&by_default));
    let public_listen = fields.take("public_listen").and_then(|node| address(node, scalars));
    let public_url = fields.take("public_url").and_then(|node| scalars.origin(node));
    let return_to = fields.take("return_to").map(|node| origins(node, scalars)).unwrap_or_default();
    let doors = [("open", MetricsAccess::Open), ("token", MetricsAccess::Token)];
    let metrics = fields.take("metrics").and_then(|node| values::word(node, &doors, scalars.findings)).unwrap_or(MetricsAccess::Open);
    let certificates = fields.take("tls").map(|node| tls(node, scalars));
    fields.close(scalars.findings);
    // certificates that are said and not understood must not become none
    let tls = certificates.map_or(Some(None), |files| files.map(Some))?;
    Some(AdminSettings { listen: listen?, tls, token: BearerSecret::new(token?), public_listen, public_url, return_to, metrics })
}

fn origins(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Vec<String> {
    values::items(node, scalars.findings).unwrap_or_default().iter().filter_map(|item| scalars.origin(item)).collect()
}
