//! Tests of documents: their shape, and that every name in them is known.

use super::connector::Connectors;
use super::gather::Gathered;
use super::roles::Roles;
use crate::policy::case::{Case, CaseLine, Expectation};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Located, Node, Place, Placed, RawCase, Span, Value, values};
use crate::scope::ProviderScope;
use indexmap::IndexSet;

pub(super) fn read_all(gathered: &Gathered, connectors: &Connectors, roles: &Roles, findings: &mut Findings<'_>) -> Vec<Case> {
    let mut reader = Reader { gathered, connectors, roles, findings };
    gathered.tests.iter().flat_map(|node| reader.test(node)).collect()
}

struct Reader<'r, 's> {
    gathered: &'r Gathered,
    connectors: &'r Connectors,
    roles: &'r Roles,
    findings: &'r mut Findings<'s>,
}

/// What all requests of a test share.
struct Test {
    name: String,
    role: Located<String>,
    granted: Option<Vec<ProviderScope>>,
}

/// One request as it stands, whichever way it is written.
struct Request<'n> {
    connector: Located<&'n str>,
    method: Located<&'n str>,
    target: Located<&'n str>,
    headers: Vec<(String, String)>,
    body: Option<String>,
    expect: Located<&'n str>,
}

impl Reader<'_, '_> {
    fn test(&mut self, node: &Node) -> Vec<Case> {
        let Some(mut fields) = Fields::open(node, "a test", self.findings) else { return Vec::new() };
        let name = fields.require("name", self.findings).and_then(|node| values::filled(node, self.findings));
        let role = fields.require("role", self.findings).and_then(|node| self.role(node));
        let granted = fields.take("granted").map(|node| self.granted(node));
        let requests = fields.require("requests", self.findings).and_then(|node| values::items(node, self.findings)).unwrap_or_default();
        fields.close(self.findings);
        let test = Test {
            name: name.map_or("", |name| name.value).to_owned(),
            role: role.unwrap_or_else(|| Located { value: String::new(), span: node.span }),
            granted,
        };
        requests.iter().filter_map(|node| self.request(node, &test)).collect()
    }

    fn role(&mut self, node: &Node) -> Option<Located<String>> {
        let found = values::text(node, self.findings)?;
        self.findings.extend(self.gathered.unknown_role(found, self.findings));
        Some(found.map(str::to_owned))
    }

    fn granted(&mut self, node: &Node) -> Vec<ProviderScope> {
        values::texts(node, self.findings).into_iter().filter_map(|name| values::parsed(name, self.findings)).collect()
    }

    fn request(&mut self, node: &Node, test: &Test) -> Option<Case> {
        let request = match &node.value {
            Value::Plain(text) | Value::Quoted(text) => self.line(text, node.span),
            Value::Map(_) => self.mapping(node),
            Value::List(_) | Value::Refused => {
                values::text(node, self.findings);
                None
            }
        }?;
        let known = self.check_names(&request);
        let expect = request.expect;
        let raw = RawCase {
            name: test.name.clone(),
            role: self.placed(&test.role.value, test.role.span),
            granted: test.granted.clone(),
            connector: self.placed(request.connector.value, request.connector.span),
            method: self.placed(request.method.value, request.method.span),
            target: self.placed(request.target.value, request.target.span),
            headers: request.headers,
            body: request.body,
            expect: self.placed(expect.value, expect.span),
        };
        if !known || !self.roles.contains_key(&test.role.value) {
            return None;
        }
        match Case::new(raw) {
            Ok(case) => Some(case),
            Err(error) => {
                self.invalid(expect, error.offset, error.sentence, error.help);
                None
            }
        }
    }

