//! The whole file, and its shorter sections.

use super::scalar::Scalars;
use super::{AuditSettings, EgressSettings, EncryptionSettings, LimitSettings, Settings, Watch, callers, gateway};
use crate::egress::KnownNames;
use crate::grants::Clients;
use crate::limits::Bounds;
use scopegate_core::connector::PlainHttp;
use scopegate_core::id::ConnectorId;
use scopegate_core::oauth::{ClientKey, ClientRegistration};
use scopegate_core::policy::document::{Fields, Node, Value, values};
use scopegate_core::policy::{Override, Rate};
use scopegate_core::request::Host;
use scopegate_core::secret::ClientSecret;
use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) fn settings(file: &Path, mut fields: Fields<'_>, scalars: &mut Scalars<'_, '_, '_>) -> Option<Settings> {
    let gateway = gateway::gateway(fields.take("gateway"), scalars);
    let admin = gateway::admin(fields.take("admin"), scalars);
    let policies = policies(fields.take("policies"), scalars);
    let watch = watch(fields.take("watch"), scalars);
    let store = store(fields.take("store"), scalars);
    let encryption = encryption(fields.take("encryption"), scalars);
    let callers = callers::callers(fields.take("callers"), scalars);
    let clients = clients(fields.take("clients"), scalars);
    let overrides = overrides(fields.take("connectors"), scalars);
    let egress = egress(fields.take("egress"), scalars);
    let audit = audit(fields.take("audit"), scalars);
    let limits = limits(fields.take("limits"), scalars);
    fields.close(scalars.findings);
    Some(Settings {
        file: file.into(),
        gateway: gateway?,
        admin: admin?,
        policies,
        watch,
        overrides,
        store: store?,
        encryption: encryption?,
        callers,
        clients,
        egress: egress?,
        audit: audit?,
        limits: limits?,
    })
}

pub(super) fn policies(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Vec<PathBuf> {
    let Some(node) = node else { return vec![scalars.folder.join("policies")] };
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| scalars.path(item)).collect(),
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => scalars.path(node).into_iter().collect(),
    }
}

