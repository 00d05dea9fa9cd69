//! Queries with one reading.

use super::Ambiguity;

/// The query byte for byte, and how it reads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    raw: Option<String>,
    parameters: Vec<Parameter>,
    suspects: Vec<Suspect>,
}

/// One parameter, decoded (`+` is a blank).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameter {
    /// Decoded once.
    pub name: String,
    /// Decoded once; empty where there is no `=`.
    pub value: String,
}

/// A parameter that looks like a credential or a method override; only `allow_query` takes it off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suspect {
    /// The parameter's name, decoded once: what `allow_query` is compared with.
    pub name: String,
    /// What it looks like.
    pub ambiguity: Ambiguity,
    /// Whether `allow_query` may take it off (an override found inside of a value may not).
    pub allowable: bool,
}

impl Query {
    /// Byte for byte without the question mark; none where there is no question mark.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// All parameters in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What only a connector or an operation can take off.
    #[must_use]
    pub fn suspects(&self) -> &[Suspect] {
        &self.suspects
    }
}

impl Query {
    /// Reads what stands behind the question mark.
    /// # Errors
    /// Bytes that no query holds, escapes that are none or no UTF-8, or more than 500 parameters.
    pub fn parse(_raw: &str) -> Result<Self, Ambiguity> {
        todo!()
    }
}
