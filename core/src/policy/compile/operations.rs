//! The operations of a connector.

use super::content;
use super::facts::names;
use super::limits;
use super::matching::{self, Match};
use super::names::{self, Chosen, Names};
use super::narrow::{self, BodyAllowed};
use super::requirement::{BareList, alternatives};
use super::scopes::{RISKS, Scopes};
use crate::connector::Risk;
use crate::id::OperationId;
use crate::policy::code;
use crate::policy::content::{Alternatives, Content};
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Located, Node, Span, Value, suggestion, values};
use crate::policy::limits::Limits;
use crate::policy::operation::{Narrow, Need, Operation};
use crate::policy::template::PathTemplate;
use indexmap::IndexSet;
use std::collections::HashMap;
use std::sync::Arc;

/// One match of an operation that has been read.
#[derive(Debug)]
pub(super) struct OperationDraft {
    pub(super) operation: Operation,
    /// Where the match stands.
    pub(super) span: Span,
}

/// The operations of a connector.
#[derive(Debug, Default)]
pub(super) struct Operations {
    pub(super) drafts: Vec<OperationDraft>,
    /// All ids, also of operations with mistakes.
    pub(super) ids: IndexSet<String>,
}

/// What operations may name.
pub(super) struct Known<'a> {
    pub(super) scopes: &'a Scopes,
    pub(super) hosts: &'a [String],
    pub(super) names: &'a Names,
}

/// Reads `operations:`.
pub(super) fn read(node: &Node, known: &Known<'_>, findings: &mut Findings<'_>) -> Operations {
    let mut made = Operations::default();
    let mut seen: HashMap<String, Span> = HashMap::new();
    for item in values::items(node, findings).unwrap_or_default() {
        if let Some(name) = item.get("id").and_then(Node::as_text) {
            let span = item.get("id").map_or(item.span, |node| node.span);
            match seen.get(name) {
                Some(first) => {
                    let place = findings.pointer(*first, span);
                    let message = format!("the operation `{name}` stands at {place} already");
                    findings.add(code::OPERATION_TWICE.at(span, message).help("rename one, or make them one with a list of matches"));
                }
                None => {
                    seen.insert(name.to_owned(), span);
                    made.ids.insert(name.to_owned());
                }
            }
        }
        made.drafts.extend(operation(item, known, findings).unwrap_or_default());
    }
    made
}

fn operation(node: &Node, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Vec<OperationDraft>> {
    let mut fields = Fields::open(node, "an operation", findings)?;
    let id = fields.require("id", findings).and_then(|node| values::name::<OperationId>(node, findings));
    if let Some(id) = &id {
        fields = fields.named_at(id.span);
    }
    let matches = fields.require("match", findings).map(|node| matching::read(node, findings)).unwrap_or_default();
    let narrow = fields.take("where").map(|node| narrow::read(node, findings)).unwrap_or_default();
    let names = fields.take("names").map_or_else(|| known.names.clone(), |node| Names::read(node, findings).over(known.names));
    let contents = content::read(&mut fields, known, &names, &matches, findings);
    let needs = needs(&mut fields, known, &Naming { names: &names, matches: &matches }, contents.is_said, findings);
    let extras = extras(&mut fields, known, &matches, findings);
    fields.close(findings);
    narrow::check_reachable(&narrow, contents.reads_body, &matches, extras.body, findings);
    let id = id?.value;
    let content = contents.content.map(Arc::new);
    let draft = |(found, need): (Match, Need)| {
        let span = found.span;
        let operation = extras.operation(id.clone(), found, &narrow, need, content.clone());
        OperationDraft { operation, span }
    };
    Some(needs?.into_iter().map(draft).collect())
}

/// What requirements may say in braces, and where it stands in paths.
struct Naming<'a> {
    names: &'a Names,
    matches: &'a [Match],
}

