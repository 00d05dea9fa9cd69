//! Sessions: the chain of one crew's run.

use crate::admin::Plane;
use crate::admin::extract::Named;
use crate::admin::problem::{Problem, Thing};
use crate::audit::{Beginning, Recorded};
use axum::Json;
use axum::extract::State;
use scopegate_core::id::{CustomerId, SessionId};
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Names a session.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SessionParam {
    /// What agents sent as `Scopegate-Session`.
    session: String,
}

/// One run of a crew.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    #[schema(value_type = String)]
    id: SessionId,
    /// Whose it is; none where no account of it was ever known.
    #[schema(value_type = Option<String>)]
    customer: Option<CustomerId>,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// Oldest first.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Recorded>,
    /// Only where later events are left out; `GET /v1/audit?session=...` has all of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    truncated: bool,
}

/// What a session did, oldest first.
#[utoipa::path(get, path = "/v1/sessions/{session}", tag = "audit", operation_id = "show_session", params(SessionParam),
    responses((status = 200, body = Session), (status = 404, description = "Unknown session")))]
pub(super) async fn show(State(plane): State<Plane>, Named(SessionParam { session }): Named<SessionParam>) -> Result<Json<Session>, Problem> {
    let id: SessionId = session.parse().map_err(|_| Problem::Unknown(Thing::Session))?;
    let record = plane.sessions.find(&id).await.map_err(|failure| Problem::store(&failure))?;
    let Beginning { events, truncated } = plane.audit.session(&id).await.map_err(|failure| Problem::store(&failure))?;
    if record.is_none() && events.is_empty() {
        return Err(Problem::Unknown(Thing::Session));
    }
    let started_at = record.as_ref().map(|record| record.started_at).or_else(|| events.first().map(|first| first.event.time));
    let customer = record.map(|record| record.customer).or_else(|| customer_in(&events));
    Ok(Json(Session { id, customer, started_at, events, truncated }))
}

/// Whose a session was that the store has forgotten: the first customer whose request was not refused for being somebody else's.
fn customer_in(events: &[Recorded]) -> Option<CustomerId> {
    let events = events.iter().map(|recorded| &recorded.event);
    events.filter(|event| event.reason != Some(Reason::SessionCustomerMismatch)).find_map(|event| event.customer.clone())
}
