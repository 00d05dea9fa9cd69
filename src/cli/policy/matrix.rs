//! `scopegate policy matrix`: which role may do which operation.

use super::{files, report};
use crate::cli::output::{Format, say, say_json, table};
use crate::cli::{Outcome, SettingsFile};
use scopegate_core::id::{ConnectorId, RoleName};
use scopegate_core::policy::{Answer, DenialReason, Matrix as Table, compile, matrix};
use std::path::PathBuf;

/// Shows which role may do which operation.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Matrix {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    /// As what.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Only this connector; repeatable.
    #[arg(long = "connector", value_name = "CONNECTOR")]
    connectors: Vec<ConnectorId>,
    /// Only this role; repeatable.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleName>,
    #[command(flatten)]
    settings: SettingsFile,
}

/// What the matrix is written as.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Form {
    /// Columns of text.
    Text,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// One page without scripts.
    Html,
}

impl Matrix {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let files = files(self.paths.clone(), &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let Some(policies) = compiled.policies else {
            report::say_findings(&compiled.diagnostics, &files.sources, format)?;
            return Ok(Outcome::No);
        };
        let shown = self.narrowed(matrix(&policies));
        match (format, self.format) {
            (Format::Json, _) => say_json(&shown)?,
            (Format::Human, Form::Text) => say(&text(&shown)),
            (Format::Human, Form::Csv) => say(&csv(&shown)),
            (Format::Human, Form::Html) => say(&html(&shown)),
        }
        Ok(Outcome::Yes)
    }

    fn narrowed(&self, whole: Table) -> Table {
        let is_wanted = |role: &RoleName| self.roles.is_empty() || self.roles.contains(role);
        let kept: Vec<bool> = whole.roles.iter().map(is_wanted).collect();
        let mut rows = whole.rows;
        rows.retain(|row| self.connectors.is_empty() || self.connectors.contains(&row.probed.connector));
        for row in &mut rows {
            row.answers = row.answers.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(answer, _)| *answer).collect();
        }
        Table { roles: whole.roles.into_iter().filter(is_wanted).collect(), rows }
    }
}

const HEAD: [&str; 3] = ["connector", "operation", "match"];

/// Head and rows, each cell a word.
fn cells(matrix: &Table, word: fn(Answer) -> &'static str) -> Vec<Vec<String>> {
    let head = HEAD.map(str::to_owned).into_iter().chain(matrix.roles.iter().map(ToString::to_string)).collect();
    let row = |row: &scopegate_core::policy::Row| {
        let probed = &row.probed;
        let what = probed.content.as_ref().map_or_else(|| probed.r#match.clone(), |content| format!("{} {content}", probed.r#match));
        let named = [probed.connector.to_string(), probed.operation.to_string(), what];
        named.into_iter().chain(row.answers.iter().map(|answer| word(*answer).to_owned())).collect()
    };
    std::iter::once(head).chain(matrix.rows.iter().map(row)).collect()
}

/// What lacks is left open; what somebody refused on purpose is said.
fn text(matrix: &Table) -> String {
    table(&cells(matrix, |answer| match answer {
        Answer::Allow => "allow",
        Answer::Shadow => "shadow",
        Answer::Deny(DenialReason::OperationDenied) => "deny",
        Answer::Deny(_) => "-",
    }))
}

fn csv(matrix: &Table) -> String {
    let quoted = |cell: &String| if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() };
    cells(matrix, Answer::as_str).iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",")).collect::<Vec<_>>().join("\n")
}

const STYLE: &str = "body{font:14px system-ui,sans-serif}table{border-collapse:collapse}caption{text-align:left;padding:.4em 0}th,td{border:1px solid #999;padding:.2em .5em;text-align:left}thead th{position:sticky;top:0;background:#eee}td.allow{background:#d5f0d5}td.shadow{background:#fdf3c8}td.operation_denied{background:#f6d5d5}";

fn html(matrix: &Table) -> String {
    let rows = cells(matrix, Answer::as_str);
    let cell = |tag: &str, text: &String| format!("<{tag}>{}</{tag}>", escaped(text));
    let head: String = rows.first().into_iter().flatten().map(|text| format!("<th scope=\"col\">{}</th>", escaped(text))).collect();
    let line = |row: &Vec<String>| {
        let named: String = row.iter().take(HEAD.len()).map(|text| cell("td", text)).collect();
        let answers: String = row.iter().skip(HEAD.len()).map(|word| format!("<td class=\"{word}\">{word}</td>")).collect();
        format!("<tr>{named}{answers}</tr>\n")
    };
    let body: String = rows.iter().skip(1).map(line).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Roles and operations</title><style>{STYLE}</style></head>\n<body>\n<table>\n<caption>Which role may do which operation, whatever customers granted</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</body>\n</html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
