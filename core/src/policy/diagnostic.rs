//! Findings in documents: where, what, and what to do about it.

use serde::Serialize;

/// One finding in a document.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Diagnostic {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters of the line it is about; at least 1.
    #[serde(skip)]
    pub width: usize,
    /// Whether it keeps the set from being used.
    pub severity: Severity,
    /// `SG` and four digits.
    pub code: &'static str,
    /// One lower-case sentence; the author's text in backticks.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Whether a finding keeps the set from being used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}
