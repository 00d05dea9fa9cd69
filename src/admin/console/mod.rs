//! The console of operators: what is in force, which accounts there are, what was decided. It reads, and changes nothing.
//!
//! Whoever signs in with the admin token gets a cookie of the browser's own, which is not the token and ends with
//! the process. No script; the pages are written here.
//!
//! **Invariant: nothing is told before signing in.** Every handler but the two of the sign-in page takes an [`Operator`].

mod pages;
mod sign_in;

pub(in crate::admin) use sign_in::SignedIn;

use super::Plane;
use super::connect::is_foreign_form;
use crate::audit::{self, AuditError, Verdict};
use crate::directory::AccountFilter;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract::FromRequestParts, http::request::Parts};
use pages::{Accounts, Audit, Overview, SignIn, page};
use scopegate_core::account::Status;
use serde::Deserialize;

const STATUSES: [Status; 5] = [Status::Pending, Status::Active, Status::ReauthorizationRequired, Status::Disabled, Status::Revoked];

/// Rows on one page.
const ROWS: usize = 50;

pub(super) fn routes() -> Router<Plane> {
    Router::new()
        .route("/console", get(overview).post(sign_in))
        .route("/console/accounts", get(accounts))
        .route("/console/audit", get(events))
        .route("/console/sign-out", post(sign_out))
}

/// Somebody who has signed in.
struct Operator;

/// Nobody has; the sign-in page is the answer.
impl FromRequestParts<Plane> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, plane: &Plane) -> Result<Self, Response> {
        if plane.signed_in.knows(&parts.headers, plane.clock.instant()) { Ok(Self) } else { Err(page(StatusCode::OK, &SignIn { wrong: false })) }
    }
}

/// What somebody types into the sign-in page.
#[derive(Deserialize)]
struct Typed {
    token: String,
}

async fn sign_in(State(plane): State<Plane>, headers: HeaderMap, typed: Result<Form<Typed>, axum::extract::rejection::FormRejection>) -> Response {
    let Ok(Form(Typed { token })) = typed else { return page(StatusCode::BAD_REQUEST, &SignIn { wrong: true }) };
    // other pages cannot sign anybody in
    if is_foreign_form(&headers, &plane) {
        return page(StatusCode::FORBIDDEN, &SignIn { wrong: false });
    }
    if !plane.token.is(token.trim().as_bytes()) {
        tracing::warn!("somebody tried to sign in to the console with a wrong token");
        return page(StatusCode::UNAUTHORIZED, &SignIn { wrong: true });
    }
    to_the_overview(plane.signed_in.admit(plane.clock.instant()))
}

async fn sign_out(State(plane): State<Plane>, headers: HeaderMap) -> Response {
    if !is_foreign_form(&headers, &plane) {
        plane.signed_in.forget(&headers);
    }
    to_the_overview(sign_in::no_cookie())
}

fn to_the_overview(cookie: Option<HeaderValue>) -> Response {
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static("/console"))]).into_response();
    if let Some(cookie) = cookie {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

async fn overview(_: Operator, State(plane): State<Plane>) -> Response {
    let in_force = plane.policies.in_force();
    let rejected = plane.policies.last_rejected();
    let store = plane.store.ready().await.is_ok();
    let latest = plane.audit.search(audit::Filter::default(), None, 20).await;
    let accounts: Vec<_> = plane.by_status().await.into_iter().flatten().map(|(status, count)| (status.as_str(), count)).collect();
    page(
        StatusCode::OK,
        &Overview {
            version: env!("CARGO_PKG_VERSION"),
            store,
            audit: plane.audit.is_healthy(),
            accepting: !plane.draining.is_cancelled(),
            generation: in_force.generation,
            hash: in_force.policies.hash(),
            since: in_force.since.to_string(),
            files: &in_force.files,
            warnings: &in_force.warnings,
            rejected: rejected.as_deref(),
            accounts: &accounts,
            events: latest.as_ref().map(|page| page.events.as_slice()).unwrap_or_default(),
        },
    )
}

/// Which accounts. Whatever is left empty does not matter.
#[derive(Deserialize)]
struct WhichAccounts {
    #[serde(default)]
    connector: String,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    cursor: String,
}

async fn accounts(
    _: Operator,
    State(plane): State<Plane>,
    which: Result<Query<WhichAccounts>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(which)) = which else { return refused() };
    let filter = AccountFilter {
        connector: wanted(&which.connector),
        customer: wanted(&which.customer),
        role: wanted(&which.role),
        status: STATUSES.into_iter().find(|status| status.as_str() == which.status.trim()),
    };
    let Some(page_of) = plane.accounts(filter, wanted(&which.cursor), ROWS).await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let more = page_of.next.map(|next| link("/console/accounts", &which.pairs(), &next.to_string()));
    page(StatusCode::OK, &Accounts { which: &which.pairs(), accounts: &page_of.accounts, more })
}

impl WhichAccounts {
    fn pairs(&self) -> [(&'static str, &str); 4] {
        [("connector", &self.connector), ("customer", &self.customer), ("role", &self.role), ("status", &self.status)]
    }
}

/// Which events. Whatever is left empty does not matter.
#[derive(Deserialize)]
struct WhichEvents {
    #[serde(default)]
    account: String,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    session: String,
    #[serde(default)]
    connector: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    cursor: String,
}

async fn events(_: Operator, State(plane): State<Plane>, which: Result<Query<WhichEvents>, axum::extract::rejection::QueryRejection>) -> Response {
    let Ok(Query(which)) = which else { return refused() };
    let decision = [Verdict::Allow, Verdict::Deny, Verdict::WouldDeny].into_iter().find(|verdict| verdict.as_str() == which.decision);
    let text = |value: &str| Some(value.trim().to_owned()).filter(|value| !value.is_empty());
    let filter = audit::Filter {
        account: text(&which.account),
        customer: wanted(&which.customer),
        session: wanted(&which.session),
        connector: wanted(&which.connector),
        operation: text(&which.operation),
        decision,
        ..audit::Filter::default()
    };
    match plane.audit.search(filter, wanted(&which.cursor), ROWS).await {
        Ok(found) => {
            let more = found.next.map(|next| link("/console/audit", &which.pairs(), &next.to_string()));
            page(StatusCode::OK, &Audit { which: &which.pairs(), events: &found.events, more })
        }
        Err(AuditError::UnknownCursor) => page(StatusCode::NOT_FOUND, &Audit { which: &which.pairs(), events: &[], more: None }),
        Err(failure @ AuditError::Io { .. }) => {
            tracing::error!(error = %failure, "the audit cannot be searched");
            page(StatusCode::SERVICE_UNAVAILABLE, &Audit { which: &which.pairs(), events: &[], more: None })
        }
    }
}

impl WhichEvents {
    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("account", &self.account),
            ("customer", &self.customer),
            ("session", &self.session),
            ("connector", &self.connector),
            ("operation", &self.operation),
            ("decision", &self.decision),
        ]
    }
}

/// What is typed into a field, where it is something.
fn wanted<T: std::str::FromStr>(typed: &str) -> Option<T> {
    typed.trim().parse().ok()
}

/// The next page of the same list.
fn link(path: &str, which: &[(&str, &str)], cursor: &str) -> String {
    let typed = which.iter().filter(|(_, value)| !value.is_empty());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(typed.chain([&("cursor", cursor)])).finish();
    format!("{path}?{query}")
}

fn refused() -> Response {
    page(StatusCode::BAD_REQUEST, &SignIn { wrong: false })
}
