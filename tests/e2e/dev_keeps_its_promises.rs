//! `scopegate dev`: the scenario holds, notices each broken promise, and every shipped connector can be tried in it.

use crate::deadline::Deadline;
use crate::stage::{BINARY, run};
use scopegate::dev::{Call, Options, Promise, Telling, World, borrowed, members};
use scopegate_core::policy::Look;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

fn once(arguments: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let played = run(folder.path(), &[&["dev", "played", "--port", "0", "--once", "-o", "json"], arguments].concat());
    let told = serde_json::from_slice(&played.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&played.stderr)));
    (played.status.code(), told)
}

#[test]
fn the_scenario_holds() {
    let _deadline = Deadline::of_this();
    let (status, told) = once(&[]);
    assert_eq!((status, &told["ok"]), (Some(0), &json!(true)), "{told:#}");
    let promises: Vec<_> = told["promises"].as_array().unwrap().iter().map(|promise| promise["promise"].as_str().unwrap()).collect();
    assert_eq!(promises, Promise::ALL.map(Promise::as_str));
}

#[test]
fn each_broken_promise_is_noticed() {
    let _deadline = Deadline::of_this();
    for promise in Promise::ALL {
        let (status, told) = once(&["--sabotage", promise.as_str()]);
        assert_eq!((status, &told["ok"]), (Some(1), &json!(false)), "{promise}: {told:#}");
        let broken = told["promises"].as_array().unwrap().iter().filter(|told| told["kept"] == false);
        let broken: Vec<_> = broken.map(|told| told["promise"].as_str().unwrap()).collect();
        assert!(broken.contains(&promise.as_str()), "{promise}: {told:#}");
    }
}

#[test]
fn the_scenario_is_told_step_by_step() {
    let _deadline = Deadline::of_this();
    let folder = tempfile::tempdir().unwrap();
    let played = run(folder.path(), &["dev", "--port", "0", "--once"]);
    let told = String::from_utf8(played.stdout).unwrap();
    assert_eq!(played.status.code(), Some(0), "{told}");
    for promise in Promise::ALL {
        assert!(told.contains(promise.sentence()), "{told}");
    }
    assert!(told.contains("insufficient_scope: opportunities:write required") && told.contains("6 of 6 promises kept"), "{told}");
    assert!(!told.contains('\x1b'), "colours are for terminals");
}

#[test]
fn a_port_that_is_taken_is_named_with_the_flag_that_chooses_another() {
    let _deadline = Deadline::of_this();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["dev", "--port", &port, "--once"]);
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert!(told.contains(&port) && told.contains("--port"), "{told}");
}

#[test]
fn a_folder_with_settings_of_its_own_is_left_alone() {
    let _deadline = Deadline::of_this();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("scopegate.yaml");
    std::fs::write(&settings, "# mine\n").unwrap();
    let ended = Command::new(BINARY).args(["dev", ".", "--once"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(settings).unwrap(), "# mine\n");
}

#[test]
fn an_edit_of_its_policies_comes_into_force_and_is_told() {
    let _deadline = Deadline::of_this();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["dev", "live", "--port", "0"]).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("SCOPEGATE_LOG");
    let mut child = command.spawn().unwrap();
    // Both end with the process, so that nobody waits for lines of one that ended.
    let (out, err) = (BufReader::new(child.stdout.take().unwrap()), BufReader::new(child.stderr.take().unwrap()));
    assert!(out.lines().any(|line| line.unwrap().contains("Decisions")));
    let policy = folder.path().join("live/policies/crm.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    assert!(text.contains("require: accounts:read"));
    std::fs::write(&policy, text.replace("require: accounts:read", "require: opportunities:write")).unwrap();
    assert!(err.lines().any(|line| line.unwrap().contains("denied: researcher crm account.get GET /v1/accounts/{id} allow -> role_lacks_scope")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shipped_connector_can_be_used_in_it() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let options = Options { folder: folder.path().join("dev"), port: 0, look: Look::Plain, telling: Telling::Lines };
    let world = World::start(&options, None).await.unwrap();
    assert_eq!(members().len(), 6);
    for borrowed in borrowed() {
        let reply = world.agent().call(Call::new(reqwest::Method::GET, borrowed.target, &borrowed.member)).await.unwrap();
        assert_eq!(reply.status, 200, "{}: {}", borrowed.target, reply.body);
        let seen = world.practice().api().seen();
        let owner = seen.last().unwrap().owner.as_ref().map(|owner| owner.label.clone());
        assert_eq!(owner, borrowed.member.label(), "{}", borrowed.target);
    }
    world.end().await;
}
