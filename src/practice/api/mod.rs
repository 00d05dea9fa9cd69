//! The practice API: it records every request as it arrived, and answers with the records of whoever the token belongs to.
//!
//! The CRM lives below `/v1/`; a few routes of real APIs answer in their manner. Anything else, for a good token, answers
//! with what arrived. A request whose path has a segment `held` waits while a [`Hold`] is held; one with a segment `cut`
//! gets no answer.

mod crm;
mod manners;

use super::gate::{Gate, Hold};
use super::provider::{Owner, Provider};
use super::wire::Peer;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crm::Crm;
use manners::Manner;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Requests that are remembered unless a test says otherwise.
const REMEMBERED: usize = 1_000;

/// Larger bodies are answered with 413.
const BODY: usize = 64 << 20;

/// The API behind the gateway. Clones are the same API.
#[derive(Clone, Debug)]
pub struct Api {
    provider: Provider,
    state: Arc<Mutex<Remembered>>,
    held: Gate,
    requests: Arc<watch::Sender<u64>>,
    received: Arc<AtomicU64>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its target, as on the wire.
    pub target: String,
    /// Its headers in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its whole body.
    pub body: Bytes,
    /// Whose token it carried, live or not; none: no token of the practice provider.
    pub owner: Option<Owner>,
}

impl Seen {
    /// The first header of this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct Remembered {
    seen: VecDeque<Seen>,
    most: usize,
    crm: Crm,
}

impl Api {
    pub(super) fn new(provider: Provider) -> Self {
        let state = Remembered { seen: VecDeque::new(), most: REMEMBERED, crm: Crm::default() };
        Self {
            provider,
            state: Arc::new(Mutex::new(state)),
            held: Gate::default(),
            requests: Arc::new(watch::channel(0).0),
            received: Arc::default(),
        }
    }

    pub(super) fn router(&self) -> Router {
        Router::new().fallback(any).with_state(self.clone())
    }

    pub(super) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    fn state(&self) -> MutexGuard<'_, Remembered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests have arrived.
    #[must_use]
    pub fn requests(&self) -> u64 {
        *self.requests.borrow()
    }

    /// Waits until so many requests have arrived.
    pub async fn until_requests(&self, requests: u64) {
        // The sender lives as long as this API, so the wait can only end with the requests.
        let _ = self.requests.subscribe().wait_for(|arrived| *arrived >= requests).await;
    }

    /// How many bytes have arrived, whether they made a request or not.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.iter().cloned().collect()
    }

    /// Remembers this many requests from now on, instead of a thousand.
    pub fn remember(&self, most: usize) {
        self.state().most = most;
    }

    /// Keeps requests whose path has a segment `held` waiting until the hold is dropped.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.held.shut()
    }

    fn record(&self, seen: Seen) {
        let mut state = self.state();
        while state.seen.len() >= state.most.max(1) {
            state.seen.pop_front();
        }
        state.seen.push_back(seen);
        drop(state);
        self.requests.send_modify(|requests| *requests += 1);
    }
}

async fn any(State(api): State<Api>, ConnectInfo(peer): ConnectInfo<Peer>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let Ok(body) = to_bytes(body, BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let owner = carried(&head.headers).iter().find_map(|token| api.provider.owner(token));
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    let target = head.uri.to_string();
    api.record(Seen { method: head.method.to_string(), target, headers, body: body.clone(), owner: owner.clone() });
    let manner = Manner::of(&path);
    let Some(Owner { label, live: true }) = owner else { return manner.unauthorised() };
    if path.split('/').any(|segment| segment == "held") {
        api.held.passed().await;
    }
    if path.split('/').any(|segment| segment == "cut") {
        peer.cut();
    }
    match manner {
        Manner::Crm => api.state().crm.answer(&label, &head.method, &path, &body),
        Manner::Salesforce | Manner::Slack | Manner::Gmail | Manner::Github | Manner::Pagerduty => manner.answer(&label, &head.method, &path, &body),
    }
}

/// What may be a token, wherever a connector puts it: Bearer, `Token token=...`, Basic, or a header of its own.
fn carried(headers: &HeaderMap) -> Vec<String> {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, value) = text.split_once(' ').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let plain = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            plain.split(':').map(str::to_owned).collect()
        }
        "token" => vec![value.trim_start_matches("token=").trim_matches('"').to_owned()],
        _ => vec![value.to_owned()],
    }
}
