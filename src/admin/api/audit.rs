//! Looking back: which requests were decided how.

use crate::admin::Plane;
use crate::admin::extract::Filter;
use crate::admin::page::{EventsAfter, Limit};
use crate::admin::problem::Problem;
use crate::audit::{self, AuditError, Recorded, Verdict};
use axum::Json;
use axum::extract::State;
use scopegate_core::id::{ConnectorId, CustomerId, SessionId};
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The identifier.
    account: Option<String>,
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    #[param(value_type = Option<String>)]
    session: Option<SessionId>,
    #[param(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// The operation's id, with or without its connector; one of several joined ones is enough.
    operation: Option<String>,
    /// `allow`, `deny` or `would_deny`.
    #[param(value_type = Option<String>)]
    decision: Option<Verdict>,
    /// A word of the table of reasons.
    #[serde(default, deserialize_with = "reason")]
    #[param(value_type = Option<String>)]
    reason: Option<Reason>,
    /// RFC 3339; at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// RFC 3339; before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Events behind the one of this number (`seq`), and then the oldest first: 0 for all, or the `last_seq` of an answer for what has
    /// happened since. Numbers grow by one from event to event; where two processes write beside each other, each counts on by itself.
    #[serde(default, deserialize_with = "number")]
    #[param(value_type = Option<u64>)]
    after_seq: Option<u64>,
    /// The `cursor` of the page before, beside the same filters.
    #[param(value_type = Option<String>)]
    cursor: Option<EventsAfter>,
    /// 1 to 1000; left out: 100.
    #[serde(default)]
    #[param(value_type = Option<u64>)]
    limit: Limit,
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reason>, D::Error> {
    let word = String::deserialize(from)?;
    Reason::of_word(&word).map(Some).ok_or_else(|| de::Error::custom("not a word of the table of reasons"))
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(|_| de::Error::custom("not the number of an event"))
}

/// One page of events, newest first; with `after_seq`, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Events {
    /// As they stand in the audit's files.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Recorded>,
    /// Where the next page begins; none: this is the last.
    cursor: Option<String>,
    /// The number of the last event that was looked at, whether the filters let it through or not; with `after_seq` and a `cursor`, of
    /// the last of this page. None: there is no event.
    last_seq: Option<u64>,
}

/// Searches the audit, newest first; with `after_seq`, oldest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", operation_id = "search_audit", params(Which),
    responses((status = 200, body = Events), (status = 422, description = "A filter that is unknown or not well formed, or a cursor whose event is not, or not any more, kept")))]
pub(super) async fn search(State(plane): State<Plane>, Filter(which): Filter<Which>) -> Result<Json<Events>, Problem> {
    let Which { account, customer, session, connector, operation, decision, reason, since, until, after_seq, cursor, limit } = which;
    let filter = audit::Filter { account, customer, session, connector, operation, decision, reason, since, until, after_seq };
    let page = plane.audit.search(filter, cursor.map(|after| after.0), limit.0).await.map_err(|failure| match failure {
        AuditError::UnknownCursor => Problem::field("cursor", "is of an event that is not, or not any more, kept: begin anew"),
        failure @ AuditError::Io { .. } => Problem::store(&failure),
    })?;
    Ok(Json(Events { events: page.events, cursor: page.next.map(|next| next.to_string()), last_seq: page.last_seq }))
}
