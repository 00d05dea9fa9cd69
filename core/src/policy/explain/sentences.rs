//! The sentences of an explanation, written as the decision went.

use super::Nearest;
use super::nearest::nearest_operations;
use crate::account::{GrantStanding, Granted, Standing};
use crate::id::ConnectorId;
use crate::inspect::GraphqlKind;
use crate::policy::decision::{Allowance, Contained, Denial, DenialReason, DeniedBy, Lack, Operations, Undeclared};
use crate::policy::narrow::{self, Holds};
use crate::policy::operation::Operation;
use crate::policy::rules::Rules;
use crate::policy::set::PolicySet;
use crate::request::{Ambiguity, Request};
use crate::scope::Scope;
use std::sync::Arc;

/// Writes down how it was decided.
pub(super) struct Scribe<'a> {
    policies: &'a PolicySet,
    rules: Option<&'a Rules>,
    connector: &'a ConnectorId,
    standing: &'a Standing<'a>,
    request: &'a Request,
    pub(super) sentences: Vec<String>,
}

/// The sentences for a request with more than one reading.
pub(super) fn ambiguous(ambiguity: Ambiguity) -> Vec<String> {
    vec![format!("the request has more than one reading: {} ({})", ambiguity.sentence, ambiguity.code), verdict(DenialReason::AmbiguousRequest)]
}

fn verdict(reason: DenialReason) -> String {
    format!("denied: {}", reason.as_str())
}

impl<'a> Scribe<'a> {
    pub(super) fn new(policies: &'a PolicySet, connector: &'a ConnectorId, standing: &'a Standing<'a>, request: &'a Request) -> Self {
        Self { policies, rules: policies.rules(connector), connector, standing, request, sentences: Vec::new() }
    }

    pub(super) fn allowed(&mut self, allowance: &Allowance) {
        let operations = &allowance.operations;
        self.operations(operations);
        self.contained(operations);
        self.needs(operations);
        match self.standing.grant {
            GrantStanding::Live(Granted::Assumed) => self.say("nobody said what the customer granted, so it counts as all that the role allows"),
            GrantStanding::Live(Granted::Scopes(_)) | GrantStanding::Missing | GrantStanding::Ended => {}
        }
        match &allowance.shadow {
            None => self.say(format!("the role `{}` and the customer's grant both hold that", self.standing.role)),
            Some(lack) => {
                self.role_lacks(operations, lack);
                self.say(format!("shadow mode lets it through, and the audit says `would_deny` ({})", DenialReason::RoleLacksScope));
            }
        }
        self.say("allowed");
    }

    pub(super) fn body_lacks(&mut self, operations: &Operations) {
        let reads = operations.all().iter().find_map(|operation| operation.content.as_deref());
        self.say(match reads {
            None => format!("the body decides whether this is `{operations}`, and there is none to read"),
            Some(content) => format!("this is `{operations}`, which reads the body by `{}`, and there is none to read", content.key()),
        });
        self.say(verdict(DenialReason::AmbiguousRequest));
    }

    pub(super) fn denied(&mut self, denial: &Denial) -> Vec<Nearest> {
        let mut nearest = Vec::new();
        if let Some(operations) = denial.operations() {
            self.operations(operations);
        }
        match denial {
            Denial::Ambiguous(ambiguity) => {
                self.sentences = ambiguous(*ambiguity);
                return nearest;
            }
            Denial::UnknownOperation => nearest = self.unknown(),
            Denial::Undeclared { what, .. } => self.say(undeclared(*what)),
            Denial::InBatch { operations, lack, part, denial } => {
                self.contained(operations);
                self.in_batch(*part, denial, lack.as_ref());
            }
            Denial::OperationDenied { by, .. } => self.refused(by),
            Denial::RoleLacksScope { operations, lack } => {
                self.contained(operations);
                self.needs(operations);
                self.role_lacks(operations, lack);
            }
            Denial::ReauthorizationRequired { .. } => self.say("the customer's grant has ended: the customer has to connect the account again"),
            Denial::ConsentRequired { operations, lack, connected } => {
                self.contained(operations);
                self.needs(operations);
                self.consent_lacks(lack, *connected);
            }
        }
        self.say(verdict(denial.reason()));
        nearest
    }

    fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    /// Which operations are meant, and which others match and are not.
    fn operations(&mut self, operations: &Operations) {
        match operations.all() {
            [only] => self.say(format!("the request is {}", described(only))),
            all => {
                let names: Vec<_> = all.iter().map(described).collect();
                self.say(format!("the request is {}: none is more specific, so all have to be allowed", names.join(" and ")));
            }
        }
        let Some(rules) = self.rules else { return };
        let others = rules.find(self.request).into_operations().filter(|found| operations.ids().all(|id| *id != found.id));
        for other in others {
            let why = match narrow::by_head(&other.narrow, self.request) {
                Ok(Holds::No) => "matches method and path, and its `where` does not hold",
                Ok(Holds::BodyDecides) => "matches method and path, and does not decide: its `where` asks for the body",
                Ok(Holds::Yes) | Err(_) => "matches too, and is less specific",
            };
            self.say(format!("{} {why}", described(other)));
        }
    }

