//! Findings in the forms that other programs read: SARIF, GitHub's workflow commands, JUnit.

use super::diagnostic::{Diagnostic, Severity};
use super::examples::code_examples;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// SARIF 2.1.0, for code scanning. `version` is that of the program.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic], version: &str) -> Value {
    let found: BTreeSet<&str> = diagnostics.iter().map(|one| one.code).collect();
    let rules: Vec<Value> = code_examples()
        .filter(|example| found.contains(example.code))
        .map(|example| {
            json!({
                "id": example.code,
                "shortDescription": {"text": example.meaning},
                "defaultConfiguration": {"level": level(example.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|one| {
            json!({
                "ruleId": one.code,
                "level": level(one.severity),
                "message": {"text": whole(one)},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(bare(&one.file))},
                    "region": {"startLine": one.line, "startColumn": one.column, "endColumn": one.column + one.width},
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "scopegate", "version": version, "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// One workflow command a line, which GitHub shows beside the lines of a pull request.
#[must_use]
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let line = |one: &Diagnostic| {
        let Diagnostic { file, line, column, width, code, .. } = one;
        format!(
            "::{} file={},line={line},col={column},endColumn={},title={code}::{}\n",
            level(one.severity),
            property(bare(file)),
            column + width,
            data(&whole(one))
        )
    };
    diagnostics.iter().map(line).collect()
}

/// A test of a JUnit report.
#[derive(Clone, Debug)]
pub struct JunitCase {
    /// What it is a part of, such as a file.
    pub class: String,
    /// Its name.
    pub name: String,
    /// What went wrong: a sentence, and all that is to be said about it.
    pub failure: Option<(String, String)>,
    /// What else is to be said.
    pub output: Option<String>,
}

/// A test for each finding, and one for each file without any. Warnings fail where `strict` says so.
#[must_use]
pub fn junit_of_findings(diagnostics: &[Diagnostic], files: &[String], warnings_fail: bool) -> String {
    let found: BTreeSet<&str> = diagnostics.iter().map(|one| one.file.as_str()).collect();
    let clean = files.iter().filter(|file| !found.contains(file.as_str()));
    let clean = clean.map(|file| JunitCase { class: file.clone(), name: "clean".into(), failure: None, output: None });
    let faulty = diagnostics.iter().map(|one| {
        let fails = warnings_fail || one.severity == Severity::Error;
        let place = format!("{}:{}:{}: {}", one.file, one.line, one.column, whole(one));
        JunitCase {
            class: one.file.clone(),
            name: format!("{} {}:{}", one.code, one.line, one.column),
            failure: fails.then(|| (one.message.clone(), place.clone())),
            output: (!fails).then_some(place),
        }
    });
    junit("policy check", &clean.chain(faulty).collect::<Vec<_>>())
}

/// A report in the form of JUnit.
#[must_use]
pub fn junit(suite: &str, cases: &[JunitCase]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{suite}\" tests=\"{}\" failures=\"{failures}\">\n",
        cases.len()
    );
    for JunitCase { class, name, failure, output } in cases {
        text.push_str(&format!("<testcase classname=\"{}\" name=\"{}\">", xml(class), xml(name)));
        if let Some((message, whole)) = failure {
            text.push_str(&format!("<failure message=\"{}\">{}</failure>", xml(message), xml(whole)));
        }
        if let Some(output) = output {
            text.push_str(&format!("<system-out>{}</system-out>", xml(output)));
        }
        text.push_str("</testcase>\n");
    }
    text + "</testsuite>\n</testsuites>\n"
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The sentence, and what to do about it.
fn whole(one: &Diagnostic) -> String {
    one.help.as_ref().map_or_else(|| one.message.clone(), |help| format!("{}: {help}", one.message))
}

/// A file as the tools name it that lay findings beside a change: without `./`.
fn bare(file: &str) -> &str {
    file.strip_prefix("./").unwrap_or(file)
}

/// A path as a relative reference (RFC 3986).
fn uri(file: &str) -> String {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    file.bytes().map(|byte| if legal(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Text in XML; what XML cannot hold is replaced.
fn xml(text: &str) -> String {
    let mut made = String::new();
    for character in text.chars() {
        match character {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\n' => made.push_str("&#10;"),
            '\t' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => made.push(character),
            _ => made.push('\u{fffd}'),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<Diagnostic> {
        let one = |file: &str, severity, code, message: &str, help: Option<&str>| Diagnostic {
            file: file.into(),
            line: 3,
            column: 5,
            width: 4,
            severity,
            code,
            message: message.into(),
            help: help.map(str::to_owned),
        };
        vec![
            one("a b,c:d.yaml", Severity::Error, "SG0301", "no scope `<a>` 100%", Some("did you mean\n`b`?")),
            one("./p/ü.yaml", Severity::Warning, "SG0701", "a \"secret\" \u{1}", None),
        ]
    }

    #[test]
    fn sarif_names_the_rule_and_the_place() {
        let made = sarif(&found(), "1.2.3");
        let at = |pointer: &str| made.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(at("/runs/0/tool/driver/rules/0/id"), "SG0301");
        assert_eq!(at("/runs/0/tool/driver/rules/0/shortDescription/text"), "a scope that the connector does not declare");
        assert_eq!(at("/runs/0/results/0/message/text"), "no scope `<a>` 100%: did you mean\n`b`?");
        assert_eq!(at("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri"), "a%20b%2Cc%3Ad.yaml");
        assert_eq!(
            at("/runs/0/results/1/locations/0/physicalLocation"),
            json!({"artifactLocation": {"uri": "p/%C3%BC.yaml"}, "region": {"startLine": 3, "startColumn": 5, "endColumn": 9}})
        );
        assert_eq!((at("/runs/0/results/1/level"), at("/version")), (json!("warning"), json!("2.1.0")));
    }

    #[test]
    fn workflow_commands_stay_on_their_line() {
        assert_eq!(
            github(&found()),
            "::error file=a b%2Cc%3Ad.yaml,line=3,col=5,endColumn=9,title=SG0301::no scope `<a>` 100%25: did you mean%0A`b`?\n::warning file=p/ü.yaml,line=3,col=5,endColumn=9,title=SG0701::a \"secret\" \u{1}\n"
        );
    }

    #[test]
    fn junit_has_a_test_for_each_finding_and_each_clean_file() {
        let files = ["a b,c:d.yaml", "./p/ü.yaml", "clean.yaml"].map(str::to_owned);
        assert_eq!(
            junit_of_findings(&found(), &files, false),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"policy check\" tests=\"3\" failures=\"1\">\n<testcase classname=\"clean.yaml\" name=\"clean\"></testcase>\n<testcase classname=\"a b,c:d.yaml\" name=\"SG0301 3:5\"><failure message=\"no scope `&lt;a&gt;` 100%\">a b,c:d.yaml:3:5: no scope `&lt;a&gt;` 100%: did you mean&#10;`b`?</failure></testcase>\n<testcase classname=\"./p/ü.yaml\" name=\"SG0701 3:5\"><system-out>./p/ü.yaml:3:5: a &quot;secret&quot; \u{fffd}</system-out></testcase>\n</testsuite>\n</testsuites>\n"
        );
        assert!(junit_of_findings(&found(), &files, true).contains("failures=\"2\""));
    }
}
