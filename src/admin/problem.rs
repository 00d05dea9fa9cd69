//! What went wrong, as every answer of the admin plane says it (RFC 9457).
//!
//! Sentences are built from the contract's words and the names of fields; no
//! value of a request is repeated, for it may be a token in the wrong place.

use super::strict::Fault;
use crate::gateway::Rejected;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use scopegate_core::refusal::{Reason, Retryable};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// An answer that is no success.
#[derive(Debug)]
pub(super) enum Problem {
    /// The admin token is missing or wrong.
    Unauthenticated(Presented),
    /// There is nothing at this path.
    NoSuchRoute,
    /// There is something at this path, and it does not take this method.
    MethodNotAllowed,
    /// The path names something that does not exist.
    Unknown(Thing),
    /// What is asked for does not fit what is there.
    Conflict(String),
    /// Body, query or path is not as it must be.
    Unprocessable(Fault),
    /// The body is larger than anything that this API takes.
    TooLarge,
    /// The body did not come in its time.
    TooSlow,
    /// New policies have errors; the old ones stay in force.
    PoliciesRejected(Arc<Rejected>),
    /// Lines of a body are not as they must be; nothing was done.
    LinesRejected(Vec<LineFault>),
    /// The table of reasons says it.
    Refused {
        /// Which reason.
        reason: Reason,
        /// What happened and what to do, as one sentence.
        sentence: String,
        /// How long to wait, where waiting helps.
        retry_after: Option<Duration>,
    },
}

/// What is wrong with a line of a body.
#[derive(Debug, Serialize)]
pub(super) struct LineFault {
    /// From 1.
    line: usize,
    /// Which field, where it is about one.
    field: Option<String>,
    /// A sentence that names it.
    message: String,
}

impl LineFault {
    pub(super) fn new(line: usize, fault: &Fault) -> Self {
        let field = match fault {
            Fault::NoJson | Fault::Field { name: None, .. } => None,
            Fault::Field { name: Some(name), .. } => Some(name.clone()),
        };
        let message = match fault {
            Fault::NoJson => "the line is not a JSON object, or a name stands twice in it".into(),
            Fault::Field { name: None, sentence } => format!("the line {sentence}"),
            Fault::Field { name: Some(_), .. } => fault.to_string(),
        };
        Self { line, field, message }
    }

    /// From 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }
}

/// What the client brought to prove that it may use the admin plane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presented {
    /// No bearer token.
    Nothing,
    /// A wrong one, or several.
    Wrong,
}

/// What a path may name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Thing {
    Connector,
    Account,
    AccountOfCustomer,
    Handle,
    Authorization,
    Session,
}

