//! How verbs say what they found.
//!
//! What a verb does it does whether somebody reads its result or not: that a result was lost is noted, and told at the end.

use super::Outcome;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// How results are written, as far as any verb knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people.
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code scanning (`policy check`).
    Sarif,
    /// Workflow commands of GitHub (`policy check`).
    Github,
    /// A JUnit report (`policy check`, `policy test`).
    Junit,
}

impl Output {
    /// What every verb knows.
    /// # Errors
    /// It is none of these.
    pub(super) fn format(self) -> anyhow::Result<Format> {
        match self {
            Self::Human => Ok(Format::Human),
            Self::Json => Ok(Format::Json),
            Self::Sarif | Self::Github => anyhow::bail!("only `policy check` writes sarif and github"),
            Self::Junit => anyhow::bail!("only `policy check` and `policy test` write junit"),
        }
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// Why the process's one output did not take all that was said.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes a result.
pub(super) fn say(text: &str) {
    note(writeln!(io::stdout(), "{}", text.trim_end_matches('\n')));
}

/// Writes a text as it is.
pub(super) fn say_whole(text: &[u8]) {
    note(io::stdout().write_all(text));
}

/// Notes whether something was written to stdout. A reader that went away (`| head`) has what it wanted.
pub(super) fn note(written: io::Result<()>) {
    if let Err(fault) = written
        && fault.kind() != ErrorKind::BrokenPipe
    {
        // The first reason is the one to tell.
        let _ = LOST.set(fault);
    }
}

/// Brings everything that was said to where it goes.
/// # Errors
/// Some of it was lost.
pub(super) fn finish() -> Result<(), &'static io::Error> {
    note(io::stdout().flush());
    LOST.get().map_or(Ok(()), Err)
}

/// Whether nobody will read what is said from here on; for what goes on until it is ended.
pub(super) fn is_closed() -> bool {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let answered = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    let [stdout] = asked;
    LOST.get().is_some() || (answered.is_ok() && stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Writes a result as JSON.
/// # Errors
/// The value has no JSON form.
pub(super) fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Says no, and why: on stderr, or as JSON. What is there stays as it is.
/// # Errors
/// As [`say_json`].
pub(super) fn decline(sentence: &str, format: Format) -> anyhow::Result<Outcome> {
    match format {
        Format::Human => tell(&format!("scopegate: {sentence}")),
        Format::Json => say_json(&serde_json::json!({"ok": false, "message": sentence}))?,
    }
    Ok(Outcome::No)
}

/// Writes what is not a result.
pub(super) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end_matches('\n'));
}

/// Writes what kept a verb from running, with its causes.
pub(super) fn complain(error: &anyhow::Error) {
    tell(&format!("scopegate: {error:#}"));
}

/// `1 file`, `2 files`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Rows in columns that are as wide as they have to be.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
