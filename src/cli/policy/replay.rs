//! `scopegate policy replay`: past decisions that would change.

use super::past::PastEvents;
use super::{files, report};
use crate::audit::{Event, Verdict};
use crate::cli::output::{Format, say, say_json, table};
use crate::cli::{Outcome, SettingsFile};
use scopegate_core::id::{ConnectorId, RoleName};
use scopegate_core::policy::{Again, Answer, DenialReason, Past, again, compile};
use scopegate_core::refusal::Reason;
use scopegate_core::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Tells which decisions of the audit would change under these files.
///
/// The audit keeps neither queries nor bodies: where an operation is narrowed by them, or reads them, nobody can tell.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Replay {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    past: PastEvents,
    /// Changes are no failure.
    #[arg(long)]
    exit_zero: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

/// What came of requests, and what would come of them now: alike for all of a group.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Group {
    role: RoleName,
    connector: ConnectorId,
    operation: String,
    method: String,
    before: &'static str,
    after: &'static str,
}

/// How many there are, and the youngest.
#[derive(Clone, Debug, Serialize)]
struct Seen {
    count: usize,
    path: String,
    time: Timestamp,
    request_id: String,
}

#[derive(Default)]
struct Tally {
    same: usize,
    cannot_tell: usize,
    /// What policies did not decide.
    others: usize,
    changed: BTreeMap<Group, Seen>,
}

impl Replay {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let files = files(self.paths, &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let Some(policies) = compiled.policies else {
            report::say_findings(&compiled.diagnostics, &files.sources, format)?;
            return Ok(Outcome::No);
        };
        let mut tally = Tally::default();
        let others = self.past.each(&self.settings, |event, connector, role| {
            let (Some(method), Some(path), Some(before)) = (&event.method, &event.path, decided(event)) else {
                tally.others += 1;
                return;
            };
            let past = Past { connector, role, method, path, websocket: event.upstream_status == Some(101) };
            match again(&policies, &past) {
                Again::CannotTell => tally.cannot_tell += 1,
                Again::Decided(answer, _) if word(answer) == before => tally.same += 1,
                Again::Decided(answer, operation) => {
                    let operation = operation.or_else(|| event.operation.as_deref().map(str::to_owned)).unwrap_or_else(|| "-".to_owned());
                    let group = Group {
                        role: role.clone(),
                        connector: connector.clone(),
                        operation,
                        method: method.clone().into_owned(),
                        before,
                        after: word(answer),
                    };
                    tally.add(group, event, path);
                }
            }
        })?;
        tally.others += others;
        tally.say(format)?;
        Ok(if tally.changed.is_empty() || self.exit_zero { Outcome::Yes } else { Outcome::No })
    }
}

/// What the policies decided then, as far as role and operation go; none where something else did.
fn decided(event: &Event) -> Option<&'static str> {
    match (event.decision, event.reason) {
        (Verdict::Allow, _) => Some("allow"),
        (Verdict::WouldDeny, _) => Some("shadow"),
        // The role would have done.
        (Verdict::Deny, Some(Reason::ConsentRequired | Reason::ReauthorizationRequired)) => Some("allow"),
        (Verdict::Deny, Some(reason @ (Reason::UnknownOperation | Reason::OperationDenied | Reason::RoleLacksScope))) => Some(reason.as_str()),
        (Verdict::Deny, _) => None,
    }
}

/// Consent is the customer's, and nobody kept it.
fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Deny(DenialReason::ConsentRequired | DenialReason::ReauthorizationRequired) => Answer::Allow.as_str(),
        other @ (Answer::Allow | Answer::Shadow | Answer::Deny(_)) => other.as_str(),
    }
}

impl Tally {
    fn add(&mut self, group: Group, event: &Event, path: &str) {
        let seen = Seen { count: 1, path: path.to_owned(), time: event.time, request_id: event.request_id.to_string() };
        self.changed.entry(group).and_modify(|known| *known = Seen { count: known.count + 1, ..seen.clone() }).or_insert(seen);
    }

    fn say(&self, format: Format) -> anyhow::Result<()> {
        let Self { same, cannot_tell, others, changed } = self;
        let requests: usize = changed.values().map(|seen| seen.count).sum();
        match format {
            Format::Json => {
                #[derive(Serialize)]
                struct Row<'a> {
                    #[serde(flatten)]
                    group: &'a Group,
                    #[serde(flatten)]
                    youngest: &'a Seen,
                }
                let rows: Vec<Row<'_>> = changed.iter().map(|(group, youngest)| Row { group, youngest }).collect();
                say_json(
                    &json!({"ok": changed.is_empty(), "same": same, "changed": requests, "cannot_tell": cannot_tell, "others": others, "changes": rows}),
                )?;
            }
            Format::Human => {
                let row = |(group, seen): (&Group, &Seen)| {
                    let Group { role, connector, operation, method, before, after } = group;
                    vec![
                        format!("{} x", seen.count),
                        role.to_string(),
                        connector.to_string(),
                        operation.clone(),
                        format!("{method} {}", seen.path),
                        format!("{before} -> {after}"),
                    ]
                };
                let rows: Vec<Vec<String>> = changed.iter().map(row).collect();
                if !rows.is_empty() {
                    say(&table(&rows));
                }
                say(&format!(
                    "{requests} requests would be decided differently, {same} alike; of {cannot_tell} nobody can tell, and {others} were not decided by policies"
                ));
            }
        }
        Ok(())
    }
}
