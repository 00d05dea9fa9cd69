//! `where`: conditions on a request besides method and path.

use super::operation::Narrow;
use crate::inspect::Json;
use crate::request::{Ambiguity, Query, Request};

/// Whether the conditions of an operation hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holds {
    Yes,
    No,
    /// As far as the head says they do; the body decides.
    BodyDecides,
}

const TWO_VALUES: Ambiguity =
    Ambiguity::new("query-two-values", "a query parameter that tells operations apart stands twice, or in another spelling of its name");

/// Judges all conditions that the head decides. One that fails settles it, whatever has two readings besides.
/// # Errors
/// A parameter that could be read as meeting a condition, and as not meeting it.
pub(super) fn by_head(conditions: &[Narrow], request: &Request) -> Result<Holds, Ambiguity> {
    let mut ambiguity = None;
    let mut holds = Holds::Yes;
    for condition in conditions {
        match condition {
            Narrow::Query { name, value } => match in_query(&request.query, name, value) {
                Ok(true) => {}
                Ok(false) => return Ok(Holds::No),
                Err(found) => ambiguity = Some(found),
            },
            Narrow::Json { .. } => holds = Holds::BodyDecides,
        }
    }
    ambiguity.map_or(Ok(holds), Err)
}

/// Judges the conditions that the head left open.
/// # Errors
/// A key of the body that could be read as meeting a condition, and as not meeting it.
pub(super) fn by_body(conditions: &[Narrow], body: &Json) -> Result<bool, Ambiguity> {
    let mut ambiguity = None;
    for condition in conditions {
        match condition {
            Narrow::Json { pointer, value } => match body.holds(pointer, value) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(found) => ambiguity = Some(found),
            },
            Narrow::Query { .. } => {}
        }
    }
    ambiguity.map_or(Ok(true), Err)
}

/// Whether the parameter stands exactly once and has the value. Where it stands more often, or as `Type`, `type[]` or
/// `?type` instead of `type`, servers differ in what they read; that matters only if one of them could read the value.
fn in_query(query: &Query, name: &str, value: &str) -> Result<bool, Ambiguity> {
    let mut alike = query.parameters().iter().filter(|parameter| parameter.could_be(name));
    match (alike.next(), alike.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.name == name => Ok(only.value == value),
        (Some(first), second) => {
            let found = [Some(first), second].into_iter().flatten().chain(alike).any(|parameter| parameter.value == value);
            if found { Err(TWO_VALUES) } else { Ok(false) }
        }
    }
}

/// Whether servers could differ in what they read of this parameter.
pub(super) fn has_two_readings(query: &Query, name: &str) -> bool {
    let mut alike = query.parameters().iter().filter(|parameter| parameter.could_be(name));
    let first = alike.next();
    first.is_some_and(|first| first.name != name) || alike.next().is_some()
}