/// A 401's and every other problem's document.
#[derive(Serialize)]
struct Document {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    error_description: String,
    message: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Problem {
    /// A failure of store or vault: logged here with its causes, and told without them.
    pub(super) fn store(failure: &dyn Error) -> Self {
        let mut told = vec![failure.to_string()];
        let mut cause = failure.source();
        while let Some(deeper) = cause {
            told.push(deeper.to_string());
            cause = deeper.source();
        }
        tracing::error!("an admin call failed: {}", told.join(": "));
        Self::unavailable()
    }

    /// Store or audit cannot do it, and whoever found out has logged why.
    pub(super) fn unavailable() -> Self {
        let sentence = "store or audit log cannot be used at present; wait and try again".into();
        Self::Refused { reason: Reason::StoreUnavailable, sentence, retry_after: Some(Duration::from_secs(1)) }
    }

    /// The named field is wrong; the sentence goes on after its name.
    pub(super) fn field(name: &str, sentence: impl std::fmt::Display) -> Self {
        Self::Unprocessable(Fault::field(name, sentence))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::NoSuchRoute | Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unprocessable(Fault::NoJson) => StatusCode::BAD_REQUEST,
            Self::Unprocessable(Fault::Field { .. }) | Self::PoliciesRejected(_) | Self::LinesRejected(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Refused { reason, .. } => StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Names the problem; the end of its `type`.
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "admin_token_required",
            Self::NoSuchRoute => "unknown_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Unknown(thing) => thing.code(),
            Self::Conflict(_) => "conflict",
            Self::Unprocessable(Fault::NoJson) => "malformed_body",
            Self::Unprocessable(Fault::Field { .. }) => "invalid_field",
            Self::TooLarge => "body_too_large",
            Self::TooSlow => "body_too_slow",
            Self::PoliciesRejected(_) => "policies_rejected",
            Self::LinesRejected(_) => "lines_rejected",
            Self::Refused { reason, .. } => reason.as_str(),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Unauthenticated(Presented::Nothing) => "send the admin token as `Authorization: Bearer ...`".into(),
            Self::Unauthenticated(Presented::Wrong) => "this is not the admin token".into(),
            Self::NoSuchRoute => "there is nothing at this path; `/v1/openapi.json` lists what there is".into(),
            Self::MethodNotAllowed => "this path does not take this method; the header Allow lists those that it takes".into(),
            Self::Unknown(thing) => thing.sentence().into(),
            Self::Unprocessable(fault) => fault.to_string(),
            Self::TooLarge => "the body is larger than this API takes".into(),
            Self::TooSlow => "the body did not come within 30 seconds".into(),
            Self::PoliciesRejected(rejected) => {
                let errors = rejected.errors();
                let errors = if errors == 1 { "1 error".into() } else { format!("{errors} errors") };
                format!("the new policies have {errors}; the old ones stay in force")
            }
            Self::LinesRejected(_) => "lines of the body have errors, so nothing was imported".into(),
            Self::Conflict(sentence) | Self::Refused { sentence, .. } => sentence.clone(),
        }
    }

    /// Members beyond those of every problem document.
    fn more(&self) -> Map<String, Value> {
        let more = match self {
            Self::Unprocessable(Fault::Field { name: Some(name), .. }) => json!({ "field": name }),
            Self::PoliciesRejected(rejected) => json!({ "hash": rejected.hash, "diagnostics": rejected.diagnostics }),
            Self::LinesRejected(findings) => json!({ "findings": findings }),
            Self::Refused { reason, .. } => json!({
                "error": reason.error(),
                "reason": reason.as_str(),
                "retryable": reason.retryable() == Retryable::Yes,
                "next_step": reason.next_step().as_str(),
            }),
            Self::Unauthenticated(_)
            | Self::NoSuchRoute
            | Self::MethodNotAllowed
            | Self::Unknown(_)
            | Self::Conflict(_)
            | Self::Unprocessable(Fault::NoJson | Fault::Field { name: None, .. })
            | Self::TooLarge
            | Self::TooSlow => Value::Null,
        };
        if let Value::Object(members) = more { members } else { Map::new() }
    }

    /// The value of `Retry-After`, in whole seconds; every 503 has one.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused { retry_after: Some(wait), .. } => Some(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)),
            Self::Refused { reason, retry_after: None, .. } => (reason.status() == 503).then_some(1),
            Self::Unauthenticated(_)
            | Self::NoSuchRoute
            | Self::MethodNotAllowed
            | Self::Unknown(_)
            | Self::Conflict(_)
            | Self::Unprocessable(_)
            | Self::TooLarge
            | Self::TooSlow
            | Self::PoliciesRejected(_)
            | Self::LinesRejected(_) => None,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 section 3: no error where nothing was brought).
    fn challenge(&self) -> Option<HeaderValue> {
        let Self::Unauthenticated(presented) = self else { return None };
        Some(HeaderValue::from_static(match presented {
            Presented::Nothing => r#"Bearer realm="scopegate""#,
            Presented::Wrong => r#"Bearer realm="scopegate", error="invalid_token""#,
        }))
    }
}

impl Thing {
    const fn code(self) -> &'static str {
        match self {
            Self::Connector => "unknown_connector",
            Self::Account | Self::AccountOfCustomer => "unknown_account",
            Self::Handle => "unknown_handle",
            Self::Authorization => "unknown_authorization",
            Self::Session => "unknown_session",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Connector => "no policy names this connector",
            Self::Account => "this connector has no account with this identifier",
            Self::AccountOfCustomer => "this customer has no account with this identifier at any connector",
            Self::Handle => "there is no such handle here",
            Self::Authorization => "nothing waits under this authorization",
            Self::Session => "no request has named this session in the last 24 hours, or what it did is no longer kept",
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Unprocessable(fault)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, detail) = (self.status(), self.code(), self.sentence());
        let title = format!("{code}: {detail}");
        let document = Document {
            r#type: format!("https://scopegate.dev/problems/{code}"),
            error_description: title.clone(),
            message: title.clone(),
            title,
            status: status.as_u16(),
            detail,
            more: self.more(),
        };
        let mut answer = (status, serde_json::to_vec(&document).unwrap_or_default()).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json; charset=utf-8"));
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
