//! OAuth facts of a connector: endpoints, and the ways in which its provider differs, as data.

use super::Template;
use crate::scope::ProviderScope;
use std::time::Duration;

/// How tokens of this connector are obtained, kept fresh and ended.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// RFC 6749 section 3.1; none where credentials are only brought.
    pub authorization_url: Option<Template>,
    /// RFC 6749 section 3.2.
    pub token_url: Template,
    /// Where refreshes go instead of `token_url`.
    pub refresh_url: Option<Template>,
    /// RFC 7009.
    pub revocation_url: Option<Template>,
    /// Whether authorization requests carry an S256 challenge (RFC 7636).
    pub pkce: Pkce,
    /// How we authenticate at the token endpoint.
    pub client_auth: ClientAuth,
    /// The body of token requests.
    pub token_request: TokenRequestFormat,
    /// What separates scopes in requests; in answers blanks and commas both do.
    pub scope_separator: String,
    /// Asked of every customer besides what the scopes need.
    pub always_request: Vec<ProviderScope>,
    /// Extra parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// Lifetime of access tokens where the answer says none.
    pub expires_in: Option<Duration>,
    /// JSON pointer to the object that holds the token set; none: the answer itself.
    pub token_pointer: Option<String>,
    /// What the provider's `token_type` says of its bearer tokens, where it is not `bearer` (Slack: `bot`, `user`).
    pub token_type: Option<String>,
    /// JSON pointer to an error code in an answer with status 200.
    pub error_pointer: Option<String>,
    /// Whether the provider replaces the refresh token at each refresh; none: not known.
    pub rotation: Option<bool>,
    /// How long after a refresh the old refresh token is still taken.
    pub replay_window: Option<Duration>,
    /// When tokens are refreshed.
    pub refresh: RefreshMode,
    /// Refresh unused grants at least this often.
    pub keep_alive: Option<Duration>,
    /// A call after consent whose answer holds variables.
    pub lookup: Option<Template>,
}

impl OAuth {
    /// Every address of it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let optional = [&self.authorization_url, &self.refresh_url, &self.revocation_url, &self.lookup];
        std::iter::once(&self.token_url).chain(optional.into_iter().flatten())
    }
}

/// RFC 7636.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pkce {
    /// Code challenge method S256.
    S256,
    /// The provider refuses a challenge.
    None,
}

/// RFC 6749 section 2.3, RFC 7523 section 2.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// Basic authentication.
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the body.
    ClientSecretPost,
    /// A signed assertion.
    PrivateKeyJwt,
    /// A public client.
    None,
}

/// The body of token requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenRequestFormat {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

/// When tokens are refreshed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshMode {
    /// Ahead of expiry, in the background.
    Ahead,
    /// Never before a request needs it.
    OnUse,
}
