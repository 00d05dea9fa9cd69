//! What each verb of `policy` writes, to the letter. `UPDATE_GOLDEN=1 cargo test --test verbs` writes the files anew.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests, also where a function is none")]
#![expect(clippy::disallowed_methods, reason = "how a person asks for the golden files to be written anew")]

use scopegate_core::policy::{
    CodeExample, Look, Severity, cases_schema, code_examples, compile, github, junit_of_findings, policy_schema, render, sarif,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A folder with these files, and what was written in it.
struct Stage {
    folder: tempfile::TempDir,
    told: String,
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap(), told: String::new() };
        files.iter().for_each(|(name, text)| stage.write(name, text));
        stage
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Runs a verb, and keeps everything that it says.
    fn run(&mut self, line: &str) -> &mut Self {
        let made = Command::new(env!("CARGO_BIN_EXE_scopegate"))
            .args(line.split_whitespace())
            .env_remove("SCOPEGATE_ADMIN_TOKEN")
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.told.push_str(&format!("$ scopegate {line}\n{}", text(&made.stdout)));
        for line in text(&made.stderr).lines() {
            self.told.push_str(&format!("stderr: {line}\n"));
        }
        self.told.push_str(&format!("exit {}\n\n", made.status.code().unwrap()));
        self
    }

    /// Compares all of it with the golden file `name`.
    fn assert_golden(&self, name: &str) {
        assert_golden(&format!("verbs/{name}"), &self.told.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
}

/// Compares `told` with the golden file `name`.
fn assert_golden(name: &str, told: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, told).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    if told != before {
        let diff = similar::TextDiff::from_lines(before.as_str(), told).unified_diff().to_string();
        panic!("{name} differs; with UPDATE_GOLDEN=1 it is written anew:\n{diff}");
    }
}

const SHOP: &str = "\
version: 1
connectors:
  shop:
    title: Shop
    upstream: https://api.shop.example/v1
    scopes:
      items:read: {provider_scopes: [items.read], consent: See items}
      items:write: {provider_scopes: [items.write], consent: Change items, implies: [items:read], risk: high}
      orders:read: {provider_scopes: {any: [orders.read, orders.all]}, consent: See orders}
    operations:
      - {id: item.get, match: \"GET /items/{id}\", require: items:read}
      - {id: item.put, match: [\"PUT /items/{id}\", \"PATCH /items/{id}\"], require: items:write}
      - {id: item.delete, match: \"DELETE /items/{id}\", deny: \"items are deleted by people, in the shop\"}
      - {id: order.list, match: GET /orders, require: {any: [orders:read, {all: [items:read, items:write]}]}}
      - {id: order.own, match: GET /orders, where: {query: {own: \"1\"}}, require: none}
      - {id: query, match: GET /query, soql: {query: q, objects: {Item: items:read, Order: orders:read}}}
roles:
  reader: {allow: {shop: [\"items:r*\"]}}
  clerk: {extends: reader, allow: {shop: [items:write, orders:read]}}
";

const CASES: &str = "\
tests:
  - name: a reader reads
    role: reader
    requests:
      - shop GET /items/7 -> allow item.get
      - shop PUT /items/7 -> deny role_lacks_scope items:write
      - shop DELETE /items/7 -> deny operation_denied
";

#[test]
fn check() {
    let faulty =
        SHOP.replace("require: items:write}", "require: items:wriet}").replace("extends: reader", "extends: raeder").replace("title:", "titel:");
    let lax = SHOP
        .replace("    scopes:\n", "    headers: {x-shop: sk_live_0123456789abcdefghij}\n    scopes:\n      items:drop: {consent: Delete items}\n");
    let mut stage = Stage::new(&[
        ("faulty.yaml", &faulty),
        ("lax.yaml", &lax),
        ("shop.yaml", SHOP),
        ("shop.cases.yaml", CASES),
        ("broken.yaml", "version: 1\nroles: {a\n"),
    ]);
    stage
        .run("policy check shop.yaml shop.cases.yaml")
        .run("policy check faulty.yaml")
        .run("policy check lax.yaml")
        .run("policy check lax.yaml --strict");
    for form in ["json", "sarif", "github", "junit"] {
        stage.run(&format!("policy check faulty.yaml -o {form}"));
        stage.run(&format!("policy check shop.yaml shop.cases.yaml -o {form}"));
    }
    stage
        .run("policy check lax.yaml --strict -o junit")
        .run("policy check broken.yaml")
        .run("policy check no-such-file.yaml")
        .run("policy matrix shop.yaml -o sarif");
    stage.assert_golden("check.txt");
}

/// Every finding that there is, as people read it, with what is right instead.
#[test]
fn explain_code() {
    let mut stage = Stage::new(&[]);
    stage.run("policy explain-code");
    let listed = stage.told.clone();
    for code in listed.lines().filter_map(|line| line.split(' ').next()).filter(|word| word.starts_with("SG")) {
        stage.run(&format!("policy explain-code {code}"));
    }
    stage.run("policy explain-code sg0301 -o json").run("policy explain-code SG9999");
    stage.assert_golden("explain-code.txt");
}

/// Each of them in every form that there is, and no golden file of a code that there is not.
#[test]
fn codes() {
    let mut shown = BTreeSet::new();
    for CodeExample { code, wrong, .. } in code_examples() {
        let found = compile(&wrong.sources, &wrong.overrides).diagnostics;
        let files: Vec<String> = wrong.sources.iter().map(|source| source.name.clone()).collect();
        let documents: String = wrong.sources.iter().map(|source| format!("# {}\n{}\n", source.name, source.text)).collect();
        let forms = [
            ("human", render(&found, &wrong.sources, Look::Plain)),
            ("json", format!("{:#}", json!({"ok": found.iter().all(|one| one.severity == Severity::Warning), "diagnostics": found}))),
            ("sarif", format!("{:#}", sarif(&found, "VERSION"))),
            ("github", github(&found)),
            ("junit", junit_of_findings(&found, &files, false)),
        ];
        let told: String = forms.iter().map(|(name, text)| format!("## {name}\n{}\n\n", text.trim_end())).collect();
        assert_golden(&format!("codes/{code}.txt"), &format!("{documents}{told}"));
        shown.insert(format!("{code}.txt"));
    }
    let kept = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codes")).unwrap();
    let kept: BTreeSet<String> = kept.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(kept, shown);
}

/// What each verb says of itself, so that no flag changes unseen.
#[test]
fn usage() {
    fn each(command: &mut clap::Command, name: &str, told: &mut String) {
        told.push_str(&format!("$ {name} --help\n{}\n", command.render_help()));
        let below: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        for verb in below {
            each(command.find_subcommand_mut(&verb).unwrap(), &format!("{name} {verb}"), told);
        }
    }
    let mut command = scopegate::cli::command().term_width(120);
    command.build();
    let mut told = String::new();
    each(&mut command, "scopegate", &mut told);
    assert_golden("verbs/usage.txt", &told);
}

/// Verbs that need neither policies nor a gateway, and what is said where something lacks.
#[test]
fn set_up() {
    let mut stage = Stage::new(&[("faulty.yaml", "gatewey: {}\nlimits: {body: 10MB}\nstore: {redis: \"rediss://x\"}\n")]);
    stage.run("version").run("version -o json").run("init shop").run("init shop").run("init shop -o json");
    stage.run("serve --check -c shop/scopegate.yaml").run("serve --check -c shop/scopegate.yaml -o json");
    stage.run("serve --check -c faulty.yaml").run("serve --check -c faulty.yaml -o json").run("serve --check -c nowhere.yaml");
    stage.run("serve -c faulty.yaml");
    stage.run("policy check -c shop/scopegate.yaml").run("policy test -c shop/scopegate.yaml").run("policy matrix -c shop/scopegate.yaml");
    stage.run("keys generate kek-2").run("keys generate kek-2").run("keys generate kek-3 -o json");
    fs::remove_file(stage.folder.path().join("shop/keys/kek-1")).unwrap();
    stage.run("serve --check -c shop/scopegate.yaml");
    stage.run("audit verify nowhere.jsonl").run("completion abacus").run("man nosuch").run("polcy check");
    // Each key has an id of its own.
    for lead in ["wrapping key ", "\"id\": \""] {
        let id = stage.told.split(lead).nth(1).unwrap().chars().take(16).collect::<String>();
        stage.told = stage.told.replace(&id, "ID");
    }
    stage.assert_golden("set-up.txt");
}

#[test]
fn the_manual_holds_the_whole_language_and_every_verb() {
    let says = |arguments: &[&str]| {
        let made = Command::new(env!("CARGO_BIN_EXE_scopegate")).args(arguments).output().unwrap();
        String::from_utf8(made.stdout).unwrap()
    };
    assert_eq!(says(&["man", "policy"]), scopegate_core::policy::REFERENCE);
    let manual = says(&["man"]);
    for verb in scopegate::cli::command().get_subcommands() {
        assert!(manual.contains(&format!("scopegate\\-{}", verb.get_name())), "{}", verb.get_name());
    }
}

/// A schema says nothing else than the library, which other tests look at.
#[test]
fn schema() {
    let says = |arguments: &[&str]| -> Value {
        let made = Command::new(env!("CARGO_BIN_EXE_scopegate")).args(["policy", "schema"]).args(arguments).output().unwrap();
        serde_json::from_slice(&made.stdout).unwrap()
    };
    assert_eq!([says(&[]), says(&["--cases"]), says(&["--settings"])], [policy_schema(), cases_schema(), scopegate::settings::schema()]);
}

#[test]
fn test() {
    let wrong = CASES.replace("allow item.get", "allow item.put").replace("/items/7 -> deny operation_denied", "/item/7 -> deny operation_denied");
    let mut stage = Stage::new(&[("shop.yaml", SHOP), ("shop.cases.yaml", CASES), ("wrong.cases.yaml", &wrong), ("faulty.yaml", "version: 2\n")]);
    for line in ["", " --untested --fail-under 50", " --fail-under 51 --fail-under-pairs 50", " -o json", " -o junit"] {
        stage.run(&format!("policy test shop.yaml shop.cases.yaml{line}"));
    }
    stage.run("policy test shop.yaml wrong.cases.yaml").run("policy test shop.yaml wrong.cases.yaml -o junit").run("policy test shop.yaml");
    stage.run("policy test faulty.yaml").run("policy test shop.yaml -o github");
    stage.assert_golden("test.txt");
}

#[test]
fn explain() {
    let chat = SHOP
        .replace("    scopes:\n", "    refusal: {status: 200, body: {ok: false, error: \"{error}\", needed: \"{required_scopes}\"}}\n    scopes:\n");
    let mut stage = Stage::new(&[("shop.yaml", SHOP), ("chat.yaml", &chat)]);
    for asked in [
        "GET /items/7 --role reader",
        "PUT /items/7 --role reader",
        "GET /orders --role reader",
        "GET /orders --role clerk --granted items.read,orders.all",
        "GET /orders --role clerk --granted items.read",
        "GET /orders?own=1 --role reader",
        "DELETE /items/7 --role clerk",
        "GET /itmes/7 --role clerk",
        "POST /items/7 --role clerk -H X-Odd:1",
        "GET /items//7 --role clerk",
        "GET /query?q=SELECT+Id+FROM+Order --role reader",
    ] {
        stage.run(&format!("policy explain {asked} --connector shop --policies shop.yaml"));
    }
    stage.run("policy explain PUT /items/7 --role reader --connector shop --policies shop.yaml -o json");
    stage.run("policy explain PUT /items/7 --role reader --connector shop --policies chat.yaml");
    stage.run("policy explain GET /items/7 --role raeder --connector shop --policies shop.yaml");
    stage.run("policy explain GET /items/7 --role reader --connector shpo --policies shop.yaml");
    stage.run("policy explain GET /shop/items/7 --role reader --connector shop --policies shop.yaml");
    stage.assert_golden("explain.txt");
}

#[test]
fn matrix() {
    let mut stage = Stage::new(&[("shop.yaml", SHOP)]);
    stage.run("policy matrix shop.yaml").run("policy matrix shop.yaml --format csv").run("policy matrix shop.yaml --format html");
    stage.run("policy matrix shop.yaml --role clerk --connector shop -o json");
    stage.assert_golden("matrix.txt");
}

#[test]
fn diff() {
    let new = SHOP
        .replace("reader: {allow: {shop: [\"items:r*\"]}}", "reader: {allow: {shop: [\"items:*\"]}}")
        .replace("{any: [orders.read, orders.all]}", "[orders.own]")
        .replace("      - {id: order.own, match: GET /orders, where: {query: {own: \"1\"}}, require: none}\n", "")
        .replace("Order: orders:read}", "Order: items:read}");
    let mut stage = Stage::new(&[("old.yaml", SHOP), ("new.yaml", &new), ("faulty.yaml", "version: 2\n")]);
    stage.run("policy diff old.yaml new.yaml").run("policy diff old.yaml new.yaml -o json").run("policy diff old.yaml new.yaml --exit-zero");
    stage.run("policy diff old.yaml old.yaml").run("policy diff old.yaml faulty.yaml").run("policy diff old.yaml no-such.yaml");
    stage.assert_golden("diff.txt");
}

/// The same between revisions, and between one and what lies there.
#[test]
fn diff_in_the_history() {
    let mut stage = Stage::new(&[
        ("project/policies/shop.yaml", SHOP),
        ("project/policies/.hidden.yaml", "no: policy\n"),
        ("project/notes.yaml", "no: policy\n"),
    ]);
    let git = |stage: &Stage, arguments: &[&str]| {
        let settings = ["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false"];
        let made = Command::new("git").args(settings).args(arguments).current_dir(stage.folder.path().join("project")).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    };
    git(&stage, &["init", "-q"]);
    git(&stage, &["add", "-A"]);
    git(&stage, &["commit", "-q", "-m", "first"]);
    stage.write("project/policies/shop.yaml", &SHOP.replace("shop: [items:write, orders:read]", "shop: [items:write]"));
    git(&stage, &["commit", "-q", "-a", "-m", "second"]);
    stage.write("project/policies/shop.yaml", &SHOP.replace("[\"items:r*\"]", "[]"));
    // Paths are those of the working folder.
    let project = stage.folder.path().join("project");
    let folder = std::mem::replace(&mut stage.folder, tempfile::tempdir().unwrap());
    copy(&project, stage.folder.path());
    drop(folder);
    stage.run("policy diff HEAD~1:policies HEAD:policies").run("policy diff HEAD:policies").run("policy diff HEAD:policies/shop.yaml policies");
    stage.run("policy diff HEAD:policies HEAD:policies/").run("policy diff nowhere:policies policies").run("policy diff HEAD:nothing policies");
    stage.assert_golden("diff-in-the-history.txt");
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

#[test]
fn fmt() {
    let untidy = SHOP
        .replace("version: 1", "# the shop\nversion:    1  # kept")
        .replace("reader: {allow:", "reader:  {  allow:")
        .replace("    scopes:\n", "    scopes:\n\n\n");
    let mut stage = Stage::new(&[("shop.yaml", SHOP), ("untidy.yaml", &untidy), ("broken.yaml", "version: 1\nroles: {a\n")]);
    stage.run("policy fmt --check shop.yaml").run("policy fmt --check shop.yaml untidy.yaml").run("policy fmt --check untidy.yaml -o json");
    assert_eq!(stage.read("untidy.yaml"), untidy);
    stage
        .run("policy fmt shop.yaml untidy.yaml")
        .run("policy fmt --check untidy.yaml")
        .run("policy fmt untidy.yaml -o json")
        .run("policy fmt broken.yaml shop.yaml");
    assert_eq!((stage.read("broken.yaml"), stage.read("shop.yaml")), ("version: 1\nroles: {a\n".to_owned(), SHOP.to_owned()));
    let tidy = stage.read("untidy.yaml");
    stage.told.push_str(&format!("untidy.yaml afterwards\n{tidy}"));
    stage.assert_golden("fmt.txt");
}

const TINY: &str = r##"{
  "openapi": "3.0.3", "info": {"title": "Tiny", "version": "1"}, "servers": [{"url": "https://api.tiny.example/v1"}, {"url": "https://test.tiny.example/v1"}],
  "components": {"securitySchemes": {"oauth": {"type": "oauth2", "flows": {"authorizationCode": {"authorizationUrl": "https://tiny.example/authorize", "tokenUrl": "/token", "scopes": {"pets.read": "PROSE"}}}}}},
  "paths": {
    "/pets/{petId}": {
      "get": {"operationId": "getPet", "summary": "PROSE", "security": [{"oauth": ["pets.read"]}], "parameters": [{"in": "query", "name": "code"}, {"in": "query", "name": "access_token"}]},
      "delete": {"operationId": "deletePet", "security": [{"oauth": ["pets.write", "pets.read"]}]},
      "put": {"operationId": "putPet"}},
    "/pets/{petId}#rename": {"put": {"operationId": "renamePet", "security": [{"oauth": ["pets.read"]}]}},
    "/pets/*": {"get": {}}
  }
}"##;

const FARM: &str = r##"{
  "kind": "discovery#restDescription", "title": "Farm API", "version": "v1", "rootUrl": "https://farm.googleapis.com/", "servicePath": "", "description": "PROSE",
  "resources": {"animals": {"methods": {
    "get": {"id": "farm.animals.get", "httpMethod": "GET", "path": "v1/{+name}", "flatPath": "v1/animals/{animalsId}", "description": "PROSE", "scopes": ["https://www.googleapis.com/auth/farm", "https://www.googleapis.com/auth/farm.readonly"]},
    "insert": {"id": "farm.animals.insert", "httpMethod": "POST", "path": "v1/animals", "scopes": ["https://www.googleapis.com/auth/farm"], "mediaUpload": {"protocols": {"simple": {"path": "/upload/v1/animals"}}}},
    "ping": {"id": "farm.animals.ping", "httpMethod": "GET", "path": "v1/ping"}}}}
}"##;

const PERMISSIONS: &str = r##"{"permissions": {
  "Mail.Read": {"schemes": {"DelegatedWork": {"adminDescription": "PROSE"}}, "pathSets": [
    {"schemeKeys": ["DelegatedWork"], "methods": ["GET"], "paths": {"/me/messages": "least=DelegatedWork", "/me/messages/{id}": ""}},
    {"schemeKeys": ["Application"], "methods": ["GET"], "paths": {"/users/{id}/messages": "least=Application"}}]},
  "Mail.ReadWrite": {"pathSets": [{"schemeKeys": ["DelegatedWork"], "methods": ["GET", "PATCH"], "paths": {"/me/messages/{id}": "least=DelegatedWork"}}]},
  "Rule.Write": {"pathSets": [{"schemeKeys": ["DelegatedWork"], "methods": ["POST"], "paths": {"/me/rules": "AlsoRequires=Mail.Read", "/me/rules?$filter=x": ""}}]}
}}"##;

#[test]
fn import() {
    let foreign = TINY.replace("\"put\": {\"operationId\": \"putPet\"}", "\"put\": {\"$ref\": \"other.json#/put\"}");
    let mut stage = Stage::new(&[
        ("tiny.json", TINY),
        ("foreign.json", &foreign),
        ("none.yaml", "version: 1\n"),
        ("there.yaml", "mine\n"),
        ("farm.json", FARM),
        ("permissions.json", PERMISSIONS),
    ]);
    stage.run("policy import openapi tiny.json --connector tiny");
    stage.run("policy import openapi tiny.json --connector tiny --array all");
    stage.run("policy import openapi tiny.json --connector tiny --array any --upstream https://test.tiny.example -o json");
    stage.run("policy import openapi tiny.json --connector tiny --array all --out there.yaml");
    assert_eq!(stage.read("there.yaml"), "mine\n");
    stage.run("policy import openapi tiny.json --connector tiny --array all --out there.yaml --force").run("policy check there.yaml");
    stage.run("policy import openapi tiny.json --connector tiny --array all --out new.yaml -o json");
    assert_eq!(stage.read("new.yaml"), stage.read("there.yaml"));
    stage
        .run("policy import openapi foreign.json --connector tiny --array all --out foreign.yaml")
        .run("policy import openapi none.yaml --connector tiny");
    assert!(!stage.folder.path().join("foreign.yaml").exists());
    stage
        .run("policy import openapi tiny.json --connector tiny --array all --scheme ouath")
        .run("policy import openapi no-such.json --connector tiny");
    stage.run("policy import openapi tiny.json --connector Tiny!").run("policy fmt --check there.yaml");
    stage
        .run("policy import google-discovery farm.json --connector farm --out farm.yaml")
        .run("policy import google-discovery farm.json --connector farm")
        .run("policy check farm.yaml")
        .run("policy import google-discovery tiny.json --connector tiny")
        .run("policy import msgraph-permissions permissions.json --connector graph")
        .run("policy import msgraph-permissions permissions.json --connector graph-app --kind application --out graph-app.yaml -o json")
        .run("policy check graph-app.yaml")
        .run("policy import msgraph-permissions tiny.json --connector graph");
    stage.assert_golden("import.txt");
}

/// An event as the audit keeps it; the chain is not looked at here.
fn event(number: usize, role: &str, request: &str, operation: Option<&str>, required: &str, decision: &str, reason: Option<&str>) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    let text = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), |text| format!("\"{text}\""));
    format!(
        "{{\"time\":\"2026-01-0{number}T12:00:00.000Z\",\"request_id\":\"{number:032}\",\"session\":null,\"customer\":\"acme\",\"connector\":\"shop\",\"account\":\"a\",\"role\":\"{role}\",\"caller\":null,\"method\":\"{method}\",\"path\":\"{path}\",\"operation\":{},\"required\":{required},\"missing\":[],\"decision\":\"{decision}\",\"reason\":{},\"status\":200,\"upstream_called\":true,\"upstream_status\":200,\"duration_ms\":1,\"upstream_ms\":1,\"bytes_in\":0,\"bytes_out\":0,\"policy_hash\":null,\"seq\":{number},\"prev_hash\":\"\",\"hash\":\"\"}}\n",
        text(operation),
        text(reason)
    )
}

fn audit() -> (String, String) {
    let older = event(1, "reader", "GET /items/7", Some("item.get"), "[[\"items:read\"]]", "allow", None);
    let newer = [
        event(2, "clerk", "GET /items/8", Some("item.get"), "[[\"items:read\"]]", "allow", None),
        event(3, "clerk", "GET /orders", Some("order.list"), "[[\"orders:read\"],[\"items:read\",\"items:write\"]]", "allow", None),
        event(4, "reader", "PUT /items/7", Some("item.put"), "[[\"items:write\"]]", "deny", Some("role_lacks_scope")),
        event(5, "reader", "PUT /items/8", Some("item.put"), "[[\"items:write\"]]", "deny", Some("role_lacks_scope")),
        event(6, "clerk", "GET /nothing", None, "[]", "deny", Some("unknown_operation")),
        event(7, "clerk", "GET /items/9", Some("item.get"), "[[\"items:read\"]]", "deny", Some("rate_limited")),
        event(8, "clerk", "GET /query", Some("query"), "[[\"items:read\"]]", "allow", None),
    ];
    (older, newer.concat() + "{\"torn")
}

#[test]
fn suggest() {
    let (older, newer) = audit();
    let mut stage = Stage::new(&[("policies/shop.yaml", SHOP), ("data/audit.jsonl.1", &older), ("data/audit.jsonl", &newer)]);
    stage.run("policy suggest --audit data/audit.jsonl").run("policy suggest --audit data/audit.jsonl -o json");
    stage.run("policy suggest --audit data/audit.jsonl --since 2026-01-03T00:00:00Z --until 2026-01-04T00:00:00Z");
    stage.run("policy suggest --audit nowhere.jsonl").run("policy suggest --audit data/audit.jsonl --since yesterday").run("policy suggest");
    stage.assert_golden("suggest.txt");

    // The patch applies, and then there is nothing more to suggest, and nothing would have gone otherwise.
    let made = Command::new(env!("CARGO_BIN_EXE_scopegate"))
        .args(["policy", "suggest", "--audit", "data/audit.jsonl"])
        .current_dir(stage.folder.path())
        .output()
        .unwrap();
    stage.write("least.patch", &String::from_utf8(made.stdout).unwrap());
    let applied = Command::new("git").args(["apply", "least.patch"]).current_dir(stage.folder.path()).output().unwrap();
    assert!(applied.status.success(), "{applied:?}");
    assert_ne!(stage.read("policies/shop.yaml"), SHOP);
    let mut after = Stage { folder: stage.folder, told: String::new() };
    after.run("policy suggest --audit data/audit.jsonl").run("policy replay --audit data/audit.jsonl");
    assert!(after.told.matches("exit 0").count() == 2, "{}", after.told);
}

#[test]
fn replay() {
    let (older, newer) = audit();
    let new = SHOP.replace("reader: {allow: {shop: [\"items:r*\"]}}", "reader: {allow: {shop: [items:write]}, deny: {shop: [item.get]}}");
    let mut stage = Stage::new(&[("old.yaml", SHOP), ("new.yaml", &new), ("audit.jsonl.1", &older), ("audit.jsonl", &newer)]);
    stage.run("policy replay old.yaml --audit audit.jsonl").run("policy replay new.yaml --audit audit.jsonl");
    stage
        .run("policy replay new.yaml --audit audit.jsonl -o json")
        .run("policy replay new.yaml --audit audit.jsonl --exit-zero --since 2026-01-05T00:00:00Z");
    stage.assert_golden("replay.txt");
}
