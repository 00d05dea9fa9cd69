//! Documents and what is found in them. In the texts of the tables, `«` and `»` stand around what a finding must point at.

mod connectors;
mod contents;
mod documents;
mod hostile;
mod operations;
mod roles;
mod whole;

use super::{Origin, Override, Source, Summary};
use crate::id::ConnectorId;
use crate::policy::model::Model;
use crate::policy::{Case, Diagnostic, Findings, Severity};
use std::collections::BTreeMap;

/// The code and a part of the message of each finding, in the order of their places.
type Expected<'a> = &'a [(&'a str, &'a str)];

/// A document with marks, without them; and where they stand: line, column and width.
fn unmarked(text: &str) -> (String, Vec<(usize, usize, usize)>) {
    let (mut plain, mut places) = (String::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let (mut column, mut begin) = (1, 1);
        for character in line.chars() {
            match character {
                '«' => begin = column,
                '»' => places.push((number + 1, begin, column - begin)),
                _ => {
                    plain.push(character);
                    column += 1;
                }
            }
        }
        plain.push('\n');
    }
    (plain, places)
}

/// Asserts that exactly these findings come out of a document, each at its mark.
fn assert_found(marked: &str, expected: Expected<'_>) {
    let (text, places) = unmarked(marked);
    let found = diagnostics(&[own("p.yaml", &text)]);
    let shown: Vec<String> =
        found.iter().map(|one| format!("{}:{}+{} {} {} | {:?}", one.line, one.column, one.width, one.code, one.message, one.help)).collect();
    let came: Vec<_> = found.iter().map(|one| (one.line, one.column, one.width, one.code)).collect();
    let wanted: Vec<_> = places.iter().zip(expected).map(|(&(line, column, width), (code, _))| (line, column, width.max(1), *code)).collect();
    assert_eq!(places.len(), expected.len(), "marks and expectations\n{marked}");
    assert_eq!(came, wanted, "\n{marked}\n{shown:#?}");
    for (one, (_, part)) in found.iter().zip(expected) {
        let said = format!("{} | {}", one.message, one.help.as_deref().unwrap_or_default());
        assert!(said.contains(part), "`{part}` in `{said}`\n{marked}");
    }
}

fn assert_clean(text: &str) {
    assert_found(text, &[]);
}

fn own(name: &str, text: &str) -> Source {
    Source { name: name.into(), text: text.into(), origin: Origin::Own }
}

fn shipped(name: &str, text: &str) -> Source {
    Source { origin: Origin::Catalog, ..own(name, text) }
}

/// What documents say, before anybody looks at what roles reach.
struct Alone {
    model: Model,
    cases: Vec<Case>,
    summary: Summary,
    diagnostics: Vec<Diagnostic>,
}

fn read(sources: &[Source], overrides: &BTreeMap<ConnectorId, Override>) -> Alone {
    let (settings, overrides) = super::settings::as_source(overrides, sources.len());
    let mut findings = Findings::new(sources.iter().chain([&settings]));
    let super::Read { model, cases, summary, .. } = super::read(sources, overrides, &mut findings);
    Alone { model, cases, summary, diagnostics: findings.into_diagnostics() }
}

fn diagnostics(sources: &[Source]) -> Vec<Diagnostic> {
    read(sources, &BTreeMap::new()).diagnostics
}

/// The model of documents that hold no error.
fn model_of(sources: &[Source], overrides: &BTreeMap<ConnectorId, Override>) -> Model {
    let read = read(sources, overrides);
    let errors: Vec<_> = read.diagnostics.iter().filter(|one| one.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    read.model
}

fn cases_of(text: &str) -> Vec<Case> {
    read(&[own("p.yaml", text)], &BTreeMap::new()).cases
}

/// A document whose one connector has these operations, one a line, in flow style.
fn with_operations(lines: &[&str]) -> String {
    let mut text = String::from(
        "version: 1\nconnectors:\n  crm:\n    upstream: https://api.example\n    hosts: {upload: https://up.example}\n    scopes: {a:read: {}, a:write: {}, b:all: {}}\n    operations:\n",
    );
    lines.iter().for_each(|line| text.push_str(&format!("      - {line}\n")));
    text
}

/// A document with one connector that has these lines besides what it needs.
fn with_facts(lines: &str) -> String {
    let mut text = String::from("version: 1\nconnectors:\n  crm:\n");
    if !lines.contains("upstream") {
        text.push_str("    upstream: https://api.example\n");
    }
    lines.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    text
}
