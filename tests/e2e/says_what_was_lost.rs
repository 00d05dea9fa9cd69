//! What a verb found is told whole, or it says that it could not tell; and what it could not write whole is not there.

use crate::stage::{BINARY, Stage, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::io::pipe;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a line of the shell, in which `scopegate` is the built binary.
fn shell(folder: &Path, line: &str) -> Output {
    let line = line.replace("scopegate ", &format!("{BINARY} "));
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(folder).env("SCOPEGATE_ADMIN_TOKEN", crate::stage::ADMIN_TOKEN);
    tokio::task::block_in_place(|| command.output().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_the_disk_does_not_take_is_no_success() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let admin = format!("--admin-url http://{}", stage.admin);
    for verb in [
        "version".into(),
        "version -o json".into(),
        "man".into(),
        "man policy".into(),
        "completion bash".into(),
        "--help".into(),
        "policy check".into(),
        "policy matrix".into(),
        format!("account list {admin}"),
        format!("audit export {admin}"),
        format!("audit search {admin}"),
    ] {
        if verb.starts_with("audit export") {
            stage.call(Method::GET, "/crm/v1/ping", "user_1").await;
        }
        let made = shell(stage.folder.path(), &format!("scopegate {verb} > /dev/full"));
        let told = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.code() == Some(2) && told.contains("the result could not be written: No space left"), "{verb}: {made:?}");
        // A reader that goes away has what it wanted.
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = Command::new(BINARY);
        command.args(verb.split(' ')).current_dir(stage.folder.path()).env("SCOPEGATE_ADMIN_TOKEN", crate::stage::ADMIN_TOKEN);
        let left = tokio::task::block_in_place(|| command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
        assert!(left.status.success() && left.stderr.is_empty(), "{verb}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_written_whole_is_not_in_the_way_of_the_next_try() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.call(Method::GET, "/crm/v1/ping", "user_1").await;
    let export = format!("audit export --out all.jsonl --admin-url http://{}", stage.admin);
    // A limit that the first file meets, and one that the first files of a project do not.
    for (verb, blocks, made) in [
        ("keys generate new/kek", 0, "new/kek"),
        ("init first", 0, "first/scopegate.yaml"),
        ("init second", 16, "second/scopegate.yaml"),
        (export.as_str(), 0, "all.jsonl"),
    ] {
        let failed = shell(stage.folder.path(), &format!("ulimit -f {blocks}; scopegate {verb}"));
        assert!(failed.status.code() == Some(2) && !failed.stderr.is_empty(), "{verb}: {failed:?}");
        assert!(!stage.path(made).exists(), "{verb}");
        let done = shell(stage.folder.path(), &format!("scopegate {verb}"));
        assert!(done.status.success() && stage.path(made).exists(), "{verb}: {done:?}");
    }
    let rest: Vec<_> = fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!rest.iter().any(|name| name.to_string_lossy().starts_with('.')), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_holds_all_accounts_or_says_that_there_are_more() {
    let stage = Stage::new().await;
    let line = |number: usize| json!({"connector": "crm", "identifier": format!("user_{number:04}"), "customer": "acme", "role": "researcher"});
    let lines: Vec<String> = (0..1_050).map(|number| line(number).to_string()).collect();
    fs::write(stage.path("accounts.jsonl"), lines.join("\n")).unwrap();
    assert!(stage.verb(&["account", "import", "accounts.jsonl"]).status.success());
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let listed = stage.verb(&["account", "list", "--role", "researcher"]);
    assert_eq!((String::from_utf8_lossy(&listed.stdout).lines().count(), told(&listed)), (1_051, String::new()));
    for (limit, hint) in [(None, false), (Some("7"), true), (Some("1050"), false)] {
        let limited: Vec<&str> = limit.into_iter().flat_map(|limit| ["--limit", limit]).collect();
        let listed = stage.verb(&[&["account", "list", "-o", "json"], &limited[..]].concat());
        let all: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let expected = limit.map_or(1_050, |limit| limit.parse().unwrap());
        assert_eq!((all["accounts"].as_array().unwrap().len(), all["cursor"].is_string()), (expected, hint), "{limit:?}");
        assert_eq!(told(&listed).contains("there are more"), hint, "{limit:?}");
    }
    stage.call(Method::GET, "/crm/v1/ping", "nobody").await;
    stage.call(Method::GET, "/crm/v1/ping", "nobody").await;
    for (limit, hint) in [("1", true), ("2", false)] {
        let found = stage.verb(&["audit", "search", "--limit", limit]);
        assert_eq!(told(&found).contains("there are more"), hint, "{limit}");
    }
    assert_eq!(run(stage.folder.path(), &["account", "list", "--limit", "many"]).status.code(), Some(2));
}
