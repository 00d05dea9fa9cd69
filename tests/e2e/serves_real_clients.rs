//! Real clients, unmodified: only the base URL and the token are ours. Each gets its customer's data in the API's own shape, and tells
//! its user in the gateway's sentence what it was refused.

use crate::certified::Authority;
use crate::lookalike::Lookalike;
use crate::stage::{BINARY, Script, Stage, account_path, label};
use reqwest::Method;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The Python of the environment that `make test` sets up, beside the build.
pub(crate) fn python() -> PathBuf {
    let target = Path::new(BINARY).ancestors().nth(2).unwrap();
    let python = target.join("python/bin/python");
    assert!(python.exists(), "there is no {}: `scripts/set-up test` (or `make test`) makes it", python.display());
    python
}

/// Runs a command in this repository to its end, without a proxy.
pub(crate) async fn run(mut command: Command) -> Output {
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    tokio::task::block_in_place(|| command.output().unwrap())
}

pub(crate) fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_served_and_refused() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let handle = stage.handle("crm", "user_1").await;
    let url = |path: &str| format!("http://{}/crm{path}", stage.gateway);
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--write-out", " %{http_code}"]).args(arguments);
        command
    };
    for account in ["Scopegate-Account: user_1".to_owned(), format!("Authorization: Bearer {handle}"), format!("Authorization: token {handle}")] {
        let served = told(&run(curl(&["-H", &account, &url("/v1/accounts/A-1")])).await);
        assert!(served.contains("Nordwind Traders") && served.ends_with(" 200"), "{served}");
    }
    stage.account("globex", "user_2", "researcher").await;
    let other = told(&run(curl(&["-H", "Scopegate-Account: user_2", &url("/v1/accounts/A-1")])).await);
    assert!(other.contains("Hooli Logistics") && other.ends_with(" 200"), "{other}");
    let basic = told(&run(curl(&["-u", &format!("{handle}:x"), &url("/v1/accounts/A-1")])).await);
    assert!(basic.ends_with(" 200"), "{basic}");
    let refused = told(&run(curl(&["-X", "PATCH", "-H", "Scopegate-Account: user_1", "-d", "{}", &url("/v1/opportunities/O-7")])).await);
    assert!(refused.contains("insufficient_scope: opportunities:write required") && refused.ends_with(" 403"), "{refused}");
    let file = stage.path("large");
    std::fs::write(&file, vec![b'x'; 5 << 20]).unwrap();
    let large = told(&run(curl(&["-T", file.to_str().unwrap(), "-H", "Scopegate-Account: user_1", &url("/v1/files/large")])).await);
    assert!(large.ends_with(" 403"), "a refusal while a large body is on its way: {large}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_requests_is_served_and_refused() {
    let stage = Stage::new().await;
    plays_with_crm(&stage, "with_requests.py", "publisher").await;
}