    /// What the content holds, as the policy calls it.
    fn contained(&mut self, operations: &Operations) {
        let mut part = 0;
        for one in operations.contained() {
            self.say(match one {
                Contained::Object(object) => format!("its query reads `{object}`"),
                Contained::Field(kind, field) => format!("it asks for the {} `{field}`", root_field(*kind)),
                Contained::Part(operations) => {
                    part += 1;
                    format!("part {part} is `{operations}`")
                }
            });
        }
    }

    fn in_batch(&mut self, part: usize, denial: &Denial, lack: Option<&Lack>) {
        match denial {
            Denial::Ambiguous(ambiguity) => self.say(format!("part {part} has more than one reading: {} ({})", ambiguity.sentence, ambiguity.code)),
            Denial::UnknownOperation => self.say(format!("part {part} is no operation of `{}`, and silence denies", self.connector)),
            Denial::Undeclared { operations, what } => self.say(format!("part {part} is `{operations}`, and {}", undeclared(*what))),
            Denial::OperationDenied { by, .. } => {
                self.say(format!("part {part} is refused"));
                self.refused(by);
            }
            Denial::RoleLacksScope { operations, lack: own } => self.role_lacks(operations, lack.unwrap_or(own)),
            Denial::ConsentRequired { lack: own, connected, .. } => self.consent_lacks(lack.unwrap_or(own), *connected),
            Denial::InBatch { .. } | Denial::ReauthorizationRequired { .. } => {}
        }
        self.say(format!("part {part} is refused, and with it the batch"));
    }

    fn needs(&mut self, operations: &Operations) {
        let sentence = match operations.required() {
            [] => "it needs no scope".to_owned(),
            [only] => format!("it needs {}", listed(only)),
            many => format!("it needs one of: {}", many.iter().map(|alternative| listed(alternative)).collect::<Vec<_>>().join("; ")),
        };
        self.say(sentence);
    }

    fn unknown(&mut self) -> Vec<Nearest> {
        let Some(rules) = self.rules else {
            self.say(format!("no document has a connector `{}`", self.connector));
            return Vec::new();
        };
        self.say(format!("no operation of `{}` is this request, and silence denies", self.connector));
        let found: Vec<_> = rules.find(self.request).into_operations().collect();
        for operation in &found {
            let is_socket = self.request.websocket && !operation.websocket;
            let why = if is_socket { "does not say `upgrade: websocket`" } else { "its `where` does not hold" };
            self.say(format!("{} matches method and path, and {why}", described(operation)));
        }
        if !found.is_empty() {
            return Vec::new();
        }
        let nearest = nearest_operations(rules, self.request);
        for operation in &nearest {
            self.say(format!("near to it is {}", described(operation)));
        }
        nearest.into_iter().map(|operation| Nearest { operation: operation.id.to_string(), r#match: matched(operation) }).collect()
    }

    fn refused(&mut self, by: &DeniedBy) {
        self.say(match by {
            DeniedBy::Role => format!("the role `{}` refuses it by `deny`, which wins", self.standing.role),
            DeniedBy::Author(sentence) => format!("the document refuses it: {sentence}"),
            DeniedBy::UnknownNeed => "the document says `require: unknown`: nobody knows what it needs, so it is refused".to_owned(),
        });
    }

    fn role_lacks(&mut self, operations: &Operations, lack: &Lack) {
        let role = self.standing.role;
        let ceiling = self.rules.and_then(|rules| rules.ceilings.get(role));
        let by_wildcard = ceiling.zip(self.rules).is_some_and(|(ceiling, rules)| {
            let missing = &lack.missing_scopes;
            !missing.is_empty() && missing.iter().all(|name| rules.scopes.holds(ceiling.allowed(), name))
        });
        self.say(if !self.policies.has_role(role) {
            format!("no document has a role `{role}`, so it holds nothing")
        } else if ceiling.is_none() {
            format!("the role `{role}` has no entry for `{}`", self.connector)
        } else if by_wildcard {
            format!(
                "the role `{role}` holds {} by a wildcard alone, which never reaches `{operations}`: its answers carry credentials",
                listed(&lack.missing_scopes)
            )
        } else {
            format!("the role `{role}` does not hold {}", listed(&lack.missing_scopes))
        });
    }

    fn consent_lacks(&mut self, lack: &Lack, connected: bool) {
        if !connected {
            self.say("the customer has not connected this account yet");
        }
        if !lack.missing_scopes.is_empty() {
            self.say(format!("the role `{}` would do; the customer has not granted {}", self.standing.role, listed(&lack.missing_scopes)));
        }
    }
}

fn undeclared(what: Undeclared) -> String {
    match what {
        Undeclared::Object => "its query reads an object or a relationship that the policy does not name".to_owned(),
        Undeclared::Field(kind) => format!("it asks for a {} that the policy does not name", root_field(kind)),
    }
}

const fn root_field(kind: GraphqlKind) -> &'static str {
    match kind {
        GraphqlKind::Query => "root field of queries",
        GraphqlKind::Mutation => "root field of mutations",
        GraphqlKind::Subscription => "root field of subscriptions",
    }
}

fn matched(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.template)
}

fn described(operation: &Arc<Operation>) -> String {
    let narrowed = if operation.narrow.is_empty() { "" } else { ", narrowed by `where`" };
    format!("`{}` ({}{narrowed})", operation.id, matched(operation))
}

/// `a`, `b` and `c`.
fn listed(scopes: &[Scope]) -> String {
    let quoted: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
