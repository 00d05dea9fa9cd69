//! Descriptions that providers publish, where they lie beside the project: what `policy import` makes of them is what is known of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests, also where a function is none")]

use scopegate_core::account::{GrantStanding, Granted, Standing};
use scopegate_core::id::{ConnectorId, RoleName};
use scopegate_core::import::{Array, Imported, Refusal, Wishes, google_discovery, msgraph_permissions, openapi};
use scopegate_core::policy::{Explanation, Origin, PolicySet, Severity, Source, compile, explain};
use scopegate_core::request::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Public descriptions and what is known of them, in a folder beside the project; none: it is not there, and that is told.
#[expect(clippy::print_stdout, reason = "whoever runs the tests is told what was not compared")]
fn catalog() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/catalog")).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("no folder of public descriptions lies beside the project: nothing was compared");
    }
    found
}

fn wishes(connector: &str, array: Option<Array>) -> Wishes {
    Wishes { connector: connector.parse().unwrap(), upstream: None, array, schemes: Vec::new(), extension: None, kind: None }
}

fn compiled(connector: &str, document: &str) -> PolicySet {
    let source = Source { name: format!("{connector}.yaml"), text: document.to_owned(), origin: Origin::Own };
    let compiled = compile(&[source], &BTreeMap::new());
    assert!(compiled.diagnostics.iter().all(|one| one.severity != Severity::Error), "{:?}", compiled.diagnostics);
    compiled.policies.unwrap()
}

/// Alternatives of provider scopes.
type Need = BTreeSet<BTreeSet<String>>;

/// A row of what is known: ` | ` is or, ` & ` is and.
fn known(text: &str) -> Need {
    let sets = text.split(" | ").filter(|set| !set.is_empty());
    sets.map(|set| set.split(" & ").map(str::to_owned).collect()).collect()
}

/// What is decided for somebody who holds nothing.
fn decided(policies: &PolicySet, connector: &ConnectorId, method: &str, target: &str) -> Explanation {
    let nobody: RoleName = "nobody".parse().unwrap();
    let standing = Standing { role: &nobody, grant: GrantStanding::Live(&Granted::Assumed) };
    let request = Request::read(method, target, &[], None).unwrap_or_else(|ambiguity| panic!("{target}: {ambiguity:?}"));
    explain(policies, connector, &standing, &request)
}

fn needed(policies: &PolicySet, connector: &ConnectorId, decided: &Explanation) -> Need {
    let facts = policies.connector(connector.as_str()).unwrap();
    let provider = |scope| facts.scopes.get(scope).unwrap().provider_scopes.concat().into_iter().map(|one| one.to_string());
    decided.required.iter().map(|set| set.iter().flat_map(provider).collect()).collect()
}

type Importer = fn(&[u8], &Wishes) -> Result<Imported, Refusal>;

/// Every row of what is known of a description holds of the document that comes of it.
fn assert_known(importer: Importer, connector: &str, file: &str, rows: &str, base: &str, array: Option<Array>) {
    let Some(catalog) = catalog() else { return };
    let imported = importer(&fs::read(catalog.join("specs").join(file)).unwrap(), &wishes(connector, array)).unwrap();
    let policies = compiled(connector, &imported.document);
    let id: ConnectorId = connector.parse().unwrap();
    let text = fs::read_to_string(catalog.join("examples-of-truth").join(rows)).unwrap();
    let mut compared = 0;
    for row in text.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [method, _, target, need, operation, ..] = columns.as_slice() else { panic!("{row}") };
        // What is described lies below the base path; a request beside it is refused below it too.
        let target = target.strip_prefix(base).unwrap_or(target);
        let came = decided(&policies, &id, method, target);
        // Slack's own names have dots where its description has underscores.
        let named = came.operation.as_ref().map_or("NONE".to_owned(), |name| name.replace('_', "."));
        assert_eq!((named, needed(&policies, &id, &came)), (operation.replace('_', "."), known(need)), "{row}");
        compared += 1;
    }
    assert!(compared >= 60, "{compared} rows");
}

#[test]
fn slacks_description_gives_what_is_known_of_it() {
    let file = "slack/slack_web_openapi_v2_without_examples.json.gz";
    assert_known(openapi, "slack", file, "slack.tsv", "/api", Some(Array::Any));
    if let Some(catalog) = catalog() {
        let refusal = openapi(&fs::read(catalog.join("specs").join(file)).unwrap(), &wishes("slack", None)).unwrap_err();
        assert!(matches!(&refusal, Refusal::Unsaid { sentence } if sentence.contains("--array")), "{refusal}");
    }
}

#[test]
fn jiras_description_gives_what_is_known_of_it() {
    assert_known(openapi, "jira", "atlassian/jira-platform-v3.json.gz", "jira.tsv", "", None);
}

#[test]
fn gmails_description_gives_what_is_known_of_it() {
    assert_known(google_discovery, "google-gmail", "google/gmail.v1.json", "google-gmail-v1.tsv", "", None);
}

#[test]
fn microsoft_graphs_permissions_give_what_is_known_of_them() {
    assert_known(msgraph_permissions, "microsoft-graph", "msgraph/permissions.json.gz", "microsoft-graph.tsv", "/v1.0", None);
}

#[test]
fn every_description_of_google_is_imported() {
    let Some(catalog) = catalog() else { return };
    let mut seen = 0;
    for file in fs::read_dir(catalog.join("specs/google")).unwrap().map(|entry| entry.unwrap().path()) {
        let imported =
            google_discovery(&fs::read(&file).unwrap(), &wishes("api", None)).unwrap_or_else(|refusal| panic!("{}: {refusal}", file.display()));
        assert!(imported.unknown == 0 && imported.operations >= 10 && imported.scopes >= 1, "{}: {imported:?}", file.display());
        assert_eq!(compiled("api", &imported.document).operations(&"api".parse().unwrap()).count(), imported.operations, "{}", file.display());
        seen += 1;
    }
    assert!(seen >= 5, "{seen} descriptions");
}

/// Every description makes a clean document, or a sentence that says which flag it lacks; with that flag it makes one.
#[test]
fn every_public_description_is_imported_or_says_what_it_lacks() {
    let Some(catalog) = catalog() else { return };
    let mut seen = 0;
    for folder in fs::read_dir(catalog.join("specs")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let bytes = fs::read(&file).unwrap();
            let mut wishes = wishes("api", None);
            for _ in 0..5 {
                match openapi(&bytes, &wishes) {
                    Ok(imported) => {
                        assert!(compiled("api", &imported.document).operations(&wishes.connector).count() >= 1, "{}", file.display());
                        seen += 1;
                        break;
                    }
                    Err(Refusal::Unsaid { sentence }) if sentence.contains("--array") => wishes.array = Some(Array::Any),
                    Err(Refusal::Unsaid { sentence }) if sentence.contains("--upstream") => wishes.upstream = Some("https://api.example.com".into()),
                    Err(Refusal::Refused { sentence, .. }) if sentence.contains("--scheme") => {
                        wishes.schemes.push(sentence.split('`').nth(1).unwrap().to_owned());
                    }
                    Err(Refusal::Refused { sentence, .. }) if is_no_description(&sentence) => break,
                    Err(refusal) => panic!("{}: {refusal}", file.display()),
                }
            }
        }
    }
    assert!(seen >= 30, "{seen} descriptions");
}

/// Some files there are no OpenAPI at all.
fn is_no_description(sentence: &str) -> bool {
    sentence.contains("no OpenAPI description") || sentence.contains("no YAML") || sentence.contains("no JSON")
}
