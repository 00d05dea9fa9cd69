//! The token endpoint, its misbehaviour, and the revocation endpoint.

use super::ledger::{Issued, Refused};
use super::{Dialect, Fault, Provider};
use crate::practice::Label;
use crate::practice::wire::Peer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
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

async fn refresh(provider: &Provider, peer: &Peer, token: &str) -> Response {
    let Some((label, dialect)) = provider.state().ledger.holder(token) else {
        provider.complain("refresh with a token that was never issued");
        return error(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let fault = arrive(provider, &label);
    provider.arrivals.send_modify(|calls| *calls += 1);
    provider.gate.passed().await;
    let answer = match fault {
        None => rotate(provider, &label, dialect, token).await,
        Some(fault) => misbehave(provider, peer, &label, dialect, token, fault).await,
    };
    if let Some(running) = provider.state().running.get_mut(&label) {
        *running = running.saturating_sub(1);
    }
    answer
}

/// Counts the call; the fault that waits for it, if any.
fn arrive(provider: &Provider, label: &Label) -> Option<Fault> {
    let mut state = provider.state();
    let running = state.running.entry(label.clone()).or_default();
    *running += 1;
    let alone = *running == 1;
    let counts = state.refreshes.entry(label.clone()).or_default();
    counts.arrived += 1;
    if !alone {
        counts.overlapping += 1;
    }
    state.faults.next(label)
}

async fn rotate(provider: &Provider, label: &Label, dialect: Dialect, token: &str) -> Response {
    match issue(provider, label, token).await {
        Ok(issued) => tokens(&issued, dialect),
        Err(_) if dialect.errs_in_200() => error(StatusCode::OK, "invalid_grant"),
        Err(_) => error(StatusCode::BAD_REQUEST, "invalid_grant"),
    }
}

async fn issue(provider: &Provider, label: &Label, token: &str) -> Result<Issued, Refused> {
    let now = provider.clock.instant();
    let (refreshed, delay) = {
        let mut state = provider.state();
        let lifetime = state.lifetime(label);
        let refreshed = state.ledger.refresh(token, now, lifetime);
        match &refreshed {
            Ok(_) => state.refreshes.entry(label.clone()).or_default().granted += 1,
            Err(Refused::UsedTwice) => state.problems.push(format!("{label}: a refresh token was used twice")),
            Err(Refused::NeverIssued | Refused::FamilyEnded) => (),
        }
        (refreshed, state.delay(label))
    };
    provider.clock.sleep(delay).await;
    refreshed
}

async fn misbehave(provider: &Provider, peer: &Peer, label: &Label, dialect: Dialect, token: &str, fault: Fault) -> Response {
    match fault {
        Fault::Status(status, None) => (status, "try later").into_response(),
        Fault::Status(status, Some(seconds)) => (status, [(RETRY_AFTER, seconds.to_string())], "try later").into_response(),
        Fault::Garbage => ([(CONTENT_TYPE, "text/html")], &b"\x00\xff<html>maintenance"[..]).into_response(),
        Fault::Truncated => json_text("{\"access_token\": \"half".to_owned()),
        Fault::Huge(bytes) => json_text(format!("{{\"access_token\":\"{}\"}}", "a".repeat(bytes))),
        Fault::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/elsewhere")]).into_response(),
        Fault::Hang(time) => hang(provider, time).await,
        Fault::Reset => lose(peer),
        Fault::LostAnswer => issue(provider, label, token).await.map_or_else(|_| lose(peer), |_| lose(peer)),
        Fault::InvalidGrant => error(StatusCode::BAD_REQUEST, "invalid_grant"),
        Fault::InvalidClient => error(StatusCode::UNAUTHORIZED, "invalid_client"),
        Fault::ErrorIn200 => Json(json!({"ok": false, "error": "token_expired"})).into_response(),
        Fault::StillbornToken => stillborn(provider, label, dialect, token).await,
        Fault::TokenOf(other) => mixed_up(provider, label, &other, dialect, token).await,
    }
}

async fn hang(provider: &Provider, time: Duration) -> Response {
    provider.clock.sleep(time).await;
    StatusCode::GATEWAY_TIMEOUT.into_response()
}

fn lose(peer: &Peer) -> Response {
    peer.cut();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

async fn stillborn(provider: &Provider, label: &Label, dialect: Dialect, token: &str) -> Response {
    let Ok(issued) = issue(provider, label, token).await else { return error(StatusCode::BAD_REQUEST, "invalid_grant") };
    provider.state().ledger.expire_token(&issued.access);
    tokens(&issued, dialect)
}

async fn mixed_up(provider: &Provider, label: &Label, other: &Label, dialect: Dialect, token: &str) -> Response {
    let Ok(mut issued) = issue(provider, label, token).await else { return error(StatusCode::BAD_REQUEST, "invalid_grant") };
    if let Some(foreign) = provider.state().ledger.token_of(other) {
        issued.access = foreign;
    }
    tokens(&issued, dialect)
}

fn tokens(issued: &Issued, dialect: Dialect) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(dialect.answer(issued))).into_response()
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"error": code}))).into_response()
}

fn json_text(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
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
