//! Counters for operators. No label ever carries an identifier, or anything else that came with a request.

use arcstr::ArcStr;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use scopegate_core::id::ConnectorId;
use std::fmt;
use std::sync::Arc;

/// All metrics. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// The families, and the registry that shows them.
pub struct Families {
    registry: Registry,
    /// Requests by what became of them.
    pub requests: Family<RequestLabels, Counter>,
    /// Seconds from arrival to the end of the answer.
    pub request_seconds: Family<ConnectorLabels, Histogram, fn() -> Histogram>,
    /// Seconds that the API took.
    pub upstream_seconds: Family<ConnectorLabels, Histogram, fn() -> Histogram>,
    /// Refreshes by how they ended.
    pub refreshes: Family<OutcomeLabels, Counter>,
    /// Calls of token endpoints by how they ended.
    pub token_calls: Family<OutcomeLabels, Counter>,
    /// Revocations at providers by how they ended.
    pub revocations: Family<OutcomeLabels, Counter>,
    /// Seconds that token and revocation endpoints took.
    pub token_call_seconds: Family<ConnectorLabels, Histogram, fn() -> Histogram>,
    /// Accounts by their status, as of the last look.
    pub accounts: Family<StatusLabels, Gauge>,
    /// Opened token sets in memory, as of the last look.
    pub open_grants: Gauge,
    /// Events that are taken, or have a place, and are not on disk.
    pub audit_queue: Gauge,
    /// Events that are on disk.
    pub audit_events: Counter,
    /// Times that the disk did not take events.
    pub audit_failures: Counter,
    /// Events of refusals for which there was no room.
    pub audit_lost: Counter,
    /// Reloads of the policies by `accepted` or `rejected`.
    pub reloads: Family<ResultLabels, Counter>,
    /// Counts sets of policies that came into force, from 1.
    pub policy_generation: Gauge,
    /// 1 as long as the last reload was rejected.
    pub policy_rejected: Gauge,
    /// Connections of clients that are open.
    pub open_connections: Gauge,
    /// Connections of clients so far.
    pub connections: Counter,
    /// Requests that ended below HTTP: malformed beyond an answer of ours.
    pub malformed: Family<ProtocolLabels, Counter>,
}

/// The name of a connector of the policies; empty where a request names none of them.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Name(ArcStr);

impl From<&ConnectorId> for Name {
    fn from(connector: &ConnectorId) -> Self {
        Self(connector.to_shared())
    }
}

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}

/// What became of a request.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct RequestLabels {
    /// Which API.
    pub connector: Name,
    /// `allow`, `deny` or `would_deny`.
    pub decision: &'static str,
    /// A word of the table of reasons, or empty.
    pub reason: &'static str,
}

/// Which API.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ConnectorLabels {
    /// Which API.
    pub connector: Name,
}

/// How something at a provider ended.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct OutcomeLabels {
    /// Which API.
    pub connector: Name,
    /// A word of ours.
    pub outcome: &'static str,
}

/// Which accounts.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct StatusLabels {
    /// The word of the admin API.
    pub status: &'static str,
}

/// How something here ended.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ResultLabels {
    /// A word of ours.
    pub result: &'static str,
}

/// Which protocol was spoken.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ProtocolLabels {
    /// `h2`: in HTTP/1 every request is answered by us.
    pub protocol: &'static str,
}

/// From a millisecond, the unit of what is measured, to two minutes.
fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0])
}

