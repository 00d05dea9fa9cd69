//! The audit event of one request, from its first byte to its end.

use super::{Gateway, Watcher};
use crate::audit::{AuditFull, Event, Place, Verdict};
use crate::metrics::{ConnectorLabels, Name, RequestLabels};
use scopegate_core::connector::Connector;
use scopegate_core::policy::{Allowance, Operations};
use scopegate_core::refusal::{Reason, Refusal};
use scopegate_core::request::{Request, dropped_headers};
use scopegate_core::time::Instant;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Writes exactly one event: when it is finished, else when it is dropped.
#[derive(Debug)]
pub(super) struct Record {
    /// What is known so far.
    pub(super) event: Event,
    place: Option<Place>,
    state: State,
    started: Instant,
    upstream_from: Option<Instant>,
    gateway: Arc<Gateway>,
    dropped_headers: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    Written,
}

impl Record {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        let clock = &gateway.parts.clock;
        let request_id = scopegate_core::id::RequestId::from_bytes(crate::chance::name());
        Self {
            event: Event::draft(request_id, clock.timestamp()),
            place: None,
            state: State::Open,
            started: clock.instant(),
            upstream_from: None,
            gateway,
            dropped_headers: Vec::new(),
        }
    }

    /// Takes a place in the audit's queue: no call is made without one.
    pub(super) fn reserve(&mut self) -> Result<(), AuditFull> {
        if self.place.is_none() {
            self.place = Some(self.gateway.parts.audit.reserve()?);
        }
        Ok(())
    }

    /// It was allowed, so far.
    pub(super) fn allowed(&mut self, allowance: &Allowance) {
        self.concerns(&allowance.operations);
        self.event.decision = Verdict::Allow;
        self.event.reason = None;
        if let Some(lack) = &allowance.shadow {
            self.event.decision = Verdict::WouldDeny;
            self.event.reason = Some(Reason::RoleLacksScope);
            self.event.missing.clone_from(&lack.missing_scopes);
        }
    }

    /// It is about these operations.
    pub(super) fn concerns(&mut self, operations: &Operations) {
        self.event.operation = Some(operations.name().clone());
        self.event.required = Arc::clone(operations.shared_required());
        self.event.parts = operations.parts().map(|part| part.name().clone()).collect::<BTreeSet<_>>().into_iter().collect();
    }

    /// It was refused, or went wrong afterwards.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let reason = refusal.reason();
        self.event.decision = match self.event.decision {
            Verdict::WouldDeny if reason.is_allowed() => Verdict::WouldDeny,
            Verdict::Allow | Verdict::Deny | Verdict::WouldDeny if reason.is_allowed() => Verdict::Allow,
            Verdict::Allow | Verdict::Deny | Verdict::WouldDeny => Verdict::Deny,
        };
        self.event.reason = Some(reason);
        if let Some(operations) = refusal.operations() {
            self.concerns(operations);
        }
        if let Some(lack) = refusal.lack() {
            self.event.missing.clone_from(&lack.missing_scopes);
        }
    }

    /// Notes which headers do not reach the API, where an author may look for them: in the debug log, and where somebody watches.
    pub(super) fn leaves_out(&mut self, request: &Request, connector: &Connector) {
        if self.gateway.parts.watcher.is_none() && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        self.dropped_headers = dropped_headers(request, connector);
        if !self.dropped_headers.is_empty() {
            tracing::debug!(request_id = %self.event.request_id, connector = %connector.id, headers = self.dropped_headers.join(" "), "headers that do not reach the API");
        }
    }

    /// The API is being called.
    pub(super) fn upstream_begins(&mut self) {
        self.event.upstream_called = true;
        self.upstream_from.get_or_insert_with(|| self.gateway.parts.clock.instant());
    }

    /// Whether bytes went to the API.
    pub(super) fn upstream_called(&self) -> bool {
        self.event.upstream_called
    }

    /// Writes the event; later calls do nothing.
    pub(super) fn finish(&mut self) {
        if self.state == State::Written {
            return;
        }
        self.state = State::Written;
        let now = self.gateway.parts.clock.instant();
        self.event.duration_ms = millis(now.since(self.started));
        self.event.upstream_ms = self.upstream_from.map(|from| millis(now.since(from)));
        self.count();
        if let Some(Watcher(watch)) = &self.gateway.parts.watcher {
            watch(&self.event, &self.dropped_headers);
        }
        match self.place.take() {
            Some(place) => place.write(&self.event),
            None => self.gateway.parts.audit.note(&self.event),
        }
    }

    fn count(&self) {
        let event = &self.event;
        let connector = event.connector.as_ref().map(Name::from).unwrap_or_default();
        let decision = match event.decision {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
            Verdict::WouldDeny => "would_deny",
        };
        let labels = RequestLabels { connector: connector.clone(), decision, reason: event.reason.map_or("", Reason::as_str) };
        self.gateway.parts.metrics.requests.get_or_create(&labels).inc();
        let labels = ConnectorLabels { connector };
        self.gateway.parts.metrics.request_seconds.get_or_create(&labels).observe(seconds(event.duration_ms));
        if let Some(upstream_ms) = event.upstream_ms {
            self.gateway.parts.metrics.upstream_seconds.get_or_create(&labels).observe(seconds(upstream_ms));
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.finish();
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
