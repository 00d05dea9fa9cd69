//! What opens the API: the plain content of a sealed record.

use crate::secret::{AccessToken, ApiKey, RefreshToken};
use serde::{Deserialize, Serialize};

/// The secret behind a grant. `Serialize` exists for the sealed record alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// Issued by the provider (RFC 6749), or brought as if it were.
    Tokens(TokenSet),
    /// A static key. It is never refreshed.
    Key(ApiKey),
    /// What Basic authentication takes (RFC 7617). It is never refreshed.
    Basic {
        /// Before the colon; holds none itself.
        user: String,
        /// Behind the colon.
        password: ApiKey,
    },
}

/// What a provider issued.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TokenSet {
    /// What the API takes; a header may carry it as it is.
    pub access: AccessToken,
    /// What the next access token is bought with.
    pub refresh: Option<RefreshToken>,
}

impl Credential {
    /// The secret part as it is injected, and as no answer may show it.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Tokens(tokens) => tokens.access.reveal(),
            Self::Key(key) | Self::Basic { password: key, .. } => key.reveal(),
        }
    }

    /// What the next access token is bought with, where there is such a thing.
    #[must_use]
    pub fn refresh(&self) -> Option<&RefreshToken> {
        match self {
            Self::Tokens(tokens) => tokens.refresh.as_ref(),
            Self::Key(_) | Self::Basic { .. } => None,
        }
    }
}

/// Whether a header may carry `text` as it is: one or more visible ASCII characters.
#[must_use]
pub fn fits_a_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
