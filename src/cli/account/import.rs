//! `scopegate account import`: many accounts with their credentials, from JSON lines.
//!
//! The gateway checks all lines before it takes one. Lines that belong together, an account and those that share its
//! grant, go to it in one piece, of which it takes all or nothing; so an import that was cut off goes on when it is run again.

use crate::cli::Outcome;
use crate::cli::api::{Api, Call};
use crate::cli::output::{Format, say, say_json, table};
use crate::cli::progress::Progress;
use anyhow::Context;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How much goes to the gateway in one piece, unless more belongs together.
const LINES: usize = 500;
const BYTES: usize = 4 << 20;

/// Fewer lines than this take no time worth telling of.
const LONG: usize = 1000;

/// Brings many accounts with their credentials; run again, it goes on where it was cut off.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// JSON lines {"connector", "identifier", "customer", "role", "variables"?, "credentials"? or "grant"?}; `-` reads standard input.
    file: PathBuf,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Summary {
    ok: bool,
    created: usize,
    updated: usize,
    unchanged: usize,
    failed: usize,
    findings: Vec<Finding>,
}

/// What is wrong with a line.
#[derive(Debug, Deserialize, Serialize)]
struct Finding {
    line: usize,
    field: Option<String>,
    message: String,
}

/// What the gateway did with a piece.
#[derive(Debug, Deserialize)]
struct Imported {
    created: usize,
    updated: usize,
    unchanged: usize,
}

impl Import {
    pub(super) fn run(&self, api: &Api, format: Format) -> anyhow::Result<Outcome> {
        let text = read(&self.file)?;
        let lines: Vec<Line<'_>> = (1..).zip(text.split(|byte| *byte == b'\n')).filter_map(|(number, text)| Line::new(number, text)).collect();
        let pieces = pieces(&lines);
        let mut summary = Summary::default();
        let mut progress = Progress::new("checked", "lines", lines.len(), LONG);
        for piece in &pieces {
            if let Err(findings) = piece.send(api, "/v1/accounts:import?check")? {
                summary.findings.extend(findings);
            }
            progress.add(piece.0.len());
        }
        drop(progress);
        if !summary.findings.is_empty() {
            summary.failed = lines.len();
            return summary.told(&self.file, format);
        }
        let done = summary.import(api, &pieces, lines.len());
        let outcome = summary.told(&self.file, format)?;
        done.with_context(|| format!("{} lines are not in: run it again, and what is in stays as it is", summary.failed))?;
        Ok(outcome)
    }
}

impl Summary {
    /// Imports piece by piece; an error keeps the rest out.
    fn import(&mut self, api: &Api, pieces: &[Piece<'_>], lines: usize) -> anyhow::Result<()> {
        let mut progress = Progress::new("imported", "lines", lines, LONG);
        self.failed = lines;
        for piece in pieces {
            match piece.send(api, "/v1/accounts:import")? {
                Ok(imported) => {
                    self.created += imported.created;
                    self.updated += imported.updated;
                    self.unchanged += imported.unchanged;
                    self.failed -= piece.0.len();
                }
                // Somebody else has changed accounts since they were checked.
                Err(findings) => self.findings.extend(findings),
            }
            progress.add(piece.0.len());
        }
        Ok(())
    }

    fn told(&mut self, file: &Path, format: Format) -> anyhow::Result<Outcome> {
        self.ok = self.failed == 0;
        self.findings.sort_by_key(|finding| finding.line);
        match format {
            Format::Json => say_json(self)?,
            Format::Human => {
                self.findings.iter().for_each(|one| say(&format!("{}:{}: {}", file.display(), one.line, one.message)));
                let counts = [("created", self.created), ("updated", self.updated), ("unchanged", self.unchanged), ("failed", self.failed)];
                say(&table(&counts.map(|(name, count)| vec![name.to_owned(), count.to_string()])));
            }
        }
        Ok(if self.ok { Outcome::Yes } else { Outcome::No })
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut text).context("reading accounts from standard input")?;
    } else {
        text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    }
    Ok(text)
}

/// A line that holds something.
struct Line<'t> {
    /// From 1.
    number: usize,
    text: &'t [u8],
    /// Its account, and the one whose grant it shares; none where the gateway will say what is wrong with it.
    names: Option<(Name, Option<Name>)>,
}

/// Connector and identifier.
type Name = (String, String);

/// Of a line what says where it belongs.
#[derive(Deserialize)]
struct Names {
    connector: String,
    identifier: String,
    grant: Option<Shared>,
}

#[derive(Deserialize)]
struct Shared {
    shared_with: String,
}

impl<'t> Line<'t> {
    fn new(number: usize, text: &'t [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let names = serde_json::from_slice::<Names>(text).ok().map(|names| {
            let owner = names.grant.map(|grant| (names.connector.clone(), grant.shared_with));
            ((names.connector, names.identifier), owner)
        });
        (!text.is_empty()).then_some(Self { number, text, names })
    }
}