/// Runs a client that is told where the practice CRM is, and a handle of each of two customers.
async fn plays_with_crm(stage: &Stage, client: &str, role: &str) {
    let mut command = python_client(client);
    command.arg(format!("http://{}/crm", stage.gateway));
    for customer in ["acme", "globex"] {
        let identifier = format!("{customer}_agent");
        stage.account(customer, &identifier, role).await;
        command.arg(stage.handle("crm", &identifier).await);
    }
    assert_eq!(told(&run(command).await).trim(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn httpx_is_served_and_refused() {
    let stage = Stage::new().await;
    plays_with_crm(&stage, "with_httpx.py", "researcher").await;
}

/// What the accounts of these tests may do: reading, mostly.
const ROLES: &str = r#"version: 1
roles:
  reader:
    allow:
      github: [repos:read, issues:read]
      salesforce: ["accounts:read", "contacts:read", "leads:read", "opportunities:read", "cases:read", "activities:read", "users:read", "metadata:read"]
      slack: [channels:read]
      google-gmail: [gmail.readonly]
      stripe: [read]
      notion: [content:read]
      jira: [issues:read]
"#;

/// The site of the customers' Jira, which their credentials come with.
const SITE: &str = "1324a887-45db-1bf4-1e99-ef0ff456d421";

/// The gateway before one API, and a handle of each of two customers who granted all that there is.
struct Scene {
    stage: Stage,
    api: Lookalike,
    handles: [String; 2],
}

impl Scene {
    async fn of(connector: &str, granted: &str) -> Self {
        Self::with(connector, granted, Script::default()).await
    }

    async fn with(connector: &str, granted: &str, script: Script) -> Self {
        let api = Lookalike::of(connector).await;
        let origin = api.origin().to_owned();
        let upstreams = format!(
            "  stripe: {{upstream: \"{origin}\"}}\n  notion: {{upstream: \"{origin}\"}}\n  jira: {{upstream: \"{origin}/ex/jira/{{cloud_id}}\"}}\n"
        );
        let settings = upstreams + &script.settings;
        let script = Script { settings, upstream: Some(origin), policy: ROLES.into(), ..script };
        let stage = Stage::with(script).await;
        api.trust(&stage.practice);
        let mut handles = Vec::new();
        for customer in ["acme", "globex"] {
            let path = account_path(connector, &format!("{customer}_reader"));
            stage.must(Method::PUT, &path, json!({"customer": customer, "role": "reader"})).await;
            let mut credentials = stage.practice.provider().seed(&label(customer, "reader"), granted).credentials();
            if connector == "jira" {
                credentials["variables"] = json!({"cloud_id": SITE});
            }
            stage.must(Method::PUT, &format!("{path}/credentials"), credentials).await;
            handles.push(stage.handle(connector, &format!("{customer}_reader")).await);
        }
        Self { stage, api, handles: handles.try_into().unwrap() }
    }

    fn base(&self, connector: &str) -> String {
        format!("http://{}/{connector}", self.stage.gateway)
    }

    /// Runs a client, which is told where the gateway is and the two handles, and looks at what the API got: for each customer this.
    async fn plays(&self, mut client: Command, whereabouts: &[&str], calls: &[&str]) {
        client.args(whereabouts).args(&self.handles);
        let output = run(client).await;
        assert_eq!(told(&output).trim(), "ok", "{output:?}");
        let expected: Vec<String> =
            ["acme", "globex"].iter().flat_map(|customer| calls.iter().map(move |call| format!("{customer} {call}"))).collect();
        assert_eq!(self.api.arrived(), expected);
    }
}

fn python_client(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(format!("tests/clients/{name}"));
    command
}

/// A script for Node.js, with the modules that `make test` sets up beside it.
fn node_client(name: &str) -> Command {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/js/node_modules");
    assert!(modules.exists(), "there is no {}: `scripts/set-up test` (or `make test`) makes it", modules.display());
    let mut command = Command::new("node");
    command.arg(format!("tests/clients/js/{name}"));
    command
}

const GITHUB_SCOPES: &str = "repo read:user read:org";
const SLACK_SCOPES: &str = "channels:read,chat:write";
const GMAIL_SCOPES: &str = "https://www.googleapis.com/auth/gmail.modify";
const CURSOR: &str = "GET /services/data/v60.0/query/01gRO0000016PIAYA2-1";
const RECORD: &str = "GET /services/data/v60.0/sobjects/Account/001RO000003nGdCYAU";

/// Pages are found by links, which lead to the address that the gateway is told to have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pygithub_is_served_and_refused() {
    let authority = Authority::new();
    let listen = format!("[\"127.0.0.1:0\", {}]", secured(&authority, "gate.example"));
    let scene = Scene::with("github", GITHUB_SCOPES, Script { listen, gateway: ", external_url: https://gate.example", ..Script::default() }).await;
    let mut client = python_client("with_pygithub.py");
    client.env("REQUESTS_CA_BUNDLE", authority.file());
    let calls = ["GET /repos/team/app/issues/7", "GET /repos/team/app", "GET /repos/team/app/issues", "GET /repos/team/app/issues"];
    scene.plays(client, &[&scene.base("github"), &scene.stage.gateways[1].port().to_string()], &calls).await;
}

/// Then links inside of bodies lead to the gateway too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_needs_no_setting_where_the_apis_own_name_leads_to_the_gateway() {
    let authority = Authority::new();
    let script =
        Script { listen: format!("[{}]", secured(&authority, "api.github.com")), gateway: ", hosts: {api.github.com: github}", ..Script::default() };
    let scene = Scene::with("github", GITHUB_SCOPES, script).await;
    let mut client = python_client("with_pygithub_by_name.py");
    client.env("REQUESTS_CA_BUNDLE", authority.file());
    let calls = ["GET /repos/team/app", "GET /repos/team/app/issues", "GET /repos/team/app/issues", "GET /repos/team/app/issues/7"];
    scene.plays(client, &[&scene.stage.gateway.port().to_string()], &calls).await;
}

/// A listener for https alone, whose certificate says `host`.
fn secured(authority: &Authority, host: &str) -> String {
    let signed = authority.sign("gateway", host);
    format!("{{address: \"127.0.0.1:0\", tls: {{cert_file: {:?}, key_file: {:?}}}}}", signed.cert, signed.key)
}

/// Pages are found by links, which lead to the host that the client came by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octokit_is_served_and_refused() {
    let script = Script { listen: "[\"127.0.0.1:0\", \"127.0.0.2:0\"]".into(), gateway: ", hosts: {\"127.0.0.2\": github}", ..Script::default() };
    let scene = Scene::with("github", GITHUB_SCOPES, script).await;
    let host = format!("http://{}", scene.stage.gateways[1]);
    let calls = ["GET /repos/team/app", "GET /repos/team/app/issues", "GET /repos/team/app/issues"];
    scene.plays(node_client("with_octokit.mjs"), &[&scene.base("github"), &host], &calls).await;
}

