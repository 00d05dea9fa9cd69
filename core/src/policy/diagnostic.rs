//! Findings in documents: where, what, and what to do about it.

use super::code::Code;
use super::compile::{Origin, Source};
use super::document::{Patience, Span, suggestion_within};
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

/// Gathers findings while sources are read. It never stops at the first.
#[derive(Debug)]
pub struct Findings<'s> {
    sources: Vec<&'s Source>,
    found: Vec<Finding>,
    patience: Patience,
}

/// A finding, before it is known how its place is called.
#[derive(Debug)]
pub struct Finding {
    code: &'static Code,
    span: Span,
    message: String,
    help: Option<String>,
}

impl Code {
    /// A finding of this kind: a lower-case sentence about what stands at `span`, the author's text in backticks.
    pub fn at(&'static self, span: Span, message: impl Into<String>) -> Finding {
        Finding { code: self, span, message: message.into(), help: None }
    }
}

impl Finding {
    /// What to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        self.maybe_help(Some(help.into()))
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl<'s> Findings<'s> {
    /// None yet. Spans point into `sources`.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = &'s Source>) -> Self {
        Self { sources: sources.into_iter().collect(), found: Vec::new(), patience: Patience::default() }
    }

    /// Adds one.
    pub fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Adds all of these.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.found.extend(findings);
    }

    /// Whether one of them keeps the set from being used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|finding| finding.code.severity == Severity::Error)
    }

    /// What `wrong` was probably meant to be, of names that authors gave.
    #[must_use]
    pub fn suggestion<'k>(&self, wrong: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<String> {
        suggestion_within(wrong, known, &self.patience)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// How another sentence points at `span`: line and column, with the file where it is not that of `from`.
    #[must_use]
    pub fn pointer(&self, span: Span, from: Span) -> String {
        let Span { source, line, column, .. } = span;
        match self.sources.get(source) {
            Some(other) if source != from.source => format!("{}:{line}:{column}", other.name),
            _ => format!("{line}:{column}"),
        }
    }

    /// The name of the source that `span` lies in.
    #[must_use]
    pub fn file(&self, span: Span) -> &str {
        self.sources.get(span.source).map_or("", |source| source.name.as_str())
    }

    /// The part of a scalar that begins at byte `offset` of its text and is `length` bytes long. Where the scalar
    /// is not written as it reads (escapes, several lines), all of it.
    #[must_use]
    pub fn inside(&self, scalar: Span, text: &str, offset: usize, length: usize) -> Span {
        let Some(source) = self.sources.get(scalar.source) else { return scalar };
        let written = source.text.get(scalar.start..scalar.end).unwrap_or_default();
        let lead = match written.strip_prefix(['"', '\'']) {
            Some(rest) if rest.starts_with(text) => 1,
            None if written.starts_with(text) => 0,
            _ => return scalar,
        };
        let Some(before) = text.get(..offset) else { return scalar };
        let start = scalar.start + lead + offset;
        Span { start, end: (start + length).min(scalar.end), column: scalar.column + lead + before.chars().count(), ..scalar }
    }

    /// All of them as diagnostics, sorted by file, line and column. Warnings about shipped documents are nobody's business.
    #[must_use]
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        let Self { sources, found, .. } = self;
        let shipped = |span: Span| sources.get(span.source).is_some_and(|source| source.origin == Origin::Catalog);
        let told = found.into_iter().filter(|finding| finding.code.severity == Severity::Error || !shipped(finding.span));
        let mut all: Vec<Diagnostic> = told.map(|finding| diagnostic(&sources, finding)).collect();
        all.sort_by(|left, right| {
            let key = |one: &Diagnostic| (one.line, one.column, one.severity, one.code);
            left.file.cmp(&right.file).then_with(|| key(left).cmp(&key(right)))
        });
        all.dedup();
        all
    }
}

fn diagnostic(sources: &[&Source], finding: Finding) -> Diagnostic {
    let Finding { code, span, message, help } = finding;
    let source = sources.get(span.source);
    let written = source.and_then(|source| source.text.get(span.start..span.end)).unwrap_or_default();
    let width = written.lines().next().unwrap_or_default().trim_end().chars().count().max(1);
    Diagnostic {
        file: source.map_or_else(String::new, |source| source.name.clone()),
        line: span.line.max(1),
        column: span.column.max(1),
        width,
        severity: code.severity,
        code: code.id,
        message,
        help,
    }
}