/// What each match needs: `require`, `deny`, or what the content asks for. A match whose requirement names parameters is one for each of
/// their values.
fn needs(
    fields: &mut Fields<'_>,
    known: &Known<'_>,
    naming: &Naming<'_>,
    reads_content: bool,
    findings: &mut Findings<'_>,
) -> Option<Vec<(Match, Need)>> {
    let required = fields.take("require");
    let denied = fields.take("deny");
    let span = fields.span();
    let needs = required.map(|node| require(node, known.scopes, naming, findings));
    let sentence = denied.map(|node| values::filled(node, findings).map(|text| text.value.trim().to_owned()));
    let all = |need: Need| naming.matches.iter().map(|found| (found.clone(), need.clone())).collect();
    match (needs, sentence) {
        (needs, Some(sentence)) => needs.map_or(Some(()), |needs| needs.map(drop)).and(sentence).map(Need::Denied).map(all),
        (Some(needs), None) => needs,
        (None, None) if reads_content => Some(all(Need::Scopes(vec![Vec::new()]))),
        (None, None) if fields.means("require") => None,
        (None, None) => {
            let help = "write `require: SCOPE`, or `require: none` if it really needs nothing";
            findings.add(code::NO_NEED.at(span, "this operation does not say what it needs").help(help));
            None
        }
    }
}

fn require(node: &Node, scopes: &Scopes, naming: &Naming<'_>, findings: &mut Findings<'_>) -> Option<Vec<(Match, Need)>> {
    let matches = naming.matches;
    if node.as_text() == Some("unknown") {
        return Some(matches.iter().map(|found| (found.clone(), Need::Unknown)).collect());
    }
    let parameters = parameters_in(node);
    if parameters.is_empty() {
        let need = Need::Scopes(requirement(node, scopes, &Chosen::default(), findings)?);
        return Some(matches.iter().map(|found| (found.clone(), need.clone())).collect());
    }
    let choices = naming.names.choices(&parameters, findings)?;
    for parameter in &parameters {
        let lacking = matches.iter().find(|found| !found.template.as_str().contains(&format!("{{{}}}", parameter.value)));
        if let Some(found) = lacking {
            let message = format!("`{}` is no parameter of the path {}", parameter.value, found.template);
            findings.add(code::UNKNOWN_PARAMETER.at(parameter.span, message));
            return None;
        }
    }
    let mut made = Vec::new();
    for chosen in &choices {
        let need = requirement(node, scopes, chosen, findings).map(Need::Scopes);
        for found in matches {
            let template = chosen.in_path(found.template.as_str());
            match (PathTemplate::parse(&template), &need) {
                (Ok(template), Some(need)) => made.push((Match { template, ..found.clone() }, need.clone())),
                (Ok(_), None) => {}
                (Err(error), _) => {
                    findings.add(code::INVALID_PATH.at(found.span, format!("with its names the path is {template}: {}", error.sentence)))
                }
            }
        }
    }
    Some(made)
}

/// The parameters that a requirement names, each once, where they stand.
fn parameters_in(node: &Node) -> Vec<Located<String>> {
    let mut found: Vec<Located<String>> = Vec::new();
    let mut add = |more: Vec<Located<String>>| {
        for one in more {
            if !found.iter().any(|known| known.value == one.value) {
                found.push(one);
            }
        }
    };
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => {
            add(names::parameters(text).into_iter().map(|name| Located { value: name.to_owned(), span: node.span }).collect());
        }
        Value::List(items) => items.iter().for_each(|item| add(parameters_in(item))),
        Value::Map(entries) => entries.iter().for_each(|entry| add(parameters_in(&entry.value))),
        Value::Refused => {}
    }
    found
}

/// Scopes of the connector in disjunctive normal form; `none` stands for one empty alternative. Names stand as chosen.
pub(super) fn requirement(node: &Node, scopes: &Scopes, chosen: &Chosen, findings: &mut Findings<'_>) -> Option<Alternatives> {
    if node.as_text() == Some("none") {
        return Some(vec![Vec::new()]);
    }
    let mut leaf = |name: Located<&str>, findings: &mut Findings<'_>| {
        let value = chosen.in_scope(name.value);
        scopes.find(Located { value: value.as_str(), span: name.span }, findings)
    };
    alternatives(node, BareList::MustSay, &mut leaf, findings)
}

