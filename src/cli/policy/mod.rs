//! `scopegate policy`: the verbs that read policy files.

mod check;
mod code;
mod diff;
mod explain;
mod fmt;
mod import;
mod matrix;
mod past;
mod replay;
pub(super) mod report;
mod revision;
mod schema;
mod suggest;
mod test;

use super::Outcome;
use super::output::Output;
use crate::gateway::{PolicyPlaces, read_sources};
use crate::{catalog, settings};
use anyhow::bail;
use scopegate_core::policy::Source;
use std::path::{Path, PathBuf};

/// Checks, tests and explains policies.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Policy {
    /// Reports everything that is wrong with policy files.
    Check(check::Check),
    /// Runs the tests that stand in policy files.
    Test(test::Test),
    /// Says what the gateway would decide for a request, and why.
    Explain(explain::Explain),
    /// Shows what a code means, by a wrong and a right example.
    ExplainCode(code::ExplainCode),
    /// Prints each pair of role and operation that became allowed or denied.
    Diff(diff::Diff),
    /// Shows which role may do which operation.
    Matrix(matrix::Matrix),
    /// Lays policy files out, in place.
    Fmt(fmt::Fmt),
    /// Writes a patch that leaves each role the scopes that it used.
    Suggest(suggest::Suggest),
    /// Tells which decisions of the audit would change.
    Replay(replay::Replay),
    /// Makes a connector document of an API's own description.
    #[command(subcommand)]
    Import(import::Import),
    /// Writes the JSON Schema with which editors complete and check these files.
    Schema(schema::Schema),
}

impl Policy {
    pub(super) fn run(self, output: Output) -> anyhow::Result<Outcome> {
        match self {
            Self::Check(verb) => verb.run(output),
            Self::Test(verb) => verb.run(output),
            Self::Explain(verb) => verb.run(output.format()?),
            Self::ExplainCode(verb) => verb.run(output.format()?),
            Self::Diff(verb) => verb.run(output.format()?),
            Self::Matrix(verb) => verb.run(output.format()?),
            Self::Fmt(verb) => verb.run(output.format()?),
            Self::Suggest(verb) => verb.run(output.format()?),
            Self::Replay(verb) => verb.run(output.format()?),
            Self::Import(verb) => verb.run(output.format()?),
            Self::Schema(verb) => verb.run(),
        }
    }
}

/// The policy files that a verb reads.
struct Files {
    places: PolicyPlaces,
    /// The catalog's documents, then the platform team's.
    sources: Vec<Source>,
    /// How many of them are the platform team's.
    own: usize,
}

/// Those given, else those of the settings file, else `./policies`; the catalog is always there.
fn files(given: Vec<PathBuf>, config: &Path) -> anyhow::Result<Files> {
    let places = if !given.is_empty() {
        PolicyPlaces { paths: given, catalog: catalog::sources(), ..PolicyPlaces::default() }
    } else if config.exists() {
        settings::policy_places(config)?
    } else {
        PolicyPlaces { paths: vec!["policies".into()], catalog: catalog::sources(), ..PolicyPlaces::default() }
    };
    let own = read_sources(&places.paths)?;
    if own.is_empty() {
        let looked: Vec<String> = places.paths.iter().map(|path| path.display().to_string()).collect();
        bail!("no policy file (*.yaml, *.yml) in {}", looked.join(", "));
    }
    let count = own.len();
    let sources = places.catalog.iter().cloned().chain(own).collect();
    Ok(Files { places, sources, own: count })
}