/// Lines that go to the gateway together.
struct Piece<'l>(Vec<&'l Line<'l>>);

/// The lines in pieces; lines that name the same accounts are in the same one.
fn pieces<'l>(lines: &'l [Line<'l>]) -> Vec<Piece<'l>> {
    let mut together = Together::default();
    let mut groups: Vec<Vec<&Line<'_>>> = Vec::new();
    let roots: Vec<Option<usize>> = lines.iter().map(|line| line.names.as_ref().map(|(own, owner)| together.join(own, owner.as_ref()))).collect();
    let mut at: HashMap<usize, usize> = HashMap::new();
    for (line, root) in lines.iter().zip(roots) {
        let group = root.map_or(groups.len(), |root| *at.entry(together.root(root)).or_insert(groups.len()));
        match groups.get_mut(group) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut room = (0, 0);
    for group in groups {
        let bytes = group.iter().map(|line| line.text.len()).sum::<usize>();
        match pieces.last_mut().filter(|_| group.len() <= room.0 && bytes <= room.1) {
            Some(piece) => piece.0.extend(&group),
            None => {
                pieces.push(Piece(group.clone()));
                room = (LINES, BYTES);
            }
        }
        room = (room.0.saturating_sub(group.len()), room.1.saturating_sub(bytes));
    }
    pieces
}

/// Which names belong together, directly or not.
#[derive(Default)]
struct Together {
    known: HashMap<Name, usize>,
    above: Vec<usize>,
}

impl Together {
    fn join(&mut self, one: &Name, other: Option<&Name>) -> usize {
        let one = self.number(one);
        if let Some(other) = other {
            let (one, other) = (self.root(one), self.number(other));
            let other = self.root(other);
            if let Some(above) = self.above.get_mut(other) {
                *above = one;
            }
        }
        one
    }

    fn number(&mut self, name: &Name) -> usize {
        let next = self.above.len();
        let number = *self.known.entry(name.clone()).or_insert(next);
        if number == next {
            self.above.push(next);
        }
        number
    }

    fn root(&self, mut number: usize) -> usize {
        while let Some(above) = self.above.get(number).filter(|above| **above != number) {
            number = *above;
        }
        number
    }
}

impl Piece<'_> {
    /// Sends the lines; or what is wrong with which of them.
    fn send(&self, api: &Api, path: &str) -> anyhow::Result<Result<Imported, Vec<Finding>>> {
        let body = self.0.iter().flat_map(|line| [line.text, b"\n"]).flatten().copied().collect();
        let answer = api.ask(Call::new(Method::POST, path.into()).with_lines(body))?;
        if answer.status == 422
            && let Some(findings) = answer.body.get("findings")
        {
            let mut findings = Vec::<Finding>::deserialize(findings).context("the admin API told of findings in a way that is not known here")?;
            for finding in &mut findings {
                finding.line = self.0.get(finding.line.saturating_sub(1)).map_or(0, |line| line.number);
            }
            return Ok(Err(findings));
        }
        answer.must()?;
        Imported::deserialize(&answer.body).map(Ok).context("the admin API answered without counts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_belong_together_go_in_one_piece_and_no_line_is_lost() {
        let line = |identifier: &str, owner: Option<&str>| {
            let grant = owner.map_or(String::new(), |owner| format!(r#", "grant": {{"shared_with": "{owner}"}}"#));
            format!(r#"{{"connector": "crm", "identifier": "{identifier}"{grant}}}"#)
        };
        let mut text: Vec<String> = (0..1200).map(|number| line(&format!("u{number}"), None)).collect();
        // sharers stand before and far behind their owners, and one shares with a sharer; a line that is no JSON stands between
        text.insert(0, line("s0", Some("u1199")));
        text.insert(600, "no json".into());
        text.push(line("s1", Some("u0")));
        text.push(line("s2", Some("s1")));
        text.push(line("u5", Some("u700")));
        let text = text.join("\n");
        let lines: Vec<Line<'_>> =
            (1..).zip(text.as_bytes().split(|byte| *byte == b'\n')).filter_map(|(number, text)| Line::new(number, text)).collect();
        let pieces = pieces(&lines);
        let mut numbers: Vec<usize> = pieces.iter().flat_map(|piece| piece.0.iter().map(|line| line.number)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=1205).collect::<Vec<_>>());
        assert!(pieces.len() <= 4 && pieces.iter().all(|piece| piece.0.len() <= LINES), "{}", pieces.len());
        let home = |name: &str| {
            let holds = |piece: &&Piece<'_>| piece.0.iter().any(|line| line.names.as_ref().is_some_and(|(own, _)| own.1 == name));
            pieces.iter().filter(holds).map(|piece| piece.0[0].number).collect::<Vec<_>>()
        };
        for (one, other) in [("s0", "u1199"), ("s1", "u0"), ("s2", "u0"), ("u5", "u700")] {
            assert_eq!((home(one), home(one).len()), (home(other), 1), "{one} and {other}");
        }
    }
}
