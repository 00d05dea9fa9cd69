//! `scopegate policy diff`: what would change.

use super::revision::Revision;
use super::{files, report};
use crate::catalog;
use crate::cli::output::{Format, say, say_json, table, tell};
use crate::cli::{Outcome, SettingsFile};
use crate::gateway::read_sources;
use anyhow::bail;
use scopegate_core::policy::{Difference, Look, PolicySet, Source, compile, diff, render};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Prints each pair of role and operation that became allowed or denied.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Diff {
    /// The policies before: a file, a folder, or REV:PATH as git has it, such as HEAD~1:policies.
    old: String,
    /// The policies after, likewise; without it the files of the settings, else ./policies.
    new: Option<String>,
    /// Differences are no failure.
    #[arg(long)]
    exit_zero: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Diff {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let old = policies(sources(&self.old)?)?;
        let new = match &self.new {
            Some(place) => sources(place)?,
            None => files(Vec::new(), &self.settings.config)?.sources,
        };
        let difference = diff(&old, &policies(new)?);
        match format {
            Format::Json => say_json(&json!({"ok": difference.is_empty(), "difference": difference}))?,
            Format::Human => say(&human(&difference)),
        }
        Ok(if difference.is_empty() || self.exit_zero { Outcome::Yes } else { Outcome::No })
    }
}

/// The catalog's documents, and those of a place on disk or in the history.
fn sources(place: &str) -> anyhow::Result<Vec<Source>> {
    let own = match Revision::of(place) {
        Some(revision) => revision.sources()?,
        None => read_sources(&[PathBuf::from(place)])?,
    };
    if own.is_empty() {
        bail!("no policy file (*.yaml, *.yml) in {place}");
    }
    Ok(catalog::sources().into_iter().chain(own).collect())
}

fn policies(sources: Vec<Source>) -> anyhow::Result<PolicySet> {
    let compiled = compile(&sources, &BTreeMap::new());
    match compiled.policies {
        Some(policies) => Ok(policies),
        None => {
            let errors: Vec<_> = compiled.diagnostics.into_iter().filter(|one| !report::no_errors(std::slice::from_ref(one))).collect();
            tell(&render(&errors, &sources, Look::Plain));
            bail!("the policies have errors, so there is nothing to compare");
        }
    }
}

/// As people read it.
fn human(difference: &Difference) -> String {
    let rows: Vec<Vec<String>> = difference.rows().map(Vec::from).collect();
    let counted = difference.summary();
    if rows.is_empty() { counted } else { format!("{}\n{counted}", table(&rows)) }
}
