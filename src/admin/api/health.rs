//! Whether this process lives, can serve, and what it has counted. Nothing here names a customer or an account.

use crate::admin::Plane;
use crate::admin::extract::Filter;
use crate::metrics::StatusLabels;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whether the process answers at all.
#[utoipa::path(get, path = "/livez", tag = "health", operation_id = "livez", security(()), responses((status = 200, description = "It does")))]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// How much to tell.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct HowMuch {
    /// Its presence asks for each check.
    verbose: Option<String>,
}

/// Each check, and whether all of them are good.
#[derive(Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// False from the moment in which the process was told to end.
    accepting: bool,
    /// Whether the store would take a write.
    store: bool,
    /// Whether events reach the disk.
    audit: bool,
    policies: PolicyHealth,
}

/// The rules in force. A rejected reload leaves the process ready, for the old set holds.
#[derive(Serialize, ToSchema)]
struct PolicyHealth {
    generation: u64,
    hash: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    last_rejected: Option<RejectedBriefly>,
}

/// A reload since then that changed nothing.
#[derive(Serialize, ToSchema)]
struct RejectedBriefly {
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// How many errors the documents have.
    errors: usize,
}

/// Whether this process can serve.
#[utoipa::path(get, path = "/readyz", tag = "health", operation_id = "readyz", security(()), params(HowMuch),
    responses((status = 200, description = "It can"), (status = 503, description = "It cannot, or is about to end")))]
pub(super) async fn ready(State(plane): State<Plane>, Filter(how_much): Filter<HowMuch>) -> Response {
    let store = plane.store.ready().await.inspect_err(|failure| tracing::warn!("not ready: {failure}")).is_ok();
    let (audit, accepting) = (plane.audit.is_healthy(), !plane.draining.is_cancelled());
    let ready = store && audit && accepting;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut answer = if how_much.verbose.is_some() {
        (status, Json(Readiness { ready, accepting, store, audit, policies: PolicyHealth::of(&plane) })).into_response()
    } else {
        (status, if ready { "ok\n" } else { "not ready; ask with ?verbose\n" }).into_response()
    };
    if !ready {
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    answer
}

impl PolicyHealth {
    fn of(plane: &Plane) -> Self {
        let in_force = plane.policies.in_force();
        let rejected = plane.policies.last_rejected();
        Self {
            generation: in_force.generation,
            hash: in_force.policies.hash().to_owned(),
            since: in_force.since,
            last_rejected: rejected.map(|rejected| RejectedBriefly { time: rejected.time, errors: rejected.errors() }),
        }
    }
}

/// Which version this is.
#[derive(Serialize, ToSchema)]
pub(super) struct Version {
    name: &'static str,
    version: &'static str,
}

/// Tells the version.
#[utoipa::path(get, path = "/version", tag = "health", operation_id = "version", security(()), responses((status = 200, body = Version)))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// What was counted, for Prometheus. With `admin.metrics: token` it asks for the admin token.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics", security((), ("admin_token" = [])),
    responses((status = 200, description = "OpenMetrics 1.0", content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(plane): State<Plane>) -> Response {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    for (status, count) in plane.by_status().await.into_iter().flatten() {
        plane.metrics.accounts.get_or_create(&StatusLabels { status: status.as_str() }).set(number(count));
    }
    plane.metrics.open_grants.set(number(plane.grants.count_open()));
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], plane.metrics.text()).into_response()
}
