//! A mapping whose keys are taken one by one; what nobody took is a mistake.

use super::nearest::{nearest, suggestion};
use super::node::{Entry, Node, Span, Value};
use crate::policy::code;
use crate::policy::diagnostic::Findings;

/// The keys of a mapping.
#[derive(Debug)]
pub struct Fields<'n> {
    what: &'static str,
    span: Span,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
    /// Keys that must be there and are not, where a key stands that is nearly one.
    awaited: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens the mapping `node`, which is `what` ("an operation") to its author. None, and a finding, where it is none.
    pub fn open(node: &'n Node, what: &'static str, findings: &mut Findings<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self { what, span: node.span, entries, asked: Vec::new(), awaited: Vec::new() }),
            Value::Refused => None,
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                findings.add(code::WRONG_KIND.at(node.span, format!("{what} is a mapping, and this is {}", node.kind())));
                None
            }
        }
    }

    /// Says that findings about the whole mapping belong to `span`, such as the key that it stands behind.
    #[must_use]
    pub fn named_at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Where findings about the whole mapping belong.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The value of `key`, where it stands there.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// `key` and its value, where it stands there.
    pub fn entry(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.asked.push(key);
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// The value of a key that must be there; a finding where it is not.
    pub fn require(&mut self, key: &'static str, findings: &mut Findings<'_>) -> Option<&'n Node> {
        let value = self.take(key);
        match value {
            Some(_) => {}
            None if self.means(key) => self.awaited.push(key),
            None => self.missing(key, findings),
        }
        value
    }

    fn missing(&self, key: &str, findings: &mut Findings<'_>) {
        findings.add(code::MISSING_KEY.at(self.span, format!("{} has no `{key}`", self.what)));
    }

    /// Whether a key stands there that is nearly `key`: it will be reported as unknown, with `key` as what was meant.
    #[must_use]
    pub fn means(&self, key: &'static str) -> bool {
        self.entries.iter().any(|entry| nearest(&entry.key.value, [key]).is_some())
    }

    /// Ends the reading: reports every key that nobody took, and every missing one that none of those means.
    pub fn close(self, findings: &mut Findings<'_>) {
        let untaken: Vec<&Entry> = self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.value.as_str())).collect();
        let meant = |key: &str| untaken.iter().any(|entry| nearest(&entry.key.value, [key]).is_some());
        self.awaited.iter().filter(|key| !meant(key)).for_each(|key| self.missing(key, findings));
        for Entry { key, .. } in untaken {
            let help = suggestion(&key.value, self.asked.iter().copied());
            findings.add(code::UNKNOWN_KEY.at(key.span, format!("`{}` is no key of {}", key.value, self.what)).maybe_help(help));
        }
    }
}
