//! JSON bodies with one reading: declared as JSON, in UTF-8, no key twice in one object.
//!
//! A value is kept as it was written: members in their order and numbers by their text,
//! so that a body that is written anew says the same to every server.

mod pointer;
mod read;
mod write;

pub(super) use pointer::is_alike;
pub use pointer::{InvalidPointer, Pointer};

use crate::request::{Ambiguity, Headers};
use std::fmt;

/// A JSON value. `Debug` shows its kind alone.
#[derive(Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number by its text; what it is worth is finite.
    Number(Box<str>),
    /// A text, unescaped.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, its members in order; no key stands twice.
    Object(Vec<(String, Json)>),
}

const NOT_DECLARED: Ambiguity = Ambiguity::new("body-not-declared-json", "policy reads the body, and its content-type is not JSON");
const CHARSET: Ambiguity = Ambiguity::new("body-charset", "policy reads the body, and its charset is not UTF-8");
pub(super) const PACKED: Ambiguity = Ambiguity::new("body-content-encoding", "policy reads the body, and it comes with a content-encoding");
const TWIN: Ambiguity = Ambiguity::new("body-twin-key", "policy reads a key of the body that also stands there in other letters");

impl Json {
    /// Reads a body that is not empty.
    /// # Errors
    /// A content type that is not JSON, another charset, a content coding, a syntax error, a key twice, more than 64
    /// levels or 100,000 values.
    pub fn of_body(headers: &Headers, body: &[u8]) -> Result<Self, Ambiguity> {
        declared(headers)?;
        Self::read(body)
    }

    /// Reads a text, wherever it stands.
    /// # Errors
    /// A syntax error, a key twice, more than 64 levels or 100,000 values.
    pub fn read(text: &[u8]) -> Result<Self, Ambiguity> {
        read::read(text)
    }

    /// Whether `value` stands at `pointer`. Numbers compare by what they are worth: `1`, `1.0` and `1e0` are equal.
    /// # Errors
    /// A key on the way that only differs in the case of its letters, where it matters: some servers take it for the same.
    pub fn holds(&self, pointer: &Pointer, value: &serde_json::Value) -> Result<bool, Ambiguity> {
        match pointer.find(self)? {
            (Some(found), exact) if found.equals(value) => {
                if exact {
                    Ok(true)
                } else {
                    Err(TWIN)
                }
            }
            (Some(_) | None, _) => Ok(false),
        }
    }

    /// What stands at `pointer`.
    /// # Errors
    /// A key on the way that stands there in other letters: some servers take it for the same.
    pub fn at(&self, pointer: &Pointer) -> Result<Option<&Self>, Ambiguity> {
        match pointer.find(self)? {
            (Some(_), false) => Err(TWIN),
            (found, _) => Ok(found),
        }
    }

    /// What stands at `pointer`, to be replaced.
    pub(super) fn at_mut(&mut self, pointer: &Pointer) -> Option<&mut Self> {
        pointer.find_mut(self)
    }

    /// The member `key`.
    /// # Errors
    /// A member whose key only differs in the case of its letters.
    pub fn member(&self, key: &str) -> Result<Option<&Self>, Ambiguity> {
        match pointer::member(self, key)? {
            Some((_, false)) => Err(TWIN),
            found => Ok(found.map(|(value, _)| value)),
        }
    }

    /// Its members in order; none where it is no object.
    #[must_use]
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => &[],
        }
    }

    /// Its text; none where it is no text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    fn equals(&self, other: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(left), Value::Bool(right)) => left == right,
            (Self::Number(left), Value::Number(right)) => worth(left, &right.to_string()),
            (Self::Text(left), Value::String(right)) => left == right,
            (Self::List(left), Value::Array(right)) => left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right)),
            (Self::Object(left), Value::Object(right)) => {
                left.len() == right.len() && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| left.equals(right)))
            }
            (Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) | Self::Object(_), _) => false,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        })
    }
}

/// Whether two numbers are worth the same.
fn worth(left: &str, right: &str) -> bool {
    match (left.parse::<i128>(), right.parse::<i128>()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left.parse::<f64>().is_ok_and(|left| right.parse::<f64>() == Ok(left)),
    }
}

/// Whether the head says that the body is plain JSON in UTF-8.
fn declared(headers: &Headers) -> Result<(), Ambiguity> {
    if headers.get("content-encoding").is_some() {
        return Err(PACKED);
    }
    let mut types = headers.all("content-type");
    let (Some(only), None) = (types.next(), types.next()) else { return Err(NOT_DECLARED) };
    let text = std::str::from_utf8(only).map_err(|_| NOT_DECLARED)?;
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    let is_word = subtype.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
    if !is_word || (subtype != "json" && subtype.strip_suffix("+json").is_none_or(str::is_empty)) {
        return Err(NOT_DECLARED);
    }
    if parts.all(is_utf_8) { Ok(()) } else { Err(CHARSET) }
}

/// Whether a parameter of a content type is none of a charset, or says UTF-8 in the one plain form. There are others
/// (`charset*=us-ascii''utf-7`, RFC 2231), which some servers read and some do not.
pub(super) fn is_utf_8(parameter: &str) -> bool {
    if !parameter.to_ascii_lowercase().contains("charset") {
        return true;
    }
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("charset") && (value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8"))
}

#[cfg(test)]
mod tests;
