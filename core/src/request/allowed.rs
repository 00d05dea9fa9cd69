//! Which request headers reach the API.

use std::str::FromStr;

/// A request header that a connector lets pass besides the common list: a name, or a prefix (`x-desk-meta-*`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderPattern {
    text: String,
}

/// Why a connector may not name a request header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ForbiddenHeader(&'static str);

impl FromStr for HeaderPattern {
    type Err = ForbiddenHeader;
    /// A header name in any case, or the beginning of names and a final `*`. Never one that carries credentials, cookies, what holds for one hop
    /// alone, what forwards, frames or overrides, or a header of Scopegate.
    fn from_str(_text: &str) -> Result<Self, ForbiddenHeader> {
        todo!()
    }
}

impl HeaderPattern {
    /// In lower case, as the author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names the header `name` (lower case).
    #[must_use]
    pub fn matches(&self, _name: &str) -> bool {
        todo!()
    }
}
