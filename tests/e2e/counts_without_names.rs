//! `/metrics`: everything that operators watch is counted, in a form that others read, documented, and without the name of
//! anybody.

use crate::serves_real_clients::python;
use crate::stage::{ADMIN_TOKEN, Script, Stage};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Families by name, as somebody else's strict reader sees them.
struct Seen(Vec<Value>);

impl Seen {
    async fn of(stage: &Stage) -> (Self, String) {
        let answer = stage.http.get(format!("http://{}/metrics", stage.admin)).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
        let text = answer.text().await.unwrap();
        let mut command = Command::new(python());
        command.arg("tests/clients/read_metrics.py").current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
        assert!(output.status.success(), "{text}");
        (Self(serde_json::from_slice(&output.stdout).unwrap()), text)
    }

    /// The value of a sample with these labels.
    fn value(&self, name: &str, labels: Value) -> Option<f64> {
        let samples = self.0.iter().flat_map(|family| family["samples"].as_array().unwrap());
        samples.into_iter().find(|sample| sample[0] == name && sample[1] == labels).map(|sample| sample[2].as_f64().unwrap())
    }

    /// Values of each label, over all samples.
    fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in self.0.iter().flat_map(|family| family["samples"].as_array().unwrap()) {
            for (name, value) in sample[1].as_object().unwrap() {
                labels.entry(name.clone()).or_default().insert(value.as_str().unwrap().to_owned());
            }
        }
        labels
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted_and_nobody_is_named() {
    let mut stage = Stage::new().await;
    let label = stage.account("canary-customer", "canary-account", "researcher").await;
    stage.account("canary-customer", "canary-off", "researcher").await;
    stage.must(Method::PUT, "/v1/connectors/crm/accounts/canary-pending", json!({"customer": "canary-customer", "role": "researcher"})).await;
    stage.must(Method::PATCH, "/v1/connectors/crm/accounts/canary-off", json!({"status": "disabled"})).await;
    let handle = stage.handle("crm", "canary-account").await;

    let call = |method, target: &str, account: &str| stage.request(method, target, account).header("Scopegate-Session", "canary-session");
    stage.practice.provider().expire(&label);
    for (method, target, account, status) in [
        (Method::GET, "/crm/v1/accounts/canary-path?canary=query", "canary-account", 200),
        (Method::GET, "/crm/v1/accounts/A-1", handle.as_str(), 200),
        (Method::PATCH, "/crm/v1/opportunities/O-1", "canary-account", 403),
        (Method::GET, "/crm/v1/accounts/A-1", "canary-nobody", 401),
        (Method::GET, "/canary-connector/v1", "canary-account", 404),
        (Method::GET, "/crm/canary-operation", "canary-account", 403),
        (Method::GET, "/crm/v1/accounts/A-1", "canary-off", 401),
    ] {
        assert_eq!(stage.send(call(method.clone(), target, account)).await.status, status, "{method} {target} {account}");
    }
    stage.must(Method::POST, "/v1/connectors/crm/accounts/canary-account/revoke", Value::Null).await;
    // A search waits until all events are on disk.
    assert_eq!(stage.must(Method::GET, "/v1/audit", Value::Null).await["events"].as_array().unwrap().len(), 7);

    let (seen, text) = Seen::of(&stage).await;
    for (name, labels, value) in [
        ("scopegate_requests_total", json!({"connector": "crm", "decision": "allow", "reason": ""}), 2.0),
        ("scopegate_requests_total", json!({"connector": "crm", "decision": "deny", "reason": "role_lacks_scope"}), 1.0),
        ("scopegate_requests_total", json!({"connector": "crm", "decision": "deny", "reason": "unknown_account"}), 2.0),
        ("scopegate_requests_total", json!({"connector": "crm", "decision": "deny", "reason": "unknown_operation"}), 1.0),
        ("scopegate_requests_total", json!({"connector": "", "decision": "deny", "reason": "unknown_connector"}), 1.0),
        ("scopegate_request_duration_seconds_count", json!({"connector": "crm"}), 6.0),
        ("scopegate_upstream_duration_seconds_count", json!({"connector": "crm"}), 2.0),
        ("scopegate_refreshes_total", json!({"connector": "crm", "outcome": "tokens"}), 1.0),
        ("scopegate_token_calls_total", json!({"connector": "crm", "outcome": "tokens"}), 1.0),
        ("scopegate_revocations_total", json!({"connector": "crm", "outcome": "confirmed"}), 1.0),
        ("scopegate_token_call_duration_seconds_count", json!({"connector": "crm"}), 2.0),
        ("scopegate_accounts", json!({"status": "pending"}), 1.0),
        ("scopegate_accounts", json!({"status": "disabled"}), 1.0),
        ("scopegate_accounts", json!({"status": "revoked"}), 1.0),
        ("scopegate_accounts", json!({"status": "active"}), 0.0),
        ("scopegate_audit_events_total", json!({}), 7.0),
        ("scopegate_audit_queue", json!({}), 0.0),
        ("scopegate_policy_generation", json!({}), 1.0),
        ("scopegate_policy_last_reload_rejected", json!({}), 0.0),
        ("scopegate_build_info", json!({"version": env!("CARGO_PKG_VERSION")}), 1.0),
    ] {
        assert_eq!(seen.value(name, labels.clone()), Some(value), "{name} {labels}: {text}");
    }
    assert!(seen.value("scopegate_connections_total", json!({})).is_some_and(|count| count >= 1.0), "{text}");
    assert!(seen.value("scopegate_open_grants", json!({})).is_some_and(|count| count >= 1.0), "{text}");

    assert!(!text.contains("canary") && !text.contains(&handle) && !text.contains(ADMIN_TOKEN), "{text}");
    let labels = seen.labels();
    let names: Vec<_> = labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["connector", "decision", "le", "outcome", "protocol", "reason", "result", "status", "version"]);
    assert!(labels["connector"].iter().all(|connector| ["", "crm"].contains(&connector.as_str())), "{labels:?}");
    assert!(stage.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_are_counted_however_they_are_asked_for() {
    let stage = Stage::with(Script { settings: "watch: false\n".into(), ..Script::default() }).await;
    let policy = stage.path("policies/crm.yaml");
    let whole = std::fs::read_to_string(&policy).unwrap();
    // A signal is answered by nothing but what it does.
    let until = async |generation: f64, accepted: f64, rejected: f64, last: f64| loop {
        let (seen, text) = Seen::of(&stage).await;
        let of = |result| seen.value("scopegate_policy_reloads_total", json!({"result": result})).unwrap();
        let gauge = |name| seen.value(name, json!({})).unwrap();
        let came = (gauge("scopegate_policy_generation"), of("accepted"), of("rejected"), gauge("scopegate_policy_last_reload_rejected"));
        if came == (generation, accepted, rejected, last) {
            return;
        }
        assert!(came.1 <= accepted && came.2 <= rejected, "{text}");
    };
    std::fs::write(&policy, "version: 1\nrols: {}\n").unwrap();
    assert_eq!(stage.ask(Method::POST, "/v1/policies/reload", Value::Null).await.0, 422);
    until(1.0, 0.0, 1.0, 1.0).await;
    std::fs::write(&policy, whole).unwrap();
    stage.hang_up();
    until(2.0, 1.0, 1.0, 0.0).await;
    stage.must(Method::POST, "/v1/policies/reload", Value::Null).await;
    until(3.0, 2.0, 1.0, 0.0).await;
}
