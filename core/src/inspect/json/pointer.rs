//! Pointers into JSON, RFC 6901.

use super::{Json, TWIN};
use crate::request::Ambiguity;
use std::fmt;
use std::str::FromStr;

/// A pointer into JSON, RFC 6901.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer {
    text: Box<str>,
    tokens: Vec<Box<str>>,
}

/// A text that is no pointer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a JSON pointer is empty or begins with `/`, and `~` stands only in `~0` and `~1`")]
pub struct InvalidPointer;

impl Pointer {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its tokens, unescaped.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(AsRef::as_ref)
    }

    /// What stands there, and whether every key on the way is spelled as it should be.
    pub(super) fn find<'j>(&self, json: &'j Json) -> Result<(Option<&'j Json>, bool), Ambiguity> {
        let (mut at, mut exact) = (json, true);
        for token in &self.tokens {
            let next = match at {
                Json::Object(_) => member(at, token)?,
                Json::List(items) => index(token).and_then(|index| items.get(index)).map(|item| (item, true)),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => None,
            };
            let Some((found, is_exact)) = next else { return Ok((None, exact)) };
            exact &= is_exact;
            at = found;
        }
        Ok((Some(at), exact))
    }

    /// What stands there.
    pub(super) fn find_mut<'j>(&self, json: &'j mut Json) -> Option<&'j mut Json> {
        self.tokens.iter().try_fold(json, |at, token| match at {
            Json::Object(members) => members.iter_mut().find(|(key, _)| **key == **token).map(|(_, value)| value),
            Json::List(items) => items.get_mut(index(token)?),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => None,
        })
    }
}

/// The member `key`, and whether its key is spelled so; an error where another key differs in the case of its letters alone.
/// Case is that of Unicode, as servers fold it: U+212A is a `k` to them, and U+017F an `s`.
pub(super) fn member<'j>(object: &'j Json, key: &str) -> Result<Option<(&'j Json, bool)>, Ambiguity> {
    let mut alike = object.members().iter().filter(|(known, _)| is_alike(known, key));
    match (alike.next(), alike.next()) {
        (Some(_), Some(_)) => Err(TWIN),
        (found, _) => Ok(found.map(|(known, value)| (value, known == key))),
    }
}

/// Whether two keys differ in the case of their letters at most.
pub(in crate::inspect) fn is_alike(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || (!(left.is_ascii() && right.is_ascii()) && folded(left).eq(folded(right)))
}

/// Through upper case, so that letters with one upper case are one letter.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// An array index as RFC 6901 section 4 writes it: digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (token.bytes().all(|byte| byte.is_ascii_digit()) && !token.starts_with('0'));
    plain.then(|| token.parse().ok()).flatten()
}

impl FromStr for Pointer {
    type Err = InvalidPointer;
    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        let unescape = |token: &str| {
            let legal = token.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
            legal.then(|| token.replace("~1", "/").replace("~0", "~").into_boxed_str())
        };
        let tokens: Option<Vec<_>> = match text.strip_prefix('/') {
            Some(behind) => behind.split('/').map(unescape).collect(),
            None => text.is_empty().then(Vec::new),
        };
        Ok(Self { text: text.into(), tokens: tokens.ok_or(InvalidPointer)? })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}
