//! `soql`, `graphql` and `batch`: what an operation reads of the content.

use super::batch;
use super::matching::Match;
use super::names::{self, Names};
use super::operations::{Known, requirement};
use crate::inspect::GraphqlLimits;
use crate::policy::code;
use crate::policy::content::{Alternatives, Content, Graphql, QueryPlace, Soql};
use crate::policy::diagnostic::{Finding, Findings};
use crate::policy::document::{Entry, Fields, Located, Node, Span, Value, values};
use indexmap::IndexMap;

/// What is said about the content, and whether anything is, also with mistakes.
pub(super) struct Contents {
    pub(super) content: Option<Content>,
    pub(super) is_said: bool,
    /// Where the key stands of what is read in the body alone.
    pub(super) reads_body: Option<Span>,
}

/// Reads whichever of the three keys stands there.
pub(super) fn read(fields: &mut Fields<'_>, known: &Known<'_>, names: &Names, matches: &[Match], findings: &mut Findings<'_>) -> Contents {
    let keys = ["soql", "graphql", "batch"].map(|key| fields.entry(key));
    let said: Vec<&Entry> = keys.iter().flatten().copied().collect();
    if let [first, second, ..] = said.as_slice() {
        let message = format!("an operation reads its content in one way, and `{}` is another than `{}`", second.key.value, first.key.value);
        findings.add(code::CONFLICT.at(second.key.span, message).help("make them two operations"));
    }
    let [queries, graph, parts] = keys;
    let soql = queries.and_then(|entry| soql(&entry.value, known, names, findings)).map(Content::Soql);
    let graphql = graph.and_then(|entry| graphql(&entry.value, known, findings)).map(Content::Graphql);
    let batch = parts.and_then(|entry| batch::read(&entry.value, matches, findings)).map(Content::Batch);
    let content = soql.or(graphql).or(batch);
    let in_body = match &content {
        Some(Content::Soql(soql)) => matches!(soql.place, QueryPlace::Json(_)),
        Some(Content::Batch(_)) => true,
        Some(Content::Graphql(_)) | None => false,
    };
    Contents { content, is_said: !said.is_empty(), reads_body: said.first().filter(|_| in_body).map(|entry| entry.key.span) }
}

fn soql(node: &Node, known: &Known<'_>, names: &Names, findings: &mut Findings<'_>) -> Option<Soql> {
    let mut fields = Fields::open(node, "`soql`", findings)?;
    let place = place(&mut fields, findings);
    let objects = fields.require("objects", findings).and_then(|node| objects(node, known, names, findings));
    let relationships = fields.take("relationships");
    fields.close(findings);
    let objects = objects?;
    let relationships = relationships.map(|node| self::relationships(node, &objects, findings)).unwrap_or_default();
    Some(Soql { place: place?, objects, relationships })
}

fn place(fields: &mut Fields<'_>, findings: &mut Findings<'_>) -> Option<QueryPlace> {
    match (fields.take("query"), fields.entry("json")) {
        (Some(_), Some(json)) => {
            findings.add(code::CONFLICT.at(json.key.span, "a query stands in one place: `query` and `json` are two"));
            None
        }
        (None, Some(json)) => values::pointer(&json.value, findings).map(QueryPlace::Json),
        (Some(node), None) => values::filled(node, findings).map(|name| QueryPlace::Parameter(name.value.to_owned())),
        (None, None) => {
            if !fields.means("query") {
                let message = "`soql` does not say where the query stands";
                findings.add(code::MISSING_KEY.at(fields.span(), message).help("write `query: q` for a parameter, or `json: /query` for the body"));
            }
            None
        }
    }
}

/// What each object needs. An entry `{NAME}` stands for all values of `NAME`.
fn objects(node: &Node, known: &Known<'_>, names: &Names, findings: &mut Findings<'_>) -> Option<IndexMap<String, Alternatives>> {
    let mut made: IndexMap<String, Alternatives> = IndexMap::new();
    let entries = values::entries(node, findings)?;
    if entries.is_empty() {
        findings.add(code::EMPTY.at(node.span, "no object stands here, so every query is refused").help("write `{OBJECT: SCOPE}`"));
    }
    for Entry { key, value } in entries {
        let parameters: Vec<Located<String>> =
            names::parameters(&key.value).into_iter().map(|name| Located { value: name.to_owned(), span: key.span }).collect();
        for chosen in names.choices(&parameters, findings).unwrap_or_default() {
            let object = chosen.in_path(&key.value);
            if !is_word(&object) {
                findings.add(code::INVALID_NAME.at(key.span, format!("`{object}` is not the name of an object")));
            }
            if made.keys().any(|known| known.eq_ignore_ascii_case(&object)) {
                let message = format!("the object `{object}` stands here already; names compare without case");
                findings.add(code::CONFLICT.at(key.span, message));
            }
            if let Some(need) = requirement(value, known.scopes, &chosen, findings) {
                made.insert(object, need);
            }
        }
    }
    Some(made)
}

