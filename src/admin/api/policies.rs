//! The rules in force, and their replacement.

use crate::admin::Plane;
use crate::admin::problem::Problem;
use crate::gateway::{InForce, Occasion, PolicyRoom, Rejected};
use axum::Json;
use axum::extract::State;
use scopegate_core::policy::Diagnostic;
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Which rules are in force.
#[derive(Serialize, ToSchema)]
pub(super) struct Policies {
    /// Counts sets that came into force, from 1.
    generation: u64,
    /// SHA-256 over all documents.
    hash: String,
    /// The platform team's files.
    files: Vec<String>,
    /// When this set came into force.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// What the author should look at.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<Diagnostic>,
    /// An attempt since then that changed nothing: `time`, `hash`, `diagnostics`.
    #[schema(value_type = Option<Object>)]
    last_rejected: Option<Rejected>,
}

impl Policies {
    fn of(in_force: &InForce, room: &PolicyRoom) -> Self {
        Self {
            generation: in_force.generation,
            hash: in_force.policies.hash().to_owned(),
            files: in_force.files.clone(),
            since: in_force.since,
            warnings: in_force.warnings.clone(),
            last_rejected: room.last_rejected().map(|rejected| (*rejected).clone()),
        }
    }
}

/// Tells which rules are in force.
#[utoipa::path(get, path = "/v1/policies", tag = "policies", operation_id = "show_policies", responses((status = 200, body = Policies)))]
pub(super) async fn show(State(plane): State<Plane>) -> Json<Policies> {
    Json(Policies::of(&plane.policies.in_force(), &plane.policies))
}

/// Reads all policy files again: all of them come into force, or none.
#[utoipa::path(post, path = "/v1/policies/reload", tag = "policies", operation_id = "reload_policies",
    responses((status = 200, description = "The new set is in force", body = Policies), (status = 422, description = "The old set stays; `diagnostics` says why")))]
pub(super) async fn reload(State(plane): State<Plane>) -> Result<Json<Policies>, Problem> {
    let (room, now) = (Arc::clone(&plane.policies), plane.clock.timestamp());
    let reloaded = plane.tasks.blocking(move || room.reload(now, Occasion::Api)).await;
    match reloaded {
        Ok(Ok(in_force)) => Ok(Json(Policies::of(&in_force, &plane.policies))),
        Ok(Err(rejected)) => Err(Problem::PoliciesRejected(rejected)),
        Err(_) => {
            let sentence = "the reload was cut short; the old policies stay in force".into();
            Err(Problem::Refused { reason: Reason::PolicyUnavailable, sentence, retry_after: None })
        }
    }
}
