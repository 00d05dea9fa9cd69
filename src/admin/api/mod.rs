//! The API under `/v1`, and health: one file for each resource. The OpenAPI document is made from the same list that
//! makes the routes, so that neither can lack what the other has.

mod accounts;
mod audit;
mod authorizations;
mod credentials;
mod decisions;
mod handles;
mod health;
mod import;
mod keys;
mod lifecycle;
mod policies;
mod sessions;

use super::{Plane, connect};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the document says besides the routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "Scopegate admin API", description = "Accounts, their authorizations and credentials; decisions, audit and policies. \
        Errors are problem documents (RFC 9457). Tokens and secrets are write-only.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    modifiers(&AdminToken),
    security(("admin_token" = []))
)]
struct Description;

/// The one way to authenticate.
struct AdminToken;

impl Modify for AdminToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`admin.token` of the settings")).build();
        document.components.get_or_insert_default().add_security_scheme("admin_token", SecurityScheme::Http(bearer));
    }
}

/// All routes of the API.
pub(super) fn routes() -> OpenApiRouter<Plane> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(accounts::ensure, accounts::show, accounts::change, accounts::delete))
        .routes(routes!(accounts::list))
        .routes(routes!(import::import))
        .routes(routes!(authorizations::begin))
        .routes(routes!(authorizations::confirm))
        .routes(routes!(credentials::bring))
        .routes(routes!(lifecycle::refresh))
        .routes(routes!(lifecycle::revoke))
        .routes(routes!(handles::mint, handles::list))
        .routes(routes!(handles::revoke))
        .routes(routes!(handles::mint_wide, handles::list_wide))
        .routes(routes!(handles::revoke_wide))
        .routes(routes!(decisions::judge))
        .routes(routes!(audit::search))
        .routes(routes!(sessions::show))
        .routes(routes!(policies::show))
        .routes(routes!(policies::reload))
        .routes(routes!(keys::show))
        .routes(routes!(keys::rotate))
        .routes(routes!(document))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::version))
        .routes(routes!(health::metrics))
}

/// The document as it is sent, made once.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(routes().merge(connect::routes()).into_openapi().to_json().unwrap_or_default()));

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about", operation_id = "openapi", responses((status = 200, description = "OpenAPI 3.1")))]
async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}
