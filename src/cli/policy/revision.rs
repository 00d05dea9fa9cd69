//! Policy files as a git revision has them: `HEAD~1:policies`.

use anyhow::{Context, anyhow, bail};
use scopegate_core::policy::{Origin, Source};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// A place in the history: `REV:PATH`, the path relative to the working folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Revision<'a> {
    revision: &'a str,
    path: &'a str,
}

impl<'a> Revision<'a> {
    /// None where the text names a file or folder that is there, or no revision.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (revision, path) = text.split_once(':')?;
        (!revision.is_empty() && !Path::new(text).exists()).then_some(Self { revision, path: if path.is_empty() { "." } else { path } })
    }

    /// The policy files, as [`read_sources`](crate::gateway::read_sources) finds them on disk.
    pub(super) fn sources(self) -> anyhow::Result<Vec<Source>> {
        let Self { revision, path } = self;
        let commit = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])?;
        let commit = commit.map_err(|_| anyhow!("there is no file or folder `{revision}:{path}`, and git knows no revision `{revision}`"))?;
        let listed = told(git(&["ls-tree", "-r", "-z", commit.trim(), "--", path])?)?;
        let mut sources = Vec::new();
        for (id, name) in listed.split('\0').filter_map(blob) {
            if name == path || is_policy_file(name, path) {
                let text = git(&["cat-file", "blob", id]).and_then(told).with_context(|| format!("reading {revision}:{name}"))?;
                sources.push(Source { name: format!("{revision}:{name}"), text, origin: Origin::Own });
            }
        }
        if sources.is_empty() {
            bail!("no policy file (*.yaml, *.yml) in {revision}:{path}");
        }
        sources.sort_by(|left, right| Path::new(&left.name).cmp(Path::new(&right.name)));
        Ok(sources)
    }
}

/// A line of `git ls-tree`: mode, kind and id, a tab, the name. Links are left out.
fn blob(line: &str) -> Option<(&str, &str)> {
    let (facts, name) = line.split_once('\t')?;
    let mut facts = facts.split(' ');
    let is_file = facts.next().is_some_and(|mode| mode.starts_with("100")) && facts.next() == Some("blob");
    Some((facts.next().filter(|_| is_file)?, name))
}

/// Below `folder`, no piece of the name begins with a dot.
fn is_policy_file(name: &str, folder: &str) -> bool {
    let below = name.strip_prefix(folder.trim_end_matches('/')).unwrap_or(name);
    let is_yaml = Path::new(name).extension().is_some_and(|extension| extension == OsStr::new("yaml") || extension == OsStr::new("yml"));
    is_yaml && !below.split('/').any(|piece| piece.starts_with('.'))
}

/// What git writes, or its own words where it fails.
fn git(arguments: &[&str]) -> anyhow::Result<Result<String, String>> {
    let made = Command::new("git").args(arguments).output().context("running git")?;
    if !made.status.success() {
        return Ok(Err(String::from_utf8_lossy(&made.stderr).lines().next().unwrap_or("it failed").to_owned()));
    }
    String::from_utf8(made.stdout).map(Ok).context("a file that is no UTF-8")
}

fn told(made: Result<String, String>) -> anyhow::Result<String> {
    made.map_err(|said| anyhow!("git: {said}"))
}
