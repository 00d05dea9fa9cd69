//! Connectors: one upstream API each, as facts. Made by [`crate::policy::compile`], immutable.

pub mod inject;
pub mod oauth;
pub mod template;
pub mod upstream;
mod values;
pub mod variables;

use crate::id::ConnectorId;
use crate::request::HeaderPattern;
use crate::scope::{ProviderScope, Scope};
use indexmap::{IndexMap, IndexSet};
use std::sync::Arc;

pub use inject::Inject;
pub use oauth::OAuth;
pub use template::Template;
pub use upstream::{Address, NoAddress, Origin, PlainHttp, Scheme, Upstream};
pub use variables::{Source, Variable};

/// One upstream API.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Its name in documents and targets.
    pub id: ConnectorId,
    /// Its name for people.
    pub title: String,
    /// Whose API it is: the name that all connectors of one provider share.
    pub provider: String,
    /// What it was imported from; none for a document that people write.
    pub source: Option<Provenance>,
    /// Origin of the API, or origin and path prefix; `{name}` is a variable.
    pub upstream: Address,
    /// Further origins of the same API by name (`host: NAME` of an operation).
    pub hosts: IndexMap<String, Address>,
    /// What the templates may name, and what values are legal.
    pub variables: IndexMap<String, Variable>,
    /// How customers connect; none for connectors whose credentials are only brought.
    pub oauth: Option<OAuth>,
    /// The gateway scopes in the author's order.
    pub scopes: IndexMap<Scope, ScopeFacts>,
    /// Where the credential goes in the upstream request.
    pub inject: Arc<Inject>,
    /// Fixed headers that are added; values may hold variables. Names are lower case.
    pub headers: Vec<(String, Template)>,
    /// Request headers that pass besides the common list.
    pub request_headers: Vec<HeaderPattern>,
    /// Request headers (lower case) that refuse the request.
    pub refuse_headers: Vec<String>,
    /// Query parameters that pass although they look like a credential or an override.
    pub allow_query: Vec<String>,
    /// Whether literals of path templates compare without regard to case.
    pub case_insensitive_paths: bool,
    /// Whether answers are searched for the injected token.
    pub scan_answers: bool,
    /// Whether a 401 of this API always means that nothing was executed.
    pub replay_after_401: bool,
    /// How refusals look to this API's clients; none: the problem document.
    pub refusal: Option<RefusalShape>,
}

impl Connector {
    /// Whether a template of it needs the variable. A deployment that replaces an address may make one needless.
    #[must_use]
    pub fn uses(&self, variable: &str) -> bool {
        let fixed = self.headers.iter().map(|(_, value)| value);
        let endpoints = self.oauth.iter().flat_map(OAuth::templates);
        std::iter::once(&*self.upstream)
            .chain(self.hosts.values().map(|address| &**address))
            .chain(fixed)
            .chain(endpoints)
            .any(|template| template.variables().any(|name| name == variable))
    }

    /// Whether a scope is [`Risk::Capability`], or implies one that is, directly or not.
    #[must_use]
    pub fn opens_credentials(&self, scope: &Scope) -> bool {
        let mut seen: IndexSet<&Scope> = IndexSet::new();
        let mut open = vec![scope];
        while let Some(next) = open.pop() {
            let Some(facts) = self.scopes.get(next).filter(|_| seen.insert(next)) else { continue };
            if facts.risk == Risk::Capability {
                return true;
            }
            open.extend(&facts.implies);
        }
        false
    }
}

/// The description that a connector was imported from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Provenance {
    /// Its format, such as `openapi`.
    pub kind: String,
    /// Its title.
    pub title: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The licence that it came under.
    pub licence: Option<String>,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: Option<String>,
}

/// One gateway scope.
#[derive(Clone, Debug)]
pub struct ScopeFacts {
    /// Alternatives of provider scopes; any one list wholly covers the scope. One empty list: needs none.
    pub provider_scopes: Vec<Vec<ProviderScope>>,
    /// What the customer reads on the consent page.
    pub consent: Option<String>,
    /// Scopes that come with it, directly.
    pub implies: Vec<Scope>,
    /// How much harm it can do.
    pub risk: Risk,
}

/// How much harm a scope or an operation can do.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Risk {
    /// Nothing to point out.
    #[default]
    Low,
    /// Worth a second look.
    High,
    /// Its answers carry credentials; no wildcard ever reaches it.
    Capability,
}

/// How a refusal is written for the clients of a connector.
#[derive(Clone, Debug)]
pub struct RefusalShape {
    /// Instead of the status of the reason.
    pub status: Option<u16>,
    /// JSON with placeholders such as `{error}` in its strings.
    pub body: serde_json::Value,
}
