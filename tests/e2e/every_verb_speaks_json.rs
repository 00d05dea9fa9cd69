//! The command line as programs use it: every verb speaks JSON, and its status says yes, no, or that it could not tell.

use crate::stage::{ADMIN_TOKEN, BINARY, Stage, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A verb, arguments for it in the folder of the stage, and how it ends. In this order, for some need what others did.
const VERBS: &[(&str, &[&str], i32)] = &[
    ("init", &["project"], 0),
    ("serve", &["--check"], 0),
    ("dev", &["dev", "--port", "0", "--once"], 0),
    ("policy check", &[], 0),
    ("policy test", &[], 0),
    ("policy explain", &["GET", "/v1/accounts/1", "--connector", "crm", "--role", "researcher"], 0),
    ("policy explain-code", &["SG0301"], 0),
    ("policy diff", &["policies"], 0),
    ("policy matrix", &[], 0),
    ("policy fmt", &["--check"], 0),
    ("policy suggest", &["policies"], 1),
    ("policy replay", &["policies"], 0),
    ("policy import openapi", &["tiny.json", "--connector", "tiny"], 0),
    ("policy import google-discovery", &["farm.json", "--connector", "farm"], 0),
    ("policy import msgraph-permissions", &["permissions.json", "--connector", "graph"], 0),
    ("policy schema", &[], 0),
    ("account ensure", &["crm", "user_2", "--customer", "acme", "--role", "researcher"], 0),
    ("account list", &[], 0),
    ("account show", &["crm", "user_2"], 0),
    ("account link", &["crm", "user_2"], 0),
    ("account credentials", &["crm", "user_2", "--file", "credential.json"], 0),
    ("account handle", &["crm", "user_2", "--ttl", "15m"], 0),
    ("account import", &["accounts.jsonl"], 0),
    ("account refresh", &["crm", "user_1"], 0),
    ("account revoke", &["crm", "user_1"], 0),
    ("account delete", &["crm", "user_2"], 0),
    ("audit search", &[], 0),
    ("audit export", &[], 0),
    ("audit verify", &[], 0),
    ("keys generate", &["fresh"], 0),
    ("keys status", &[], 0),
    ("keys rotate", &[], 0),
    ("store backup", &["backup.db"], 0),
    ("store restore", &["backup.db"], 1),
    ("doctor", &[], 0),
    ("completion", &["bash"], 0),
    ("man", &[], 0),
    ("version", &[], 0),
];

/// Verbs that go on until somebody ends them: their first line is JSON.
const ENDLESS: &[(&str, &[&str])] = &[("audit tail", &[])];

/// What people do wrong, and what it is: a no is a result, as JSON on stdout; what could not be told stands on stderr alone.
const SLIPS: &[(&str, &[&str], i32)] = &[
    ("init", &["project"], 1),
    ("init", &["credential.json"], 2),
    ("serve", &["--check", "-c", "nowhere.yaml"], 2),
    ("serve", &["--check", "-c", "wrong.yaml"], 1),
    ("doctor", &["-c", "nowhere.yaml"], 2),
    ("doctor", &["-c", "wrong.yaml"], 1),
    ("policy check", &["nowhere.yaml"], 2),
    ("policy check", &["empty"], 2),
    ("policy check", &["wrong-policy.yaml"], 1),
    ("policy test", &["nowhere.yaml"], 2),
    ("policy test", &["empty"], 2),
    ("policy test", &["failing.yaml"], 1),
    ("policy explain", &["GET", "/v1/accounts/1", "--connector", "crm", "--role", "responder"], 1),
    ("policy explain", &["GET", "/", "--connector", "nosuch", "--role", "researcher"], 2),
    ("policy explain", &["GET", "/", "--connector", "crm", "--role", "researcher", "--policies", "nowhere.yaml"], 2),
    ("policy schema", &["--cases", "--settings"], 2),
    ("policy explain-code", &["SG9999"], 1),
    ("policy diff", &["nowhere.yaml"], 2),
    ("policy diff", &["policies", "wider.yaml"], 1),
    ("policy matrix", &["wrong-policy.yaml"], 1),
    ("policy fmt", &["--check", "untidy.yaml"], 1),
    ("policy fmt", &["wrong-yaml.yaml"], 1),
    ("policy suggest", &["wrong-policy.yaml"], 1),
    ("policy suggest", &["--audit", "nowhere.jsonl"], 2),
    ("policy replay", &["--since", "yesterday"], 2),
    ("policy import openapi", &["nowhere.json", "--connector", "tiny"], 2),
    ("policy import openapi", &["wrong.yaml", "--connector", "tiny"], 1),
    ("policy import openapi", &["tiny.json", "--connector", "tiny", "--out", "wrong.yaml"], 1),
    ("policy import google-discovery", &["nowhere.json", "--connector", "farm"], 2),
    ("policy import google-discovery", &["tiny.json", "--connector", "farm"], 1),
    ("policy import msgraph-permissions", &["nowhere.json", "--connector", "graph"], 2),
    ("policy import msgraph-permissions", &["tiny.json", "--connector", "graph"], 1),
    ("account show", &["crm", "nobody"], 1),
    ("account ensure", &["crm", "user_1", "--customer", "globex", "--role", "researcher"], 1),
    ("account credentials", &["crm", "user_1", "--file", "nowhere.json"], 2),
    ("account credentials", &["crm", "user_1", "--file", "wrong.yaml"], 2),
    ("account import", &["nowhere.jsonl"], 2),
    ("account import", &["credential.json"], 1),
    ("account list", &["-c", "nowhere.yaml"], 2),
    ("audit search", &["--since", "yesterday"], 1),
    ("audit export", &["--out", "credential.json"], 2),
    ("audit verify", &["nowhere/audit.jsonl"], 2),
    ("audit verify", &["wrong.yaml"], 1),
    ("keys generate", &["fresh"], 1),
    ("store backup", &["backup.db"], 1),
    ("store restore", &["credential.json"], 1),
    ("completion", &["abacus"], 2),
    ("man", &["nosuch"], 2),
    ("version", &["--no-such-flag"], 2),
    ("no-such-verb", &[], 2),
];

/// The verbs that have no verbs below, by their whole names.
fn leaves(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
    for verb in command.get_subcommands() {
        let name = format!("{above} {}", verb.get_name()).trim().to_owned();
        if verb.has_subcommands() { leaves(verb, &name, found) } else { _ = found.insert(name) }
    }
}

/// Whether the verb asks the admin API.
fn asks_the_api(name: &str) -> bool {
    let mut command = scopegate::cli::command();
    command.build();
    let verb = name.split(' ').try_fold(&command, |command, word| command.find_subcommand(word));
    verb.is_some_and(|verb| verb.get_arguments().any(|argument| argument.get_id() == "admin_url"))
}

/// The whole command line: as JSON, and at the stage's own admin API.
fn line<'a>(name: &'a str, arguments: &[&'a str], admin: &'a str) -> Vec<&'a str> {
    let mut line: Vec<&str> = name.split(' ').chain(["-o", "json"]).chain(arguments.iter().copied()).collect();
    if asks_the_api(name) {
        line.extend(["--admin-url", admin]);
    }
    line
}

