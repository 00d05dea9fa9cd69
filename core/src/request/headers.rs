//! Request headers as they came.

use bytes::Bytes;
use http::HeaderName;

/// Headers in order; names in lower case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers(Vec<(HeaderName, Bytes)>);

impl Headers {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// All values of `name` (lower case), in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The first value of `name` (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}
