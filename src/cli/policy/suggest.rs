//! `scopegate policy suggest`: the least scopes that each role really used, as a patch.

use super::fmt::patch;
use super::past::PastEvents;
use super::{files, report};
use crate::audit::Verdict;
use crate::cli::output::{Format, say, say_json, tell};
use crate::cli::{Outcome, SettingsFile};
use scopegate_core::policy::{Suggested, Suggestion, Use, compile, suggest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Writes a patch that leaves each role the scopes that the audit shows it used.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Suggest {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    past: PastEvents,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Suggest {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let files = files(self.paths, &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let Some(policies) = compiled.policies else {
            report::say_findings(&compiled.diagnostics, &files.sources, format)?;
            return Ok(Outcome::No);
        };
        let mut uses: BTreeSet<Use> = BTreeSet::new();
        let mut events = 0;
        self.past.each(&self.settings, |event, connector, role| {
            // What was let through by shadow mode is what the role lacks, not what it has too much.
            if event.decision == Verdict::Allow && event.operation.is_some() {
                events += 1;
                uses.insert(Use { role: role.clone(), connector: connector.clone(), required: event.required.to_vec() });
            }
        })?;
        let Suggested { suggestions, texts } = suggest(&policies, &files.sources, &uses);
        let patches = texts.iter().filter_map(|(number, text)| Some(patch(files.sources.get(*number)?, text)));
        let patch: String = patches.collect();
        match format {
            Format::Json => say_json(&json!({
                "ok": suggestions.is_empty(), "events": events, "suggestions": suggestions.iter().map(row).collect::<Vec<_>>(), "patch": patch,
            }))?,
            Format::Human => {
                suggestions.iter().for_each(|one| tell(&sentence(one)));
                tell(&format!("{events} allowed requests; {} entries of roles allow more than these used", suggestions.len()));
                if !patch.is_empty() {
                    say(&patch);
                }
            }
        }
        Ok(if suggestions.is_empty() { Outcome::Yes } else { Outcome::No })
    }
}

fn row(one: &Suggestion) -> Value {
    let Suggestion { role, connector, allowed, suggested, place } = one;
    json!({"role": role, "connector": connector, "allowed": allowed, "suggested": suggested, "file": place.file, "line": place.line})
}

fn sentence(one: &Suggestion) -> String {
    let suggested = one.suggested.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let place = &one.place;
    format!("{}:{}:{}: {} at {}: [{}] -> [{suggested}]", place.file, place.line, place.column, one.role, one.connector, one.allowed.join(", "))
}
