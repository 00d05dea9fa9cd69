//! The life of one request at the gateway.

use super::passage::Passage;
use super::record::Record;
use super::seam::{Answer, Arrival, BodyFault, Ending, Forward, Step, UpstreamFailure};
use super::{Gateway, identify::Named};
use crate::audit::Verdict;
use crate::caller::Caller;
use crate::grants::Admission;
use crate::limits::{AccountPlace, Bounds};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue};
use scopegate_core::account::{AccountRecord, ConnectedAccount, Granted, Switch};
use scopegate_core::answer::Door;
use scopegate_core::connector::{Connector, Origin, Scheme};
use scopegate_core::id::Identifier;
use scopegate_core::policy::{Operations, PolicySet};
use scopegate_core::refusal::{Context, Problem, Reason, Refusal, SafeMethod, shaped};
use scopegate_core::request::{Head, HeadFault, OutgoingHead, Request};
use scopegate_core::scope::Scope;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("scopegate-request-id");
pub(super) const DECISION: HeaderName = HeaderName::from_static("scopegate-decision");

/// Nearly every decision takes fewer bytes to say.
const DECISION_ROOM: usize = 128;

/// So many accounts are named to whom a step could be delegated.
const MOST_DELEGATES: usize = 20;

/// One request, which goes from hand to hand in a box: it knows a lot. Dropped without [`finish`](Self::finish), it still leaves its audit event.
#[derive(Debug)]
pub struct Exchange {
    pub(super) gateway: Arc<Gateway>,
    pub(super) policies: Arc<PolicySet>,
    pub(super) arrival: Arrival,
    pub(super) record: Record,
    pub(super) known: Known,
}

/// What has become known of the request.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) connector: Option<Arc<Connector>>,
    pub(super) door: Option<Door>,
    pub(super) request: Option<Request>,
    pub(super) named: Option<Result<Named, Refusal>>,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) account: Option<ConnectedAccount>,
    /// What the request said of it, and how old the directory was then.
    pub(super) found: Option<(Named, u64)>,
    /// Counts as under way until this exchange ends.
    pub(super) place: Option<AccountPlace>,
    pub(super) operations: Option<Operations>,
    /// The body that is sent instead of the one that came.
    pub(super) body: Option<Bytes>,
    pub(super) admission: Option<Admission>,
    pub(super) passage: Option<Passage>,
}

impl Exchange {
    pub(super) fn new(gateway: Arc<Gateway>, arrival: Arrival) -> Self {
        let policies = gateway.parts.policies.policies();
        let mut record = Record::new(Arc::clone(&gateway));
        record.event.policy_hash = Some(policies.shared_hash().clone());
        Self { policies, arrival, record, known: Known::default(), gateway }
    }

    /// Judges a head: everything from its reading to the address that the request goes to.
    pub async fn admit(&mut self, head: Result<Arc<Head>, HeadFault>) -> Step {
        let step = self.admitted(head).await;
        self.step(step)
    }

    /// Goes on with the whole body after [`Step::ReadBody`].
    pub async fn admit_body(&mut self, body: Bytes) -> Step {
        let step = self.admitted_body(body).await;
        self.step(step)
    }

    /// Something is wrong with a body that is under way.
    pub fn body_failed(&mut self, fault: BodyFault) -> Answer {
        // before the grant is opened only a policy reads a body, and it reads less than what may pass
        let bounds = self.bounds();
        let limit = if self.known.admission.is_none() { bounds.read_here() } else { bounds.body };
        self.refuse(match fault {
            BodyFault::TooLarge => Refusal::BodyTooLarge { limit },
            BodyFault::Ambiguous(ambiguity) => Refusal::Ambiguous(ambiguity),
            BodyFault::Incomplete | BodyFault::TooSlow => Refusal::TooSlow,
        })
    }

    /// The upstream gave no answer.
    pub fn failed(&mut self, failure: UpstreamFailure) -> Answer {
        let Some(operations) = self.known.operations.clone() else { return self.refuse(Refusal::StoreUnavailable) };
        self.refuse(match failure {
            UpstreamFailure::Unreachable | UpstreamFailure::Broken => Refusal::UpstreamUnreachable(operations),
            UpstreamFailure::Timeout => Refusal::UpstreamTimeout(operations),
        })
    }

    /// Bytes of the client's body went by.
    pub fn body_in(&mut self, bytes: usize) {
        self.record.event.bytes_in = self.record.event.bytes_in.saturating_add(bytes as u64);
    }

    /// The first byte is about to go to the upstream.
    pub fn upstream_begins(&mut self) {
        self.record.upstream_begins();
    }

    /// Writes the audit event.
    pub fn finish(mut self: Box<Self>, ending: Ending) {
        self.record.event.status = match ending {
            Ending::Sent { status } | Ending::CutShort { status } => Some(status),
            Ending::ClientGone => None,
        };
        self.record.finish();
    }

