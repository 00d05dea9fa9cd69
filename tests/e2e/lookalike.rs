//! A server that answers as one real API does: each customer with its own data, and to nothing but the practice provider's tokens.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use scopegate::practice::{Owner, Practice};
use scopegate::tasks::Tasks;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// Answers what `tests/clients/answers/` says of its API, a body and its headers or a status alone, and 404 to anything else.
pub(crate) struct Lookalike {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    /// By `METHOD /path?query`, or `METHOD /path` for any query.
    answers: Value,
    origin: String,
    practice: OnceLock<Practice>,
    arrived: Mutex<Vec<String>>,
}

impl Lookalike {
    pub(crate) async fn of(api: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new(Handle::current()));
        let file = format!("{}/tests/clients/answers/{api}.json", env!("CARGO_MANIFEST_DIR"));
        let answers = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let shared = Shared { answers, origin: format!("http://{address}"), practice: OnceLock::new(), arrived: Mutex::default() };
        let shared = Arc::new(shared);
        let router = Router::new().fallback(any).with_state(Arc::clone(&shared));
        let end = tasks.token();
        tasks.spawn("lookalike", async move { end.run_until_cancelled(axum::serve(listener, router).into_future()).await });
        Self { shared, tasks }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// Takes the tokens of this provider from now on.
    pub(crate) fn trust(&self, practice: &Practice) {
        assert!(self.shared.practice.set(practice.clone()).is_ok());
    }

    /// What has arrived: customer, method and path of each request, in order.
    pub(crate) fn arrived(&self) -> Vec<String> {
        self.shared.arrived.lock().unwrap().clone()
    }
}

impl Drop for Lookalike {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

impl Shared {
    fn owner(&self, headers: &HeaderMap) -> Option<Owner> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        self.practice.get()?.provider().owner(token).filter(|owner| owner.live)
    }
}

async fn any(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (method, uri) = (request.method(), request.uri());
    let owner = shared.owner(request.headers());
    let customer = owner.as_ref().map_or("nobody", |owner| owner.label.customer().as_str());
    shared.arrived.lock().unwrap().push(format!("{customer} {method} {}", uri.path()));
    if owner.is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let exact = shared.answers.get(format!("{method} {}", uri.path_and_query().unwrap()));
    let Some(answer) = exact.or_else(|| shared.answers.get(format!("{method} {}", uri.path()))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Some(status) = answer["status"].as_u64() {
        return StatusCode::from_u16(status.try_into().unwrap()).unwrap().into_response();
    }
    let filled = |text: &str| text.replace("{customer}", customer).replace("{origin}", &shared.origin);
    let mut response = Bytes::from(filled(&answer["body"].to_string())).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().insert(name, filled(value.as_str().unwrap()).parse().unwrap());
    }
    response
}
