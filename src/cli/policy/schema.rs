//! `scopegate policy schema`.

use crate::cli::Outcome;
use crate::cli::output::say_json;
use crate::settings;
use scopegate_core::policy::{cases_schema, policy_schema};

/// Writes the JSON Schema (draft-07) with which editors complete and check policy documents.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Schema {
    /// That of `scopegate.yaml` instead.
    #[arg(long, conflicts_with = "cases")]
    settings: bool,
    /// That of `*.cases.yaml` instead.
    #[arg(long)]
    cases: bool,
}

impl Schema {
    /// The schema is its own JSON: people and programs get the same.
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        say_json(&if self.settings {
            settings::schema()
        } else if self.cases {
            cases_schema()
        } else {
            policy_schema()
        })?;
        Ok(Outcome::Yes)
    }
}
