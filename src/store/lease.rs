//! Leases: who may do something that only one may do at a time.

use scopegate_core::id::{ConnectorId, CustomerId, GrantId};
use scopegate_core::time::Timestamp;
use std::fmt;

/// What is leased.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LeaseName(String);

impl LeaseName {
    /// The refresh of one grant.
    #[must_use]
    pub fn refresh(connector: &ConnectorId, customer: &CustomerId, grant: &GrantId) -> Self {
        Self(format!("refresh/{connector}/{customer}/{grant}"))
    }

    /// The name as the store keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who holds a lease: drawn anew for each attempt, so that nobody is taken for somebody before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeaseOwner([u8; 16]);

impl LeaseOwner {
    /// An owner that never was before.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::chance::bytes())
    }
}

impl fmt::Display for LeaseOwner {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&hex::encode(self.0))
    }
}

/// A lease that was taken. It proves nothing by itself: a write under it says
/// [`Change::Holding`](super::Change::Holding).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// What is leased.
    pub name: LeaseName,
    /// Who holds it.
    pub owner: LeaseOwner,
    /// Grows with each lease of that name.
    pub fence: u64,
    /// When it ends unless it is renewed, by the store's clock.
    pub expires_at: Timestamp,
}
