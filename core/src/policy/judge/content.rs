//! What the content of a request asks for: objects of a query, root fields, parts of a batch.

use super::verdict::{Group, Read};
use super::{Asker, batch, has_body, objects};
use crate::inspect::{Call, GraphqlKind, Json, Select};
use crate::policy::content::{Content, Graphql, QueryPlace, Soql};
use crate::policy::decision::{Contained, Denial, Ruling, Undeclared};
use crate::policy::rules::{Meant, Rows, Rule, of_field};
use crate::request::{Ambiguity, Body, Request};
use crate::scope::Requirement;
use std::cmp::Reverse;

const NO_BODY: Ambiguity = Ambiguity::new("body-missing", "policy reads the body, and there is none");
const NO_QUERY: Ambiguity = Ambiguity::new("query-missing", "the query that the policy reads does not stand exactly once where it reads it");
const TWO_PLACES: Ambiguity =
    Ambiguity::new("graphql-get-body", "a GraphQL request by GET stands in the query, and some servers would rather read the body that it carries");
const REFERENCES: Ambiguity = Ambiguity::new("body-references", "policy reads the body, and a value in it is put there later by the provider");

/// A request, or a part of a batch, whose content is read.
#[derive(Clone, Copy)]
pub(super) struct Source<'q> {
    pub(super) request: &'q Request,
    /// Whether values in its body are put there later.
    pub(super) has_references: bool,
}

impl<'a> Asker<'a> {
    /// The ruling where these operations are meant.
    pub(super) fn judged(&self, request: &Request, meant: Meant<'a>) -> Result<Ruling, Denial> {
        let group = Group::of(meant);
        let head = self.verdict(std::slice::from_ref(&group), || Ok(None))?;
        let meant = &group.meant;
        let reading: Rows<'a> = meant.rules().iter().copied().filter(|rule| rule.operation.content.is_some()).collect();
        if reading.is_empty() {
            return Ok(Ruling::Allow(head));
        }
        let in_body = || reading.iter().filter(|rule| needs_body(rule, request));
        let could_be_allowed = || in_body().try_for_each(|rule| self.could_be_allowed(meant, rule));
        if request.body == Body::Unread && in_body().next().is_some() {
            return could_be_allowed().map(|()| Ruling::ReadBody(head.operations));
        }
        let allowance = if reading.iter().any(|rule| batch::is_batch(rule)) {
            self.batch(request, meant)
        } else {
            let source = Source { request, has_references: false };
            self.reads(meant, source).and_then(|reads| self.verdict(&[Group { meant: meant.clone(), reads, part: None }], || Ok(None)))
        };
        // What no body could change is told first, whether one was read or not.
        allowance.map(Ruling::Allow).or_else(|denial| could_be_allowed().and(Err(denial)))
    }

    /// Everything that the content reads, of all operations that are meant; batches apart.
    pub(super) fn reads(&self, meant: &Meant<'a>, source: Source<'_>) -> Result<Vec<Read<'a>>, Denial> {
        let mut reads = Vec::new();
        for rule in meant.rules() {
            let undeclared = |what| Denial::Undeclared { operations: meant.operations(&self.rules.scopes), what };
            match rule.operation.content.as_deref() {
                Some(Content::Soql(soql)) => {
                    let text = query(soql, source).map_err(Denial::Ambiguous)?;
                    let select = Select::read(&text).map_err(Denial::Ambiguous)?;
                    let found = objects::read_by(&select, soql).ok_or_else(|| undeclared(Undeclared::Object))?;
                    reads.extend(found.into_iter().filter_map(|at| object(rule, soql, at)));
                }
                Some(Content::Graphql(graphql)) => fields(rule, graphql, source, &mut reads, &undeclared)?,
                Some(Content::Batch(_)) | None => {}
            }
        }
        Ok(reads)
    }

    /// Whether something that the body could ask for would be allowed; else what comes nearest to it.
    fn could_be_allowed(&self, meant: &Meant<'a>, rule: &'a Rule) -> Result<(), Denial> {
        match rule.operation.content.as_deref() {
            Some(Content::Batch(_)) => self.could_be_allowed_a_part(meant),
            Some(Content::Soql(_)) => first_ok(rule.contents.iter().flatten().map(|requirement| self.would_read(meant, requirement))),
            // `__typename` needs nothing
            Some(Content::Graphql(_)) | None => Ok(()),
        }
    }

    fn would_read(&self, meant: &Meant<'a>, requirement: &'a Requirement) -> Result<(), Denial> {
        let read = Read { requirement, what: Contained::Object(String::new()) };
        let group = Group { meant: meant.clone(), reads: vec![read], part: None };
        let allowed = self.verdict(&[group], || Ok(None)).map(drop);
        allowed.map_err(|denial| denial.without_contained())
    }
}

