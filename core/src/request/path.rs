//! Paths with one reading.

use super::Ambiguity;
use std::str::FromStr;

/// A path in its one canonical form: unreserved characters decoded, hex digits in upper case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalPath {
    text: String,
    encoded: Vec<Encoded>,
}

/// A character that stands encoded although it could change the path; only an operation's `allow_encoded` takes it off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// The segment that it stands in, from 0.
    pub segment: usize,
    /// The character: one of `/`, `?`, `#`, `;`.
    pub character: char,
}

impl CanonicalPath {
    /// As it is decided and sent, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments behind each slash, canonically encoded; the last is empty where the path ends in a slash.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').skip(1)
    }

    /// What only an operation can allow.
    #[must_use]
    pub fn encoded(&self) -> &[Encoded] {
        &self.encoded
    }
}

impl Encoded {
    /// What is refused where no operation allows it.
    #[must_use]
    pub fn ambiguity(&self) -> Ambiguity {
        todo!()
    }
}

/// Reads a path as it stands on the wire.
impl FromStr for CanonicalPath {
    type Err = Ambiguity;
    fn from_str(_raw: &str) -> Result<Self, Ambiguity> {
        todo!()
    }
}
