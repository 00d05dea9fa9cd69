//! `scopegate doctor` beside a running gateway, without one, and where there is nothing to look at.

use crate::certified::Authority;
use crate::stage::{Script, Stage, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn doctor(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let ended = tokio::task::block_in_place(|| run(folder, &[&["doctor", "-o", "json"], arguments].concat()));
    (ended.status.code(), serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null))
}

fn told(report: &Value, check: &str) -> Vec<(String, String)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter().filter(|one| one["check"] == check);
    checks.map(|one| (text(one, "status"), text(one, "message"))).collect()
}

/// The ports that were free at the start are those of the settings from here on.
fn settle(stage: &Stage) {
    let settings = stage.path("scopegate.yaml");
    let mut text = fs::read_to_string(&settings).unwrap();
    for address in [stage.gateway, stage.admin] {
        assert!(text.contains("127.0.0.1:0"), "{text}");
        text = text.replacen("127.0.0.1:0", &address.to_string(), 1);
    }
    fs::write(&settings, text).unwrap();
}

/// Every file with its bytes, but for what SQLite keeps beside its file while somebody looks.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !name.ends_with("-shm") && !name.ends_with("-wal") {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_running_gateway_everything_that_works_is_said_to() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
    settle(&stage);
    // A search brings what was noted to the disk.
    assert_eq!(stage.must(Method::GET, "/v1/audit", Value::Null).await["events"].as_array().unwrap().len(), 1);
    let (status, report) = doctor(stage.folder.path(), &["--online"]);
    assert_eq!((status, &report["ok"]), (Some(0), &json!(true)), "{report:#}");
    assert_eq!(told(&report, "listen"), served(&stage));
    assert!(told(&report, "store").iter().any(|(_, message)| message.contains("1 accounts, 1 grants")), "{report:#}");
    assert!(told(&report, "key").iter().all(|(status, message)| status == "ok" && message.contains("opens the store's")), "{report:#}");
    assert!(told(&report, "audit").iter().any(|(_, message)| message.contains("the chain holds over the last 1 events")), "{report:#}");
    let reached = told(&report, "endpoints");
    assert!(reached.len() >= 4 && reached.iter().all(|(status, _)| status == "ok"), "{report:#}");
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
    // It asked the provider for pages without asking for anything, and for nothing but pages.
    let problems = stage.practice.provider().problems();
    assert!(problems.iter().all(|problem| problem.starts_with("authorization request:")), "{problems:?}");
    assert!(stage.stop().success());
}

fn served(stage: &Stage) -> [(String, String); 2] {
    let served = |(key, address)| ("ok".to_owned(), format!("{key}: {address} is served by scopegate"));
    [("gateway.listen", stage.gateway), ("admin.listen", stage.admin)].map(served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_known_behind_its_certificate() {
    let authority = Authority::new();
    let shown = authority.sign("gate", "gate.example");
    let tls = format!("tls: {{cert_file: {}, key_file: {}}}", shown.cert.display(), shown.key.display());
    let listen = format!("[{{address: \"127.0.0.1:0\", {tls}}}]");
    let stage = Stage::with(Script { listen, admin: format!(", {tls}"), ..Script::default() }).await;
    settle(&stage);
    let (status, report) = doctor(stage.folder.path(), &[]);
    assert_eq!((status, told(&report, "listen")), (Some(0), served(&stage).to_vec()), "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_one_nothing_in_the_folder_changes() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    assert!(stage.stop().success());
    let before = files(stage.folder.path());
    let (status, report) = doctor(stage.folder.path(), &[]);
    assert_eq!(status, Some(0), "{report:#}");
    assert_eq!(files(stage.folder.path()), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_status_1_and_what_cannot_be_told_2() {
    let script = Script { settings: "callers: []\n".into(), ..Script::default() };
    let folder = tempfile::tempdir().unwrap();
    let (status, report) = doctor(folder.path(), &[]);
    assert_eq!((status, report), (Some(2), Value::Null));
    fs::write(folder.path().join("scopegate.yaml"), script.settings).unwrap();
    let (status, report) = doctor(folder.path(), &[]);
    assert_eq!((status, &report["ok"], told(&report, "settings").len()), (Some(1), &json!(false), 1), "{report:#}");
    assert!(run(folder.path(), &["init", "project"]).status.success());
    let project = folder.path().join("project");
    fs::remove_file(project.join("keys/kek-1")).unwrap();
    let human = run(&project, &["doctor"]);
    let out = String::from_utf8(human.stdout).unwrap();
    assert_eq!(human.status.code(), Some(1), "{out}");
    let line = out.lines().find(|line| line.starts_with("fail")).unwrap();
    assert!(line.contains("key") && line.contains("is missing") && line.contains("-> ") && line.contains("scopegate keys generate"), "{line}");
}
