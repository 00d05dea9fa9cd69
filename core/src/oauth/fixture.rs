//! A plain provider for the tests of this module.

use crate::connector::oauth::{ClientAuth, OAuth, Pkce, RefreshMode, TokenRequestFormat};
use crate::connector::template::Template;

pub(super) fn oauth() -> OAuth {
    OAuth {
        authorization_url: None,
        token_url: Template::parse("https://login.example/token").unwrap(),
        refresh_url: None,
        revocation_url: None,
        pkce: Pkce::S256,
        client_auth: ClientAuth::ClientSecretPost,
        token_request: TokenRequestFormat::Form,
        scope_separator: " ".into(),
        always_request: Vec::new(),
        authorize_params: Vec::new(),
        expires_in: None,
        token_pointer: None,
        token_type: None,
        error_pointer: None,
        rotation: None,
        replay_window: None,
        refresh: RefreshMode::Ahead,
        keep_alive: None,
        lookup: None,
    }
}