    /// What the answer's headers say of the decision.
    pub(super) fn decision_header(&self) -> String {
        let event = &self.record.event;
        let mut text = String::with_capacity(DECISION_ROOM);
        text.push_str(match event.decision {
            Verdict::Allow | Verdict::WouldDeny => "allow",
            Verdict::Deny => "deny",
        });
        // what shadow mode lets through is told to the audit alone
        let untold = (event.decision == Verdict::WouldDeny).then_some(Reason::RoleLacksScope);
        if let Some(reason) = event.reason.filter(|reason| Some(*reason) != untold) {
            text.push_str(";reason=");
            text.push_str(reason.as_str());
        }
        if let (Some(connector), Some(operation)) = (&event.connector, &event.operation) {
            for part in [";op=\"", connector.as_str(), ".", operation, "\""] {
                text.push_str(part);
            }
        }
        text
    }

    /// The answer of a refusal, in the words of the connector's clients where it has some.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Answer {
        self.record.refused(&refusal);
        let connector = self.known.connector.clone();
        let record = self.known.account.as_ref().map(|account| Arc::clone(&account.record));
        let held = self.held_scopes();
        let delegates = self.delegates(&refusal);
        let context = Context {
            request_id: &self.record.event.request_id,
            connector: connector.as_ref().map(|connector| &connector.id),
            account: record.as_ref().map(|record| &record.identifier),
            role: record.as_ref().map(|record| &record.role),
            held_scopes: &held,
            delegates: &delegates,
            upstream_called: self.record.upstream_called(),
            safe_method: self.record.event.method.as_deref().map_or(SafeMethod::No, SafeMethod::of),
        };
        let problem = Problem::of(&refusal, &context);
        let shape = connector.as_ref().and_then(|connector| connector.refusal.as_ref());
        let (status, content_type, body) = match shape {
            Some(shape) => {
                (shape.status.unwrap_or(problem.status), "application/json; charset=utf-8", shaped(shape, &problem, &context).to_string().into())
            }
            None => (problem.status, "application/problem+json; charset=utf-8", problem.to_json()),
        };
        let fixed = [(CONTENT_TYPE, HeaderValue::from_static(content_type)), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        let told = [
            (REQUEST_ID, Some(context.request_id.to_string())),
            (DECISION, Some(self.decision_header())),
            (WWW_AUTHENTICATE, problem.challenge()),
            (RETRY_AFTER, refusal.retry_after().map(|seconds| seconds.to_string())),
        ];
        // names, scopes and numbers always fit into a header
        let told = told.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)));
        Answer { status, headers: fixed.into_iter().chain(told).collect(), body: body.into() }
    }

    fn step(&mut self, step: Result<Step, Refusal>) -> Step {
        step.unwrap_or_else(|refusal| Step::Refuse(self.refuse(refusal)))
    }

    /// What role and grant hold together, for connectors whose refusals say so.
    fn held_scopes(&self) -> Vec<Scope> {
        match (&self.known.connector, &self.known.account) {
            (Some(connector), Some(account)) if connector.refusal.is_some() => self.effective_scopes(account),
            _ => Vec::new(),
        }
    }

    fn effective_scopes(&self, account: &ConnectedAccount) -> Vec<Scope> {
        let AccountRecord { role, connector, .. } = account.record.as_ref();
        let allowed = self.policies.role_scopes(role, connector);
        match account.grant.as_ref().map(|grant| &grant.granted) {
            None => Vec::new(),
            Some(Granted::Assumed) => allowed,
            Some(Granted::Scopes(granted)) => {
                let covered = self.policies.covered_by(connector, granted);
                allowed.into_iter().filter(|scope| covered.contains(scope)).collect()
            }
        }
    }

    /// Accounts of the same customer that hold what is missing, where the policy tells.
    fn delegates(&self, refusal: &Refusal) -> Vec<Identifier> {
        let (Some(account), Some(_), Some(operations)) = (&self.known.account, refusal.lack(), refusal.operations()) else { return Vec::new() };
        if !self.policies.discloses_delegates() {
            return Vec::new();
        }
        let AccountRecord { customer, connector, .. } = account.record.as_ref();
        let directory = &self.gateway.parts.directory;
        let others = directory.holders(customer, connector).into_iter().filter(|other| other.switch == Switch::On && other.id != account.record.id);
        let others = others.filter_map(|other| directory.by_id(&other.id));
        let may = |other: &ConnectedAccount| self.policies.could_do(connector, &other.standing(), operations);
        others.filter(may).map(|other| other.record.identifier.clone()).take(MOST_DELEGATES).collect()
    }

    /// Sizes and times of this request, as far as its operations say their own.
    pub(super) fn bounds(&self) -> Bounds {
        self.known.operations.iter().fold(self.gateway.parts.bounds, |bounds, operations| bounds.of(operations))
    }

    pub(super) fn forward(&self, head: OutgoingHead, addresses: Arc<[SocketAddr]>) -> Box<Forward> {
        let bounds = self.bounds();
        let origin = &head.upstream.origin;
        let tls = (origin.scheme() == Scheme::Https).then(|| origin.host().to_owned());
        Box::new(Forward {
            websocket: head.websocket,
            addresses,
            group_key: group_of(origin),
            tls,
            body_limit: bounds.body,
            connect_timeout: bounds.connect,
            head_timeout: bounds.head,
            idle_timeout: bounds.idle,
            body: self.known.body.clone(),
            head,
        })
    }
}

/// Connections to one origin are never used for another, whatever addresses they share.
fn group_of(origin: &Origin) -> u64 {
    let mut hasher = DefaultHasher::new();
    origin.hash(&mut hasher);
    hasher.finish()
}
