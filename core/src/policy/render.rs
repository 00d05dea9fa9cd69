//! Findings as people read them.

use super::compile::Source;
use super::diagnostic::{Diagnostic, Severity};
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::collections::HashMap;

/// Where rendered findings are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// A file or a pipe: no colours.
    Plain,
    /// A terminal that knows colours.
    Coloured,
}

/// All findings with the lines that they are about; each names `file:line:column`. Ends in a line break unless there is none.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &[Source], look: Look) -> String {
    let renderer = match look {
        Look::Plain => Renderer::plain(),
        Look::Coloured => Renderer::styled(),
    };
    let lines: HashMap<&str, Vec<&str>> = sources.iter().map(|source| (source.name.as_str(), source.text.lines().collect())).collect();
    let mut text = String::new();
    for diagnostic in diagnostics {
        let line = lines.get(diagnostic.file.as_str()).and_then(|lines| lines.get(diagnostic.line.saturating_sub(1)));
        text.push_str(&one(diagnostic, line.copied(), &renderer));
        text.push_str("\n\n");
    }
    text.pop();
    text
}

fn one(diagnostic: &Diagnostic, line: Option<&str>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let path = diagnostic.file.as_str();
    let mut group = match line {
        Some(line) => {
            let start = byte_of(line, diagnostic.column.saturating_sub(1));
            let end = byte_of(line, diagnostic.column.saturating_sub(1) + diagnostic.width).max(start);
            let annotation = AnnotationKind::Primary.span(start..end);
            title.element(Snippet::source(line).line_start(diagnostic.line).path(path).annotation(annotation))
        }
        None => title.element(Origin::path(path).line(diagnostic.line).char_column(diagnostic.column)),
    };
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The byte at which character `column` (from 0) of `line` begins.
fn byte_of(line: &str, column: usize) -> usize {
    line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}
