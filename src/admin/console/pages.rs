//! What operators read.

use crate::audit::Recorded;
use crate::gateway::Rejected;
use askama::Template;
use aws_lc_rs::digest;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scopegate_core::account::ConnectedAccount;
use scopegate_core::policy::Diagnostic;
use std::fmt::Display;
use std::sync::LazyLock;

const STYLE: &str = include_str!("style.css");

/// What browsers may do with a page: show it, with this style, and send its forms back here.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
});

/// Asks for the admin token.
#[derive(Template)]
#[template(path = "console/sign_in.html")]
pub(super) struct SignIn {
    /// Whether one was given that does not open.
    pub(super) wrong: bool,
}

/// How things stand.
#[derive(Template)]
#[template(path = "console/overview.html")]
pub(super) struct Overview<'a> {
    pub(super) version: &'static str,
    pub(super) store: bool,
    pub(super) audit: bool,
    pub(super) accepting: bool,
    pub(super) generation: u64,
    pub(super) hash: &'a str,
    pub(super) since: String,
    pub(super) files: &'a [String],
    pub(super) warnings: &'a [Diagnostic],
    pub(super) rejected: Option<&'a Rejected>,
    pub(super) accounts: &'a [(&'static str, usize)],
    pub(super) events: &'a [Recorded],
}

/// A list of accounts.
#[derive(Template)]
#[template(path = "console/accounts.html")]
pub(super) struct Accounts<'a> {
    pub(super) which: &'a [(&'static str, &'a str)],
    pub(super) accounts: &'a [ConnectedAccount],
    /// Where the list goes on.
    pub(super) more: Option<String>,
}

/// A list of events.
#[derive(Template)]
#[template(path = "console/audit.html")]
pub(super) struct Audit<'a> {
    pub(super) which: &'a [(&'static str, &'a str)],
    pub(super) events: &'a [Recorded],
    /// Where the list goes on.
    pub(super) more: Option<String>,
}

/// A value, or a dash where there is none.
fn or_dash(value: &Option<impl Display>) -> String {
    value.as_ref().map_or_else(|| "\u{2013}".into(), ToString::to_string)
}

/// Renders a page with its headers.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    let text = match template.render() {
        Ok(text) => text,
        Err(failure) => {
            tracing::error!(error = %failure, "a page could not be written");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut answer = (status, Body::from(text)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::REFERRER_POLICY, "same-origin"), (header::X_FRAME_OPTIONS, "DENY")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