/// Fine where one of them is. Else what comes nearest to it: the denial whose reason is asked for last, then the one that lacks fewest.
pub(super) fn first_ok(verdicts: impl Iterator<Item = Result<(), Denial>>) -> Result<(), Denial> {
    let mut denials = Vec::new();
    for verdict in verdicts {
        match verdict {
            Ok(()) => return Ok(()),
            Err(denial) => denials.push(denial),
        }
    }
    let nearness = |denial: &Denial| (Reverse(denial.reason()), denial.lack().map_or(0, |lack| lack.missing_scopes.len()));
    denials.into_iter().min_by_key(nearness).map_or(Ok(()), Err)
}

/// Whether what this operation reads stands in the body.
fn needs_body(rule: &Rule, request: &Request) -> bool {
    match rule.operation.content.as_deref() {
        Some(Content::Soql(soql)) => matches!(soql.place, QueryPlace::Json(_)),
        Some(Content::Graphql(_)) => !is_by_get(request),
        Some(Content::Batch(_)) => true,
        None => false,
    }
}

fn is_by_get(request: &Request) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
}

/// The body of what is read.
pub(super) fn body<'q>(source: Source<'q>) -> Result<&'q [u8], Ambiguity> {
    match &source.request.body {
        Body::Whole(_) if source.has_references => Err(REFERENCES),
        Body::Whole(body) if !body.is_empty() => Ok(body),
        Body::Whole(_) | Body::None | Body::Unread => Err(NO_BODY),
    }
}

fn query(soql: &Soql, source: Source<'_>) -> Result<String, Ambiguity> {
    match &soql.place {
        QueryPlace::Parameter(name) => {
            let mut alike = source.request.query.parameters().iter().filter(|parameter| parameter.could_be(name));
            match (alike.next(), alike.next()) {
                (Some(only), None) if only.name == *name => Ok(only.value.clone()),
                _ => Err(NO_QUERY),
            }
        }
        QueryPlace::Json(pointer) => {
            let json = Json::of_body(&source.request.headers, body(source)?)?;
            json.at(pointer)?.and_then(Json::as_text).map(str::to_owned).ok_or(NO_QUERY)
        }
    }
}

fn object<'a>(rule: &'a Rule, soql: &Soql, at: usize) -> Option<Read<'a>> {
    let [objects, ..] = &rule.contents;
    let (name, _) = soql.objects.get_index(at)?;
    Some(Read { requirement: objects.get(at)?, what: Contained::Object(name.clone()) })
}

fn fields<'a>(
    rule: &'a Rule,
    graphql: &Graphql,
    source: Source<'_>,
    reads: &mut Vec<Read<'a>>,
    undeclared: &dyn Fn(Undeclared) -> Denial,
) -> Result<(), Denial> {
    let request = source.request;
    let read = || {
        if is_by_get(request) {
            if has_body(request) {
                return Err(TWO_PLACES);
            }
            return Ok(vec![Call::in_query(&request.query)?.asked_by_get(graphql.limits)?]);
        }
        let json = Json::of_body(&request.headers, body(source)?)?;
        let calls = Call::in_body(&json, &request.query, graphql.batched)?;
        calls.iter().map(|call| call.asked(graphql.limits)).collect()
    };
    for asked in read().map_err(Denial::Ambiguous)? {
        for field in asked.fields.iter().filter(|field| *field != "__typename") {
            let requirement = of_field(rule, graphql, asked.kind, field).ok_or_else(|| undeclared(Undeclared::Field(asked.kind)))?;
            reads.push(Read { requirement, what: Contained::Field(asked.kind, known_name(graphql, asked.kind, field)) });
        }
    }
    Ok(())
}

/// A field as the policy calls it: its own name, or `*`.
fn known_name(graphql: &Graphql, kind: GraphqlKind, field: &str) -> String {
    graphql.of(kind).get_key_value(field).map_or_else(|| "*".to_owned(), |(name, _)| name.clone())
}
