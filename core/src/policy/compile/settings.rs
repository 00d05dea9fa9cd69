//! What the settings replace, as a source of its own: findings about it point at a line that says which key it is.

use super::merge;
use super::{Origin, Override, Source};
use crate::id::ConnectorId;
use crate::policy::document::{Located, Node, Span, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The overrides as trees, by connector.
pub(super) type Overrides = BTreeMap<ConnectorId, Node>;

/// The overrides as source number `number`, one line each, and as trees that point into it.
pub(super) fn as_source(overrides: &BTreeMap<ConnectorId, Override>, number: usize) -> (Source, Overrides) {
    let mut lines = Lines { text: String::new(), number, line: 0 };
    let trees = overrides.iter().filter_map(|(id, replaced)| Some((id.clone(), lines.tree(id, replaced)?))).collect();
    (Source { name: "settings".into(), text: lines.text, origin: Origin::Own }, trees)
}

struct Lines {
    text: String,
    number: usize,
    line: usize,
}

impl Lines {
    fn tree(&mut self, id: &ConnectorId, replaced: &Override) -> Option<Node> {
        let mut entries = Vec::new();
        entries.extend(replaced.upstream.as_ref().map(|value| self.entry(id, "upstream", value)));
        let urls = [
            ("authorization_url", &replaced.authorization_url),
            ("token_url", &replaced.token_url),
            ("refresh_url", &replaced.refresh_url),
            ("revocation_url", &replaced.revocation_url),
        ];
        let urls = urls.into_iter().filter_map(|(key, value)| Some(self.entry(id, key, value.as_ref()?))).collect();
        entries.extend(section("oauth", merge::mapping(urls)));
        let hosts = replaced.hosts.iter().map(|(name, value)| self.entry(id, name, value)).collect();
        entries.extend(section("hosts", merge::mapping(hosts)));
        merge::mapping(entries)
    }

    /// Writes `connectors.ID.KEY: VALUE` as a line, and gives the key and the value with their places in it.
    fn entry(&mut self, id: &ConnectorId, key: &str, value: &str) -> (Located<String>, Node) {
        let begin = self.text.len();
        let lead = format!("connectors.{id}.");
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{lead}{key}: {}", value.replace(['\n', '\r'], " "));
        self.line += 1;
        let at = |offset: usize, length: usize| Span {
            source: self.number,
            start: begin + offset,
            end: begin + offset + length,
            line: self.line,
            column: offset + 1,
        };
        let key_span = at(lead.len(), key.len());
        let value_span = at(lead.len() + key.len() + 2, value.len());
        (Located { value: key.to_owned(), span: key_span }, Node { span: value_span, value: Value::Quoted(value.to_owned()) })
    }
}

fn section(key: &str, node: Option<Node>) -> Option<(Located<String>, Node)> {
    let node = node?;
    Some((Located { value: key.to_owned(), span: node.span }, node))
}
