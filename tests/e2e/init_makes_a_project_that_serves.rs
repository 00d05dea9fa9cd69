//! `scopegate init`: a folder that checks clean, whose tests hold, and that serves at once; nothing that is there is touched.

use crate::stage::{BINARY, Program, Served, run};
use regex::Regex;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A new project, its ports replaced by whichever are free.
fn project(folder: &Path) -> PathBuf {
    let made = run(folder, &["init", "project"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let project = folder.join("project");
    let settings = project.join("scopegate.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    let free = text.replace("127.0.0.1:4100\"", "127.0.0.1:0\"").replace("127.0.0.1:4101\"", "127.0.0.1:0\"");
    assert_eq!(free.matches("127.0.0.1:0").count(), 2);
    fs::write(settings, free).unwrap();
    project
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_the_folder_works_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    for arguments in [&["serve", "--check"][..], &["policy", "check"], &["policy", "test"]] {
        let ended = run(&project, arguments);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {ended:?}");
    }
    let tested: Value = serde_json::from_slice(&run(&project, &["policy", "test", "-o", "json"]).stdout).unwrap();
    assert!(tested["passed"].as_u64().unwrap() >= 8, "{tested}");

    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let served = Served::start(&project, Program::Scopegate, "info", &[]).await;
    let token = fs::read_to_string(project.join("keys/admin-token")).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let account = format!("http://{}/v1/connectors/tickets/accounts/user_1", served.admin);
    let made = http.put(&account).bearer_auth(token.trim()).json(&json!({"customer": "acme", "role": "reader"})).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let key = json!({"access_token": "brought"});
    let brought = http.put(format!("{account}/credentials")).bearer_auth(token.trim()).json(&key).send().await.unwrap();
    assert_eq!(brought.status(), 200);
    let request = http.patch(format!("http://{}/tickets/tickets/7", served.gateways[0])).header("Scopegate-Account", "user_1");
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let refusal: Value = refused.json().await.unwrap();
    assert_eq!(refusal["title"], "insufficient_scope: tickets:write required");
}

#[test]
fn secrets_are_for_their_owner_alone_and_never_committed() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    for name in ["keys/kek-1", "keys/admin-token"] {
        assert_eq!(fs::metadata(project.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(project.join("keys")).unwrap().permissions().mode() & 0o077, 0);
    let ignored = fs::read_to_string(project.join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "/keys/") && ignored.lines().any(|line| line == "/data/"), "{ignored}");
    let other = tempfile::tempdir().unwrap();
    let token = |project: &Path| fs::read_to_string(project.join("keys/admin-token")).unwrap();
    assert_ne!(token(&project), token(&self::project(other.path())));
}

#[test]
fn editors_find_the_schema_of_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let mut seen = Vec::new();
    for file in files(&project).iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let text = fs::read_to_string(file).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        let schema = file.parent().unwrap().join(schema);
        let written: Value = serde_json::from_str(&fs::read_to_string(&schema).unwrap()).unwrap();
        seen.push((file.file_name().unwrap().to_string_lossy().into_owned(), written));
    }
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(seen.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["scopegate.yaml", "tickets.cases.yaml", "tickets.yaml"]);
    for ((_, written), arguments) in seen.iter().zip([&["--settings"][..], &["--cases"], &[]]) {
        let printed = run(&project, &[&["policy", "schema"], arguments].concat());
        assert_eq!(*written, serde_json::from_slice::<Value>(&printed.stdout).unwrap(), "{arguments:?}");
    }
}

#[test]
fn what_stands_in_the_comments_of_the_settings_is_taken_too() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let settings = project.join("scopegate.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    let commented = Regex::new(r"(?m)^( *)# ( *(?:- |[a-z_]+:))").unwrap();
    assert!(commented.find_iter(&text).count() >= 8);
    fs::write(&settings, commented.replace_all(&text, "$1$2").replace("/etc/ssl/own.pem", "own.pem")).unwrap();
    let checked = Command::new(BINARY).args(["serve", "--check", "-o", "json"]).current_dir(&project).env("TICKETS_SECRET", "x").output().unwrap();
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((checked.status.code(), &told["ok"], &told["diagnostics"]), (Some(0), &json!(true), &json!([])), "{told}");
}

#[test]
fn nothing_that_is_there_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    for name in ["scopegate.yaml", "policies/tickets.yaml", ".gitignore"] {
        fs::write(folder.path().join(name), "mine\n").unwrap();
    }
    let refused = run(folder.path(), &["init"]);
    assert_eq!((refused.status.code(), text(&refused.stdout).as_str()), (Some(1), ""), "{refused:?}");
    assert!(text(&refused.stderr).contains("scopegate.yaml, policies/tickets.yaml"), "{refused:?}");
    let refused = run(folder.path(), &["init", ".", "-o", "json"]);
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), &told["exists"]), (Some(1), &json!(["scopegate.yaml", "policies/tickets.yaml"])));
    assert_eq!(files(folder.path()).len(), 3);
    assert!(files(folder.path()).iter().all(|file| fs::read_to_string(file).unwrap() == "mine\n"));

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(run(folder.path(), &["init", "file"]).status.code(), Some(2));
}

#[test]
fn a_folder_of_a_repository_gets_what_its_gitignore_lacks() {
    for (there, afterwards) in [
        ("", "# Secrets, and what the gateway writes.\n/keys/\n/data/\n"),
        ("/target/\n/keys/", "/target/\n/keys/\n# Secrets, and what the gateway writes.\n/data/\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        fs::write(folder.path().join(".gitignore"), there).unwrap();
        let made = run(folder.path(), &["init"]);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        assert_eq!(fs::read_to_string(folder.path().join(".gitignore")).unwrap(), afterwards);
        assert_eq!(run(folder.path(), &["policy", "test"]).status.code(), Some(0));
    }
}

#[test]
fn what_was_made_and_what_comes_next_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["init", "deep/er"]);
    let told = text(&made.stdout);
    for part in ["deep/er", "scopegate.yaml", "keys/kek-1", "cd deep/er", "scopegate policy test", "scopegate serve"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let made = run(folder.path(), &["init", "json", "-o", "json"]);
    let told: Value = serde_json::from_slice(&made.stdout).unwrap();
    let mut there: Vec<String> =
        files(&folder.path().join("json")).iter().map(|file| file.strip_prefix(folder.path().join("json")).unwrap().display().to_string()).collect();
    let mut listed: Vec<String> = told["made"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    there.sort();
    listed.sort();
    assert_eq!(there, listed);
}
