//! Who we are at a provider.

use crate::connector::oauth::ClientAuth;
use crate::secret::ClientSecret;
use std::fmt;

/// Our registration at the provider of one connector.
#[derive(Clone, Debug)]
pub struct ClientRegistration {
    /// The public name that the provider gave us.
    pub client_id: String,
    /// Tried in order, so that a secret can be replaced without a gap.
    pub secrets: Vec<ClientSecret>,
    /// The private key, for `private_key_jwt`.
    pub key: Option<ClientKey>,
}

/// The key that signs our assertions (RFC 7523 section 2.2).
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// PKCS #8 in PEM: RSA of 2048 bits or more (RS256), or P-256 (ES256).
    pub pem: ClientSecret,
    /// The `kid` under which the provider knows it.
    pub id: Option<String>,
}

/// What shows the provider in one call that it is us.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// The public name that the provider gave us.
    pub id: &'a str,
    /// What nobody else has.
    pub evidence: Evidence<'a>,
}

/// What nobody else has.
#[derive(Clone, Copy)]
pub enum Evidence<'a> {
    /// Nothing: a public client (`client_auth: none`).
    Nothing,
    /// In the header (RFC 6749 section 2.3.1).
    BasicSecret(&'a ClientSecret),
    /// In the body.
    PostSecret(&'a ClientSecret),
    /// A signed assertion, in the body.
    Assertion(&'a str),
}

impl fmt::Debug for Client<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<'a> Evidence<'a> {
    /// How a secret is shown where the connector asks for one; none where it asks for something else.
    #[must_use]
    pub fn of_secret(auth: ClientAuth, secret: &'a ClientSecret) -> Option<Self> {
        match auth {
            ClientAuth::ClientSecretBasic => Some(Self::BasicSecret(secret)),
            ClientAuth::ClientSecretPost => Some(Self::PostSecret(secret)),
            ClientAuth::PrivateKeyJwt | ClientAuth::None => None,
        }
    }
}
