//! `scopegate man` and `scopegate completion`: made from the same description as the verbs themselves.

use super::Outcome;
use super::output::{Format, say_json, say_whole};
use anyhow::Context;
use clap_complete::Shell;
use serde_json::{Value, json};

/// The page that a person reads.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum Page {
    /// The command line, as troff for `man -l -`.
    #[default]
    Scopegate,
    /// The policy language.
    Policy,
}

/// Writes a page to stdout.
pub(super) fn man(page: Page, format: Format) -> anyhow::Result<Outcome> {
    let (name, kind, text) = match page {
        Page::Policy => ("policy", "markdown", scopegate_core::policy::REFERENCE.as_bytes().to_vec()),
        Page::Scopegate => ("scopegate", "troff", troff()?),
    };
    write(&text, format, |text| json!({"page": name, "format": kind, "text": text}))
}

fn troff() -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    whole(&super::command(), &mut text)?;
    Ok(text)
}

/// Writes a text as it is, or within JSON.
fn write(text: &[u8], format: Format, wrap: impl FnOnce(&str) -> Value) -> anyhow::Result<Outcome> {
    match format {
        Format::Json => say_json(&wrap(std::str::from_utf8(text)?))?,
        Format::Human => say_whole(text),
    }
    Ok(Outcome::Yes)
}

/// The page of a command, and behind it those of its verbs.
fn whole(command: &clap::Command, text: &mut Vec<u8>) -> anyhow::Result<()> {
    clap_mangen::Man::new(command.clone()).render(text).context("writing the manual")?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    for verb in command.get_subcommands() {
        whole(&verb.clone().display_name(format!("{name}-{}", verb.get_name())), text)?;
    }
    Ok(())
}

/// Writes a shell's completion script to stdout.
pub(super) fn completion(shell: Shell, format: Format) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "scopegate", &mut script);
    write(&script, format, |script| json!({"shell": shell.to_string(), "script": script}))
}
