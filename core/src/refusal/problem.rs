//! The problem document of a refusal (RFC 9457), and its challenge (RFC 6750 section 3).

use super::{Reason, Refusal, Retryable, Unauthenticated};
use crate::id::{ConnectorId, Identifier, RequestId, RoleName};
use crate::inspect::GraphqlKind;
use crate::json;
use crate::policy::{Content, Denial, DeniedBy, Lack, Operations, Undeclared};
use crate::scope::Scope;
use std::fmt::Display;

/// What is known of the request besides the refusal itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Names the request.
    pub request_id: &'a RequestId,
    /// The connector, where a policy names it.
    pub connector: Option<&'a ConnectorId>,
    /// The resolved account; none where it is unknown.
    pub account: Option<&'a Identifier>,
    /// The account's role.
    pub role: Option<&'a RoleName>,
    /// What role and grant together hold, for connectors whose refusals say so.
    pub held_scopes: &'a [Scope],
    /// Accounts of the same customer that hold what is missing; only where the policy discloses them.
    pub delegates: &'a [Identifier],
    /// Whether a byte reached the API.
    pub upstream_called: bool,
    /// Whether the method is safe.
    pub safe_method: SafeMethod,
}

/// Whether the request's method is safe (RFC 9110 section 9.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SafeMethod {
    /// GET, HEAD, OPTIONS.
    Yes,
    /// Any other, or not known.
    No,
}

impl SafeMethod {
    /// Whether this method is safe.
    #[must_use]
    pub fn of(method: &str) -> Self {
        if matches!(method, "GET" | "HEAD" | "OPTIONS") { Self::Yes } else { Self::No }
    }
}

/// The problem document.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// Why.
    pub reason: Reason,
    /// The HTTP status.
    pub status: u16,
    /// The sentence that clients show.
    pub title: String,
    /// What was blocked, why, and what to do.
    pub detail: String,
    /// Whether trying again can help.
    pub retryable: bool,
    operations: Option<&'a Operations>,
    /// The part of a batch, from 1, on whose account the batch is refused.
    part: Option<usize>,
    lack: Option<&'a Lack>,
    context: Context<'a>,
}

impl<'a> Problem<'a> {
    /// The problem document of `refusal`.
    #[must_use]
    pub fn of(refusal: &'a Refusal, context: &Context<'a>) -> Self {
        let reason = refusal.reason();
        let retryable = match reason.retryable() {
            Retryable::No => false,
            Retryable::Yes => true,
            Retryable::SafeMethods => context.safe_method == SafeMethod::Yes,
        };
        Self {
            reason,
            status: refusal.status(),
            title: title(refusal, context),
            detail: detail(refusal, context),
            retryable,
            operations: refusal.operations(),
            part: if let Refusal::Denied(Denial::InBatch { part, .. }) = refusal { Some(*part) } else { None },
            lack: refusal.lack(),
            context: *context,
        }
    }

