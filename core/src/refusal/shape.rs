//! Refusals in the words of a connector's own clients.

use super::{Context, Problem};
use crate::connector::RefusalShape;
use serde_json::Value;

/// The body of `shape` with every `{placeholder}` filled from `problem`, or from `held_scopes` of the context.
///
/// A string that is one placeholder becomes the member itself, lists joined with blanks; a member
/// that the problem does not have is an empty text.
#[must_use]
pub fn shaped(shape: &RefusalShape, problem: &Problem<'_>, context: &Context<'_>) -> Value {
    let mut members = serde_json::from_slice(&problem.to_json()).unwrap_or(Value::Null);
    if let Value::Object(map) = &mut members {
        map.insert("held_scopes".into(), context.held_scopes.iter().map(|scope| Value::String(scope.to_string())).collect());
    }
    filled(&shape.body, &members)
}

fn filled(body: &Value, members: &Value) -> Value {
    match body {
        Value::String(text) => filled_text(text, members),
        Value::Array(all) => all.iter().map(|one| filled(one, members)).collect(),
        Value::Object(all) => all.iter().map(|(name, one)| (name.clone(), filled(one, members))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => body.clone(),
    }
}

fn filled_text(text: &str, members: &Value) -> Value {
    let whole = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|name| !name.contains(['{', '}']));
    if let Some(name) = whole {
        return match members.get(name) {
            Some(Value::Array(_)) | None => Value::String(member(name, members)),
            Some(other) => other.clone(),
        };
    }
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        made.push_str(before);
        match behind.split_once('}') {
            Some((name, after)) => {
                made.push_str(&member(name, members));
                rest = after;
            }
            None => {
                made.push('{');
                rest = behind;
            }
        }
    }
    made.push_str(rest);
    Value::String(made)
}

/// A member as text: lists joined with blanks.
fn member(name: &str, members: &Value) -> String {
    match members.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let words: Vec<String> = all.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
            words.join(" ")
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => other.to_string(),
    }
}
