//! The judgement of one request: which operation it is, and the first reason that keeps it from being done.
//!
//! The order of the reasons is: reading, operation, a `deny`, the role's scopes, the
//! account's status, consent, body. A body is read only where some reading of it
//! could still be allowed. What an operation reads of the content is judged by the
//! same reasons once more, now with all that was found there.

mod batch;
mod content;
#[cfg(test)]
mod contents;
#[cfg(test)]
mod deciding;
mod forms;
#[cfg(test)]
mod language;
mod objects;
mod verdict;

use self::forms::Watched;
use super::decision::{Denial, Ruling};
use super::narrow::{self, Holds};
use super::operation::Operation;
use super::role::Ceiling;
use super::router::Route;
use super::rules::{Meant, Rows, Rule, Rules};
use crate::account::{GrantStanding, Standing};
use crate::id::RoleName;
use crate::inspect::Json;
use crate::request::{Ambiguity, Body, CanonicalPath, Encoded, Headers, Request, Suspect};
use smallvec::smallvec;
use std::sync::Arc;

const BODY_ON_GET: Ambiguity = Ambiguity::new("body-on-get", "a GET or HEAD carries a body, and the operation does not say that it may");
const TWO_PATHS: Ambiguity =
    Ambiguity::new("path-matches-differently", "the path is another operation to a server that decodes it before it looks for one");
const REFUSED_HEADER: Ambiguity = Ambiguity::new("refused-header", "a header is one of those that the policy of this connector refuses");
const TWO_HOSTS: Ambiguity = Ambiguity::new("two-hosts", "two operations of different hosts match, and neither is more specific");

/// The operations whose method and path match, before `where`.
pub(super) struct Found<'a> {
    count: usize,
    rules: Rows<'a>,
}

/// Who asks for what, at this connector.
struct Asker<'a> {
    rules: &'a Rules,
    role: &'a RoleName,
    ceiling: Option<&'a Ceiling>,
    grant: GrantStanding<'a>,
}

/// The candidates of a request, as far as its head tells.
struct Candidates<'a> {
    count: usize,
    sure: Rows<'a>,
    /// Only the body tells whether these match.
    open: Rows<'a>,
}

impl Rules {
    /// Judges what only the connector knows of the reading. Most requests have nothing that could be judged.
    pub(super) fn read(&self, request: &Request) -> Result<(), Ambiguity> {
        let is_plain = !request.path.as_str().contains('%') && request.query.suspects().is_empty() && self.connector.refuse_headers.is_empty();
        if is_plain && !self.telling.iter().any(|name| narrow::has_two_readings(&request.query, name)) {
            return Ok(());
        }
        let found = self.find(request);
        self.read_found(request, &found)?;
        found.candidates(request).map(|_| ())
    }

    /// Judges `request` for whoever stands so.
    pub(super) fn judge(&self, standing: &Standing<'_>, request: &Request) -> Ruling {
        let found = self.find(request);
        let watched = Watched::of(&found, request);
        let candidates = match self.read_found(request, &found).and_then(|()| found.candidates(request)) {
            Ok(candidates) => candidates,
            Err(ambiguity) => return Ruling::Deny(Denial::Ambiguous(ambiguity)),
        };
        let asker = Asker { rules: self, role: standing.role, ceiling: self.ceilings.get(standing.role), grant: standing.grant };
        let ruling = match &request.body {
            Body::Unread if !candidates.open.is_empty() => asker.without_body(request, &candidates),
            Body::Whole(body) if !candidates.open.is_empty() && !body.is_empty() => asker.with_body(request, &candidates, body),
            Body::None | Body::Unread | Body::Whole(_) => asker.settle(request, candidates.sure, candidates.count),
        };
        watched.ruled(ruling, request)
    }

    /// All operations whose method and path match.
    pub(super) fn find(&self, request: &Request) -> Found<'_> {
        self.find_at(request, &request.path)
    }

    fn find_at(&self, request: &Request, path: &CanonicalPath) -> Found<'_> {
        let route = Route::of(path.as_str());
        let mut rules = Rows::new();
        self.router.find(&request.method, &route, &mut |number| rules.extend(self.rules.get(number)));
        Found { count: route.len(), rules }
    }

    fn read_found<'a>(&'a self, request: &Request, found: &Found<'a>) -> Result<(), Ambiguity> {
        if let Some(encoded) = request.path.encoded().iter().find(|encoded| !found.allows_encoded(encoded)) {
            return Err(encoded.ambiguity());
        }
        if request.path.plain_twin().is_some_and(|twin| !found.is_same(&self.find_at(request, &twin))) {
            return Err(TWO_PATHS);
        }
        if self.connector.refuse_headers.iter().any(|name| request.headers.get(name).is_some() || request.headers.has_twin(name)) {
            return Err(REFUSED_HEADER);
        }
        let is_honest = |suspect: &Suspect| suspect.allowable && (self.connector.allow_query.contains(&suspect.name) || found.allows_query(suspect));
        request.query.suspects().iter().find(|suspect| !is_honest(suspect)).map_or(Ok(()), |suspect| Err(suspect.ambiguity))
    }
}

impl<'a> Found<'a> {
    /// Whether all of them allow the character in all parameters that take its segment.
    fn allows_encoded(&self, encoded: &Encoded) -> bool {
        let allows = |rule: &&Rule| {
            let operation = &rule.operation;
            let is_allowed = |parameter: &str| {
                operation.allow_encoded.iter().any(|(name, characters)| name == parameter && characters.contains(encoded.character))
            };
            let mut parameters = operation.template.parameters_at(encoded.segment, self.count).peekable();
            parameters.peek().is_some() && parameters.all(is_allowed)
        };
        !self.rules.is_empty() && self.rules.iter().all(allows)
    }

