//! `scopegate init`: a new project folder that checks clean and serves at once.

use super::Outcome;
use super::output::{Format, say, say_json, tell};
use crate::new_file::write_new;
use crate::vault::key_file;
use crate::{chance, settings};
use anyhow::Context;
use scopegate_core::policy::{cases_schema, policy_schema};
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
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
    (".gitignore", Content::Lines("# Secrets, and what the gateway writes.\n/keys/\n/data/\n")),
    ("schemas/policy.json", Content::Schema(policy_schema)),
    ("schemas/cases.json", Content::Schema(cases_schema)),
    ("schemas/settings.json", Content::Schema(settings::schema)),
];

/// What somebody does next, in the new folder.
const NEXT: [&str; 3] = ["scopegate policy test", "scopegate doctor", "scopegate serve"];

#[derive(Clone, Copy)]
enum Content {
    Text(&'static str),
    /// A text whose lines are added to a file that is there, as far as it lacks them.
    Lines(&'static str),
    Schema(fn() -> Value),
    /// Written by its own maker.
    WrappingKey,
    /// A new secret, for its owner's eyes.
    Token,
}

impl Init {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let folder = self.folder;
        let new = FILES.iter().filter(|(_, content)| !matches!(content, Content::Lines(_)));
        let taken: Vec<&str> = new.map(|(name, _)| *name).filter(|name| folder.join(name).symlink_metadata().is_ok()).collect();
        if !taken.is_empty() {
            let shown = folder.display();
            match format {
                Format::Human => tell(&format!("scopegate: nothing was made, for {shown} has already: {}", taken.join(", "))),
                Format::Json => say_json(&json!({"folder": folder, "made": [], "exists": taken}))?,
            }
            return Ok(Outcome::No);
        }
        let mut made = Made::default();
        for (name, content) in FILES {
            made.make(content, folder.join(name))?;
        }
        made.keep();
        match format {
            Format::Human => say(&told(&folder)),
            Format::Json => say_json(&json!({"folder": folder, "made": FILES.map(|(name, _)| name), "exists": [], "next": NEXT}))?,
        }
        Ok(Outcome::Yes)
    }
}

/// What is there so far. Unless it is kept it goes again, so that it is not in the way of the next try.
#[derive(Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn make(&mut self, content: Content, path: PathBuf) -> anyhow::Result<()> {
        if let Content::Lines(lines) = content
            && let Ok(there) = fs::read_to_string(&path)
        {
            return add(lines, &there, &path).with_context(|| format!("writing {}", path.display()));
        }
        content.write(&path)?;
        self.0.push(path);
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(fault) = fs::remove_file(path)
                && fault.kind() != ErrorKind::NotFound
            {
                tell(&format!("scopegate: {} stays, and has to be removed before the next try: {fault}", path.display()));
            }
        }
    }
}

/// Adds the lines that a file lacks.
fn add(lines: &str, there: &str, path: &Path) -> std::io::Result<()> {
    let is_there = |line: &&str| there.lines().any(|one| one.trim() == *line);
    let missing: String = lines.lines().filter(|line| !is_there(line)).map(|line| format!("{line}\n")).collect();
    let gap = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    OpenOptions::new().append(true).open(path)?.write_all(format!("{gap}{missing}").as_bytes())
}

impl Content {
    /// Writes a file that is not there yet.
    fn write(self, path: &Path) -> anyhow::Result<()> {
        let failed = || format!("writing {}", path.display());
        let (text, mode) = match self {
            Self::Text(text) | Self::Lines(text) => (text.to_owned(), 0o666),
            Self::Schema(schema) => (format!("{:#}\n", schema()), 0o666),
            Self::Token => (format!("{}\n", hex::encode(chance::bytes::<24>())), 0o600),
            Self::WrappingKey => return key_file::generate(path).map(drop).with_context(failed),
        };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o777).create(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        write_new(path, mode, text.as_bytes()).with_context(failed)
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
