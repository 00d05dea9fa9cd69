//! `scopegate policy fmt`: lays policy files out.

use super::{files, report};
use crate::cli::output::{Format, count, say, say_json};
use crate::cli::{Outcome, SettingsFile};
use anyhow::{Context, bail};
use scopegate_core::policy::{Diagnostic, Origin, Source, Unformatted, compile, diff, format};
use serde_json::json;
use similar::TextDiff;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Lays policy files out, in place: comments stay, and so does what the files say.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Fmt {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    /// Writes nothing, prints what would change, and fails where something would.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Fmt {
    pub(super) fn run(self, output: Format) -> anyhow::Result<Outcome> {
        let files = files(self.paths, &self.settings.config)?;
        let mut laid_out = files.sources.clone();
        let mut faults: Vec<Diagnostic> = Vec::new();
        for source in laid_out.iter_mut().filter(|source| source.origin == Origin::Own) {
            match format(&source.name, &source.text) {
                Ok(text) => source.text = text,
                Err(Unformatted::Faulty(found)) => faults.extend(found),
                Err(Unformatted::Unsafe) => {
                    bail!("{} is laid out in a way that would not survive: it stays as it is, and so does every other file", source.name)
                }
            }
        }
        if !faults.is_empty() {
            report::say_findings(&faults, &files.sources, output)?;
            return Ok(Outcome::No);
        }
        prove_equal(&files.sources, &laid_out)?;
        let changed: Vec<(&Source, &Source)> = files.sources.iter().zip(&laid_out).filter(|(before, after)| before.text != after.text).collect();
        if !self.check {
            for (_, after) in &changed {
                rewrite(Path::new(&after.name), &after.text)?;
            }
        }
        let names: Vec<&str> = changed.iter().map(|(before, _)| before.name.as_str()).collect();
        let patches: String = changed.iter().map(|(before, after)| patch(before, &after.text)).collect();
        match output {
            Format::Json if self.check => say_json(&json!({"ok": names.is_empty(), "files": names, "patch": patches}))?,
            Format::Json => say_json(&json!({"ok": true, "files": names}))?,
            Format::Human if self.check && !names.is_empty() => say(&patches),
            Format::Human if names.is_empty() => say(&format!("{}: all in order", count(files.own, "file"))),
            Format::Human => names.iter().for_each(|name| say(&format!("{name}: laid out"))),
        }
        Ok(if self.check && !names.is_empty() { Outcome::No } else { Outcome::Yes })
    }
}

/// Each document says the same, piece by piece, or it was not laid out; and so do all together, as far as they are right.
fn prove_equal(before: &[Source], after: &[Source]) -> anyhow::Result<()> {
    let none = std::collections::BTreeMap::new();
    let same = match (compile(before, &none).policies, compile(after, &none).policies) {
        (Some(before), Some(after)) => {
            let difference = diff(&before, &after);
            difference.is_empty() && difference.consent.is_empty()
        }
        (before, after) => before.is_none() && after.is_none(),
    };
    if !same {
        bail!("the files would not say the same afterwards: nothing was written");
    }
    Ok(())
}

/// What changes in a file, as `patch` and `git apply` take it.
pub(super) fn patch(before: &Source, after: &str) -> String {
    let name = before.name.trim_start_matches("./");
    let (old, new) = if name.starts_with('/') { (name.to_owned(), name.to_owned()) } else { (format!("a/{name}"), format!("b/{name}")) };
    TextDiff::from_lines(before.text.as_str(), after).unified_diff().header(&old, &new).to_string()
}

/// Writes the file whole or not at all; behind a link, the file that it leads to.
fn rewrite(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("writing {}", path.display());
    let real = fs::canonicalize(path).with_context(failed)?;
    let folder = real.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().tempfile_in(folder).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.as_file().set_permissions(fs::metadata(&real).with_context(failed)?.permissions()).with_context(failed)?;
    file.persist(&real).with_context(failed)?;
    Ok(())
}