    fn line<'n>(&mut self, text: &'n str, span: Span) -> Option<Request<'n>> {
        match CaseLine::parse(text) {
            Ok(line) => {
                let piece = |(offset, value): (usize, &'n str)| Located { value, span: self.findings.inside(span, text, offset, value.len()) };
                Some(Request {
                    connector: piece(line.connector),
                    method: piece(line.method),
                    target: piece(line.target),
                    headers: Vec::new(),
                    body: None,
                    expect: piece(line.expect),
                })
            }
            Err(error) => {
                self.invalid(Located { value: text, span }, error.offset, error.sentence, error.help);
                None
            }
        }
    }

    fn mapping<'n>(&mut self, node: &'n Node) -> Option<Request<'n>> {
        let mut fields = Fields::open(node, "a request", self.findings)?;
        let mut text = |key, findings: &mut Findings<'_>| fields.require(key, findings).and_then(|node| values::filled(node, findings));
        let connector = text("connector", self.findings);
        let method = text("method", self.findings);
        let target = text("target", self.findings);
        let expect = text("expect", self.findings);
        let headers = fields.take("headers").map(|node| self.headers(node)).unwrap_or_default();
        let body = fields.take("body").and_then(|node| self.body(node));
        fields.close(self.findings);
        Some(Request { connector: connector?, method: method?, target: target?, headers, body, expect: expect? })
    }

    fn headers(&mut self, node: &Node) -> Vec<(String, String)> {
        let mut made = Vec::new();
        for entry in values::entries(node, self.findings).unwrap_or_default() {
            made.extend(values::text(&entry.value, self.findings).map(|value| (entry.key.value.clone(), value.value.to_owned())));
        }
        made
    }

    /// A text as it is; a mapping or a list as JSON.
    fn body(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Map(_) | Value::List(_) => node.to_json().map(|body| body.to_string()),
            Value::Plain(_) | Value::Quoted(_) | Value::Refused => values::text(node, self.findings).map(|body| body.value.to_owned()),
        }
    }

    /// Whether connector, operations and scopes of a request are known; each that is not is reported.
    fn check_names(&mut self, request: &Request<'_>) -> bool {
        let name = request.connector.value;
        let Some(draft) = self.connectors.get(name) else {
            self.findings.extend(self.gathered.unknown_connector(request.connector, self.findings));
            return false;
        };
        let expect = request.expect;
        let expectation = match Expectation::parse(expect.value) {
            Ok(expectation) => expectation,
            Err(error) => {
                self.invalid(expect, error.offset, error.sentence, error.help);
                return false;
            }
        };
        let (kind, code, words, known): (_, _, Vec<String>, &IndexSet<String>) = match &expectation {
            Expectation::Allow(ids) => ("operation", &code::UNKNOWN_OPERATION, ids.iter().map(ToString::to_string).collect(), &draft.operation_ids),
            Expectation::Deny { missing, .. } => {
                ("scope", &code::UNKNOWN_SCOPE, missing.iter().map(ToString::to_string).collect(), &draft.scope_names)
            }
        };
        let mut all_known = true;
        for word in words.iter().filter(|word| !known.contains(word.as_str())) {
            all_known = false;
            let offset = expect.value.find(word.as_str()).unwrap_or_default();
            let span = self.findings.inside(expect.span, expect.value, offset, word.len());
            let help = self.findings.suggestion(word, known.iter().map(String::as_str));
            self.findings.add(code.at(span, format!("the connector `{name}` has no {kind} `{word}`")).maybe_help(help));
        }
        all_known
    }

    fn invalid(&mut self, text: Located<&str>, offset: usize, sentence: String, help: Option<String>) {
        let length = text.value.get(offset..).unwrap_or_default().split(' ').next().unwrap_or_default().len().max(1);
        let span = self.findings.inside(text.span, text.value, offset, length);
        self.findings.add(code::INVALID_CASE.at(span, sentence).maybe_help(help));
    }

    fn placed(&self, text: &str, span: Span) -> Placed {
        let place = Place { file: self.findings.file(span).to_owned(), line: span.line, column: span.column };
        Placed { text: text.to_owned(), place }
    }
}
