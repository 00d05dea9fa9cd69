//! JSON Schema (draft-07) of documents, for editors: what may stand where, and what it means.
//!
//! The readers are in [`compile`](super::compile()), and they say more than a schema can; what a schema refuses, they refuse.
//! `tests/schemas.rs` keeps the two in step.

use serde_json::{Map, Value};

/// The schema of policy documents.
const POLICY: &str = include_str!("schema.json");

/// The keys of a file of cases.
const CASES: [&str; 2] = ["version", "tests"];

/// The schema of policy documents.
#[must_use]
pub fn policy_schema() -> Value {
    serde_json::from_str(POLICY).unwrap_or_default()
}

/// The schema of `*.cases.yaml`: the part of that of policy documents that such a file may hold.
#[must_use]
pub fn cases_schema() -> Value {
    let mut schema = policy_schema();
    let definitions = schema.get("definitions").cloned().unwrap_or_default();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".into(), "Scopegate test cases".into());
        top.insert("description".into(), "Requests, and what must come of them.".into());
        top.remove("required");
        top.remove("definitions");
        if let Some(keys) = top.get_mut("properties").and_then(Value::as_object_mut) {
            keys.retain(|key, _| CASES.contains(&key.as_str()));
        }
        let needed = reached(top, &definitions);
        top.insert("definitions".into(), needed.into());
    }
    schema
}

/// The definitions that `schema` refers to, directly or not.
fn reached(schema: &Map<String, Value>, definitions: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    let mut open: Vec<&Value> = schema.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            Value::String(text) => {
                let Some(name) = text.strip_prefix("#/definitions/") else { continue };
                if let Some(definition) = definitions.get(name).filter(|_| !found.contains_key(name)) {
                    found.insert(name.to_owned(), definition.clone());
                    open.push(definition);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_cases_has_its_part_of_the_schema_and_no_more() {
        let schema = cases_schema();
        let keys = |pointer: &str| schema.pointer(pointer).unwrap().as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(keys("/properties"), ["tests", "version"]);
        assert_eq!(keys("/definitions"), ["filled", "named_texts", "test", "text", "texts"]);
    }
}