/// What is said of an operation besides its match and its need.
struct Extras {
    risk: Risk,
    host: Option<String>,
    body: BodyAllowed,
    websocket: bool,
    redirect_passes: bool,
    allow_query: Vec<String>,
    allow_encoded: Vec<(String, String)>,
    replay_after_401: bool,
    limits: Limits,
}

impl Extras {
    fn operation(&self, id: OperationId, found: Match, narrow: &[Located<Narrow>], need: Need, content: Option<Arc<Content>>) -> Operation {
        Operation {
            id,
            method: found.method,
            template: found.template,
            narrow: narrow.iter().map(|one| one.value.clone()).collect(),
            need,
            content,
            risk: self.risk,
            host: self.host.clone(),
            body: self.body == BodyAllowed::Always,
            websocket: self.websocket,
            redirect_passes: self.redirect_passes,
            allow_query: self.allow_query.clone(),
            allow_encoded: self.allow_encoded.clone(),
            replay_after_401: self.replay_after_401,
            limits: self.limits,
        }
    }
}

fn extras(fields: &mut Fields<'_>, known: &Known<'_>, matches: &[Match], findings: &mut Findings<'_>) -> Extras {
    let risk = fields.take("risk").and_then(|node| values::word(node, &RISKS, findings)).unwrap_or_default();
    let host = fields.take("host").and_then(|node| host(node, known.hosts, findings));
    let body = fields.take("body").and_then(|node| values::flag(node, findings)).unwrap_or_default();
    let body = if body { BodyAllowed::Always } else { BodyAllowed::ByMethod };
    let mut says =
        |key, word, findings: &mut Findings<'_>| fields.take(key).is_some_and(|node| values::word(node, &[(word, ())], findings).is_some());
    let websocket = says("upgrade", "websocket", findings);
    let redirect_passes = says("redirect", "pass", findings);
    let replay_after_401 = says("replay_after_401", "all", findings);
    let allow_query = fields.take("allow_query").map(|node| names(node, findings)).unwrap_or_default();
    let allow_encoded = fields.take("allow_encoded").map(|node| allow_encoded(node, matches, findings)).unwrap_or_default();
    let limits = fields.take("limits").map(|node| limits::read(node, findings)).unwrap_or_default();
    // An answer that sends the agent elsewhere may carry a credential in the address.
    let risk = if redirect_passes { Risk::Capability } else { risk };
    Extras { risk, host, body, websocket, redirect_passes, allow_query, allow_encoded, replay_after_401, limits }
}

fn host(node: &Node, hosts: &[String], findings: &mut Findings<'_>) -> Option<String> {
    let found = values::text(node, findings)?;
    if !hosts.iter().any(|known| known == found.value) {
        let help = suggestion(found.value, hosts.iter().map(String::as_str)).unwrap_or_else(|| "declare it under `hosts`".into());
        findings.add(code::UNKNOWN_HOST.at(found.span, format!("this connector has no host `{}`", found.value)).help(help));
    }
    Some(found.value.to_owned())
}

/// Characters that a parameter may hold although they stand encoded.
const ENCODABLE: [char; 4] = ['/', '?', '#', ';'];

fn allow_encoded(node: &Node, matches: &[Match], findings: &mut Findings<'_>) -> Vec<(String, String)> {
    let mut made = Vec::new();
    for entry in values::entries(node, findings).unwrap_or_default() {
        let name = &entry.key.value;
        let has = |found: &Match| found.template.parameters().any(|parameter| parameter == name);
        if !matches.is_empty() && !matches.iter().any(has) {
            let known = matches.iter().flat_map(|found| PathTemplate::parameters(&found.template));
            let help = suggestion(name, known.collect::<Vec<_>>());
            findings.add(code::UNKNOWN_PARAMETER.at(entry.key.span, format!("no match of this operation has a parameter `{name}`")).maybe_help(help));
        }
        let Some(characters) = values::filled(&entry.value, findings) else { continue };
        if let Some(odd) = characters.value.chars().find(|character| !ENCODABLE.contains(character)) {
            let message = format!("`{odd}` can never stand encoded in a parameter");
            findings.add(code::UNKNOWN_WORD.at(characters.span, message).help("of `/`, `?`, `#` and `;` write those that may"));
        }
        made.push((name.clone(), characters.value.to_owned()));
    }
    made
}
