//! An operator: the admin API as `dev` uses it.

use super::cast::Member;
use crate::practice::{Browser, BrowserError, Consent, Verdict};
use reqwest::Method;
use scopegate_core::secret::BearerSecret;
use serde_json::{Value, json};

/// Speaks to the admin API with its token.
#[derive(Clone, Debug)]
pub struct Operator {
    http: reqwest::Client,
    admin: String,
    token: BearerSecret,
}

/// What an operator could not do.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No answer.
    #[error("no answer to {deed}")]
    NoAnswer {
        /// Method and path.
        deed: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// The admin API said no.
    #[error("{deed} was answered with {status}: {body}")]
    Refused {
        /// Method and path.
        deed: String,
        /// The answer's status.
        status: u16,
        /// The answer.
        body: Value,
    },
    /// The authorization could not be walked.
    #[error("connecting {connector} {identifier} broke off")]
    Walk {
        /// At which API.
        connector: &'static str,
        /// Which account.
        identifier: &'static str,
        /// Where.
        #[source]
        cause: BrowserError,
    },
    /// The walk ended, and the account is not connected.
    #[error("{connector} {identifier} was to be active after its customer consented, and is {status}: {page}")]
    NotActive {
        /// At which API.
        connector: &'static str,
        /// Which account.
        identifier: &'static str,
        /// What it is instead.
        status: String,
        /// The page that the walk ended on.
        page: String,
    },
}

impl Operator {
    /// An operator of the admin plane at this origin.
    #[must_use]
    pub const fn new(http: reqwest::Client, admin: String, token: BearerSecret) -> Self {
        Self { http, admin, token }
    }

    /// One call of the admin API; the answer's JSON.
    /// # Errors
    /// No answer, or one that says no.
    pub async fn must(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, OperatorError> {
        let deed = || format!("{method} {path}");
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.admin)).bearer_auth(self.token.reveal());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|cause| OperatorError::NoAnswer { deed: deed(), cause })?;
        let status = answer.status();
        let text = answer.text().await.map_err(|cause| OperatorError::NoAnswer { deed: deed(), cause })?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status.is_success() { Ok(body) } else { Err(OperatorError::Refused { deed: deed(), status: status.as_u16(), body }) }
    }

    /// Makes sure that the account is there.
    /// # Errors
    /// [`OperatorError`]
    pub async fn ensure(&self, member: &Member) -> Result<Value, OperatorError> {
        self.must(Method::PUT, &path_of(member), Some(&json!({"customer": member.customer, "role": member.role}))).await
    }

    /// Connects the account as its customer would: link, page, provider, callback.
    /// # Errors
    /// [`OperatorError`]
    pub async fn connect(&self, member: &Member, browser: &mut Browser) -> Result<(), OperatorError> {
        let Member { connector, identifier, .. } = *member;
        let path = path_of(member);
        let begun = self.must(Method::POST, &format!("{path}/authorizations"), Some(&json!({}))).await?;
        let link = begun.get("authorization_url").and_then(Value::as_str).unwrap_or_default();
        let broke = |cause| OperatorError::Walk { connector, identifier, cause };
        let who = member.label().ok_or_else(|| broke(BrowserError::NoAddress(identifier.to_owned())))?;
        let page = browser.connect(link, &Consent { who, verdict: Verdict::Allow }).await.map_err(broke)?;
        let account = self.must(Method::GET, &path, None).await?;
        match account.get("status").and_then(Value::as_str) {
            Some("active") => Ok(()),
            status => {
                let status = status.unwrap_or("nowhere").to_owned();
                Err(OperatorError::NotActive { connector, identifier, status, page: format!("{} {}", page.status, page.url.path()) })
            }
        }
    }
}

fn path_of(member: &Member) -> String {
    format!("/v1/connectors/{}/accounts/{}", member.connector, member.identifier)
}
