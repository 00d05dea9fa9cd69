//! `scopegate policy explain-code`.

use super::report;
use crate::cli::Outcome;
use crate::cli::output::{Format, decline, say, say_json, table};
use crate::settings::{CODE_EXAMPLES, SettingsExample};
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
        let is_meant = |known: &str| known.eq_ignore_ascii_case(&code);
        if let Some(example) = CODE_EXAMPLES.iter().find(|example| is_meant(example.code.id)) {
            return of_settings(example, format);
        }
        let Some(example) = code_examples().find(|example| is_meant(example.code)) else {
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
    let of_settings = CODE_EXAMPLES.iter().map(|one| (one.code.id, one.code.severity, one.meaning));
    let listed = code_examples().map(|one| (one.code, one.severity, one.meaning)).chain(of_settings);
    match format {
        Format::Json => {
            say_json(&listed.map(|(code, severity, meaning)| json!({"code": code, "severity": severity, "meaning": meaning})).collect::<Vec<_>>())?;
        }
        Format::Human => {
            let rows = listed.map(|(code, severity, meaning)| vec![code.to_owned(), word(severity).to_owned(), meaning.to_owned()]);
            say(&table(&rows.collect::<Vec<_>>()));
        }
    }
    Ok(Outcome::Yes)
}

/// A code that only settings have. What is found depends on the environment, and is not shown.
fn of_settings(example: &SettingsExample, format: Format) -> anyhow::Result<Outcome> {
    let SettingsExample { code, meaning, wrong, right } = example;
    match format {
        Format::Json => {
            let file = |text: &str| json!([{"file": "scopegate.yaml", "text": text}]);
            say_json(&json!({"code": code.id, "severity": code.severity, "meaning": meaning, "wrong": file(wrong), "right": file(right)}))?;
        }
        Format::Human => {
            let (wrong, right) = (indented(wrong), indented(right));
            say(&format!("{} ({}): {meaning}\n\nwrong\n\n{wrong}\nright\n\n{right}", code.id, word(code.severity)));
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
