//! What a refresh call meets instead of an honest answer.

use super::Fault;
use super::token::{RefreshCall, error, tokens};
use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;
use url::form_urlencoded;

impl RefreshCall {
    pub(super) async fn misbehave(&self, fault: Fault) -> Response {
        match fault {
            Fault::Status(status, None) => (status, "try later").into_response(),
            Fault::Status(status, Some(seconds)) => (status, [(RETRY_AFTER, seconds.to_string())], "try later").into_response(),
            Fault::Until(status, date) => (status, [(RETRY_AFTER, date)], "try later").into_response(),
            Fault::Garbage => ([(CONTENT_TYPE, "text/html")], &b"\x00\xff<html>maintenance"[..]).into_response(),
            Fault::Truncated => json_text("{\"access_token\": \"half".to_owned()),
            Fault::Huge(bytes) => json_text(format!("{{\"access_token\":\"{}\"}}", "a".repeat(bytes))),
            Fault::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/elsewhere")]).into_response(),
            Fault::Hang(time) => self.hang(time).await,
            Fault::Reset => self.lose(),
            Fault::LostAnswer => self.issue().await.map_or_else(|_| self.lose(), |_| self.lose()),
            Fault::StatusAfter(status) => self.issue().await.map_or_else(|_| self.not_honoured(), |_| (status, "sorry").into_response()),
            Fault::InvalidGrant => error(StatusCode::BAD_REQUEST, "invalid_grant"),
            Fault::InvalidClient => error(StatusCode::UNAUTHORIZED, "invalid_client"),
            Fault::ErrorIn200 => Json(json!({"ok": false, "error": "token_expired"})).into_response(),
            Fault::StillbornToken => self.stillborn().await,
            Fault::TokenOf(other) => self.mixed_up(&other).await,
            Fault::Says(members) => self.answer_with(|answer| Json(told(answer, &members)).into_response()).await,
            Fault::Form => self.answer_with(form).await,
        }
    }

    async fn hang(&self, time: Duration) -> Response {
        self.provider.clock.sleep(time).await;
        StatusCode::GATEWAY_TIMEOUT.into_response()
    }

    fn lose(&self) -> Response {
        self.peer.cut();
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }

    async fn stillborn(&self) -> Response {
        let Ok(issued) = self.issue().await else { return self.not_honoured() };
        self.provider.state().ledger.expire_token(&issued.access);
        tokens(&issued, self.dialect)
    }

    async fn mixed_up(&self, other: &super::Label) -> Response {
        let Ok(mut issued) = self.issue().await else { return self.not_honoured() };
        if let Some(foreign) = self.provider.state().ledger.token_of(other) {
            issued.access = foreign;
        }
        tokens(&issued, self.dialect)
    }

    /// An honest rotation, whose answer is written by `writer`.
    async fn answer_with(&self, writer: impl FnOnce(Map<String, Value>) -> Response) -> Response {
        let Ok(issued) = self.issue().await else { return self.not_honoured() };
        let answer = self.dialect.answer(&issued);
        answer.as_object().cloned().map_or_else(|| Json(answer).into_response(), writer)
    }
}

/// `members` in the place of those of the same names; null takes one away.
fn told(mut answer: Map<String, Value>, members: &Value) -> Value {
    for (name, value) in members.as_object().into_iter().flatten() {
        if value.is_null() {
            answer.remove(name);
        } else {
            answer.insert(name.clone(), value.clone());
        }
    }
    Value::Object(answer)
}

fn form(answer: Map<String, Value>) -> Response {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = answer.iter().map(|(name, value)| (name.as_str(), text(value)));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    ([(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")], Body::from(body)).into_response()
}

fn json_text(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
