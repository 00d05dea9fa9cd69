//! `scopegate policy check`.

use super::{files, report};
use crate::cli::output::{Format, say};
use crate::cli::{Outcome, SettingsFile};
use scopegate_core::policy::compile;
use std::path::PathBuf;

/// Reports everything that is wrong with policy files.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    /// Warnings count as errors.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Check {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let files = files(self.paths, &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let clean = if self.strict { compiled.diagnostics.is_empty() } else { report::no_errors(&compiled.diagnostics) };
        if format == Format::Json || !compiled.diagnostics.is_empty() {
            report::say_findings(&compiled.diagnostics, &files.sources, format)?;
        }
        if format == Format::Human && clean {
            let summary = compiled.summary;
            let unknown = match summary.operations_unknown {
                0 => String::new(),
                count => format!(" ({count} of unknown need, always refused)"),
            };
            say(&format!(
                "{} files: {} connectors, {} operations{unknown}, {} roles, {} test requests: no errors",
                files.own, summary.connectors, summary.operations, summary.roles, summary.cases
            ));
        }
        Ok(if clean { Outcome::Yes } else { Outcome::No })
    }
}
