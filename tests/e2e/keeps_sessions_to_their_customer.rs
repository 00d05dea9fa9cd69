//! A session is whose it was first, whatever happens to the process; and it can be told from its first call to its last.

use crate::stage::{Reply, Stage};
use reqwest::Method;
use serde_json::Value;

async fn call(stage: &Stage, method: Method, target: &str, account: &str, session: &str) -> Reply {
    stage.send(stage.request(method, target, account).header("Scopegate-Session", session)).await
}

fn told(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.text("reason"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_call_binds_a_session_and_a_kill_right_after_it_changes_nothing() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("globex", "user_2", "researcher").await;
    let (get, write) = ("/crm/v1/accounts/A-1", "/crm/v1/opportunities/O-7");
    // A call of nobody binds nothing, and a refused one does.
    assert_eq!(told(&call(&stage, Method::GET, get, "nobody", "run-1").await), (401, "unknown_account"));
    assert_eq!(told(&call(&stage, Method::PATCH, write, "user_1", "run-1").await), (403, "role_lacks_scope"));
    stage.kill_and_restart().await;
    assert_eq!(told(&call(&stage, Method::GET, get, "user_2", "run-1").await), (403, "session_customer_mismatch"));
    assert_eq!(call(&stage, Method::GET, get, "user_1", "run-1").await.status, 200);
    assert_eq!(call(&stage, Method::GET, get, "user_2", "run-2").await.status, 200, "its own session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_crew_can_be_told_call_by_call() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_1_writes", "publisher").await;
    stage.account("globex", "user_2", "researcher").await;
    let calls = [
        (Method::GET, "/crm/v1/accounts/A-1", "user_1", "allow", Value::Null),
        (Method::PATCH, "/crm/v1/opportunities/O-7", "user_1", "deny", "role_lacks_scope".into()),
        (Method::PATCH, "/crm/v1/opportunities/O-7", "user_1_writes", "allow", Value::Null),
        (Method::GET, "/crm/v1/accounts/A-1", "user_2", "deny", "session_customer_mismatch".into()),
    ];
    let mut expected = Vec::new();
    for (method, target, account, decision, reason) in calls {
        let reply = call(&stage, method, target, account, "run-1").await;
        expected.push((Value::from(reply.request_id), Value::from(account), Value::from(decision), reason));
        stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    }
    let run = stage.must(Method::GET, "/v1/sessions/run-1", Value::Null).await;
    assert_eq!((&run["id"], &run["customer"]), (&Value::from("run-1"), &Value::from("acme")), "{run}");
    let chain: Vec<_> = run["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["request_id"].clone(), event["account"].clone(), event["decision"].clone(), event["reason"].clone()))
        .collect();
    assert_eq!(chain, expected, "oldest first, and nothing of other sessions");
    assert!(run["started_at"].as_str() <= run["events"][1]["time"].as_str(), "{run}");
    let found = stage.must(Method::GET, "/v1/audit?session=run-1", Value::Null).await;
    assert_eq!(found["events"].as_array().unwrap().len(), expected.len(), "the audit knows it, too");
}
