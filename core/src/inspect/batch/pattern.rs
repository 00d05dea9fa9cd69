//! JSON pointers that may reach many places: a token `*` stands for each item of a list, or each member of an object.

use super::super::{InvalidPointer, Json, Pointer};
use crate::request::Ambiguity;
use std::fmt;
use std::str::FromStr;

/// A pointer with `*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(Pointer);

/// What happens where nothing stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Absence {
    /// It is skipped.
    Skipped,
    /// It is a fault.
    Fault,
}

impl Pattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Visits what stands at all places, in order. The visitor may change it.
    /// # Errors
    /// The visitor's, and a key that also stands there in other letters; where `absence` says so, `fault` at a place where nothing stands.
    pub(super) fn visit<E: From<Ambiguity>>(
        &self,
        json: &mut Json,
        absence: (Absence, Ambiguity),
        visitor: &mut dyn FnMut(&mut Json) -> Result<(), E>,
    ) -> Result<(), E> {
        let tokens: Vec<&str> = self.0.tokens().collect();
        visit(json, &tokens, absence, visitor)
    }
}

fn visit<E: From<Ambiguity>>(
    json: &mut Json,
    tokens: &[&str],
    absence: (Absence, Ambiguity),
    visitor: &mut dyn FnMut(&mut Json) -> Result<(), E>,
) -> Result<(), E> {
    let Some((token, behind)) = tokens.split_first() else { return visitor(json) };
    let lacks = || if absence.0 == Absence::Fault { Err(absence.1.into()) } else { Ok(()) };
    if *token != "*" {
        json.member(token)?;
    }
    match json {
        Json::List(items) if *token == "*" => items.iter_mut().try_for_each(|item| visit(item, behind, absence, visitor)),
        Json::Object(members) if *token == "*" => members.iter_mut().try_for_each(|(_, value)| visit(value, behind, absence, visitor)),
        Json::Object(members) => match members.iter_mut().find(|(key, _)| key == token) {
            Some((_, value)) => visit(value, behind, absence, visitor),
            None => lacks(),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => lacks(),
    }
}

impl FromStr for Pattern {
    type Err = InvalidPointer;
    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}
