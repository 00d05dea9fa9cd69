//! Grants against a token endpoint on loopback that misbehaves on request.

use scopegate_core::account::{GrantFacts, GrantState, Granted};
use scopegate_core::id::GrantId;
use scopegate_core::time::Timestamp;

/// Facts of some grant.
pub(super) fn facts() -> GrantFacts {
    GrantFacts {
        id: GrantId::from_bytes([0; 16]),
        connector: "crm".parse().unwrap(),
        customer: "acme".parse().unwrap(),
        version: 1,
        state: GrantState::Live,
        granted: Granted::Assumed,
        expires_at: None,
        issued_at: Timestamp::default(),
        refreshable: true,
        variables: Default::default(),
        used_at: Timestamp::default(),
        created_at: Timestamp::default(),
    }
}
