//! Where an account stands, as far as the rules care.

use super::Granted;
use crate::id::RoleName;

/// Who asks, as far as the rules care.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The account's role; one that no document names holds nothing.
    pub role: &'a RoleName,
    /// Where its grant stands.
    pub grant: GrantStanding<'a>,
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug)]
pub enum GrantStanding<'a> {
    /// The customer has not connected the account.
    Missing,
    /// The provider no longer honours it, or it was revoked.
    Ended,
    /// It can be used for what was granted.
    Live(&'a Granted),
}
