//! Values that differ by account: an instance, a tenant, a login host.

use super::upstream::PlainHttp;
use std::collections::BTreeMap;

/// Values of variables by name.
pub type Variables = BTreeMap<String, String>;

/// One variable of a connector, and what its values may be.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Where its value comes from.
    pub from: Source,
    /// The value where none came.
    pub default: Option<String>,
    /// What values are legal.
    pub rule: Rule,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A JSON pointer into the token answer.
    Token {
        /// RFC 6901.
        pointer: String,
    },
    /// A parameter of the callback's query, such as `realmId`.
    Callback {
        /// The parameter's name.
        parameter: String,
    },
    /// A JSON pointer into the answer of the connector's `oauth.lookup` call.
    Lookup {
        /// RFC 6901.
        pointer: String,
    },
    /// Given by whoever makes the account.
    Account,
}

/// What a variable's value may be. There is no rule that allows everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// An origin whose host matches one of these patterns (`*.example.com`, `example.com`, `127.0.0.1:8080`).
    OriginOf(Vec<String>),
    /// One of these values.
    OneOf(Vec<String>),
    /// 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or digit: safe as a host label or a path segment.
    Label,
}

/// A value that its variable's rule does not admit. It never repeats the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InadmissibleValue(&'static str);

impl Rule {
    /// Checks a value that came for the variable.
    /// # Errors
    /// A sentence that says what the value had to be.
    pub fn admits(&self, _value: &str, _http: PlainHttp) -> Result<(), InadmissibleValue> {
        todo!()
    }
}