/// It speaks https alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_salesforce_is_served_and_refused() {
    let authority = Authority::new();
    let listen = format!("[{}]", secured(&authority, "127.0.0.1"));
    let scene = Scene::with("salesforce", "api refresh_token", Script { listen, ..Script::default() }).await;
    let mut client = python_client("with_simple_salesforce.py");
    client.env("REQUESTS_CA_BUNDLE", authority.file());
    scene.plays(client, &[&format!("{}/salesforce", scene.stage.gateway)], &["GET /services/data/v60.0/query/", CURSOR, RECORD]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jsforce_is_served_and_refused() {
    let scene = Scene::of("salesforce", "api refresh_token").await;
    scene.plays(node_client("with_jsforce.mjs"), &[&scene.base("salesforce")], &["GET /services/data/v60.0/query", CURSOR, RECORD]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_sdk_is_served_and_refused() {
    let scene = Scene::of("slack", SLACK_SCOPES).await;
    scene.plays(python_client("with_slack_sdk.py"), &[&scene.base("slack/api/")], &["POST /api/conversations.list"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_web_api_is_served_and_refused() {
    let scene = Scene::of("slack", SLACK_SCOPES).await;
    scene.plays(node_client("with_slack_web_api.mjs"), &[&scene.base("slack/api/")], &["POST /api/conversations.list"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google_api_python_client_is_served_and_refused() {
    let scene = Scene::of("google-gmail", GMAIL_SCOPES).await;
    let calls = ["GET /gmail/v1/users/me/messages", "GET /gmail/v1/users/me/messages/18c2f0a1"];
    scene.plays(python_client("with_google_api_python_client.py"), &[&scene.base("google-gmail/")], &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_for_python_is_served_and_refused() {
    let scene = Scene::of("stripe", "read_write").await;
    let calls = ["GET /v1/customers/cus_NffrFeUfNV2Hib", "GET /v1/charges", "GET /v1/charges"];
    scene.plays(python_client("with_stripe.py"), &[&scene.base("stripe")], &calls).await;
}

/// It knows a host and no path, so the gateway knows the connector by its host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripe_for_javascript_is_served_and_refused() {
    let script = Script { listen: "[\"127.0.0.2:0\"]".into(), gateway: ", hosts: {\"127.0.0.2\": stripe}", ..Script::default() };
    let scene = Scene::with("stripe", "read_write", script).await;
    let SocketAddr::V4(gateway) = scene.stage.gateway else { panic!("{}", scene.stage.gateway) };
    let calls = ["GET /v1/customers/cus_NffrFeUfNV2Hib", "GET /v1/charges", "GET /v1/charges"];
    scene.plays(node_client("with_stripe.mjs"), &[&gateway.ip().to_string(), &gateway.port().to_string()], &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notion_client_for_python_is_served_and_refused() {
    let scene = Scene::of("notion", "").await;
    let calls = ["GET /v1/pages/59833787-2cf9-4fdf-8782-e53db20768a5"];
    scene.plays(python_client("with_notion_client.py"), &[&scene.base("notion")], &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notion_client_for_javascript_is_served_and_refused() {
    let scene = Scene::of("notion", "").await;
    let calls = ["GET /v1/pages/59833787-2cf9-4fdf-8782-e53db20768a5"];
    scene.plays(node_client("with_notion_client.mjs"), &[&scene.base("notion")], &calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jira_is_served_and_refused() {
    let scene = Scene::of("jira", "read:jira-work write:jira-work").await;
    let [server, issue] = ["serverInfo", "issue/OPS-1"].map(|path| format!("GET /ex/jira/{SITE}/rest/api/2/{path}"));
    scene.plays(python_client("with_jira.py"), &[&scene.base("jira")], &[&server, &issue]).await;
}
