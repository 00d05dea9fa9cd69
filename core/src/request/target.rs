//! Request targets in origin form.

use super::{Ambiguity, CanonicalPath, Query};

/// A target with one reading: path and query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Its path; in front of it still stands the connector, unless the host names that.
    pub path: CanonicalPath,
    /// Its query.
    pub query: Query,
}

impl Target {
    /// Reads a target in origin form (RFC 9112 section 3.2.1), percent-encoded as on the wire.
    /// # Errors
    /// Any other form, a fragment, and whatever has two readings in path or query.
    pub fn parse(_raw: &str) -> Result<Self, Ambiguity> {
        todo!()
    }

    /// Splits the segment that names the connector off: `/crm/v1/x` is `crm` and `/v1/x`; `/crm` and `/crm/` both are `crm` and `/`. The name
    /// may be empty, or no connector's.
    /// # Errors
    /// A character that stands encoded in that segment and that no operation could allow there.
    pub fn connector_by_path(&self) -> Result<(&str, CanonicalPath), Ambiguity> {
        todo!()
    }
}
