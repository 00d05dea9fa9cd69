//! The life of a grant, by hand: refresh now, revoke.

use super::accounts::Account;
use crate::admin::Plane;
use crate::admin::extract::{AccountParams, Existing};
use crate::admin::problem::Problem;
use crate::grants::{AtProvider, NoToken, NotRevoked};
use axum::Json;
use axum::extract::State;
use scopegate_core::refusal::Reason;
use serde::Serialize;
use utoipa::ToSchema;

/// Buys a new access token now, also while refreshes are backing off.
#[utoipa::path(post, path = "/v1/connectors/{connector}/accounts/{identifier}/refresh", tag = "credentials", operation_id = "refresh_account",
    params(AccountParams),
    responses((status = 200, body = Account), (status = 403, description = "`consent_required` or `reauthorization_required`"),
        (status = 404, description = "Unknown connector or account"), (status = 503, description = "`token_unavailable` or `store_unavailable`")))]
pub(super) async fn refresh(State(plane): State<Plane>, Existing(account): Existing) -> Result<Json<Account>, Problem> {
    plane.grants.refresh_now(&account).await.map_err(no_token)?;
    Account::at(&plane, &account.record)
}

fn no_token(fault: NoToken) -> Problem {
    let refused = |reason, sentence: &str, retry_after| Problem::Refused { reason, sentence: sentence.into(), retry_after };
    match fault {
        NoToken::ConsentRequired => {
            refused(Reason::ConsentRequired, "this account is not connected yet; make an authorization for its customer", None)
        }
        NoToken::ReauthorizationRequired => refused(
            Reason::ReauthorizationRequired,
            "the grant of this account has ended, or has nothing to refresh it with; make an authorization for its customer",
            None,
        ),
        NoToken::Unavailable { retry_after } => {
            refused(Reason::TokenUnavailable, "the provider gives no usable answer at present; wait and try again", Some(retry_after))
        }
        NoToken::Store => Problem::unavailable(),
    }
}

/// The account after its revocation.
#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    #[serde(flatten)]
    account: Account,
    /// Whether the provider has confirmed it. Otherwise it is asked again in the background, unless it has no endpoint for that.
    revoked_at_provider: bool,
}

/// Ends the grant here, before the answer, and at the provider (RFC 7009); for all accounts that share it.
#[utoipa::path(post, path = "/v1/connectors/{connector}/accounts/{identifier}/revoke", tag = "credentials", operation_id = "revoke_account",
    params(AccountParams),
    responses((status = 200, body = Revoked), (status = 403, description = "`consent_required`: there is no grant"),
        (status = 404, description = "Unknown connector or account"), (status = 503, description = "`store_unavailable`")))]
pub(super) async fn revoke(State(plane): State<Plane>, Existing(account): Existing) -> Result<Json<Revoked>, Problem> {
    let revoked_at_provider = match plane.grants.revoke(&account).await {
        Ok(AtProvider::Confirmed) => true,
        Ok(AtProvider::NotYet | AtProvider::NoEndpoint) => false,
        Err(NotRevoked::NotConnected) => {
            let sentence = "this account is not connected, so there is nothing to revoke".into();
            return Err(Problem::Refused { reason: Reason::ConsentRequired, sentence, retry_after: None });
        }
        Err(NotRevoked::Store) => return Err(Problem::unavailable()),
    };
    let Json(account) = Account::at(&plane, &account.record)?;
    Ok(Json(Revoked { account, revoked_at_provider }))
}
