//! `scopegate policy test`.

use super::{files, report};
use crate::cli::output::{Format, say, say_json};
use crate::cli::{Outcome, SettingsFile};
use scopegate_core::policy::{Case, CaseOutcome, PolicySet, compile, run};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Runs the tests that stand in policy files.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Test {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let files = files(self.paths, &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let Some(policies) = compiled.policies else {
            report::say_findings(&compiled.diagnostics, &files.sources, format)?;
            return Ok(Outcome::No);
        };
        let outcomes = run(&policies, &compiled.cases);
        let failed = outcomes.iter().filter(|outcome| !outcome.is_expected()).count();
        match format {
            Format::Json => {
                say_json(
                    &json!({"ok": failed == 0, "passed": outcomes.len() - failed, "failed": failed, "cases": outcomes.iter().map(row).collect::<Vec<_>>()}),
                )?;
            }
            Format::Human => {
                outcomes.iter().filter(|outcome| !outcome.is_expected()).for_each(|outcome| say(&failure(&policies, outcome)));
                say(&match outcomes.len() {
                    0 => "no tests in these files".to_owned(),
                    all => format!("{} of {all} requests came out as expected", all - failed),
                });
            }
        }
        Ok(if failed == 0 { Outcome::Yes } else { Outcome::No })
    }
}

fn request(case: &Case) -> String {
    format!("{} {} {}", case.connector, case.method, case.target)
}

fn row(outcome: &CaseOutcome<'_>) -> Value {
    let case = outcome.case;
    json!({
        "name": case.name, "role": case.role, "request": request(case), "file": case.place.file, "line": case.place.line,
        "ok": outcome.is_expected(), "expected": outcome.case.expect.to_string(), "came": outcome.came(),
    })
}

fn failure(policies: &PolicySet, outcome: &CaseOutcome<'_>) -> String {
    let case = outcome.case;
    let explanation = case.explanation(policies).explanation;
    let place = &case.place;
    format!(
        "FAILED {}:{}:{}  {}\n  {} {}\n  expected {}\n  came     {}\n  {}\n",
        place.file,
        place.line,
        place.column,
        case.name,
        case.role,
        request(case),
        outcome.case.expect,
        outcome.came(),
        explanation.join("\n  "),
    )
}
