//! `scopegate policy test`.

use super::{files, report};
use crate::cli::output::{Format, Output, say, say_json};
use crate::cli::{Outcome, SettingsFile};
use anyhow::bail;
use scopegate_core::policy::{Case, CaseOutcome, Coverage, JunitCase, PolicySet, Share, compile, coverage, junit, run};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Runs the tests that stand in policy files, and tells what no test looks at.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    /// Files and folders; without them those of the settings, else ./policies.
    paths: Vec<PathBuf>,
    /// Fails where tests look at less than so many percent of the operations.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_under: Option<u8>,
    /// Fails where tests look at less than so many percent of the pairs of role and operation.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail_under_pairs: Option<u8>,
    /// Lists the operations that no test looks at.
    #[arg(long)]
    untested: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Test {
    pub(super) fn run(self, output: Output) -> anyhow::Result<Outcome> {
        let files = files(self.paths.clone(), &self.settings.config)?;
        let compiled = compile(&files.sources, &files.places.overrides);
        let Some(policies) = compiled.policies else {
            let format = if output == Output::Json { Format::Json } else { Format::Human };
            report::say_findings(&compiled.diagnostics, &files.sources, format)?;
            return Ok(Outcome::No);
        };
        let outcomes = run(&policies, &compiled.cases);
        let covered = coverage(&policies, &compiled.own, &outcomes);
        let failed = outcomes.iter().filter(|outcome| !outcome.is_expected()).count();
        let short = self.short(&covered);
        let ok = failed == 0 && short.is_empty();
        match output {
            Output::Json => say_json(&json!({
                "ok": ok, "passed": outcomes.len() - failed, "failed": failed,
                "cases": outcomes.iter().map(row).collect::<Vec<_>>(), "coverage": as_json(&covered),
            }))?,
            Output::Human => {
                outcomes.iter().filter(|outcome| !outcome.is_expected()).for_each(|outcome| say(&failure(&policies, outcome)));
                say(&match outcomes.len() {
                    0 => "no tests in these files".to_owned(),
                    all => format!("{} of {all} requests came out as expected", all - failed),
                });
                self.say_coverage(&covered, &short);
            }
            Output::Junit => say(&junit("policy test", &outcomes.iter().map(|outcome| junit_case(&policies, outcome)).collect::<Vec<_>>())),
            Output::Sarif | Output::Github => bail!("`policy test` writes human, json or junit"),
        }
        Ok(if ok { Outcome::Yes } else { Outcome::No })
    }

    /// What falls short of what was asked for.
    fn short(&self, covered: &Coverage) -> Vec<String> {
        let asked = [("operations", covered.operations, self.fail_under), ("pairs of role and operation", covered.pairs, self.fail_under_pairs)];
        let short = asked.into_iter().filter_map(|(what, share, least)| {
            let least = usize::from(least?);
            (share.percent() < least).then(|| format!("tests look at {} % of the {what}, and {least} % are asked for", share.percent()))
        });
        short.collect()
    }

    fn say_coverage(&self, covered: &Coverage, short: &[String]) {
        let Coverage { operations, pairs, untested } = covered;
        if operations.of > 0 {
            say(&format!("tests look at {} operations, and at {} pairs of role and operation", of(*operations), of(*pairs)));
        }
        if self.untested {
            untested.iter().for_each(|(connector, operation)| say(&format!("untested  {connector}  {operation}")));
        }
        short.iter().for_each(|sentence| say(sentence));
    }
}

fn of(share: Share) -> String {
    format!("{} of {} ({} %)", share.tested, share.of, share.percent())
}

fn as_json(covered: &Coverage) -> Value {
    let share = |share: Share| json!({"tested": share.tested, "of": share.of, "percent": share.percent()});
    let untested: Vec<Value> =
        covered.untested.iter().map(|(connector, operation)| json!({"connector": connector, "operation": operation})).collect();
    json!({"operations": share(covered.operations), "pairs": share(covered.pairs), "untested": untested})
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

fn junit_case(policies: &PolicySet, outcome: &CaseOutcome<'_>) -> JunitCase {
    let case = outcome.case;
    let failure = (!outcome.is_expected()).then(|| (format!("expected {}, came {}", case.expect, outcome.came()), failure(policies, outcome)));
    JunitCase { class: format!("{} ({})", case.name, case.place.file), name: format!("{} {}", case.role, request(case)), failure, output: None }
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
