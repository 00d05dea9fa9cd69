//! What a customer reads, and the headers that every page carries.
//!
//! Pages hold no script. Their one style sheet is allowed by its hash, so that
//! no other style and no script runs even where a text slipped through unescaped.

use askama::Template;
use aws_lc_rs::digest;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scopegate_core::connector::Risk;

const STYLE: &str = include_str!("style.css");

/// The page that asks.
#[derive(Template)]
#[template(path = "connect/consent.html")]
pub(super) struct Consent<'a> {
    /// Where the form goes.
    pub action: String,
    /// The API's title.
    pub api: &'a str,
    /// The role that asks.
    pub role: &'a str,
    /// What it will be able to do, in the policy author's words.
    pub may: Vec<&'a str>,
    /// What of that deserves a second look.
    pub careful: Vec<Careful<'a>>,
    /// What this API could do and the role may not.
    pub never: Vec<&'a str>,
    /// When the link ends.
    pub until: String,
}

/// One thing that a role will be able to do, and that can do harm.
pub(super) struct Careful<'a> {
    /// The policy author's words.
    pub text: &'a str,
    /// Why it stands apart.
    pub mark: &'static str,
}

impl<'a> Consent<'a> {
    /// Adds what the role will be able to do to the group that its risk belongs to.
    pub(super) fn asks(&mut self, text: &'a str, risk: Risk) {
        let mark = match risk {
            Risk::Low => return self.may.push(text),
            Risk::High => "can do harm",
            Risk::Capability => "gives out further access",
        };
        self.careful.push(Careful { text, mark });
    }
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    /// It went as it should.
    Done,
    /// Somebody else has to do something first.
    Waiting,
    /// Nothing came of it, and nothing is wrong.
    Nothing,
    /// It does not work.
    Trouble,
}

impl Tone {
    /// The ARIA role that makes a screen reader say the message.
    fn role(self) -> &'static str {
        match self {
            Self::Done | Self::Waiting | Self::Nothing => "status",
            Self::Trouble => "alert",
        }
    }
}

/// A page that says how it went.
#[derive(Template)]
#[template(path = "connect/message.html")]
pub(super) struct Message<'a> {
    /// What happened, in a few words.
    pub heading: &'a str,
    /// What it means and what to do.
    pub sentences: Vec<String>,
    /// Details.
    pub list: Vec<&'a str>,
    /// Where the application wants the customer back.
    pub back: Option<&'a str>,
    /// How it is meant.
    pub tone: Tone,
}

/// Renders a page with its headers.
pub(super) fn page(status: StatusCode, template: &impl Template, headers: &PageHeaders) -> Response {
    match template.render() {
        Ok(text) => {
            let mut answer = (status, Body::from(text)).into_response();
            headers.put(answer.headers_mut());
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            answer
        }
        Err(failure) => {
            tracing::error!("a page could not be written: {failure}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The headers of pages, made once.
#[derive(Clone, Debug)]
pub(in crate::admin) struct PageHeaders {
    policy: HeaderValue,
}

impl PageHeaders {
    /// Browsers check `form-action` also where the answer to the form leads (the provider, and whatever it redirects to), so
    /// it can only say which schemes: https, and http where customers reach us by http, which is for loopback.
    pub(in crate::admin) fn new(public_url: &url::Url) -> Self {
        let schemes = if public_url.scheme() == "https" { "https:" } else { "https: http:" };
        let style = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let policy = format!("default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {schemes}; base-uri 'none'; frame-ancestors 'none'");
        Self { policy: HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")) }
    }

    /// `same-origin` rather than `no-referrer`: with the latter browsers send `Origin: null` with our own form.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent<'a>(api: &'a str, text: &'a str) -> Consent<'a> {
        let (may, careful) = (Vec::new(), Vec::new());
        let (action, until) = ("/connect/a-link".into(), "2026-11-26 09:10 UTC".into());
        let mut page = Consent { action, api, role: "publisher", may, careful, never: vec!["Delete everything"], until };
        for (text, risk) in [(text, Risk::High), ("Read accounts", Risk::Low), ("Share files", Risk::Capability)] {
            page.asks(text, risk);
        }
        page
    }

    #[test]
    fn the_consent_page_says_what_can_be_done_what_cannot_and_escapes_it() {
        let text = consent("Practice CRM", "Change <b>opportunities</b>").render().unwrap();
        for part in [
            "Connect Practice CRM",
            "publisher",
            "<li>Read accounts</li>",
            "opportunities&#60;/b&#62; <span class=\"mark\">can do harm</span>",
            "Share files <span class=\"mark\">gives out further access</span>",
            "Delete everything",
            "2026-11-26 09:10 UTC",
            "<form method=\"post\" action=\"/connect/a-link\">",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("<b>opportunities"), "{text}");
        assert!(!text.contains("<script"), "{text}");
    }

    #[test]
    fn the_style_sheet_on_the_page_is_the_one_that_the_policy_allows() {
        let text = consent("CRM", "Read").render().unwrap();
        let style = text.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
        let policy = PageHeaders::new(&url::Url::parse("https://gate.example").unwrap()).policy;
        assert!(policy.to_str().unwrap().contains(&format!("style-src 'sha256-{hash}'")), "{policy:?}");
        assert!(!policy.to_str().unwrap().contains("http:"), "{policy:?}");
    }
}