    /// As it is sent, in the order of the contract. Members that do not apply are left out; all alternatives stand in every denial of scope.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut to = Members(Vec::with_capacity(ROOM));
        to.text("type", &["https://scopegate.dev/problems/", self.reason.as_str()].concat());
        to.text("title", &self.title);
        to.plain("status", self.status);
        to.text("detail", &self.detail);
        to.text("error", self.reason.error());
        to.text("reason", self.reason.as_str());
        to.plain("retryable", self.retryable);
        to.text("next_step", self.reason.next_step().as_str());
        to.plain("upstream_called", self.context.upstream_called);
        if let Some(connector) = self.context.connector {
            to.text("connector", connector.as_str());
        }
        if let Some(operations) = self.operations {
            to.text("operation", operations.name());
        }
        if let Some(part) = self.part {
            to.plain("part", part);
        }
        if let Some((lack, operations)) = self.lack.zip(self.operations) {
            to.alternatives("required", operations.required());
            to.texts("required_scopes", lack.required_scopes.iter().map(Scope::as_str));
            to.texts("missing_scopes", lack.missing_scopes.iter().map(Scope::as_str));
        }
        if !self.context.delegates.is_empty() {
            to.texts("delegates", self.context.delegates.iter().map(Identifier::as_str));
        }
        if let Some(account) = self.context.account {
            to.text("account", account.as_str());
        }
        to.text("request_id", &self.context.request_id.to_string());
        // the title again, for clients that show only one of these
        to.text("error_description", &self.title);
        to.text("message", &self.title);
        to.ended()
    }

    /// The value of `WWW-Authenticate`: for every 401 of ours, and for denials of scope.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        if self.status != 401 && self.lack.is_none() {
            return None;
        }
        let mut parts = vec![r#"Bearer realm="scopegate"#];
        if self.reason != Reason::MissingIdentifier {
            parts.extend([r#"", error=""#, self.reason.error()]);
        }
        let required = self.lack.map(|lack| scopes(&lack.required_scopes)).filter(|required| !required.is_empty());
        if let Some(required) = &required {
            parts.extend([r#"", scope=""#, required]);
        }
        parts.push("\"");
        Some(parts.concat())
    }
}

/// More than most of them take.
const ROOM: usize = 1024;

/// An object under way; the names of its members are plain.
struct Members(Vec<u8>);

impl Members {
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        &mut self.0
    }

    fn text(&mut self, name: &'static str, text: &str) {
        json::put_text(self.name(name), text);
    }

    fn texts<'a>(&mut self, name: &'static str, texts: impl Iterator<Item = &'a str>) {
        json::put_texts(self.name(name), texts);
    }

    fn plain(&mut self, name: &'static str, value: impl Display) {
        json::put_plain(self.name(name), value);
    }

    fn alternatives(&mut self, name: &'static str, alternatives: &[Vec<Scope>]) {
        let to = self.name(name);
        to.push(b'[');
        for (at, alternative) in alternatives.iter().enumerate() {
            if at > 0 {
                to.push(b',');
            }
            json::put_texts(to, alternative.iter().map(Scope::as_str));
        }
        to.push(b']');
    }

    fn ended(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

fn joined<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn scopes(all: &[Scope]) -> String {
    all.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// The sentence that clients show.
fn title(refusal: &Refusal, context: &Context<'_>) -> String {
    let reason = refusal.reason();
    if let Some(lack) = refusal.lack().filter(|lack| !lack.missing_scopes.is_empty()) {
        return [reason.error(), ": ", &scopes(&lack.missing_scopes), " required"].concat();
    }
    let sentence = match refusal {
        Refusal::Denied(Denial::RoleLacksScope { .. }) => {
            return format!("{}: {} has no entry for {}", reason.error(), role(context), connector(context));
        }
        Refusal::Denied(Denial::ConsentRequired { .. }) | Refusal::NotConnected(_) => "this account is not connected yet".into(),
        Refusal::Denied(Denial::OperationDenied { operations, by }) => match by {
            DeniedBy::Author(sentence) => sentence.clone(),
            DeniedBy::Role => format!("{operations} is denied to {}", role(context)),
            DeniedBy::UnknownNeed => format!("nobody has said yet which scopes {operations} needs"),
        },
        Refusal::Denied(Denial::Ambiguous(ambiguity)) | Refusal::Ambiguous(ambiguity) => ambiguity.sentence.into(),
        Refusal::Denied(Denial::Undeclared { operations, what }) => format!("{operations} names no such {}", thing(*what)),
        Refusal::Denied(Denial::InBatch { denial, .. }) => return title(&Refusal::from(Denial::clone(denial)), context),
        Refusal::Denied(Denial::UnknownOperation) => format!("no policy of {} names this operation", connector(context)),
        Refusal::Denied(Denial::ReauthorizationRequired { .. }) | Refusal::GrantEnded(_) => "the customer has to connect this account again".into(),
        Refusal::CallerUnauthenticated(why) => unauthenticated(*why).into(),
        Refusal::CallerNotAllowed => format!("this caller may not use {}", connector(context)),
        Refusal::MissingIdentifier => "no Scopegate-Account header and no handle names an account".into(),
        Refusal::AmbiguousIdentifier => "more than one place of the request names an account".into(),
        Refusal::UnknownAccount => "no such account for this caller".into(),
        Refusal::UnknownConnector => "no policy names this connector".into(),
        Refusal::SessionCustomerMismatch => "this session belongs to another customer".into(),
        Refusal::BodyTooLarge { limit } => format!("the body is larger than {limit} bytes"),
        Refusal::HeaderTooLarge { limit } => format!("the head of the request is larger than {limit} bytes or 100 headers"),
        Refusal::TooSlow => "the request took too long to arrive".into(),
        Refusal::RateLimited { .. } => "too many requests of this account".into(),
        Refusal::Crowded { limit } => format!("{limit} requests of this account are under way already"),
        Refusal::TokenUnavailable { .. } => format!("the provider of {} gives no token at present", connector(context)),
        Refusal::UpstreamUnreachable(_) => format!("{} could not be reached", connector(context)),
        Refusal::UpstreamTimeout(_) => format!("{} took too long to answer", connector(context)),
        Refusal::EgressDenied(_) => format!("the address of {} lies where the gateway must not connect to", connector(context)),
        Refusal::PolicyUnavailable => "no policies are loaded".into(),
        Refusal::StoreUnavailable => "the gateway cannot keep what it has to keep at present".into(),
    };
    format!("{reason}: {sentence}")
}

const fn unauthenticated(why: Unauthenticated) -> &'static str {
    match why {
        Unauthenticated::NoCredential => "this gateway needs a caller's credential in Scopegate-Authorization",
        Unauthenticated::WrongCredential => "the caller's credential in Scopegate-Authorization is not accepted",
        Unauthenticated::Forwarded => "a forwarded request does not count as coming from loopback",
        Unauthenticated::ForeignHost => "the Host is neither loopback nor configured, so the request does not count as coming from loopback",
    }
}

/// What was blocked, why, and what to do.
fn detail(refusal: &Refusal, context: &Context<'_>) -> String {
    let blocked =
        |operations: &Operations, why: String| ["Blocked before reaching ", connector(context), ": ", operations.name(), " ", &why].concat();
    match refusal {
        Refusal::Denied(Denial::RoleLacksScope { operations, lack }) => {
            let why = if lack.missing_scopes.is_empty() {
                ["is not open to ", &role(context), ", which has no entry for ", connector(context), "."].concat()
            } else {
                ["needs ", &needed(operations, lack), ", which ", &role(context), " does not hold."].concat()
            };
            let delegates = if context.delegates.is_empty() { "an account that holds it".into() } else { joined(context.delegates) };
            [&blocked(operations, why), " Do not retry; delegate to ", &delegates, ", skip the step, or ask an administrator."].concat()
        }
        Refusal::Denied(Denial::ConsentRequired { operations, lack, connected }) => {
            let why = match (connected, lack.missing_scopes.is_empty()) {
                (true, _) => format!("needs {}, which the customer has not granted.", scopes(&lack.missing_scopes)),
                (false, false) => format!("needs {}, and the customer has not connected this account yet.", scopes(&lack.missing_scopes)),
                (false, true) => "needs a connected account, and the customer has not connected this one yet.".into(),
            };
            format!("{} Do not retry; ask the customer to connect the account, or skip the step.", blocked(operations, why))
        }
        Refusal::NotConnected(operations) => {
            blocked(operations, "needs a connected account, and this one is not. Do not retry; ask the customer to connect it.".into())
        }
        Refusal::Denied(Denial::ReauthorizationRequired { operations }) | Refusal::GrantEnded(operations) => format!(
            "Stopped at {}: the provider no longer honours the grant of this account, so {operations} cannot be done. Do not retry; ask the customer to connect the account again.",
            connector(context)
        ),
        Refusal::Denied(Denial::OperationDenied { operations, by }) => {
            let why = match by {
                DeniedBy::Author(sentence) => format!("is refused by the policy: {}", ended(sentence)),
                DeniedBy::Role => format!("is denied to {} by name.", role(context)),
                DeniedBy::UnknownNeed => "is known, but not which scopes it needs.".into(),
            };
            format!("{} Do not retry; delegate, skip the step, or ask an administrator.", blocked(operations, why))
        }
        Refusal::Denied(Denial::Undeclared { operations, what }) => format!(
            "Blocked before reaching {}: {} that the policy of {operations} does not name. It names {}. Use only these, or ask an administrator to add to them.",
            connector(context),
            asked_for(*what),
            declared(operations, *what)
        ),
        Refusal::Denied(Denial::InBatch { operations, part, denial, .. }) => format!(
            "{} This is part {part} of the batch {operations}, of which nothing was sent.",
            detail(&Refusal::from(Denial::clone(denial)), context)
        ),
        Refusal::Denied(Denial::UnknownOperation) => format!(
            "Blocked before reaching {}: no policy names an operation for this method and path. Check both, or ask an administrator to add the operation.",
            connector(context)
        ),
        Refusal::Denied(Denial::Ambiguous(ambiguity)) | Refusal::Ambiguous(ambiguity) => {
            format!("Blocked at the gateway: {} ({}). Nothing was sent; send the request in its one plain form.", ambiguity.sentence, ambiguity.code)
        }
        Refusal::CallerUnauthenticated(why) => {
            format!("Blocked at the gateway: {}. Nothing was sent; authenticate as a caller, or ask an administrator for a rule under `callers`.", unauthenticated(*why))
        }
        Refusal::CallerNotAllowed => {
            format!("Blocked at the gateway: the entry of this caller does not list {}. Ask an administrator.", connector(context))
        }
        Refusal::MissingIdentifier => {
            "Blocked at the gateway: name the connected account in the header Scopegate-Account, or put its handle where the tool puts its token.".into()
        }
        Refusal::AmbiguousIdentifier => "Blocked at the gateway: name the connected account in exactly one place of the request.".into(),
        Refusal::UnknownAccount => {
            "Blocked at the gateway: no account of this name may be used by this caller. Do not retry; ask an administrator for the account's identifier.".into()
        }
        Refusal::UnknownConnector => "Blocked at the gateway: the first segment of the path, or the Host, must name a connector of the policies.".into(),
        Refusal::SessionCustomerMismatch => {
            "Blocked at the gateway: the session was begun for another customer's account. Use a session of its own for each customer.".into()
        }
        Refusal::BodyTooLarge { limit } => format!("Stopped at the gateway: the body is larger than {limit} bytes. Send less at once."),
        Refusal::HeaderTooLarge { limit } => {
            format!("Blocked at the gateway: request line and headers together may have {limit} bytes and 100 headers. Send fewer.")
        }
        Refusal::TooSlow => "Stopped at the gateway: the request did not arrive whole within its time. Send it at once.".into(),
        Refusal::Crowded { limit } => {
            format!("Blocked at the gateway: this account has {limit} requests under way, and no more may be at once. Wait until one of them has ended.")
        }
        Refusal::RateLimited { .. } => "Blocked at the gateway: this account made too many requests. Wait as long as Retry-After says.".into(),
        Refusal::TokenUnavailable { operations, .. } => {
            blocked(operations, "needs a fresh token, and the token endpoint gives none at present. Wait as long as Retry-After says.".into())
        }
        Refusal::UpstreamUnreachable(operations) => {
            format!("{} could not be reached for {operations}. Wait and try again if the request may be repeated.", connector(context))
        }
        Refusal::UpstreamTimeout(operations) => format!(
            "{} did not answer {operations} in time; it may have been executed. Wait and try again if the request may be repeated.",
            connector(context)
        ),
        Refusal::EgressDenied(operations) => blocked(
            operations,
            "would go to an address that the settings do not allow (`egress.allow_networks`, `egress.allow_http`). Ask an administrator.".into(),
        ),
        Refusal::PolicyUnavailable => "Blocked at the gateway: it has no policies, and without one nothing is allowed. Wait, or ask an administrator.".into(),
        Refusal::StoreUnavailable => {
            "Blocked at the gateway: store or audit log cannot be written, and nothing is done that is not kept. Wait, or ask an administrator.".into()
        }
    }
}

const fn thing(what: Undeclared) -> &'static str {
    match what {
        Undeclared::Object => "object",
        Undeclared::Field(_) => "field",
    }
}

const fn asked_for(what: Undeclared) -> &'static str {
    match what {
        Undeclared::Object => "the query reads an object or a relationship",
        Undeclared::Field(GraphqlKind::Query) => "the query asks for a root field",
        Undeclared::Field(GraphqlKind::Mutation) => "the mutation asks for a root field",
        Undeclared::Field(GraphqlKind::Subscription) => "the subscription asks for a root field",
    }
}

/// So many names are told.
const MOST_NAMES: usize = 30;

/// What the policy of the operations names, as it writes it.
fn declared(operations: &Operations, what: Undeclared) -> String {
    let of_one = |content: &Content| -> Vec<String> {
        match (content, what) {
            (Content::Soql(soql), Undeclared::Object) => soql.objects.keys().cloned().collect(),
            (Content::Graphql(graphql), Undeclared::Field(kind)) => graphql.of(kind).keys().cloned().collect(),
            (Content::Soql(_) | Content::Graphql(_) | Content::Batch(_), _) => Vec::new(),
        }
    };
    let names: Vec<String> = operations.all().iter().filter_map(|operation| operation.content.as_deref()).flat_map(of_one).collect();
    match (names.get(..MOST_NAMES), names.as_slice()) {
        (_, []) => "none".to_owned(),
        (Some(first), all) if all.len() > MOST_NAMES => format!("{} and {} more", first.join(", "), all.len() - MOST_NAMES),
        (_, all) => all.join(", "),
    }
}

/// What an operation needs, in words.
fn needed(operations: &Operations, lack: &Lack) -> String {
    let missing = lack.missing_scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" and ");
    if operations.required().len() > 1 { missing + " (or another alternative)" } else { missing }
}

fn role(context: &Context<'_>) -> String {
    context.role.map_or_else(|| "the role".to_owned(), |role| ["the role ", role.as_str()].concat())
}

fn connector<'a>(context: &Context<'a>) -> &'a str {
    context.connector.map_or("the API", ConnectorId::as_str)
}

/// An author's sentence with a full stop, unless something ends it already.
fn ended(sentence: &str) -> String {
    let sentence = sentence.trim_end();
    let is_open = sentence.ends_with(|last: char| last.is_alphanumeric() || matches!(last, ')' | '`' | '"' | '\''));
    if is_open { format!("{sentence}.") } else { sentence.to_owned() }
}
