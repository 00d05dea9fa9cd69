//! The judgement of one request: which operation it is, and the first reason that keeps it from being done.
//!
//! The order of the reasons is: reading, operation, a `deny`, the role's scopes, the
//! account's status, consent, body. A body is read only where some reading of it
//! could still be allowed.

#[cfg(test)]
mod deciding;
#[cfg(test)]
mod language;

use super::decision::{Denial, DeniedBy, Lack, Operations, Ruling};
use super::narrow::{self, Holds};
use super::operation::{Need, Operation};
use super::role::Ceiling;
use super::rules::{Meant, Rule, Rules};
use super::scopes::Coverage;
use crate::account::{GrantStanding, Standing};
use crate::inspect::Json;
use crate::request::{Ambiguity, Body, CanonicalPath, Encoded, Headers, Request, Suspect};
use crate::scope::ScopeSet;
use std::sync::Arc;

const BODY_ON_GET: Ambiguity = Ambiguity::new("body-on-get", "a GET or HEAD carries a body, and the operation does not say that it may");
const TWO_PATHS: Ambiguity =
    Ambiguity::new("path-matches-differently", "the path is another operation to a server that decodes it before it looks for one");
const TWO_HOSTS: Ambiguity = Ambiguity::new("two-hosts", "two operations of different hosts match, and neither is more specific");

/// The operations whose method and path match, before `where`.
pub(super) struct Found<'a> {
    count: usize,
    rules: Vec<&'a Rule>,
}

/// Who asks for what, at this connector.
struct Asker<'a> {
    rules: &'a Rules,
    ceiling: Option<&'a Ceiling>,
    grant: GrantStanding<'a>,
    request: &'a Request,
    /// How many segments its path has.
    count: usize,
}

/// The candidates of a request, as far as its head tells.
struct Candidates<'a> {
    count: usize,
    sure: Vec<&'a Rule>,
    /// Only the body tells whether these match.
    open: Vec<&'a Rule>,
}

impl Rules {
    /// Judges what only the connector knows of the reading. Most requests have nothing that could be judged.
    pub(super) fn read(&self, request: &Request) -> Result<(), Ambiguity> {
        let is_plain = !request.path.as_str().contains('%') && request.query.suspects().is_empty();
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
        let candidates = match self.read_found(request, &found).and_then(|()| found.candidates(request)) {
            Ok(candidates) => candidates,
            Err(ambiguity) => return Ruling::Deny(Denial::Ambiguous(ambiguity)),
        };
        let asker = Asker { rules: self, ceiling: self.ceilings.get(standing.role), grant: standing.grant, count: candidates.count, request };
        match &request.body {
            Body::Unread if !candidates.open.is_empty() => asker.without_body(&candidates),
            Body::Whole(body) if !candidates.open.is_empty() && !body.is_empty() => asker.with_body(&candidates, body),
            Body::None | Body::Unread | Body::Whole(_) => asker.settle(candidates.sure),
        }
    }