/// One document, or a line for each.
fn is_json(output: &[u8]) -> bool {
    let text = std::str::from_utf8(output).unwrap();
    let whole = serde_json::from_str::<Value>(text).is_ok();
    whole || (!text.trim().is_empty() && text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()))
}

async fn furnished() -> Stage {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
    // A search waits until it is on disk.
    stage.must(Method::GET, "/v1/audit", Value::Null).await;
    fs::create_dir(stage.path("empty")).unwrap();
    let failing =
        format!("{}tests:\n  - {{name: no, role: responder, requests: [crm GET /v1/ping -> deny unknown_operation]}}\n", crate::stage::POLICY);
    for (name, text) in [
        ("credential.json", json!({"access_token": "brought"}).to_string()),
        ("accounts.jsonl", json!({"connector": "crm", "identifier": "user_3", "customer": "acme", "role": "researcher"}).to_string()),
        ("wrong.yaml", "gatewya: {}\n".into()),
        ("wrong-policy.yaml", "version: 1\nrols: {}\n".into()),
        ("failing.yaml", failing),
        ("wider.yaml", crate::stage::POLICY.replace("responder: {allow: {crm: [", "responder: {allow: {crm: [accounts:read, ")),
        ("untidy.yaml", "version:   1\n".into()),
        ("wrong-yaml.yaml", "version: [1\n".into()),
        (
            "farm.json",
            json!({
                "kind": "discovery#restDescription", "rootUrl": "https://farm.example/",
                "methods": {"ping": {"id": "farm.ping", "httpMethod": "GET", "path": "ping"}},
            })
            .to_string(),
        ),
        (
            "permissions.json",
            json!({"permissions": {"User.Read": {"pathSets": [{"schemeKeys": ["DelegatedWork"], "methods": ["GET"], "paths": {"/me": ""}}]}}})
                .to_string(),
        ),
        (
            "tiny.json",
            json!({"openapi": "3.0.0", "servers": [{"url": "https://tiny.example"}], "paths": {"/a": {"get": {"security": []}}}}).to_string(),
        ),
    ] {
        fs::write(stage.path(name), text).unwrap();
    }
    stage
}