impl Metrics {
    /// All families, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("scopegate");
        registry.register("build", "Which version this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let families = Families {
            requests: registered(&mut registry, "requests", "Requests by connector, decision and reason", Family::default()),
            request_seconds: registered(
                &mut registry,
                "request_duration_seconds",
                "From arrival to the end of the answer",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            upstream_seconds: registered(
                &mut registry,
                "upstream_duration_seconds",
                "What the API took of it",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            refreshes: registered(&mut registry, "refreshes", "Refreshes by connector and outcome", Family::default()),
            token_calls: registered(&mut registry, "token_calls", "Calls of token endpoints by connector and outcome", Family::default()),
            revocations: registered(&mut registry, "revocations", "Revocations at providers by connector and outcome", Family::default()),
            token_call_seconds: registered(
                &mut registry,
                "token_call_duration_seconds",
                "What token and revocation endpoints took",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            accounts: registered(&mut registry, "accounts", "Accounts by status", Family::default()),
            open_grants: registered(&mut registry, "open_grants", "Opened token sets in memory", Gauge::default()),
            audit_queue: registered(&mut registry, "audit_queue", "Audit events and reserved places that are not on disk", Gauge::default()),
            audit_events: registered(&mut registry, "audit_events", "Audit events on disk", Counter::default()),
            audit_failures: registered(&mut registry, "audit_failures", "Times that the disk did not take audit events", Counter::default()),
            audit_lost: registered(&mut registry, "audit_lost", "Refusals whose audit event found no room", Counter::default()),
            reloads: registered(&mut registry, "policy_reloads", "Reloads of the policies by result", Family::default()),
            policy_generation: registered(&mut registry, "policy_generation", "Sets of policies that came into force", Gauge::default()),
            policy_rejected: registered(&mut registry, "policy_last_reload_rejected", "1 as long as the last reload was rejected", Gauge::default()),
            open_connections: registered(&mut registry, "open_connections", "Connections of clients that are open", Gauge::default()),
            connections: registered(&mut registry, "connections", "Connections of clients", Counter::default()),
            malformed: registered(&mut registry, "malformed_requests", "Requests malformed beyond an answer, by protocol", Family::default()),
            registry,
        };
        // What may never happen is there from the beginning, so that the first time shows as a change.
        for result in ["accepted", "rejected"] {
            families.reloads.get_or_create(&ResultLabels { result }).inc_by(0);
        }
        families.malformed.get_or_create(&ProtocolLabels { protocol: "h2" }).inc_by(0);
        Self(Arc::new(families))
    }

    /// A client has come; it is here until this is dropped.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connections.inc();
        self.open_connections.inc();
        Connection(self.clone())
    }

    /// All families as text for Prometheus (OpenMetrics 1.0).
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// A connection that is open.
#[derive(Debug)]
pub struct Connection(Metrics);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open_connections.dec();
    }
}

fn registered<M: prometheus_client::registry::Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for Metrics {
    type Target = Families;
    fn deref(&self) -> &Families {
        &self.0
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name::from(&"crm".parse().unwrap())
    }

    #[test]
    fn what_was_counted_is_shown_under_its_name() {
        let metrics = Metrics::new();
        metrics.requests.get_or_create(&RequestLabels { connector: name(), decision: "deny", reason: "role_lacks_scope" }).inc();
        metrics.request_seconds.get_or_create(&ConnectorLabels { connector: name() }).observe(0.003);
        metrics.clone().audit_queue.set(3);
        let (here, gone) = (metrics.connection(), metrics.connection());
        drop(gone);
        let text = metrics.text();
        for line in [
            "scopegate_requests_total{connector=\"crm\",decision=\"deny\",reason=\"role_lacks_scope\"} 1\n",
            "scopegate_audit_queue 3\n",
            "scopegate_request_duration_seconds_bucket{le=\"0.005\",connector=\"crm\"} 1\n",
            "scopegate_open_connections 1\n",
            "scopegate_connections_total 2\n",
            concat!("scopegate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n"),
            "# EOF\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        drop(here);
    }

    #[test]
    fn every_family_stands_in_the_readme_and_nothing_else_does() {
        let metrics = Metrics::new();
        let (crm, outcome) = (ConnectorLabels { connector: name() }, OutcomeLabels { connector: name(), outcome: "x" });
        metrics.requests.get_or_create(&RequestLabels { connector: name(), decision: "allow", reason: "" }).inc();
        for family in [&metrics.request_seconds, &metrics.upstream_seconds, &metrics.token_call_seconds] {
            family.get_or_create(&crm).observe(1.0);
        }
        for family in [&metrics.refreshes, &metrics.token_calls, &metrics.revocations] {
            family.get_or_create(&outcome).inc();
        }
        metrics.accounts.get_or_create(&StatusLabels { status: "active" }).inc();
        let text = metrics.text();
        let mut families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let readme = include_str!("../README.md");
        let mut documented: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        documented.retain(|name| name.starts_with("scopegate_"));
        families.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, families);
    }
}
