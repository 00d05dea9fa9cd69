//! What stands at the top of each document, before anything is joined.

use super::{Origin, Source, lint};
use crate::policy::code::{self, Code};
use crate::policy::diagnostic::{Finding, Findings};
use crate::policy::document::{self, Fields, Located, Node, Span, Value, values};
use indexmap::IndexSet;

/// Everything that documents say, by kind, in the order of the documents.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) connectors: Vec<Named>,
    pub(super) roles: Vec<Named>,
    pub(super) tests: Vec<Node>,
    pub(super) disclose_delegates: Option<Located<bool>>,
    connector_names: IndexSet<String>,
    role_names: IndexSet<String>,
    /// Whether a source could not be read at all: then a name that nobody seems to define may stand there.
    incomplete: bool,
}

/// A connector or role, not read yet.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: Located<String>,
    pub(super) node: Node,
    pub(super) origin: Origin,
}

/// What a file may hold.
#[derive(Clone, Copy, Eq, PartialEq)]
enum FileKind {
    Policy,
    /// `*.cases.yaml`
    Cases,
}

impl FileKind {
    fn of(name: &str) -> Self {
        if name.ends_with(".cases.yaml") || name.ends_with(".cases.yml") { Self::Cases } else { Self::Policy }
    }
}

pub(super) fn gather(sources: &[Source], findings: &mut Findings<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    for (number, source) in sources.iter().enumerate() {
        let before = findings.count();
        let Some(root) = document::read(number, &source.text, findings) else {
            gathered.incomplete |= findings.count() > before;
            continue;
        };
        if source.origin == Origin::Own {
            lint::secrets(&root, findings);
        }
        gathered.take(&root, source.origin, FileKind::of(&source.name), findings);
    }
    gathered
}

impl Gathered {
    /// A finding where nobody defines this connector, as far as all sources could be read.
    pub(super) fn unknown_connector(&self, name: Located<&str>, findings: &Findings<'_>) -> Option<Finding> {
        self.unknown(&code::UNKNOWN_CONNECTOR, "connector", name, &self.connector_names, findings)
    }

    /// Whether somebody defines this role.
    pub(super) fn has_role(&self, name: &str) -> bool {
        self.role_names.contains(name)
    }

    /// A finding where nobody defines this role, as far as all sources could be read.
    pub(super) fn unknown_role(&self, name: Located<&str>, findings: &Findings<'_>) -> Option<Finding> {
        self.unknown(&code::UNKNOWN_ROLE, "role", name, &self.role_names, findings)
    }

    fn unknown(&self, code: &'static Code, kind: &str, name: Located<&str>, all: &IndexSet<String>, findings: &Findings<'_>) -> Option<Finding> {
        if self.incomplete || all.contains(name.value) {
            return None;
        }
        let message = format!("no document has a {kind} `{}`", name.value);
        Some(code.at(name.span, message).maybe_help(findings.suggestion(name.value, all.iter().map(String::as_str))))
    }

    fn take(&mut self, root: &Node, origin: Origin, kind: FileKind, findings: &mut Findings<'_>) {
        let Some(mut fields) = Fields::open(root, "a policy document", findings) else { return };
        match fields.take("version") {
            Some(node) => check_version(node, findings),
            None if kind == FileKind::Policy => missing_version(root.span, findings),
            None => {}
        }
        if kind == FileKind::Cases {
            for key in ["connectors", "roles", "disclose_delegates"] {
                if let Some(entry) = fields.entry(key) {
                    findings.add(
                        code::CASES_ONLY
                            .at(entry.key.span, format!("a file of cases holds `tests` only, not `{key}`"))
                            .help("move it into a file whose name does not end in `.cases.yaml`"),
                    );
                }
            }
        } else {
            let connectors = fields.take("connectors").map(|node| named(node, origin, findings)).unwrap_or_default();
            self.connector_names.extend(connectors.iter().map(|named| named.name.value.clone()));
            self.connectors.extend(connectors);
            let roles = fields.take("roles").map(|node| named(node, origin, findings)).unwrap_or_default();
            // The roles of a shipped document are for its cases; a deployment has the roles that its own documents name.
            if origin == Origin::Own {
                self.role_names.extend(roles.iter().map(|named| named.name.value.clone()));
                self.roles.extend(roles);
            }
            if let Some(node) = fields.take("disclose_delegates") {
                self.disclose(node, findings);
            }
        }
        if let Some(tests) = fields.take("tests").and_then(|node| values::items(node, findings)) {
            // The tests of a shipped document are about shipped connectors, which an own one may replace.
            if origin == Origin::Own {
                self.tests.extend_from_slice(tests);
            }
        }
        fields.close(findings);
    }

    fn disclose(&mut self, node: &Node, findings: &mut Findings<'_>) {
        let Some(value) = values::flag(node, findings) else { return };
        match self.disclose_delegates {
            Some(first) if first.value != value => {
                let place = findings.pointer(first.span, node.span);
                findings.add(code::CONFLICT.at(node.span, format!("`disclose_delegates` is said differently at {place}")).help("say it once"));
            }
            _ => self.disclose_delegates = Some(Located { value, span: node.span }),
        }
    }
}

fn named(node: &Node, origin: Origin, findings: &mut Findings<'_>) -> Vec<Named> {
    if node.is_null() {
        return Vec::new();
    }
    let entries = values::entries(node, findings).unwrap_or_default();
    entries.iter().map(|entry| Named { name: entry.key.clone(), node: entry.value.clone(), origin }).collect()
}

fn check_version(node: &Node, findings: &mut Findings<'_>) {
    let is_one = matches!(&node.value, Value::Plain(text) if text == "1");
    if !is_one && !matches!(node.value, Value::Refused) {
        findings.add(code::VERSION.at(node.span, "this version of the policy language is not known").help("write `version: 1`"));
    }
}

fn missing_version(root: Span, findings: &mut Findings<'_>) {
    let span = Span { end: root.start, ..root };
    findings.add(code::VERSION.at(span, "the document does not say its version").help("write `version: 1` at its top"));
}
