//! The connectors that ship: each document is clean, its cases hold, and a change of what a role may do shows as a diff.

#![expect(clippy::unwrap_used, reason = "these are tests, also where a function is none")]
#![expect(clippy::disallowed_methods, reason = "how a person asks for the golden file to be written anew")]

use scopegate::catalog;
use scopegate_core::policy::{Alternatives, Compiled, Content, Need, Operation, Origin, PolicySet, Source, compile, run};
use scopegate_core::scope::Scope;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// The documents as a platform team would give them: with their cases.
fn compiled() -> Compiled {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let source = |path: &PathBuf| Source { name: path.display().to_string(), text: fs::read_to_string(path).unwrap(), origin: Origin::Own };
    compile(&paths.iter().map(source).collect::<Vec<_>>(), &BTreeMap::new())
}

#[test]
fn every_shipped_document_is_clean_and_its_cases_hold() {
    let compiled = compiled();
    // The roles of shipped documents are examples: they need not allow everything.
    let found: Vec<_> = compiled.diagnostics.iter().filter(|finding| finding.code != "SG0303").collect();
    assert!(found.is_empty(), "{found:#?}");
    let policies = compiled.policies.unwrap();
    let outcomes = run(&policies, &compiled.cases);
    let failed: Vec<String> =
        outcomes.iter().filter(|one| !one.is_expected()).map(|one| format!("{} {}: {}", one.case.role, one.case.target, one.came())).collect();
    assert_eq!(failed, Vec::<String>::new());
    for connector in policies.connectors() {
        let cases = compiled.cases.iter().filter(|case| case.connector == connector.id).count();
        assert!(cases >= 5, "{} has {cases} cases", connector.id);
    }
}

#[test]
fn what_lies_in_the_folder_is_what_ships() {
    let mut shipped: Vec<String> = catalog::sources().iter().map(|source| source.name.trim_start_matches("catalog:").to_owned()).collect();
    shipped.sort();
    let mut lying: Vec<String> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    lying.retain(|name| !name.ends_with(".cases.yaml"));
    lying.sort();
    assert_eq!(shipped, lying);
}

#[test]
fn the_roles_of_shipped_documents_are_examples_for_their_cases_and_no_deployments_roles() {
    let policies = compile(&catalog::sources(), &BTreeMap::new()).policies.unwrap();
    assert_eq!(policies.roles().count(), 0);
}

/// Which role may do which operation, a line each. `UPDATE_GOLDEN=1 cargo test --test catalog` writes the file anew.
#[test]
fn what_each_role_may_do_is_as_it_was() {
    let made = matrix(&compiled().policies.unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/catalog.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap();
    let changed: Vec<&str> = made.lines().filter(|line| !before.lines().any(|known| known == *line)).collect();
    assert!(made == before, "what a role may do has changed; with UPDATE_GOLDEN=1 the file is written anew:\n{}", changed.join("\n"));
}

fn matrix(policies: &PolicySet) -> String {
    let mut text = String::new();
    for connector in policies.connectors() {
        for role in policies.roles().filter(|role| !policies.role_scopes(role, &connector.id).is_empty()) {
            let held = policies.role_scopes(role, &connector.id);
            for operation in policies.operations(&connector.id) {
                let line = format!("{} {role} {} {}", connector.id, operation.method, operation.id);
                text.push_str(&format!("{line}: {}\n", verdict(operation, &held)));
                for (what, alternatives) in contents(operation) {
                    text.push_str(&format!("{line} {what}: {}\n", may(alternatives, &held)));
                }
            }
        }
    }
    text
}

fn verdict(operation: &Operation, held: &[Scope]) -> &'static str {
    match &operation.need {
        Need::Scopes(alternatives) => may(alternatives, held),
        Need::Unknown | Need::Denied(_) => "deny",
    }
}

fn may(alternatives: &Alternatives, held: &[Scope]) -> &'static str {
    if alternatives.iter().any(|all| all.iter().all(|scope| held.contains(scope))) { "allow" } else { "deny" }
}

/// What content needs besides: objects of queries, root fields. Parts of a batch are operations themselves.
fn contents(operation: &Operation) -> Vec<(String, &Alternatives)> {
    match operation.content.as_deref() {
        Some(Content::Soql(soql)) => soql.objects.iter().map(|(name, need)| (format!("object {name}"), need)).collect(),
        Some(Content::Graphql(graphql)) => {
            let kinds = [("query", &graphql.query), ("mutation", &graphql.mutation), ("subscription", &graphql.subscription)];
            kinds.into_iter().flat_map(|(kind, fields)| fields.iter().map(move |(name, need)| (format!("{kind} {name}"), need))).collect()
        }
        Some(Content::Batch(_)) | None => Vec::new(),
    }
}
