//! Exactly one audit event for each request, whatever became of it.

use crate::stage::{Script, Stage};
use crate::{audit, raw};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::AsyncWriteExt as _;

fn id(answer: &raw::Answer) -> String {
    answer.header("scopegate-request-id").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allowed_refused_failed_and_aborted_requests_leave_one_event_each() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "researcher").await;
    let mut expected: BTreeMap<String, (Option<u64>, &str)> = BTreeMap::new();
    for (method, target, account, status, decision) in [
        (Method::GET, "/crm/v1/accounts/A-1", "user_1", 200, "allow"),
        (Method::GET, "/crm/v1/ping", "user_1", 200, "allow"),
        (Method::PATCH, "/crm/v1/opportunities/O-7", "user_1", 403, "deny"),
        (Method::GET, "/crm/v1/hidden", "user_1", 403, "deny"),
        (Method::GET, "/nowhere/v1", "user_1", 404, "deny"),
        (Method::GET, "/crm/v1/ping", "user_9", 401, "deny"),
        (Method::GET, "/crm/v1/files/cut/a", "user_1", 502, "allow"),
    ] {
        let reply = stage.call(method, target, account).await;
        assert_eq!(reply.status, status, "{target} {}", reply.body);
        expected.insert(reply.request_id, (Some(u64::from(status)), decision));
    }
    let garbage = raw::exchange(stage.gateway, b"GET /crm/v1/ping\r\n\r\n").await;
    expected.insert(id(&garbage[0]), (Some(400), "deny"));
    let named = expected.len();

    // A client that leaves before its answer comes.
    let hold = stage.practice.api().hold();
    let before = stage.practice.api().requests();
    let head = format!("GET /crm/v1/files/held/a HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_1\r\n\r\n", stage.gateway);
    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stage.practice.api().until_requests(before + 1).await;
    raw::reset(stream);
    drop(hold);

    let events = audit::all(&mut stage);
    let mut found: BTreeMap<String, (Option<u64>, &str)> = BTreeMap::new();
    for event in &events {
        let told = (event["status"].as_u64(), event["decision"].as_str().unwrap());
        let before = found.insert(event["request_id"].as_str().unwrap().to_owned(), told);
        assert_eq!(before, None, "two events of one request: {event}");
    }
    for (id, told) in &expected {
        assert_eq!(found.remove(id), Some(*told), "{id}");
    }
    assert_eq!((found.len(), events.len()), (1, named + 1), "the client that left has its event too: {found:?}");
    let left = events.iter().find(|event| event["path"] == "/v1/files/held/a").unwrap();
    assert_eq!((&left["status"], &left["upstream_called"], &left["decision"]), (&Value::Null, &json!(true), &json!("allow")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_says_what_the_contract_lists_and_the_chain_holds() {
    let mut stage = Stage::with(Script::default()).await;
    stage.account("acme", "user_1", "researcher").await;
    let request = stage.request(Method::PATCH, "/crm/v1/opportunities/O-7?note=private", "user_1").header("Scopegate-Session", "run-1").body("{}");
    stage.send(request).await;
    stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    let events = audit::all(&mut stage);
    let refused = &events[0];
    for (name, value) in [
        ("session", json!("run-1")),
        ("customer", json!("acme")),
        ("connector", json!("crm")),
        ("account", json!("user_1")),
        ("role", json!("researcher")),
        ("method", json!("PATCH")),
        ("path", json!("/v1/opportunities/O-7")),
        ("operation", json!("opportunity.update")),
        ("required", json!([["opportunities:write"]])),
        ("missing", json!(["opportunities:write"])),
        ("decision", json!("deny")),
        ("reason", json!("role_lacks_scope")),
        ("status", json!(403)),
        ("upstream_called", json!(false)),
        ("upstream_status", Value::Null),
        ("prev_hash", json!("")),
    ] {
        assert_eq!(refused[name], value, "{name} of {refused}");
    }
    assert_eq!(events[1]["prev_hash"], refused["hash"]);
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("private"), "a query value in {text}");
}
