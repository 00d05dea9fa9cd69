//! `scopegate policy check`.

use super::{Files, files, report};
use crate::cli::output::{Format, Output, count, say};
use crate::cli::{Outcome, SettingsFile, output};
use scopegate_core::policy::{Compiled, Origin, compile, github, junit_of_findings, sarif};
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
    pub(super) fn run(self, output: Output) -> anyhow::Result<Outcome> {
        let files = files(self.paths, &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let found = &compiled.diagnostics;
        let clean = if self.strict { found.is_empty() } else { report::no_errors(found) };
        match output {
            Output::Human => human(&files, &compiled, clean)?,
            Output::Json => report::say_findings(found, &files.sources, Format::Json)?,
            Output::Sarif => output::say_json(&sarif(found, env!("CARGO_PKG_VERSION")))?,
            Output::Github => {
                if !found.is_empty() {
                    say(&github(found));
                }
            }
            Output::Junit => {
                let own = files.sources.iter().filter(|source| source.origin == Origin::Own);
                say(&junit_of_findings(found, &own.map(|source| source.name.clone()).collect::<Vec<_>>(), self.strict));
            }
        }
        Ok(if clean { Outcome::Yes } else { Outcome::No })
    }
}

fn human(files: &Files, compiled: &Compiled, clean: bool) -> anyhow::Result<()> {
    if !compiled.diagnostics.is_empty() {
        report::say_findings(&compiled.diagnostics, &files.sources, Format::Human)?;
    }
    if clean {
        let summary = compiled.summary;
        let unknown = match summary.operations_unknown {
            0 => String::new(),
            count => format!(" ({count} of unknown need, always refused)"),
        };
        say(&format!(
            "{}: {}, {}{unknown}, {}, {}: no errors",
            count(files.own, "file"),
            count(summary.connectors, "connector"),
            count(summary.operations, "operation"),
            count(summary.roles, "role"),
            count(summary.cases, "test request")
        ));
    }
    Ok(())
}
