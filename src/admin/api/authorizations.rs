//! Authorizations: links with which a customer connects an account.

use super::accounts::Account;
use crate::admin::Plane;
use crate::admin::extract::{AccountParams, Body, Existing, Named};
use crate::admin::problem::{Problem, Thing};
use crate::grants::{BeginError, ConfirmError, Wish};
use crate::store::Confirmation;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use scopegate_core::id::AuthorizationId;
use scopegate_core::scope::{ProviderScope, Scope};
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What the link shall do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAuthorization {
    /// Where the browser goes when all went well; its origin must stand in `admin.return_to`.
    return_to: Option<String>,
    /// Gateway scopes, a part of the role's; left out: all that the role allows.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Vec<Scope>>,
    /// Whether the account stays `pending` until the application confirms the finished authorization.
    #[serde(default)]
    confirm: bool,
}

/// A link for the customer.
#[derive(Serialize, ToSchema)]
pub(super) struct Authorization {
    /// For `confirm`.
    #[schema(value_type = String)]
    id: AuthorizationId,
    /// The page to send the customer to. Works once.
    authorization_url: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The provider scopes that the customer is asked for.
    #[schema(value_type = Vec<String>)]
    requested_scopes: Vec<ProviderScope>,
}

/// Makes a link with which a customer connects the account, or connects it again.
#[utoipa::path(post, path = "/v1/connectors/{connector}/accounts/{identifier}/authorizations", tag = "authorizations", operation_id = "begin_authorization",
    params(AccountParams), request_body = NewAuthorization,
    responses((status = 201, body = Authorization), (status = 404, description = "Unknown connector or account"),
        (status = 409, description = "This connector cannot be connected here: no OAuth, or no entry under `clients`"),
        (status = 422, description = "No scopes or some beyond the role, or a `return_to` that is not allowed")))]
pub(super) async fn begin(
    State(plane): State<Plane>,
    Existing(account): Existing,
    Body(new): Body<NewAuthorization>,
) -> Result<(StatusCode, Json<Authorization>), Problem> {
    if new.scopes.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::field("scopes", "asks for nothing: leave it out for all that the account's role allows"));
    }
    let confirmation = if new.confirm { Confirmation::Needed } else { Confirmation::NotNeeded };
    let wish = Wish { scopes: new.scopes, return_to: new.return_to, confirmation };
    let begun = plane.grants.begin(&account, wish).await.map_err(not_begun)?;
    let authorization = Authorization {
        id: begun.id,
        authorization_url: begun.authorization_url.into(),
        expires_at: begun.expires_at,
        requested_scopes: begun.requested_scopes,
    };
    Ok((StatusCode::CREATED, Json(authorization)))
}

fn not_begun(fault: BeginError) -> Problem {
    match fault {
        BeginError::UnknownConnector => Problem::Unknown(Thing::Connector),
        BeginError::NoOAuth => Problem::Conflict(
            "customers cannot connect this connector by themselves: its policy has no `oauth.authorization_url`; bring credentials".into(),
        ),
        BeginError::NoClient => Problem::Conflict("the settings have no entry for this connector under `clients`".into()),
        BeginError::BeyondRole(scopes) => {
            let scopes = scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ");
            Problem::field("scopes", format_args!("holds what the account's role does not allow: {scopes}"))
        }
        BeginError::ReturnTo => Problem::field("return_to", "must be a URL whose origin stands in `admin.return_to` of the settings"),
        BeginError::Variable(name) => {
            Problem::Conflict(format!("the account has no value for the variable `{name}`, which the authorization page's address needs"))
        }
        BeginError::Store => Problem::unavailable(),
    }
}

/// Names an authorization.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct AuthorizationParam {
    /// The `id` that the link was made with.
    authorization: String,
}

/// Lets a finished authorization take effect that was made with `confirm`.
#[utoipa::path(post, path = "/v1/connectors/{connector}/accounts/{identifier}/authorizations/{authorization}/confirm", tag = "authorizations",
    operation_id = "confirm_authorization", params(AccountParams, AuthorizationParam),
    responses((status = 200, body = Account), (status = 404, description = "Unknown connector or account, or nothing waits")))]
pub(super) async fn confirm(
    State(plane): State<Plane>,
    Existing(account): Existing,
    Named(AuthorizationParam { authorization }): Named<AuthorizationParam>,
) -> Result<Json<Account>, Problem> {
    let id: AuthorizationId = authorization.parse().map_err(|_| Problem::Unknown(Thing::Authorization))?;
    match plane.grants.confirm(&account.record.id, &id).await {
        Ok(connected) => Ok(Json(Account::of(&connected, &plane.policies.policies()))),
        Err(ConfirmError::NothingWaits) => Err(Problem::Unknown(Thing::Authorization)),
        Err(ConfirmError::Store) => Err(Problem::unavailable()),
    }
}
