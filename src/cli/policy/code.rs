//! `scopegate policy explain-code`.

use super::report;
use crate::cli::Outcome;
use crate::cli::output::{Format, decline, say, say_json, table};
use scopegate_core::policy::{CodeCase, CodeExample, Severity, code_examples, compile, render};
use serde_json::{Value, json};

/// Shows what a code means: a document in which it is found, and the same put right.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExplainCode {
    /// The code, such as SG0301; without it all codes are listed.
    code: Option<String>,
}

impl ExplainCode {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let Some(code) = self.code else { return all(format) };
        let Some(example) = code_examples().find(|example| example.code.eq_ignore_ascii_case(&code)) else {
            return decline(&format!("`{code}` is no code; `scopegate policy explain-code` lists them"), format);
        };
        match format {
            Format::Json => say_json(&as_json(&example))?,
            Format::Human => say(&as_text(&example)),
        }
        Ok(Outcome::Yes)
    }
}

fn all(format: Format) -> anyhow::Result<Outcome> {
    match format {
        Format::Json => {
            say_json(&code_examples().map(|one| json!({"code": one.code, "severity": one.severity, "meaning": one.meaning})).collect::<Vec<_>>())?
        }
        Format::Human => {
            let row = |one: CodeExample| vec![one.code.to_owned(), word(one.severity).to_owned(), one.meaning.to_owned()];
            say(&table(&code_examples().map(row).collect::<Vec<_>>()));
        }
    }
    Ok(Outcome::Yes)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn as_text(example: &CodeExample) -> String {
    let found = compile(&example.wrong.sources, &example.wrong.overrides).diagnostics;
    format!(
        "{} ({}): {}\n\nwrong\n\n{}\n{}\nright\n\n{}",
        example.code,
        word(example.severity),
        example.meaning,
        documents(&example.wrong),
        indented(&render(&found, &example.wrong.sources, report::look())),
        documents(&example.right)
    )
}

/// The documents, the settings first; names where there are several.
fn documents(case: &CodeCase) -> String {
    let replaced =
        case.overrides.iter().filter_map(|(connector, replaced)| Some(format!("  {connector}: {{upstream: \"{}\"}}\n", replaced.upstream.as_ref()?)));
    let settings: String = replaced.collect();
    let settings = if settings.is_empty() { settings } else { format!("# scopegate.yaml\nconnectors:\n{settings}\n") };
    let several = case.sources.len() > 1 || !settings.is_empty();
    let files = case.sources.iter().map(|source| if several { format!("# {}\n{}", source.name, source.text) } else { source.text.clone() });
    indented(&format!("{settings}{}", files.collect::<Vec<_>>().join("\n")))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

fn as_json(example: &CodeExample) -> Value {
    let files = |case: &CodeCase| case.sources.iter().map(|source| json!({"file": source.name, "text": source.text})).collect::<Vec<_>>();
    let found = compile(&example.wrong.sources, &example.wrong.overrides).diagnostics;
    json!({
        "code": example.code, "severity": example.severity, "meaning": example.meaning,
        "wrong": files(&example.wrong), "diagnostics": found, "right": files(&example.right),
    })
}
