//! `callers`.

use super::scalar::Scalars;
use crate::caller::{By, Network, Rule};
use ipnet::IpNet;
use scopegate_core::policy::document::{Fields, Node, Value, values};
use std::str::FromStr;

/// The entries in their order; none at all: whoever reaches a loopback listener.
pub(super) fn callers(node: Option<&Node>, scalars: &mut Scalars<'_, '_, '_>) -> Vec<Rule> {
    let Some(node) = node else {
        return vec![Rule { by: By::Network(Network::Loopback), customers: None, connectors: None }];
    };
    let items = values::items(node, scalars.findings).unwrap_or_default();
    if items.is_empty() {
        scalars.wrong(node, "without an entry nobody may connect: say `- {network: loopback}`, or leave `callers` out");
    }
    items.iter().flat_map(|item| rules(item, scalars)).collect()
}

/// One entry; a list of networks makes several rules.
fn rules(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Vec<Rule> {
    let Some(mut fields) = Fields::open(node, "an entry of `callers`", scalars.findings) else { return Vec::new() };
    let mut made = Vec::new();
    let mut customers = None;
    let mut connectors = None;
    if let Some(node) = fields.take("network") {
        made.extend(networks(node, scalars).into_iter().map(By::Network));
    }
    if let Some(node) = fields.take("api_key") {
        made.extend(api_key(node, &mut customers, &mut connectors, scalars));
    }
    if let Some(node) = fields.take("handle") {
        made.extend(handle(node, scalars));
    }
    let mut unserved = false;
    for key in ["jwt", "mtls"] {
        if let Some(node) = fields.take(key) {
            unserved = true;
            scalars.unserved(node, format!("this version knows callers by `network`, `api_key` and `handle`, not by `{key}`"));
        }
    }
    customers = fields.take("customers").map(|node| names(node, scalars)).or(customers);
    connectors = fields.take("connectors").map(|node| names(node, scalars)).or(connectors);
    fields.close(scalars.findings);
    if made.is_empty() && !unserved {
        scalars.wrong(node, "an entry has one of `network`, `api_key`, `handle`");
    }
    made.into_iter().map(|by| Rule { by, customers: customers.clone(), connectors: connectors.clone() }).collect()
}

fn names<T: FromStr<Err: std::fmt::Display>>(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Vec<T> {
    let items = values::items(node, scalars.findings).unwrap_or_default();
    items.iter().filter_map(|item| values::name::<T>(item, scalars.findings)).map(|name| name.value).collect()
}

fn networks(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Vec<Network> {
    let items: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => vec![node],
    };
    let mut found = Vec::new();
    for item in items {
        match scalars.text(item).as_deref() {
            Some("loopback") => found.push(Network::Loopback),
            Some(_) => found.extend(network(item, scalars).map(Network::Within)),
            None => {}
        }
    }
    found
}

fn network(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<IpNet> {
    scalars.parsed(node, "network such as 10.0.0.0/8")
}

fn api_key<C, D>(node: &Node, customers: &mut Option<Vec<C>>, connectors: &mut Option<Vec<D>>, scalars: &mut Scalars<'_, '_, '_>) -> Option<By>
where
    C: FromStr<Err: std::fmt::Display>,
    D: FromStr<Err: std::fmt::Display>,
{
    let mut fields = Fields::open(node, "`api_key`", scalars.findings)?;
    let name = fields.require("name", scalars.findings).and_then(|node| scalars.text(node));
    let sha256 = fields.require("sha256", scalars.findings).and_then(|node| digest(node, scalars));
    *customers = fields.take("customers").map(|node| names(node, scalars));
    *connectors = fields.take("connectors").map(|node| names(node, scalars));
    fields.close(scalars.findings);
    Some(By::ApiKey { name: name?, sha256: sha256? })
}

fn digest(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<[u8; 32]> {
    let text = scalars.text(node)?;
    let read = hex::decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if read.is_none() || !lower {
        scalars.wrong(node, "this is the SHA-256 of the key in 64 lower-case hex digits, such as `printf %s KEY | sha256sum` prints");
        return None;
    }
    read
}

fn handle(node: &Node, scalars: &mut Scalars<'_, '_, '_>) -> Option<By> {
    if node.is_null() {
        return Some(By::Handle { networks: Vec::new() });
    }
    let mut fields = Fields::open(node, "`handle`", scalars.findings)?;
    let mut networks = Vec::new();
    if let Some(list) = fields.take("networks") {
        let items = values::items(list, scalars.findings).unwrap_or_default();
        if items.is_empty() {
            scalars.wrong(list, "an empty list lets nobody in: name a network, or leave `networks` out");
        }
        networks = items.iter().filter_map(|item| network(item, scalars)).collect();
        if networks.len() < items.len() {
            return None;
        }
    }
    fields.close(scalars.findings);
    Some(By::Handle { networks })
}
