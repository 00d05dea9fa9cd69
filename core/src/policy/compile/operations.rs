//! The operations of a connector.

use super::facts::names;
use super::later;
use super::matching::{self, Match};
use super::narrow::{self, BodyAllowed};
use super::requirement::{BareList, alternatives};
use super::scopes::{RISKS, Scopes};
use crate::connector::Risk;
use crate::id::OperationId;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Located, Node, Span, suggestion, values};
use crate::policy::operation::{Narrow, Need, Operation};
use crate::policy::template::PathTemplate;
use crate::scope::Scope;
use std::collections::HashMap;

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
    pub(super) ids: Vec<String>,
}

/// What operations may name.
pub(super) struct Known<'a> {
    pub(super) scopes: &'a Scopes,
    pub(super) hosts: &'a [String],
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
                    made.ids.push(name.to_owned());
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
    let need = need(&mut fields, known, findings);
    let extras = extras(&mut fields, known, &matches, findings);
    fields.close(findings);
    narrow::check_reachable(&narrow, &matches, extras.body, findings);
    let (id, need) = (id?.value, need?);
    let draft = |found: Match| OperationDraft { span: found.span, operation: extras.operation(id.clone(), found, &narrow, need.clone()) };
    Some(matches.into_iter().map(draft).collect())
}

/// What an operation needs: `require`, `deny`, or what a later version will judge.
fn need(fields: &mut Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Need> {
    let required = fields.take("require");
    let denied = fields.take("deny");
    let judged_later = later::read(fields, known.scopes, findings);
    let span = fields.span();
    let need = required.map(|node| require(node, known.scopes, findings));
    let sentence = denied.map(|node| values::filled(node, findings).map(|text| text.value.trim().to_owned()));
    match (need, sentence, judged_later) {
        (need, Some(sentence), _) => need.map_or(Some(()), |need| need.map(drop)).and(sentence).map(Need::Denied),
        (need, None, Some(sentence)) => need.map_or(Some(()), |need| need.map(drop)).map(|()| Need::Denied(sentence)),
        (Some(need), None, None) => need,
        (None, None, None) if fields.means("require") => None,
        (None, None, None) => {
            let help = "write `require: SCOPE`, or `require: none` if it really needs nothing";
            findings.add(code::NO_NEED.at(span, "this operation does not say what it needs").help(help));
            None
        }
    }
}

fn require(node: &Node, scopes: &Scopes, findings: &mut Findings<'_>) -> Option<Need> {
    if node.as_text() == Some("unknown") {
        return Some(Need::Unknown);
    }
    requirement(node, scopes, findings).map(Need::Scopes)
}

/// Scopes of the connector in disjunctive normal form; `none` stands for one empty alternative.
pub(super) fn requirement(node: &Node, scopes: &Scopes, findings: &mut Findings<'_>) -> Option<Vec<Vec<Scope>>> {
    if node.as_text() == Some("none") {
        return Some(vec![Vec::new()]);
    }
    alternatives(node, BareList::MustSay, &mut |name, findings| scopes.find(name, findings), findings)
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
}

impl Extras {
    fn operation(&self, id: OperationId, found: Match, narrow: &[Located<Narrow>], need: Need) -> Operation {
        Operation {
            id,
            method: found.method,
            template: found.template,
            narrow: narrow.iter().map(|one| one.value.clone()).collect(),
            need,
            risk: self.risk,
            host: self.host.clone(),
            body: self.body == BodyAllowed::Always,
            websocket: self.websocket,
            redirect_passes: self.redirect_passes,
            allow_query: self.allow_query.clone(),
            allow_encoded: self.allow_encoded.clone(),
            replay_after_401: self.replay_after_401,
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
    if let Some(node) = fields.take("mode") {
        later::mode(node, findings);
    }
    // An answer that sends the agent elsewhere may carry a credential in the address.
    let risk = if redirect_passes { Risk::Capability } else { risk };
    Extras { risk, host, body, websocket, redirect_passes, allow_query, allow_encoded, replay_after_401 }
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
