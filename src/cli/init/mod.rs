//! `scopegate init`: a new project folder that checks clean and serves at once.

use super::Outcome;
use super::output::{Format, say, say_json, tell};
use crate::vault::key_file;
use crate::{chance, settings};
use anyhow::Context;
use scopegate_core::policy::{cases_schema, policy_schema};
use serde_json::{Value, json};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes a new project folder: settings, a first policy with tests, a wrapping key, an admin token, schemas for editors.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Where to; a folder that is not there is made, and a file that is there is never written over.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

/// What the new folder gets, in the order in which people read it.
const FILES: [(&str, Content); 9] = [
    ("scopegate.yaml", Content::Text(include_str!("project/scopegate.yaml"))),
    ("policies/tickets.yaml", Content::Text(include_str!("project/tickets.yaml"))),
    ("policies/tickets.cases.yaml", Content::Text(include_str!("project/tickets.cases.yaml"))),
    ("keys/kek-1", Content::WrappingKey),
    ("keys/admin-token", Content::Token),
    (".gitignore", Content::Text("# Secrets, and what the gateway writes.\n/keys/\n/data/\n")),
    ("schemas/policy.json", Content::Schema(policy_schema)),
    ("schemas/cases.json", Content::Schema(cases_schema)),
    ("schemas/settings.json", Content::Schema(settings::schema)),
];

/// What somebody does next, in the new folder.
const NEXT: [&str; 3] = ["scopegate policy test", "scopegate doctor", "scopegate serve"];

#[derive(Clone, Copy)]
enum Content {
    Text(&'static str),
    Schema(fn() -> Value),
    /// Written by its own maker.
    WrappingKey,
    /// A new secret, for its owner's eyes.
    Token,
}

impl Init {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let folder = self.folder;
        let taken: Vec<&str> = FILES.iter().map(|(name, _)| *name).filter(|name| folder.join(name).symlink_metadata().is_ok()).collect();
        if !taken.is_empty() {
            let shown = folder.display();
            match format {
                Format::Human => tell(&format!("scopegate: nothing was made, for {shown} has already: {}", taken.join(", "))),
                Format::Json => say_json(&json!({"folder": folder, "made": [], "exists": taken}))?,
            }
            return Ok(Outcome::No);
        }
        for (name, content) in FILES {
            content.write(&folder.join(name))?;
        }
        match format {
            Format::Human => say(&told(&folder)),
            Format::Json => say_json(&json!({"folder": folder, "made": FILES.map(|(name, _)| name), "exists": [], "next": NEXT}))?,
        }
        Ok(Outcome::Yes)
    }
}

impl Content {
    /// Writes a file that is not there yet.
    fn write(self, path: &Path) -> anyhow::Result<()> {
        let failed = || format!("writing {}", path.display());
        let (text, mode) = match self {
            Self::Text(text) => (text.to_owned(), 0o666),
            Self::Schema(schema) => (format!("{:#}\n", schema()), 0o666),
            Self::Token => (format!("{}\n", hex::encode(chance::bytes::<24>())), 0o600),
            Self::WrappingKey => return key_file::generate(path).map(drop).with_context(failed),
        };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o777).create(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(failed)
    }
}

fn told(folder: &Path) -> String {
    let mut text = format!("made in {}:\n", folder.display());
    FILES.iter().for_each(|(name, _)| text.push_str(&format!("  {name}\n")));
    text.push_str("next:\n");
    if folder != Path::new(".") {
        text.push_str(&format!("  cd {}\n", folder.display()));
    }
    NEXT.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
    text
}