fn watch(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Watch {
    match node.and_then(|node| values::flag(node, scalars.findings)) {
        Some(false) => Watch::Nothing,
        Some(true) | None => Watch::Files,
    }
}

pub(super) fn store(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<PathBuf> {
    let Some(node) = node else { return Some(scalars.folder.join("data")) };
    let mut fields = Fields::open(node, "`store`", scalars.findings)?;
    let embedded = fields.take("embedded").and_then(|node| scalars.path(node));
    if let Some(node) = fields.take("redis") {
        scalars.unserved(node, "this version keeps its data on one node: say `{embedded: FOLDER}`");
    } else if embedded.is_none() {
        scalars.wrong(node, "`store` says where data is kept: `{embedded: FOLDER}`");
    }
    fields.close(scalars.findings);
    embedded
}

pub(super) fn encryption(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<EncryptionSettings> {
    let Some(node) = node else { return Some(EncryptionSettings { key_file: scalars.folder.join("keys/kek-1"), older_key_files: Vec::new() }) };
    let mut fields = Fields::open(node, "`encryption`", scalars.findings)?;
    let key_file = fields.require("key_file", scalars.findings).and_then(|node| scalars.path(node));
    let older = fields.take("older_key_files").and_then(|node| values::items(node, scalars.findings)).unwrap_or_default();
    let older_key_files = older.iter().filter_map(|item| scalars.path(item)).collect();
    fields.close(scalars.findings);
    Some(EncryptionSettings { key_file: key_file?, older_key_files })
}

fn clients(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Clients {
    let mut clients = Clients::new();
    let entries = node.and_then(|node| values::entries(node, scalars.findings)).unwrap_or_default();
    for entry in entries {
        let connector = connector(entry.key.value.as_str(), &entry.value, scalars);
        if let (Some(connector), Some(client)) = (connector, client(&entry.value, scalars)) {
            clients.insert(connector, client);
        }
    }
    clients
}

fn connector(name: &str, node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<ConnectorId> {
    match name.parse() {
        Ok(connector) => Some(connector),
        Err(error) => {
            scalars.wrong(node, format!("`{name}` is {error}"));
            None
        }
    }
}

fn client(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<ClientRegistration> {
    let mut fields = Fields::open(node, "a client", scalars.findings)?;
    let client_id = fields.require("client_id", scalars.findings).and_then(|node| scalars.text(node));
    let mut secrets = Vec::new();
    if let Some(node) = fields.take("client_secret") {
        match &node.value {
            Value::List(items) => secrets.extend(items.iter().filter_map(|item| scalars.secret(item))),
            Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => secrets.extend(scalars.secret(node)),
        }
    }
    let id = fields.take("key_id").and_then(|node| scalars.text(node));
    let key = fields.take("private_key").and_then(|node| scalars.secret(node)).map(|pem| ClientKey { pem: ClientSecret::new(pem), id });
    fields.close(scalars.findings);
    Some(ClientRegistration { client_id: client_id?, secrets: secrets.into_iter().map(ClientSecret::new).collect(), key })
}

pub(super) fn overrides(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> BTreeMap<ConnectorId, Override> {
    let mut overrides = BTreeMap::new();
    let entries = node.and_then(|node| values::entries(node, scalars.findings)).unwrap_or_default();
    for entry in entries {
        let connector = connector(entry.key.value.as_str(), &entry.value, scalars);
        if let (Some(connector), Some(one)) = (connector, one_override(&entry.value, scalars)) {
            overrides.insert(connector, one);
        }
    }
    overrides
}

fn one_override(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<Override> {
    let mut fields = Fields::open(node, "an entry of `connectors`", scalars.findings)?;
    let mut text = |fields: &mut Fields<'_>, key| fields.take(key).and_then(|node| scalars.text(node));
    let mut made = Override {
        upstream: text(&mut fields, "upstream"),
        authorization_url: text(&mut fields, "authorization_url"),
        token_url: text(&mut fields, "token_url"),
        refresh_url: text(&mut fields, "refresh_url"),
        revocation_url: text(&mut fields, "revocation_url"),
        hosts: BTreeMap::new(),
    };
    let hosts = fields.take("hosts").and_then(|node| values::entries(node, scalars.findings)).unwrap_or_default();
    for host in hosts {
        if let Some(address) = scalars.text(&host.value) {
            made.hosts.insert(host.key.value.clone(), address);
        }
    }
    fields.close(scalars.findings);
    Some(made)
}

fn egress(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<EgressSettings> {
    let mut settings = EgressSettings { allow_networks: Vec::new(), plain_http: PlainHttp::Refused, ca_file: None, addresses: HashMap::new() };
    let Some(node) = node else { return Some(settings) };
    let mut fields = Fields::open(node, "`egress`", scalars.findings)?;
    let networks = fields.take("allow_networks").and_then(|node| values::items(node, scalars.findings)).unwrap_or_default();
    settings.allow_networks = networks.iter().filter_map(|item| scalars.parsed(item, "network such as 10.0.0.0/8")).collect();
    if fields.take("allow_http").and_then(|node| values::flag(node, scalars.findings)) == Some(true) {
        settings.plain_http = PlainHttp::Allowed;
    }
    settings.ca_file = fields.take("ca_file").and_then(|node| scalars.path(node));
    if let Some(node) = fields.take("addresses") {
        settings.addresses = addresses(node, scalars);
    }
    fields.close(scalars.findings);
    Some(settings)
}

/// Names, each with a list of addresses.
fn addresses(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> KnownNames {
    let mut known = KnownNames::new();
    for entry in values::entries(node, scalars.findings).unwrap_or_default() {
        let listed = values::items(&entry.value, scalars.findings).unwrap_or_default();
        let addresses = listed.iter().filter_map(|item| scalars.parsed(item, "address such as 10.0.0.7")).collect();
        let name = &entry.key.value;
        match Host::parse(name) {
            Ok(host) if !host.name().eq_ignore_ascii_case(name) => scalars.wrong(&entry.value, format!("`{name}` is said without a port")),
            Ok(_) if listed.is_empty() => scalars.wrong(&entry.value, "at least one address, such as [10.0.0.7]"),
            Ok(host) => drop(known.insert(host.name().to_owned(), addresses)),
            Err(_) => scalars.wrong(&entry.value, format!("`{name}` is no host name")),
        }
    }
    known
}

pub(super) fn audit(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<AuditSettings> {
    let mut settings =
        AuditSettings { file: scalars.folder.join("data/audit.jsonl"), rotate: 256 << 20, keep: Duration::from_secs(90 * 24 * 60 * 60) };
    let Some(node) = node else { return Some(settings) };
    let mut fields = Fields::open(node, "`audit`", scalars.findings)?;
    if let Some(file) = fields.take("file").and_then(|node| scalars.path(node)) {
        settings.file = file;
    }
    if let Some(size) = fields.take("rotate").and_then(|node| scalars.size(node)) {
        settings.rotate = size;
    }
    if let Some(keep) = fields.take("keep").and_then(|node| scalars.duration(node)) {
        settings.keep = keep;
    }
    fields.close(scalars.findings);
    Some(settings)
}

fn limits(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Option<LimitSettings> {
    let bounds = Bounds {
        body: 10 << 20,
        header_bytes: 32 << 10,
        inspected_body: 1 << 20,
        connect: Duration::from_secs(10),
        head: Duration::from_secs(60),
        idle: Duration::from_secs(300),
    };
    let rate = NonZeroU32::new(100).map(|count| Rate { count, per: Duration::from_secs(1) });
    let mut settings = LimitSettings { bounds, requests_per_account: rate, concurrent_per_account: NonZeroUsize::new(500), open_grants: 100_000 };
    let Some(node) = node else { return Some(settings) };
    let mut fields = Fields::open(node, "`limits`", scalars.findings)?;
    if let Some(size) = fields.take("body").and_then(|node| scalars.size(node)) {
        settings.bounds.body = size;
    }
    if let Some(size) = fields.take("inspected_body").and_then(|node| scalars.size(node)) {
        settings.bounds.inspected_body = size;
    }
    if let Some(size) = fields.take("header_bytes").and_then(|node| scalars.size(node)) {
        settings.bounds.header_bytes = usize::try_from(size).unwrap_or(usize::MAX);
    }
    if let Some(rate) = fields.take("requests_per_account").and_then(|node| scalars.rate(node)) {
        settings.requests_per_account = rate;
    }
    if let Some(most) = fields.take("concurrent_per_account").and_then(|node| scalars.count_or_none(node)) {
        settings.concurrent_per_account = most;
    }
    if let Some(count) = fields.take("open_grants").and_then(|node| scalars.count(node)) {
        settings.open_grants = count;
    }
    if let Some(node) = fields.take("upstream") {
        upstream_limits(node, &mut settings.bounds, scalars);
    }
    fields.close(scalars.findings);
    Some(settings)
}

fn upstream_limits(node: &Node, bounds: &mut Bounds, scalars: &mut Scalars<'_, '_, '_>) {
    let Some(mut fields) = Fields::open(node, "`limits.upstream`", scalars.findings) else { return };
    for (key, bound) in [("connect", &mut bounds.connect), ("head", &mut bounds.head), ("idle", &mut bounds.idle)] {
        if let Some(duration) = fields.take(key).and_then(|node| scalars.duration(node)) {
            *bound = duration;
        }
    }
    fields.close(scalars.findings);
}
