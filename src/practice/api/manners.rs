//! How real APIs answer: the same records in other clothes.

use crate::practice::Label;
use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// In whose manner a path is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// The practice CRM, and whatever nobody else claims.
    Crm,
    Salesforce,
    Slack,
    Gmail,
    Github,
    Pagerduty,
}

impl Manner {
    pub(super) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        match segments.next().unwrap_or_default() {
            "services" => Self::Salesforce,
            "api" => Self::Slack,
            "gmail" => Self::Gmail,
            "repos" | "user" | "users" | "orgs" | "issues" | "search" => Self::Github,
            "incidents" | "services.json" | "oncalls" | "schedules" | "escalation_policies" | "teams" => Self::Pagerduty,
            _ => Self::Crm,
        }
    }

    /// The answer to a token that is missing, unknown or over.
    pub(super) fn unauthorised(self) -> Response {
        let (status, body) = match self {
            Self::Crm => (StatusCode::UNAUTHORIZED, json!({"error": "INVALID_SESSION_ID"})),
            Self::Salesforce => (StatusCode::UNAUTHORIZED, json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])),
            Self::Slack => (StatusCode::OK, json!({"ok": false, "error": "invalid_auth"})),
            Self::Gmail => (StatusCode::UNAUTHORIZED, json!({"error": {"code": 401, "message": "Invalid Credentials", "status": "UNAUTHENTICATED"}})),
            Self::Github => (StatusCode::UNAUTHORIZED, json!({"message": "Bad credentials", "status": "401"})),
            Self::Pagerduty => (StatusCode::UNAUTHORIZED, json!({"error": {"code": 2006, "message": "You are not authorized"}})),
        };
        (status, [(WWW_AUTHENTICATE, "Bearer realm=\"practice\"")], Json(body)).into_response()
    }

    /// The answer to a good token. Every one says whose it was.
    pub(super) fn answer(self, label: &Label, method: &Method, path: &str, body: &[u8]) -> Response {
        let (owner, customer) = (label.to_string(), label.customer().as_str());
        let last = path.rsplit('/').next().unwrap_or_default();
        let answer = match self {
            Self::Crm => return echo(label, method, path, body),
            Self::Salesforce => {
                json!({"attributes": {"type": path.split('/').nth(5), "url": path}, "Id": last, "Name": format!("{last} of {customer}"), "owner": owner})
            }
            Self::Slack => slack(label, last, body),
            Self::Gmail => {
                json!({"emailAddress": format!("team@{customer}.example"), "messagesTotal": 2, "messages": [{"id": "m1"}, {"id": "m2"}], "owner": owner})
            }
            Self::Github => json!({"id": 7, "full_name": format!("{customer}/{last}"), "name": last, "login": customer, "owner": {"login": owner}}),
            Self::Pagerduty => json!({"incidents": [{"id": "P1", "summary": format!("Disk full at {customer}")}], "owner": owner}),
        };
        Json(answer).into_response()
    }
}

fn slack(label: &Label, verb: &str, body: &[u8]) -> Value {
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let form: serde_json::Map<String, Value> =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect();
    let of = |name: &str| sent.get(name).or_else(|| form.get(name)).cloned().unwrap_or_default();
    json!({
        "ok": true, "verb": verb, "owner": label.to_string(), "team": label.customer().as_str(), "ts": "1764140400.000100",
        "channel": of("channel"), "message": {"text": of("text")}, "channels": [{"id": "C1", "name": "general"}],
    })
}

/// What arrived, and for whom.
pub(super) fn echo(label: &Label, method: &Method, path: &str, body: &[u8]) -> Response {
    Json(json!({"owner": label.to_string(), "customer": label.customer().as_str(), "method": method.as_str(), "path": path, "bytes": body.len()}))
        .into_response()
}
