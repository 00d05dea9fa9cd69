//! `scopegate man` and `scopegate completion`: made from the same description as the verbs themselves.

use super::{Arguments, Outcome};
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

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
pub(super) fn man(page: Page) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    match page {
        Page::Policy => text.extend_from_slice(scopegate_core::policy::REFERENCE.as_bytes()),
        Page::Scopegate => whole(&Arguments::command(), &mut text)?,
    }
    // a reader that went away (`| head`) is no failure
    let _ = std::io::stdout().write_all(&text);
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
pub(super) fn completion(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "scopegate", &mut script);
    let _ = std::io::stdout().write_all(&script);
    Outcome::Yes
}
