//! Tests that stand in documents.

/// One request of a test, and what must come of it.
#[derive(Clone, Debug)]
pub struct Case;
