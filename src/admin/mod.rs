//! The admin plane: the API of operators and applications under `/v1`, the pages of customers under `/connect` and
//! `/oauth/callback`, the console of operators, and health.
//!
//! Everything here is a thin edge: it reads strictly, asks the rooms below, and
//! writes their answer. What an account may do is never decided here.
//!
//! **Invariant: tokens and secrets are write-only.** No answer, page or log line of
//! this module shows one; a handle is shown once, by the call that mints it.

mod api;
mod auth;
mod census;
mod channel;
mod connect;
mod console;
mod extract;
mod page;
mod problem;
mod reception;
mod strict;

pub use auth::MetricsAccess;
pub use axum::Router;

use crate::audit::AuditLog;
use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::directory::{AccountCursor, AccountFilter, AccountPage, Directory, Sessions};
use crate::gateway::PolicyRoom;
use crate::grants::Grants;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tasks::Tasks;
use crate::vault::{KeyRoom, Vault};
use auth::AdminToken;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use census::{Census, Counts};
use connect::PageHeaders;
use console::SignedIn;
use problem::Problem;
use reception::Reception;
use scopegate_core::connector::PlainHttp;
use scopegate_core::secret::BearerSecret;
use std::ops::Deref;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa_axum::router::OpenApiRouter;

/// What the admin plane is made of.
#[derive(Clone)]
pub struct AdminParts {
    /// `admin.token`.
    pub token: BearerSecret,
    /// `admin.metrics`.
    pub metrics_access: MetricsAccess,
    /// `admin.public_url`: the origin that customers' browsers reach.
    pub public_url: Url,
    /// Other origins under which our own pages are reached; their forms are ours too.
    pub own_origins: Vec<String>,
    /// `egress.allow_http`: what origins accounts may bring as variables.
    pub plain_http: PlainHttp,
    /// Accounts and handles.
    pub directory: Directory,
    /// What crews' runs are bound to.
    pub sessions: Sessions,
    /// For readiness.
    pub store: Arc<dyn Store>,
    /// Mints handles.
    pub vault: Vault,
    /// The wrapping keys.
    pub keys: KeyRoom,
    /// What happened.
    pub audit: AuditLog,
    /// What is counted.
    pub metrics: Metrics,
    /// Credentials, authorizations, refreshes, revocations.
    pub grants: Grants,
    /// The rules in force.
    pub policies: Arc<PolicyRoom>,
    /// What time it is.
    pub clock: Clock,
    /// Where reloads run.
    pub tasks: Tasks,
    /// Is cancelled when the process is told to end: from then on it is not ready.
    pub draining: CancellationToken,
}

/// The parts as handlers see them: the token is there only as its digest.
#[derive(Clone)]
struct Plane(Arc<Shared>);

struct Shared {
    parts: AdminParts,
    token: AdminToken,
    page_headers: PageHeaders,
    signed_in: SignedIn,
    census: Census,
}

impl Deref for Plane {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = AdminParts;
    fn deref(&self) -> &AdminParts {
        &self.parts
    }
}

impl Plane {
    fn new(mut parts: AdminParts) -> Self {
        let token = AdminToken::new(&parts.token);
        parts.token = BearerSecret::new(String::new());
        let page_headers = PageHeaders::new(&parts.public_url);
        Self(Arc::new(Shared { parts, token, page_headers, signed_in: SignedIn::default(), census: Census::default() }))
    }
}

impl Shared {
    /// How many accounts stand how; none where the process ends.
    async fn by_status(&self) -> Option<Counts> {
        self.census.by_status(&self.parts.directory, &self.parts.clock, &self.parts.tasks).await
    }

    /// One page of accounts. Where few are wanted of many, it looks at many: not where others wait.
    async fn accounts(&self, filter: AccountFilter, cursor: Option<AccountCursor>, limit: usize) -> Option<AccountPage> {
        let directory = self.parts.directory.clone();
        self.parts.tasks.blocking(move || directory.list(&filter, cursor.as_ref(), limit)).await.ok()
    }
}

/// The whole plane: API, health, customers' pages.
pub fn router(parts: AdminParts) -> Router {
    let plane = Plane::new(parts);
    let routes = whole(api::routes().merge(connect::routes())).merge(console::routes()).with_state(plane.clone());
    routes.layer(middleware::from_fn_with_state(plane, auth::guard)).layer(middleware::from_fn(never_kept))
}

/// The customers' pages alone, for an address of their own (`admin.public_listen`).
pub fn public_router(parts: AdminParts) -> Router {
    whole(connect::routes()).with_state(Plane::new(parts)).layer(middleware::from_fn(never_kept))
}

/// Answers on a listener that is bound until `end`; what is under way ends whole.
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, certificates: Option<Arc<Certificates>>, plane: Router, end: CancellationToken) -> std::io::Result<()> {
    axum::serve(Reception::new(listener, certificates), plane).with_graceful_shutdown(end.cancelled_owned()).await
}

/// The routes, and an answer for everything else.
fn whole(routes: OpenApiRouter<Plane>) -> Router<Plane> {
    let (routes, _) = routes.split_for_parts();
    routes.fallback(no_such_route).method_not_allowed_fallback(method_not_allowed)
}

async fn no_such_route(State(plane): State<Plane>, uri: Uri) -> Response {
    otherwise(&plane, &uri, Problem::NoSuchRoute)
}

async fn method_not_allowed(State(plane): State<Plane>, uri: Uri) -> Response {
    otherwise(&plane, &uri, Problem::MethodNotAllowed)
}

/// A problem for programs, a page for customers.
fn otherwise(plane: &Plane, uri: &Uri, problem: Problem) -> Response {
    let answer = problem.into_response();
    if connect::is_customers(uri.path()) { connect::no_page(answer.status(), plane) } else { answer }
}

/// No answer of this plane is kept by a cache, or read as another type.
async fn never_kept(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests;
