//! A real authorization server of somebody else's making, and an API that asks it about every token: `tests/browser/oauth_server.mjs`.

use crate::chromium::Node;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Places {
    issuer: String,
    server: String,
    api: String,
}

/// Runs until it is dropped.
pub(crate) struct OauthServer {
    node: Node,
    places: Places,
}

/// What the API was called with, and what happened to tokens, in order.
#[derive(Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Called>,
    pub(crate) happened: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Called {
    pub(crate) target: String,
    pub(crate) token: Option<String>,
    pub(crate) live: bool,
}

impl OauthServer {
    pub(crate) fn start(client_secret: &str) -> Self {
        let mut node = Node::start("oauth_server.mjs", &[client_secret]);
        let places = node.answer();
        Self { node, places }
    }

    /// From now on it knows where to send browsers back to, and answers.
    pub(crate) fn knows(&mut self, redirect_uri: &str) {
        self.node.tell(redirect_uri);
        let _: serde_json::Value = self.node.answer();
    }

    /// Browsers know it under another name than ours, so that its redirects come from another site.
    pub(crate) fn issuer(&self) -> &str {
        &self.places.issuer
    }

    pub(crate) fn server(&self) -> &str {
        &self.places.server
    }

    pub(crate) fn api(&self) -> &str {
        &self.places.api
    }

    pub(crate) async fn seen(&self) -> Seen {
        reqwest::get(format!("{}/seen", self.api())).await.unwrap().json().await.unwrap()
    }
}

impl Seen {
    /// How often this happened.
    pub(crate) fn times(&self, what: &str) -> usize {
        self.happened.iter().filter(|happened| *happened == what).count()
    }

    /// The token of the last call.
    pub(crate) fn last_token(&self) -> &str {
        self.calls.last().and_then(|call| call.token.as_deref()).unwrap_or_default()
    }
}
