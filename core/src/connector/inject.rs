//! Where the credential stands in the upstream request.

use crate::request::OutgoingHead;
use crate::secret::{AccessToken, ApiKey};

/// The place of the credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inject {
    /// A header, with or without a scheme before the token. The default is `authorization` with `Bearer`.
    Header {
        /// Lower case.
        name: String,
        /// Followed by one blank.
        scheme: Option<String>,
    },
    /// A query parameter.
    Query {
        /// The parameter's name, as it stands in the query.
        name: String,
    },
    /// Basic authentication with the credential on one side and nothing, or what was brought, on the other.
    Basic {
        /// Which side the credential takes.
        side: BasicSide,
    },
}

/// A side of Basic authentication.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BasicSide {
    /// Before the colon.
    User,
    /// Behind the colon.
    Password,
}

impl Default for Inject {
    fn default() -> Self {
        Self::Header { name: "authorization".into(), scheme: Some("Bearer".into()) }
    }
}

/// What is injected.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An OAuth access token.
    Token(AccessToken),
    /// A static key that a customer brought.
    Key(ApiKey),
    /// A user and a password that a customer brought; sent as Basic authentication.
    Basic {
        /// Without a colon.
        user: String,
        /// The secret half.
        password: ApiKey,
    },
}

/// A credential that the connector's place cannot carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Uninjectable(&'static str);

impl Inject {
    /// Writes `credential` into `head`, instead of whatever stands in its place.
    /// # Errors
    /// Characters that no header may carry, or user and password where the connector wants a single token.
    pub fn write(&self, _credential: &Credential, _head: &mut OutgoingHead) -> Result<(), Uninjectable> {
        todo!()
    }
}
