//! The token endpoint and the revocation endpoint.

use super::ledger::{Issued, Refused};
use super::{Dialect, Fault, Provider};
use crate::practice::Label;
use crate::practice::wire::Peer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::HashMap;
use url::form_urlencoded;

type Fields = HashMap<String, String>;

pub(super) async fn token(State(provider): State<Provider>, ConnectInfo(peer): ConnectInfo<Peer>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = fields(&headers, &body);
    if !knows(&provider, &headers, &fields) {
        provider.complain("token call with wrong client authentication");
        return error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    match field(&fields, "grant_type") {
        "authorization_code" => exchange(&provider, &fields),
        "refresh_token" => refresh(&provider, &peer, field(&fields, "refresh_token")).await,
        _ => error(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    }
}

pub(super) async fn revoke(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = fields(&headers, &body);
    if !knows(&provider, &headers, &fields) {
        provider.complain("revocation with wrong client authentication");
        return error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let mut state = provider.state();
    let ended = state.ledger.revoke(field(&fields, "token"));
    state.revoked.extend(ended);
    StatusCode::OK.into_response()
}

/// Where [`Fault::Redirect`] leads.
pub(super) async fn elsewhere(State(provider): State<Provider>) -> Response {
    provider.complain("a redirect of the token endpoint was followed");
    Json(json!({"access_token": "from-elsewhere", "token_type": "Bearer", "expires_in": 3600})).into_response()
}

fn exchange(provider: &Provider, fields: &Fields) -> Response {
    let now = provider.clock.instant();
    let mut state = provider.state();
    let Some(code) = state.ledger.spend(field(fields, "code"), field(fields, "redirect_uri"), field(fields, "code_verifier")) else {
        state.problems.push("code refused: unknown, used, for another address, or with a wrong verifier".to_owned());
        return error(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    state.codes_spent += 1;
    let (lifetime, dialect) = (state.lifetime(&code.label), code.dialect);
    let issued = state.ledger.consent(code.label, code.scopes, dialect, now, lifetime);
    drop(state);
    tokens(&issued, dialect)
}

/// A call that has arrived is carried out, also when whoever made it is gone.
async fn refresh(provider: &Provider, peer: &Peer, token: &str) -> Response {
    let Some((label, dialect)) = provider.state().ledger.holder(token) else {
        provider.complain("refresh with a token that was never issued");
        return error(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let call = RefreshCall { provider: provider.clone(), peer: peer.clone(), label, dialect, token: token.to_owned() };
    let inside = provider.busy.enter();
    let carried_out = provider.tasks.spawn("refresh call", async move {
        let answer = call.carry_out().await;
        drop(inside);
        answer
    });
    carried_out.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// One refresh call.
pub(super) struct RefreshCall {
    pub(super) provider: Provider,
    pub(super) peer: Peer,
    pub(super) label: Label,
    pub(super) dialect: Dialect,
    token: String,
}

impl RefreshCall {
    async fn carry_out(&self) -> Response {
        let fault = self.arrive();
        self.provider.progress.send_modify(|steps| *steps += 1);
        self.provider.gate.passed().await;
        let answer = match fault {
            None => self.rotate().await,
            Some(fault) => self.misbehave(fault).await,
        };
        self.provider.progress.send_modify(|steps| *steps += 1);
        self.provider.answers.passed().await;
        let mut state = self.provider.state();
        state.crowd.now = state.crowd.now.saturating_sub(1);
        if let Some(running) = state.running.get_mut(&self.label) {
            *running = running.saturating_sub(1);
        }
        answer
    }

    /// Counts the call; the fault that waits for it, if any.
    fn arrive(&self) -> Option<Fault> {
        let mut state = self.provider.state();
        state.crowd.arrived += 1;
        state.crowd.now += 1;
        state.crowd.most = state.crowd.most.max(state.crowd.now);
        let running = state.running.entry(self.label.clone()).or_default();
        *running += 1;
        let alone = *running == 1;
        state.sent.entry(self.label.clone()).or_default().push(self.token.clone());
        let counts = state.refreshes.entry(self.label.clone()).or_default();
        counts.arrived += 1;
        if !alone {
            counts.overlapping += 1;
        }
        state.faults.next(&self.label)
    }

    async fn rotate(&self) -> Response {
        match self.issue().await {
            Ok(issued) => tokens(&issued, self.dialect),
            Err(_) => self.not_honoured(),
        }
    }

    pub(super) fn not_honoured(&self) -> Response {
        error(if self.dialect.errs_in_200() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, "invalid_grant")
    }

    pub(super) async fn issue(&self) -> Result<Issued, Refused> {
        let now = self.provider.clock.instant();
        let (refreshed, delay) = {
            let mut state = self.provider.state();
            let (lifetime, leeway) = (state.lifetime(&self.label), state.leeway(&self.label));
            let refreshed = state.ledger.refresh(&self.token, now, lifetime, leeway);
            match &refreshed {
                Ok(_) => state.refreshes.entry(self.label.clone()).or_default().granted += 1,
                Err(Refused::UsedTwice) => state.problems.push(format!("{}: a refresh token was used twice", self.label)),
                Err(Refused::NeverIssued | Refused::FamilyEnded) => (),
            }
            (refreshed, state.delay(&self.label))
        };
        self.provider.clock.sleep(delay).await;
        refreshed
    }
}

pub(super) fn tokens(issued: &Issued, dialect: Dialect) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(dialect.answer(issued))).into_response()
}

pub(super) fn error(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"error": code}))).into_response()
}

/// The members of a form or of a JSON object.
fn fields(headers: &HeaderMap, body: &[u8]) -> Fields {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        serde_json::from_slice(body).unwrap_or_default()
    } else {
        form_urlencoded::parse(body).into_owned().collect()
    }
}

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

/// RFC 6749 section 2.3.1: Basic, or id and secret in the body.
fn knows(provider: &Provider, headers: &HeaderMap, fields: &Fields) -> bool {
    let shown = basic(headers).unwrap_or_else(|| (field(fields, "client_id").to_owned(), field(fields, "client_secret").to_owned()));
    shown.0 == provider.registration.client_id && shown.1 == provider.registration.client_secret.reveal()
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let packed = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(packed).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |part: &str| form_urlencoded::parse(format!("v={part}").as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default();
    Some((plain(id), plain(secret)))
}
