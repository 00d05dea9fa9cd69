//! An agent: plain HTTP calls through the gateway.

use super::cast::Member;
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls the gateway, and counts its calls.
#[derive(Clone, Debug)]
pub struct Agent {
    http: reqwest::Client,
    gateway: String,
    calls: Arc<AtomicUsize>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    target: String,
    account: &'static str,
    session: Option<String>,
    body: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Scopegate-Decision`.
    pub decision: String,
    /// The body, where it is JSON.
    pub body: Value,
}

/// The gateway gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer to {method} {target}")]
pub struct NoReply {
    method: Method,
    target: String,
    #[source]
    cause: reqwest::Error,
}

impl Call {
    /// A call in the name of this account.
    #[must_use]
    pub fn new(method: Method, target: &str, member: &Member) -> Self {
        Self { method, target: target.to_owned(), account: member.identifier, session: None, body: None }
    }

    /// The same within a session.
    #[must_use]
    pub fn within(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn saying(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

impl Agent {
    /// An agent of the gateway at this origin.
    #[must_use]
    pub fn new(http: reqwest::Client, gateway: String) -> Self {
        Self { http, gateway, calls: Arc::default() }
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Makes the call.
    /// # Errors
    /// No answer came.
    pub async fn call(&self, call: Call) -> Result<Reply, NoReply> {
        let Call { method, target, account, session, body } = call;
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut request = self.http.request(method.clone(), format!("{}{target}", self.gateway)).header("Scopegate-Account", account);
        if let Some(session) = session {
            request = request.header("Scopegate-Session", session);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let failed = |cause| NoReply { method: method.clone(), target: target.clone(), cause };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let decision = answer.headers().get("scopegate-decision").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let text = answer.text().await.map_err(failed)?;
        Ok(Reply { status, decision, body: serde_json::from_str(&text).unwrap_or_default() })
    }
}

impl Reply {
    /// A text of the body; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}
