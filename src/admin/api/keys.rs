//! The wrapping keys: what each is used for, and the change to another one. No answer shows a key.

use crate::admin::Plane;
use crate::admin::problem::Problem;
use crate::vault::{KeyStatus, NotRotated, VaultError};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::error::Error;
use utoipa::ToSchema;

/// The wrapping keys.
#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    /// The key that wraps; a hash of it.
    current: String,
    /// The current one first, then the older ones.
    keys: Vec<Key>,
    /// Whether everything is sealed under the current key. Otherwise that goes on in the background.
    finished: bool,
}

/// What one wrapping key is used for.
#[derive(Serialize, ToSchema)]
struct Key {
    id: String,
    /// Where it was read; none: no key file holds it, and none is needed.
    file: Option<String>,
    current: bool,
    /// How many data keys it wraps.
    data_keys: u64,
    /// How many records are sealed with data keys that were made with it.
    records: u64,
    /// Whether its file can be taken out of the settings and deleted.
    removable: bool,
}

impl From<KeyStatus> for Keys {
    fn from(status: KeyStatus) -> Self {
        let finished = status.left() == 0;
        let current = status.keys.first().map(|key| key.id.to_string()).unwrap_or_default();
        let keys = status.keys.into_iter().enumerate().map(|(at, key)| Key {
            current: at == 0,
            removable: at > 0 && key.is_free(),
            id: key.id.to_string(),
            file: key.file.map(|file| file.display().to_string()),
            data_keys: key.data_keys,
            records: key.records,
        });
        Self { current, keys: keys.collect(), finished }
    }
}

/// Tells which wrapping keys there are and what each is used for.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", operation_id = "show_keys",
    responses((status = 200, body = Keys), (status = 503, description = "`store_unavailable`")))]
pub(super) async fn show(State(plane): State<Plane>) -> Result<Json<Keys>, Problem> {
    let status = plane.keys.status().await.map_err(|failure| Problem::store(&failure))?;
    Ok(Json(status.into()))
}

/// Reads the key files that the settings name at this moment, and wraps with `key_file` from then on; sealing anew what older keys seal goes on in the background.
#[utoipa::path(post, path = "/v1/keys/rotate", tag = "keys", operation_id = "rotate_keys",
    responses((status = 200, description = "They are in use", body = Keys), (status = 409, description = "They do not open the store, or are no usable key files; those in force stay"),
        (status = 503, description = "`store_unavailable`")))]
pub(super) async fn rotate(State(plane): State<Plane>) -> Result<Json<Keys>, Problem> {
    plane.keys.rotate().await.map_err(|failure| match failure {
        NotRotated::Vault(failure @ VaultError::Store { .. }) => Problem::store(&failure),
        NotRotated::Ending => Problem::unavailable(),
        other @ (NotRotated::Files(_) | NotRotated::Vault(_)) => Problem::Conflict(with_causes(&other)),
    })?;
    show(State(plane)).await
}

/// Of key files and settings, which are the operator's own: there is no secret in their errors.
fn with_causes(failure: &dyn Error) -> String {
    let mut told = failure.to_string();
    let mut cause = failure.source();
    while let Some(deeper) = cause {
        told.push_str(": ");
        told.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    told
}
