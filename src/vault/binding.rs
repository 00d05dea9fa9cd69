//! What a sealed text belongs to.

use scopegate_core::account::GrantFacts;
use scopegate_core::id::{AuthorizationId, ConnectorId, CustomerId, GrantId};
use std::fmt;

/// What a sealed text belongs to; authenticated with it, not kept in it.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    connector: &'a ConnectorId,
    customer: &'a CustomerId,
    thing: Thing<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Thing<'a> {
    Grant { id: &'a GrantId, version: u64 },
    Authorization { id: &'a AuthorizationId },
}

impl<'a> Binding<'a> {
    /// The token set of this version of a grant.
    #[must_use]
    pub fn grant(facts: &'a GrantFacts) -> Self {
        Self { connector: &facts.connector, customer: &facts.customer, thing: Thing::Grant { id: &facts.id, version: facts.version } }
    }

    /// The PKCE verifier of an authorization.
    #[must_use]
    pub fn authorization(connector: &'a ConnectorId, customer: &'a CustomerId, id: &'a AuthorizationId) -> Self {
        Self { connector, customer, thing: Thing::Authorization { id } }
    }

    /// The associated data. No name holds a line feed, so there is one reading.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { connector, customer, thing } = self;
        match thing {
            Thing::Grant { id, version } => format!("scopegate/1\ngrant\n{connector}\n{customer}\n{id}\n{version}"),
            Thing::Authorization { id } => format!("scopegate/1\nauthorization\n{connector}\n{customer}\n{id}"),
        }
        .into_bytes()
    }
}

/// For errors and logs: ids, no secrets.
impl fmt::Display for Binding<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, customer, thing } = self;
        match thing {
            Thing::Grant { id, version } => write!(to, "grant {id} (version {version}) of customer {customer} at {connector}"),
            Thing::Authorization { id } => write!(to, "authorization {id} of customer {customer} at {connector}"),
        }
    }
}