    fn is_same(&self, other: &Self) -> bool {
        let has = |rule: &&Rule| other.rules.iter().any(|other| std::ptr::eq(*other, *rule));
        self.rules.len() == other.rules.len() && self.rules.iter().all(has)
    }

    fn allows_query(&self, suspect: &Suspect) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rule| rule.operation.allow_query.contains(&suspect.name))
    }

    /// The operations themselves.
    pub(super) fn into_operations(self) -> impl Iterator<Item = &'a Arc<Operation>> {
        self.rules.into_iter().map(|rule| &rule.operation)
    }

    fn candidates(self, request: &Request) -> Result<Candidates<'a>, Ambiguity> {
        if self.rules.iter().all(|rule| rule.operation.narrow.is_empty()) {
            return Ok(Candidates { count: self.count, sure: self.rules, open: Rows::new() });
        }
        let mut candidates = Candidates { count: self.count, sure: Rows::new(), open: Rows::new() };
        for rule in self.rules {
            match narrow::by_head(&rule.operation.narrow, request)? {
                Holds::Yes => candidates.sure.push(rule),
                Holds::BodyDecides => candidates.open.push(rule),
                Holds::No => {}
            }
        }
        Ok(candidates)
    }
}

impl<'a> Asker<'a> {
    /// The ruling where exactly these operations match, on a path of `count` segments.
    fn settle(&self, request: &Request, matching: Rows<'a>, count: usize) -> Ruling {
        let ruling = match Meant::of(matching, count) {
            None => Err(Denial::UnknownOperation),
            Some(meant) => as_operation(&meant, request).and_then(|()| self.judged(request, meant)),
        };
        ruling.unwrap_or_else(Ruling::Deny)
    }

    /// The ruling while nobody knows whether the open candidates match. If any reading of the body is allowed, then the one
    /// is in which all open candidates match that would be allowed alone: more of these only beat more of the others.
    fn without_body(&self, request: &Request, candidates: &Candidates<'a>) -> Ruling {
        let could = |rule: &&&'a Rule| !matches!(self.settle(request, smallvec![**rule], candidates.count), Ruling::Deny(_));
        let best = candidates.sure.iter().chain(candidates.open.iter().filter(could)).copied().collect();
        match self.settle(request, best, candidates.count) {
            Ruling::Allow(allowance) => Ruling::ReadBody(allowance.operations),
            Ruling::ReadBody(operations) => Ruling::ReadBody(operations),
            Ruling::Deny(denial) => Ruling::Deny(self.denial_whatever_the_body(request, candidates, denial)),
        }
    }

    /// Of the denials that a body could lead to the one whose reason is asked for first, then the one that lacks fewest.
    fn denial_whatever_the_body(&self, request: &Request, candidates: &Candidates<'a>, otherwise: Denial) -> Denial {
        let sure = (!candidates.sure.is_empty()).then(|| candidates.sure.clone());
        let each = candidates.open.iter().map(|open| candidates.sure.iter().chain(std::iter::once(open)).copied().collect());
        let denials = sure.into_iter().chain(each).filter_map(|matching| match self.settle(request, matching, candidates.count) {
            Ruling::Deny(denial) => Some(denial),
            Ruling::Allow(_) | Ruling::ReadBody(_) => None,
        });
        denials.min_by_key(|denial| (denial.reason(), denial.lack().map_or(0, |lack| lack.missing_scopes.len()))).unwrap_or(otherwise)
    }

    /// What no body could change is told first, whether one was read or not.
    fn with_body(&self, request: &Request, candidates: &Candidates<'a>, body: &[u8]) -> Ruling {
        let matching = candidates.matching(&request.headers, body).map_err(Denial::Ambiguous);
        let ruling = matching.map_or_else(Ruling::Deny, |matching| self.settle(request, matching, candidates.count));
        if !matches!(ruling, Ruling::Deny(_)) {
            return ruling;
        }
        match self.without_body(&Request { body: Body::Unread, ..request.clone() }, candidates) {
            Ruling::Allow(_) | Ruling::ReadBody(_) => ruling,
            whatever @ Ruling::Deny(_) => whatever,
        }
    }
}

/// Whether the request is of the operations' kind.
fn as_operation(meant: &Meant<'_>, request: &Request) -> Result<(), Denial> {
    let all = |says: fn(&Rule) -> bool| meant.rules().iter().all(|rule| says(rule));
    if request.websocket && !all(|rule| rule.operation.websocket) {
        return Err(Denial::UnknownOperation);
    }
    if has_body(request) && matches!(request.method.as_str(), "GET" | "HEAD") && !all(|rule| rule.operation.body) {
        return Err(Denial::Ambiguous(BODY_ON_GET));
    }
    let mut hosts = meant.rules().iter().map(|rule| &rule.operation.host);
    let first = hosts.next();
    if hosts.any(|host| Some(host) != first) { Err(Denial::Ambiguous(TWO_HOSTS)) } else { Ok(()) }
}

fn has_body(request: &Request) -> bool {
    match &request.body {
        Body::None => false,
        Body::Unread => true,
        Body::Whole(body) => !body.is_empty(),
    }
}

impl<'a> Candidates<'a> {
    /// Those that match, as the body says.
    fn matching(&self, headers: &Headers, body: &[u8]) -> Result<Rows<'a>, Ambiguity> {
        let body = Json::of_body(headers, body)?;
        let mut matching = self.sure.clone();
        for rule in &self.open {
            if narrow::by_body(&rule.operation.narrow, &body)? {
                matching.push(rule);
            }
        }
        Ok(matching)
    }
}
