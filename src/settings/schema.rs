//! JSON Schema (draft-07) of the settings, for editors. What it refuses, the readers refuse; `tests/schemas.rs` keeps the two in step.

use serde_json::Value;

/// The schema of `scopegate.yaml`.
#[must_use]
pub fn schema() -> Value {
    serde_json::from_str(include_str!("schema.json")).unwrap_or_default()
}