fn ended(folder: &Path, line: &[&str]) -> Output {
    tokio::task::block_in_place(|| run(folder, line))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_verb_answers_in_json_and_says_how_it_went() {
    let mut all = BTreeSet::new();
    leaves(&scopegate::cli::command(), "", &mut all);
    let known: BTreeSet<String> = VERBS.iter().map(|(name, ..)| *name).chain(ENDLESS.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    assert_eq!(known, all, "each verb has a row here");

    let stage = furnished().await;
    let admin = format!("http://{}", stage.admin);
    for (name, arguments, status) in VERBS.iter().chain(SLIPS) {
        let output = ended(stage.folder.path(), &line(name, arguments, &admin));
        let told = format!("{name} {arguments:?}: {} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(*status), "{told}");
        match status {
            2 => assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{told}"),
            _ => assert!(is_json(&output.stdout), "{told}"),
        }
    }
    for (name, arguments) in ENDLESS {
        let mut command = Command::new(BINARY);
        command.args(line(name, arguments, &admin)).current_dir(stage.folder.path()).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        let stdout = child.stdout.take().unwrap();
        tokio::task::block_in_place(|| BufReader::new(stdout).read_line(&mut first)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(serde_json::from_str::<Value>(&first).is_ok(), "{name}: {first}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_be_reached_is_no_answer() {
    let stage = furnished().await;
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let admin = format!("http://{closed}");
    let asking: Vec<_> =
        VERBS.iter().map(|(name, arguments, _)| (*name, *arguments)).chain(ENDLESS.iter().copied()).filter(|(name, _)| asks_the_api(name)).collect();
    assert!(asking.len() >= 14, "{asking:?}");
    for (name, arguments) in asking {
        let output = ended(stage.folder.path(), &line(name, arguments, &admin));
        let told = format!("{name}: {} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(&admin), "{told}");
    }
}

#[test]
fn manual_and_completions_know_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = BTreeSet::new();
    leaves(&scopegate::cli::command(), "", &mut all);
    let text = |arguments: &[&str]| String::from_utf8(run(folder.path(), arguments).stdout).unwrap();
    let manual = text(&["man"]);
    for verb in &all {
        let page = format!(".TH scopegate-{} ", verb.replace(' ', "-"));
        assert!(manual.contains(&page), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&["completion", shell]);
        for verb in all.iter().map(|verb| verb.rsplit(' ').next().unwrap()) {
            assert!(script.contains(verb), "{shell} does not complete {verb}");
        }
    }
    // bash itself completes with its script: the first word, and one below
    for (words, offered) in [("scopegate do", "doctor"), ("scopegate account imp", "import"), ("scopegate policy sch", "schema")] {
        let (before, last) = words.rsplit_once(' ').unwrap();
        let (at, before) = (before.split(' ').count(), before.rsplit(' ').next().unwrap());
        let ask = format!("COMP_WORDS=({words}); COMP_CWORD={at}; _scopegate scopegate {last} {before}; echo \"${{COMPREPLY[@]}}\"");
        let script = format!("{}\n{ask}", text(&["completion", "bash"]));
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), offered, "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let told: Value = serde_json::from_str(&text(&["version", "-o", "json"])).unwrap();
    assert_eq!(told, json!({"name": "scopegate", "version": env!("CARGO_PKG_VERSION")}));
}
