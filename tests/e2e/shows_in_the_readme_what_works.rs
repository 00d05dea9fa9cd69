//! What the README shows of clients and agents' tools is what the tests run.

use crate::lookalike::Lookalike;
use crate::serves_real_clients::{python, run, told};
use crate::stage::{Script, Stage};
use std::path::Path;
use std::process::Command;

fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Two roles of one customer, as the README's crew has them.
const ROLES: &str = r#"version: 1
roles:
  researcher: {allow: {salesforce: [accounts:read, opportunities:read]}}
  publisher: {allow: {salesforce: [opportunities:write]}}
"#;

/// Runs the README's example of these tools, and tells what the API got.
async fn played(which: &str) -> Vec<String> {
    let api = Lookalike::of("salesforce").await;
    let script = Script { upstream: Some(api.origin().to_owned()), policy: ROLES.into(), ..Script::default() };
    let stage = Stage::with(script).await;
    api.trust(&stage.practice);
    for role in ["researcher", "publisher"] {
        stage.account_at("salesforce", "acme", &format!("user_123_{role}"), role, "api").await;
    }
    let mut command = Command::new(python());
    command.args(["tests/clients/with_readme.py", which]).env("SCOPEGATE_URL", format!("http://{}", stage.gateway));
    // crewai reports to its makers, and keeps a file at home, unless told otherwise
    command.env("HOME", stage.folder.path()).env("CREWAI_DISABLE_TELEMETRY", "true").env("OTEL_SDK_DISABLED", "true");
    assert_eq!(told(&run(command).await).trim(), "ok");
    api.arrived()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_langchain_tool_acts_for_a_role() {
    assert_eq!(played("langchain").await, ["acme GET /services/data/v60.0/sobjects/Account/001RO000003nGdCYAU"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crewai_tool_acts_for_the_role_that_uses_it() {
    assert_eq!(played("crewai").await, ["acme PATCH /services/data/v60.0/sobjects/Opportunity/006RO000001pJxYYAU"]);
}

/// The scripts write `base`, `host` and `handle` where the README writes an address and a handle.
#[test]
fn each_client_of_the_table_is_made_as_its_test_makes_it() {
    let readme = repository("README.md");
    for (tool, script, places) in [
        ("httpx", "with_httpx.py", [("\"http://127.0.0.1:4100/crm\"", "base"), ("\"Bearer sgh_...\"", "f\"Bearer {handle}\"")]),
        ("requests (Python)", "with_requests.py", [("session.headers", "made.headers"), ("\"Bearer sgh_...\"", "f\"Bearer {handle}\"")]),
        ("PyGithub", "with_pygithub.py", [("\"http://127.0.0.1:4100/github\"", "base"), ("\"sgh_...\"", "handle")]),
        ("@octokit/rest", "js/with_octokit.mjs", [("\"http://127.0.0.1:4100/github\"", "base"), ("\"sgh_...\"", "handle")]),
        ("simple-salesforce", "with_simple_salesforce.py", [("\"gate.example/salesforce\"", "base"), ("\"sgh_...\"", "handle")]),
        ("jsforce", "js/with_jsforce.mjs", [("\"http://127.0.0.1:4100/salesforce\"", "base"), ("\"sgh_...\"", "handle")]),
        ("slack_sdk", "with_slack_sdk.py", [("\"http://127.0.0.1:4100/slack/api/\"", "base"), ("\"sgh_...\"", "handle")]),
        ("@slack/web-api", "js/with_slack_web_api.mjs", [("\"http://127.0.0.1:4100/slack/api/\"", "base"), ("\"sgh_...\"", "handle")]),
        (
            "google-api-python-client",
            "with_google_api_python_client.py",
            [("\"http://127.0.0.1:4100/google-gmail/\"", "base"), ("\"sgh_...\"", "handle")],
        ),
        ("stripe (Python)", "with_stripe.py", [("\"http://127.0.0.1:4100/stripe\"", "base"), ("\"sgh_...\"", "handle")]),
        (
            "stripe (JavaScript)",
            "js/with_stripe.mjs",
            [("{ host: \"stripe.gate.example\" }", "{ host, port, protocol: \"http\" }"), ("\"sgh_...\"", "handle")],
        ),
        ("notion-client", "with_notion_client.py", [("\"http://127.0.0.1:4100/notion\"", "base"), ("\"sgh_...\"", "handle")]),
        ("@notionhq/client", "js/with_notion_client.mjs", [("\"http://127.0.0.1:4100/notion\"", "base"), ("\"sgh_...\"", "handle")]),
        ("jira (Python)", "with_jira.py", [("\"http://127.0.0.1:4100/jira\"", "base"), ("\"sgh_...\"", "handle")]),
    ] {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {tool} | `"))).unwrap_or_else(|| panic!("no row for {tool}"));
        let shown = row.split('`').nth(1).unwrap();
        let written = places.iter().fold(shown.to_owned(), |code, (there, here)| code.replace(there, here));
        assert!(repository(&format!("tests/clients/{script}")).contains(&written), "{script} does not say `{written}`");
    }
}
