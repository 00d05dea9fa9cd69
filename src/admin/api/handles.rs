//! Handles: minted, listed without what they are, taken away.

use crate::admin::Plane;
use crate::admin::api::accounts::applied;
use crate::admin::extract::{AccountParams, Body, Existing, Filter, IdentifierParam, Named, NamedIdentifier};
use crate::admin::page::Ttl;
use crate::admin::problem::{Problem, Thing};
use crate::chance;
use crate::store::{Applied, Change};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use scopegate_core::account::{HandleRecord, HandleTarget};
use scopegate_core::id::{CustomerId, HandleId};
use scopegate_core::secret::HandleText;
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A handle for one account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHandle {
    /// Seconds, or text such as `15m`; left out: until it is taken away.
    #[schema(value_type = Option<String>)]
    ttl: Option<Ttl>,
}

/// A handle for all accounts of an identifier.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWideHandle {
    /// Whose accounts.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// Seconds, or text such as `15m`; left out: until it is taken away.
    #[schema(value_type = Option<String>)]
    ttl: Option<Ttl>,
}

/// A handle, shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct Minted {
    /// Names it without being it.
    #[schema(value_type = String)]
    id: HandleId,
    /// What an agent shows. It is not kept here and cannot be shown again.
    handle: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// What is told of a handle later.
#[derive(Serialize, ToSchema)]
pub(super) struct Known {
    #[schema(value_type = String)]
    id: HandleId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// The handles that have not ended, oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Handles {
    handles: Vec<Known>,
}

/// Names a handle.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct HandleParam {
    /// The `id` that it was minted with.
    hid: String,
}

/// Whose accounts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OfCustomer {
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
}

/// Mints a handle for the account. It dies with the account.
#[utoipa::path(post, path = "/v1/connectors/{connector}/accounts/{identifier}/handles", tag = "handles", operation_id = "mint_handle",
    params(AccountParams), request_body = NewHandle,
    responses((status = 201, body = Minted), (status = 404, description = "Unknown connector or account")))]
pub(super) async fn mint(
    State(plane): State<Plane>,
    Existing(account): Existing,
    Body(new): Body<NewHandle>,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    let target = HandleTarget::Account(account.record.id.clone());
    minted(&plane, account.record.customer.clone(), target, new.ttl, Thing::Account).await
}

/// Mints a handle for all accounts that a customer has under the identifier, at whatever connector, also later ones.
#[utoipa::path(post, path = "/v1/identifiers/{identifier}/handles", tag = "handles", operation_id = "mint_identifier_handle",
    params(IdentifierParam), request_body = NewWideHandle,
    responses((status = 201, body = Minted), (status = 404, description = "The customer has no account with this identifier")))]
pub(super) async fn mint_wide(
    State(plane): State<Plane>,
    NamedIdentifier(identifier): NamedIdentifier,
    Body(new): Body<NewWideHandle>,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    if !plane.directory.named(&identifier).iter().any(|account| account.customer == new.customer) {
        return Err(Problem::Unknown(Thing::AccountOfCustomer));
    }
    minted(&plane, new.customer, HandleTarget::Identifier(identifier), new.ttl, Thing::AccountOfCustomer).await
}

async fn minted(
    plane: &Plane,
    customer: CustomerId,
    target: HandleTarget,
    ttl: Option<Ttl>,
    owner: Thing,
) -> Result<(StatusCode, Json<Minted>), Problem> {
    let (handle, digest): (HandleText, _) = plane.vault.mint_handle();
    let created_at = plane.clock.timestamp();
    let expires_at = ttl.map(|ttl| created_at.plus(ttl.0));
    let id = HandleId::from_bytes(chance::bytes());
    let record = HandleRecord { id: id.clone(), digest, customer, target, created_at, expires_at };
    match applied(plane, vec![Change::InsertHandle(record)]).await? {
        Applied::Done => Ok((StatusCode::CREATED, Json(Minted { id, handle: handle.reveal().to_owned(), expires_at }))),
        // Neither id nor digest can be taken, so the account was deleted at this moment.
        Applied::Conflict => Err(Problem::Unknown(owner)),
    }
}

/// Lists the account's own handles.
#[utoipa::path(get, path = "/v1/connectors/{connector}/accounts/{identifier}/handles", tag = "handles", operation_id = "list_handles",
    params(AccountParams), responses((status = 200, body = Handles), (status = 404, description = "Unknown connector or account")))]
pub(super) async fn list(State(plane): State<Plane>, Existing(account): Existing) -> Json<Handles> {
    listed(&plane, plane.directory.handles(&HandleTarget::Account(account.record.id.clone())))
}

/// Lists the handles for all accounts of the identifier.
#[utoipa::path(get, path = "/v1/identifiers/{identifier}/handles", tag = "handles", operation_id = "list_identifier_handles",
    params(IdentifierParam, OfCustomer), responses((status = 200, body = Handles)))]
pub(super) async fn list_wide(
    State(plane): State<Plane>,
    NamedIdentifier(identifier): NamedIdentifier,
    Filter(of): Filter<OfCustomer>,
) -> Json<Handles> {
    let mut handles = plane.directory.handles(&HandleTarget::Identifier(identifier));
    handles.retain(|handle| of.customer.as_ref().is_none_or(|customer| handle.customer == *customer));
    listed(&plane, handles)
}

fn listed(plane: &Plane, mut handles: Vec<Arc<HandleRecord>>) -> Json<Handles> {
    let now = plane.clock.timestamp();
    handles.retain(|handle| handle.expires_at.is_none_or(|end| now < end));
    handles.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
    let known = |handle: &Arc<HandleRecord>| Known { id: handle.id.clone(), created_at: handle.created_at, expires_at: handle.expires_at };
    Json(Handles { handles: handles.iter().map(known).collect() })
}

/// Takes a handle of the account away.
#[utoipa::path(delete, path = "/v1/connectors/{connector}/accounts/{identifier}/handles/{hid}", tag = "handles", operation_id = "revoke_handle",
    params(AccountParams, HandleParam), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown connector, account or handle")))]
pub(super) async fn revoke(
    State(plane): State<Plane>,
    Existing(account): Existing,
    Named(HandleParam { hid }): Named<HandleParam>,
) -> Result<StatusCode, Problem> {
    taken_away(&plane, &hid, &HandleTarget::Account(account.record.id.clone())).await
}

/// Takes a handle for all accounts of the identifier away.
#[utoipa::path(delete, path = "/v1/identifiers/{identifier}/handles/{hid}", tag = "handles", operation_id = "revoke_identifier_handle",
    params(IdentifierParam, HandleParam), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown handle")))]
pub(super) async fn revoke_wide(
    State(plane): State<Plane>,
    NamedIdentifier(identifier): NamedIdentifier,
    Named(HandleParam { hid }): Named<HandleParam>,
) -> Result<StatusCode, Problem> {
    taken_away(&plane, &hid, &HandleTarget::Identifier(identifier)).await
}

/// Deletes the handle if it is one of `target`.
async fn taken_away(plane: &Plane, hid: &str, target: &HandleTarget) -> Result<StatusCode, Problem> {
    let id: HandleId = hid.parse().map_err(|_| Problem::Unknown(Thing::Handle))?;
    plane.directory.handle_by_id(&id).filter(|handle| handle.target == *target).ok_or(Problem::Unknown(Thing::Handle))?;
    match applied(plane, vec![Change::DeleteHandle(id)]).await? {
        Applied::Done => Ok(StatusCode::NO_CONTENT),
        Applied::Conflict => Err(Problem::Unknown(Thing::Handle)),
    }
}
