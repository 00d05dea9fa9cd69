//! A connector document before it is text, and as text.

use crate::id::ConnectorId;
use crate::policy::document::{in_block as scalar, in_flow as inner};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A connector as it was read from a description.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) connector: ConnectorId,
    pub(super) upstream: String,
    pub(super) hosts: BTreeMap<String, String>,
    pub(super) variables: BTreeMap<String, Variable>,
    pub(super) oauth: Option<OAuth>,
    pub(super) case_insensitive_paths: bool,
    /// In lower case.
    pub(super) request_headers: BTreeSet<String>,
    pub(super) source: Source,
    /// Gateway scopes, and the provider scope that each is.
    pub(super) scopes: BTreeMap<String, String>,
    pub(super) operations: Vec<Operation>,
}

/// A variable that whoever makes an account gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Variable {
    pub(super) default: Option<String>,
    /// The values that it may have; empty: any label.
    pub(super) one_of: Vec<String>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct OAuth {
    pub(super) authorization_url: Option<String>,
    pub(super) token_url: String,
    pub(super) refresh_url: Option<String>,
}

/// What the document was imported from.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    pub(super) kind: &'static str,
    pub(super) title: Option<String>,
    pub(super) version: Option<String>,
    pub(super) licence: Option<String>,
    pub(super) sha256: String,
}

#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: &'static str,
    pub(super) template: String,
    /// Query parameters that it asks for.
    pub(super) query: BTreeMap<String, String>,
    pub(super) host: Option<String>,
    /// Whether it is a GET or HEAD with a body.
    pub(super) body: bool,
    pub(super) allow_query: BTreeSet<String>,
    pub(super) need: Need,
}

/// What an operation needs, in gateway scopes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Need {
    Nothing,
    Unknown,
    /// One of these sets wholly; none of them is empty.
    Any(BTreeSet<BTreeSet<String>>),
}

impl Draft {
    /// The document's text.
    pub(super) fn to_yaml(&self) -> String {
        let mut page = Page::default();
        page.line(0, "version: 1");
        page.line(0, "connectors:");
        page.line(1, &format!("{}:", scalar(self.connector.as_str())));
        if let Some(title) = &self.source.title {
            page.line(2, &format!("title: {}", scalar(title)));
        }
        page.line(2, &format!("upstream: {}", scalar(&self.upstream)));
        page.map(2, "hosts", &self.hosts, |url| scalar(url));
        page.map(2, "variables", &self.variables, Variable::flow);
        if let Some(oauth) = &self.oauth {
            oauth.write(&mut page);
        }
        if self.case_insensitive_paths {
            page.line(2, "case_insensitive_paths: true");
        }
        if !self.request_headers.is_empty() {
            page.line(2, &format!("request_headers: {}", list(&self.request_headers)));
        }
        page.line(2, &format!("source: {}", self.source.flow()));
        page.map(2, "scopes", &self.scopes, |provider| format!("{{provider_scopes: [{}]}}", inner(provider)));
        page.line(2, if self.operations.is_empty() { "operations: []" } else { "operations:" });
        self.operations.iter().for_each(|operation| operation.write(&mut page));
        page.0
    }
}

impl Variable {
    fn flow(&self) -> String {
        let default = self.default.as_ref().map(|value| format!(", default: {}", inner(value))).unwrap_or_default();
        let rule = if self.one_of.is_empty() { "is: label".to_owned() } else { format!("one_of: {}", list(&self.one_of)) };
        format!("{{from: account{default}, {rule}}}")
    }
}

impl OAuth {
    fn write(&self, page: &mut Page) {
        page.line(2, "oauth:");
        let urls = [
            ("authorization_url", self.authorization_url.as_ref()),
            ("token_url", Some(&self.token_url)),
            ("refresh_url", self.refresh_url.as_ref()),
        ];
        for (key, url) in urls.into_iter().filter_map(|(key, url)| Some((key, url?))) {
            page.line(3, &format!("{key}: {}", scalar(url)));
        }
    }
}

impl Source {
    fn flow(&self) -> String {
        let optional = [("title", &self.title), ("version", &self.version), ("licence", &self.licence)];
        let mut text = format!("{{kind: {}", self.kind);
        for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            text.push_str(&format!(", {key}: {}", inner(value)));
        }
        format!("{text}, sha256: {}}}", inner(&self.sha256))
    }
}

impl Operation {
    fn write(&self, page: &mut Page) {
        page.line(3, &format!("- id: {}", scalar(&self.id)));
        page.line(4, &format!("match: {}", scalar(&format!("{} {}", self.method, self.template))));
        if !self.query.is_empty() {
            let pairs: Vec<String> = self.query.iter().map(|(name, value)| format!("{}: {}", inner(name), inner(value))).collect();
            page.line(4, &format!("where: {{query: {{{}}}}}", pairs.join(", ")));
        }
        page.line(4, &format!("require: {}", self.need.flow()));
        if let Some(host) = &self.host {
            page.line(4, &format!("host: {}", scalar(host)));
        }
        if self.body {
            page.line(4, "body: true");
        }
        if !self.allow_query.is_empty() {
            page.line(4, &format!("allow_query: {}", list(&self.allow_query)));
        }
    }
}

impl Need {
    fn flow(&self) -> String {
        let all = |set: &BTreeSet<String>| match set.first() {
            Some(only) if set.len() == 1 => inner(only),
            _ => format!("{{all: {}}}", list(set)),
        };
        match self {
            Self::Nothing => "none".to_owned(),
            Self::Unknown => "unknown".to_owned(),
            Self::Any(sets) => {
                // Those of fewest scopes first: the first that lacks fewest is told to whoever asks.
                let mut sets: Vec<&BTreeSet<String>> = sets.iter().collect();
                sets.sort_by_key(|set| set.len());
                match sets.as_slice() {
                    [only] => all(only),
                    many => format!("{{any: [{}]}}", many.iter().map(|set| all(set)).collect::<Vec<_>>().join(", ")),
                }
            }
        }
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, level: usize, text: &str) {
        // Writing to a text never fails.
        let _ = writeln!(self.0, "{:width$}{text}", "", width = level * 2);
    }

    fn map<T>(&mut self, level: usize, key: &str, entries: &BTreeMap<String, T>, value: impl Fn(&T) -> String) {
        if !entries.is_empty() {
            self.line(level, &format!("{key}:"));
        }
        for (name, entry) in entries {
            self.line(level + 1, &format!("{}: {}", scalar(name), value(entry)));
        }
    }
}

fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    format!("[{}]", texts.into_iter().map(|text| inner(text)).collect::<Vec<_>>().join(", "))
}