fn relationships(node: &Node, objects: &IndexMap<String, Alternatives>, findings: &mut Findings<'_>) -> Vec<(String, Vec<usize>)> {
    let mut made: Vec<(String, Vec<usize>)> = Vec::new();
    let find = |name: &str| objects.keys().position(|known| known.eq_ignore_ascii_case(name));
    for Entry { key, value } in values::entries(node, findings).unwrap_or_default() {
        let (of, name) = key.value.split_once('.').map_or((None, key.value.as_str()), |(of, name)| (Some(of), name));
        if !is_word(name) {
            findings.add(code::INVALID_NAME.at(key.span, format!("`{}` is not the name of a relationship", key.value)));
        }
        if let Some(of) = of.filter(|of| find(of).is_none()) {
            findings.add(unknown_object(Located { value: of, span: key.span }, objects, findings));
        }
        if made.iter().any(|(known, _)| known.eq_ignore_ascii_case(&key.value)) {
            findings.add(code::CONFLICT.at(key.span, format!("the relationship `{}` stands here already; names compare without case", key.value)));
        }
        let mut to = Vec::new();
        for target in super::requirement::filled_list(value, findings).unwrap_or_default() {
            match find(target.value) {
                Some(at) => to.push(at),
                None => findings.add(unknown_object(target, objects, findings)),
            }
        }
        made.push((key.value.clone(), to));
    }
    made
}

fn unknown_object(name: Located<&str>, objects: &IndexMap<String, Alternatives>, findings: &Findings<'_>) -> Finding {
    let help = findings.suggestion(name.value, objects.keys().map(String::as_str)).unwrap_or_else(|| "say under `objects` what it needs".into());
    code::UNKNOWN_OBJECT.at(name.span, format!("`objects` does not name `{}`", name.value)).help(help)
}

fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn graphql(node: &Node, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Graphql> {
    let mut fields = Fields::open(node, "`graphql`", findings)?;
    let mut of = |key, findings: &mut Findings<'_>| fields.take(key).map(|node| root_fields(node, known, findings));
    let (query, mutation, subscription) = (of("query", findings), of("mutation", findings), of("subscription", findings));
    let mut number = |key, most, findings: &mut Findings<'_>| fields.take(key).and_then(|node| number(node, most, findings));
    let standard = GraphqlLimits::default();
    let batched = number("batched", 100, findings).unwrap_or_default();
    let limits = GraphqlLimits {
        depth: number("depth", 60, findings).unwrap_or(standard.depth),
        tokens: number("tokens", 20_000, findings).unwrap_or(standard.tokens),
    };
    let says_nothing = query.is_none() && mutation.is_none() && subscription.is_none() && !fields.means("query") && !fields.means("mutation");
    if says_nothing && !matches!(node.value, Value::Refused) {
        findings.add(code::EMPTY.at(node.span, "no root field stands here, so every request is refused").help("write `{query: {FIELD: SCOPE}}`"));
    }
    fields.close(findings);
    let [query, mutation, subscription] = [query, mutation, subscription].map(Option::unwrap_or_default);
    Some(Graphql { query, mutation, subscription, batched, limits })
}

fn root_fields(node: &Node, known: &Known<'_>, findings: &mut Findings<'_>) -> IndexMap<String, Alternatives> {
    let mut made = IndexMap::new();
    for Entry { key, value } in values::entries(node, findings).unwrap_or_default() {
        let name = key.value.trim_start_matches('_');
        if key.value != "*" && !is_word(name) {
            findings.add(code::INVALID_NAME.at(key.span, format!("`{}` is not the name of a field, and not `*`", key.value)));
        }
        if let Some(need) = requirement(value, known.scopes, &names::Chosen::default(), findings) {
            made.insert(key.value.clone(), need);
        }
    }
    made
}

/// A whole number from 1.
pub(super) fn number(node: &Node, most: usize, findings: &mut Findings<'_>) -> Option<usize> {
    let found = values::text(node, findings)?;
    let number = found.value.parse().ok().filter(|number| (1..=most).contains(number));
    if number.is_none() {
        findings.add(code::INVALID_NUMBER.at(found.span, format!("`{}` is no whole number from 1 to {most}", found.value)));
    }
    number
}