    /// All operations whose method and path match.
    pub(super) fn find(&self, request: &Request) -> Found<'_> {
        self.find_at(request, &request.path)
    }

    fn find_at(&self, request: &Request, path: &CanonicalPath) -> Found<'_> {
        let route = self.router.route(path.segments());
        let mut rules = Vec::new();
        self.router.find(&request.method, &route, &mut |number| rules.extend(self.rules.get(number)));
        Found { count: route.len(), rules }
    }

    fn read_found(&self, request: &Request, found: &Found<'_>) -> Result<(), Ambiguity> {
        if let Some(encoded) = request.path.encoded().iter().find(|encoded| !found.allows_encoded(encoded)) {
            return Err(encoded.ambiguity());
        }
        if request.path.plain_twin().is_some_and(|twin| !found.is_same(&self.find_at(request, &twin))) {
            return Err(TWO_PATHS);
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
            return Ok(Candidates { count: self.count, sure: self.rules, open: Vec::new() });
        }
        let mut candidates = Candidates { count: self.count, sure: Vec::new(), open: Vec::new() };
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
    /// The ruling where exactly these operations match.
    fn settle(&self, matching: Vec<&Rule>) -> Ruling {
        let Some(meant) = Meant::of(matching, self.count) else { return Ruling::Deny(Denial::UnknownOperation) };
        match self.denial(&meant) {
            Some(denial) => Ruling::Deny(denial),
            None => Ruling::Allow(self.operations(&meant)),
        }
    }

    /// The ruling while nobody knows whether the open candidates match. If any reading of the body is allowed, then the one
    /// is in which all open candidates match that would be allowed alone: more of these only beat more of the others.
    fn without_body(&self, candidates: &Candidates<'a>) -> Ruling {
        let mut best = candidates.sure.clone();
        best.extend(candidates.open.iter().filter(|rule| matches!(self.settle(vec![**rule]), Ruling::Allow(_))));
        match self.settle(best) {
            Ruling::Allow(operations) | Ruling::ReadBody(operations) => Ruling::ReadBody(operations),
            Ruling::Deny(denial) => Ruling::Deny(self.denial_whatever_the_body(candidates, denial)),
        }
    }

    /// Of the denials that a body could lead to the one whose reason is asked for first, then the one that lacks fewest.
    fn denial_whatever_the_body(&self, candidates: &Candidates<'a>, otherwise: Denial) -> Denial {
        let sure = (!candidates.sure.is_empty()).then(|| candidates.sure.clone());
        let each = candidates.open.iter().map(|open| [candidates.sure.as_slice(), &[*open]].concat());
        let denials = sure.into_iter().chain(each).filter_map(|matching| match self.settle(matching) {
            Ruling::Deny(denial) => Some(denial),
            Ruling::Allow(_) | Ruling::ReadBody(_) => None,
        });
        denials.min_by_key(|denial| (denial.reason(), denial.lack().map_or(0, |lack| lack.missing_scopes.len()))).unwrap_or(otherwise)
    }

    fn with_body(&self, candidates: &Candidates<'a>, body: &[u8]) -> Ruling {
        match candidates.matching(&self.request.headers, body) {
            Ok(matching) => self.settle(matching),
            Err(ambiguity) => match self.without_body(candidates) {
                Ruling::Allow(_) | Ruling::ReadBody(_) => Ruling::Deny(Denial::Ambiguous(ambiguity)),
                Ruling::Deny(denial) => Ruling::Deny(denial),
            },
        }
    }

    /// The first reason against it.
    fn denial(&self, meant: &Meant<'_>) -> Option<Denial> {
        self.as_operation(meant)
            .or_else(|| self.denied(meant))
            .or_else(|| self.role_lacks(meant))
            .or_else(|| self.status(meant))
            .or_else(|| self.consent_lacks(meant))
    }

    /// Whether the request is of the operations' kind.
    fn as_operation(&self, meant: &Meant<'_>) -> Option<Denial> {
        let request = self.request;
        let all = |says: fn(&Rule) -> bool| meant.rules().iter().all(|rule| says(rule));
        let has_body = match &request.body {
            Body::None => false,
            Body::Unread => true,
            Body::Whole(body) => !body.is_empty(),
        };
        if request.websocket && !all(|rule| rule.operation.websocket) {
            return Some(Denial::UnknownOperation);
        }
        if has_body && matches!(request.method.as_str(), "GET" | "HEAD") && !all(|rule| rule.operation.body) {
            return Some(Denial::Ambiguous(BODY_ON_GET));
        }
        let mut hosts = meant.rules().iter().map(|rule| &rule.operation.host);
        let first = hosts.next();
        hosts.any(|host| Some(host) != first).then_some(Denial::Ambiguous(TWO_HOSTS))
    }

    fn denied(&self, meant: &Meant<'_>) -> Option<Denial> {
        let by_role = |rule: &&Rule| self.ceiling.is_some_and(|ceiling| ceiling.denies(&rule.operation.id));
        let by_need = |rule: &&Rule| match &rule.operation.need {
            Need::Denied(sentence) => Some(DeniedBy::Author(sentence.clone())),
            Need::Unknown => Some(DeniedBy::UnknownNeed),
            Need::Scopes(_) => None,
        };
        let by = if meant.rules().iter().any(by_role) { Some(DeniedBy::Role) } else { meant.rules().iter().find_map(by_need) };
        by.map(|by| Denial::OperationDenied { operations: self.operations(meant), by })
    }

    fn role_lacks(&self, meant: &Meant<'_>) -> Option<Denial> {
        if self.ceiling.is_some() && meant.all_meet(|alternative| alternative.is_subset(self.held(meant))) {
            return None;
        }
        let operations = self.operations(meant);
        let held = self.held(meant);
        let lack = Lack::fewest(operations.required(), |name| self.rules.scopes.holds(held, name));
        Some(Denial::RoleLacksScope { operations, lack })
    }

    fn status(&self, meant: &Meant<'_>) -> Option<Denial> {
        let operations = || self.operations(meant);
        match self.grant {
            GrantStanding::Live(_) => None,
            GrantStanding::Ended => Some(Denial::ReauthorizationRequired { operations: operations() }),
            GrantStanding::Missing => Some(self.consent(operations(), meant, Coverage::Of(&[]), Connected::NotYet)),
        }
    }

    fn consent_lacks(&self, meant: &Meant<'_>) -> Option<Denial> {
        let GrantStanding::Live(granted) = self.grant else { return None };
        let coverage = Coverage::from(granted);
        let held = self.held(meant);
        let covers =
            |alternative: &ScopeSet| alternative.is_subset(held) && alternative.iter().all(|number| self.rules.scopes.covers(coverage, number));
        if meant.all_meet(covers) {
            return None;
        }
        Some(self.consent(self.operations(meant), meant, coverage, Connected::Already))
    }

    /// Counts what lacks over the alternatives that the role holds.
    fn consent(&self, operations: Operations, meant: &Meant<'_>, coverage: Coverage<'_>, connected: Connected) -> Denial {
        let held = self.held(meant);
        let of_role = operations.required().iter().filter(|alternative| alternative.iter().all(|name| self.rules.scopes.holds(held, name)));
        let covered = self.rules.scopes.covered(coverage);
        let lack = Lack::fewest(of_role, |name| self.rules.scopes.holds(&covered, name));
        Denial::ConsentRequired { operations, lack, connected: connected == Connected::Already }
    }

    /// The scopes that the role may use for these operations.
    fn held(&self, meant: &Meant<'_>) -> &'a ScopeSet {
        const NOTHING: &ScopeSet = &ScopeSet::EMPTY;
        self.ceiling.map_or(NOTHING, |ceiling| ceiling.held_for(meant.rules().iter().map(|rule| &*rule.operation)))
    }

    fn operations(&self, meant: &Meant<'_>) -> Operations {
        meant.operations(&self.rules.scopes)
    }
}

impl<'a> Candidates<'a> {
    /// Those that match, as the body says.
    fn matching(&self, headers: &Headers, body: &[u8]) -> Result<Vec<&'a Rule>, Ambiguity> {
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

/// Whether an account was ever connected.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Connected {
    NotYet,
    Already,
}
