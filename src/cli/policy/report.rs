//! Findings as a verb's result.

use crate::cli::output::{Format, say, say_json};
use scopegate_core::policy::{Diagnostic, Look, Severity, Source, render};
use serde_json::json;
use std::io::IsTerminal;

/// Whether none of them is an error.
pub(in crate::cli) fn no_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().all(|one| one.severity != Severity::Error)
}

/// Writes findings to stdout; as JSON in the shape `{ok, diagnostics}`.
pub(in crate::cli) fn say_findings(diagnostics: &[Diagnostic], sources: &[Source], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => say_json(&json!({"ok": no_errors(diagnostics), "diagnostics": diagnostics})),
        Format::Human => {
            say(&render(diagnostics, sources, look()));
            Ok(())
        }
    }
}

/// Colours where somebody looks.
pub(in crate::cli) fn look() -> Look {
    if std::io::stdout().is_terminal() { Look::Coloured } else { Look::Plain }
}
