//! Request methods.

use std::sync::Arc;

/// A request method: an uppercase token (RFC 9110 section 9.1) that may be forwarded; never CONNECT or TRACE.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Method(Arc<str>);

impl Method {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
