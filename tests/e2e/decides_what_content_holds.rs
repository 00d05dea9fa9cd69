//! What a body holds is decided before a byte of it goes out, and what goes out is what was decided.

use crate::http2::Http2;
use crate::recorder::Recorder;
use crate::stage::{POLICY, Reply, Script, Stage};
use crate::{audit, raw};
use reqwest::Method;
use scopegate_core::inspect::Json;
use serde_json::{Value, json};

const CONTENT: &str = r#"      - {id: query, match: GET /v1/query, soql: {query: q, objects: {Account: accounts:read, Opportunity: opportunities:read}}}
      - {id: graphql, match: POST /v1/graphql, graphql: {query: {account: accounts:read}, mutation: {close: opportunities:write}}}
      - {id: batch, match: POST /v1/batch, batch: {requests: /requests, method: /method, url: /url, body: /body}}
      - {id: mixed, match: POST /v1/mixed, batch: {format: multipart}}
      - {id: export, match: POST /v1/export, require: none, limits: {body: 20MiB, requests_per_account: 2/h}}
      - {id: find, match: POST /v1/find, require: accounts:read}
      - {id: find.all, match: POST /v1/find, where: {query: {scope: all}}, require: opportunities:write}
      - {id: small, match: POST /v1/small, require: none, limits: {body: 10}}
roles:
  newcomer: {mode: shadow, allow: {crm: [accounts:read]}}
"#;

async fn stage(settings: &str) -> (Stage, Recorder) {
    let recorder = Recorder::start().await;
    let policy = POLICY.replacen("roles:\n", CONTENT, 1);
    let listen = "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into();
    let script =
        Script { listen, upstream: Some(format!("http://{}", recorder.address)), policy, settings: settings.to_owned(), ..Script::default() };
    let stage = Stage::with(script).await;
    for (account, role) in [("reader", "researcher"), ("writer", "publisher"), ("newcomer", "newcomer")] {
        stage.account("acme", account, role).await;
    }
    (stage, recorder)
}

async fn send(stage: &Stage, target: &str, account: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    stage.send(stage.request(Method::POST, target, account).header("content-type", content_type).body(body)).await
}

/// The bodies that arrived.
fn bodies(recorder: &Recorder) -> Vec<String> {
    let body = |request: &Vec<u8>| String::from_utf8_lossy(request).split_once("\r\n\r\n").unwrap().1.to_owned();
    recorder.take().iter().map(body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_goes_out_as_it_was_decided_and_is_told_to_the_audit() {
    let (mut stage, recorder) = stage("limits: {requests_per_account: none}\n").await;
    let part = |method: &str, url: &str| json!({"method": method, "url": url});
    let write = json!({"id": "2", "method": "PATCH", "url": "/v1/opportunities/7", "body": {"amount": 1.0}});
    let text = format!(r#"{{ "requests" : [ {{"url": "/v1/opportunities/%37?a=%41", "method": "GET"}}, {write}, {write} ], "rest": 1.50 }}"#);
    let reply = send(&stage, "/crm/v1/batch", "writer", "application/json", text).await;
    assert_eq!((reply.status, reply.decision.as_str()), (200, r#"allow;op="crm.batch""#), "{}", reply.body);
    let sent = format!(
        r#"{{"requests":[{{"url":"/v1/opportunities/7?a=%41","method":"GET"}},{0},{0}],"rest":1.50}}"#,
        r#"{"body":{"amount":1.0},"id":"2","method":"PATCH","url":"/v1/opportunities/7"}"#
    );
    assert_eq!(bodies(&recorder), [sent]);
    let reply =
        send(&stage, "/crm/v1/batch", "reader", "application/json", json!({"requests": [part("GET", "/v1/accounts/1"), write]}).to_string()).await;
    assert_eq!(
        (reply.status, reply.text("reason"), &reply.body["part"], &reply.body["missing_scopes"]),
        (403, "role_lacks_scope", &json!(2), &json!(["opportunities:write"]))
    );
    assert!(
        reply.text("detail").contains("opportunity.update needs opportunities:write")
            && reply.text("detail").ends_with("This is part 2 of the batch batch, of which nothing was sent."),
        "{}",
        reply.body
    );
    let mixed = "--b\nContent-Type: application/http\n\nGET /v1/accounts/%41\n\n--b--";
    let reply = send(&stage, "/crm/v1/mixed", "reader", "multipart/mixed; boundary=b", mixed).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(bodies(&recorder), ["--b\r\nContent-Type: application/http\r\n\r\nGET /v1/accounts/A HTTP/1.1\r\n\r\n\r\n--b--\r\n"]);
    let events = audit::all(&mut stage);
    let parts: Vec<&Value> = events.iter().map(|event| &event["parts"]).collect();
    assert_eq!(parts, [&json!(["opportunity.get", "opportunity.update"]), &json!(["account.get", "opportunity.update"]), &json!(["account.get"])]);
    assert_eq!(
        (&events[1]["operation"], &events[1]["missing"], &events[1]["upstream_called"]),
        (&json!("batch"), &json!(["opportunities:write"]), &json!(false))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_goes_out_only_without_what_the_policy_reads_in_the_query() {
    let (stage, recorder) = stage("limits: {requests_per_account: none, inspected_body: 1KiB}\n").await;
    let form = "application/x-www-form-urlencoded";
    for (target, content_type, body, status, reason) in [
        ("/crm/v1/find", form, "name=a".to_owned(), 200, ""),
        ("/crm/v1/find?scope=own", form, "name=a&scope=all".to_owned(), 400, "ambiguous_request"),
        ("/crm/v1/find", form, "s%63ope=all".to_owned(), 400, "ambiguous_request"),
        ("/crm/v1/find", form, format!("name={}", "a".repeat(1024)), 413, "body_too_large"),
        ("/crm/v1/find?scope=all", form, "name=a".to_owned(), 403, "role_lacks_scope"),
        ("/crm/v1/find", "text/plain", "scope=all".to_owned(), 200, ""),
    ] {
        let reply = send(&stage, target, "reader", content_type, body.clone()).await;
        let came = (reply.status, reply.body["reason"].as_str().unwrap_or_default());
        assert_eq!(came, (status, reason), "{target} {body}: {}", reply.body);
        assert_eq!(bodies(&recorder), if status == 200 { vec![body] } else { Vec::new() }, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_to_be_read_never_goes_out() {
    let (stage, recorder) = stage("limits: {requests_per_account: none}\n").await;
    let filled = |length: usize| json!({"query": "{ account }", "variables": {"x": "x".repeat(length)}}).to_string();
    for length in [60_000, 70_000, 1_000_000] {
        let small = send(&stage, "/crm/v1/graphql", "reader", "application/json", filled(length)).await;
        assert!(small.status == 200 && bodies(&recorder) == [filled(length)], "{length}: {}", small.body);
    }
    let (host, length) = (stage.gateway, filled(500_000).len());
    let head = |framing: &str| {
        format!(
            "POST /crm/v1/graphql HTTP/1.1\r\nHost: {host}\r\nScopegate-Account: reader\r\nContent-Type: application/json\r\nConnection: close\r\n{framing}\r\n\r\n"
        )
    };
    let pieces: String =
        filled(500_000).as_bytes().chunks(70_001).map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap())).collect();
    let answers = raw::exchange(host, format!("{}{pieces}0\r\n\r\n", head("Transfer-Encoding: chunked")).as_bytes()).await;
    assert_eq!(answers.first().map(|answer| answer.status), Some(200), "{answers:?}");
    let arrived = recorder.take().pop().unwrap();
    let (sent, chunks) = std::str::from_utf8(&arrived).unwrap().split_once("\r\n\r\n").unwrap();
    assert!(sent.to_lowercase().contains("transfer-encoding: chunked") && chunks.len() > length, "{sent}");
    // What is written anew may be as large.
    let part = json!({"method": "GET", "url": "/v1/accounts/%41", "note": "x".repeat(200)});
    let batch = |mail: usize| json!({"mail": "x".repeat(mail), "requests": [part]}).to_string();
    let reply = send(&stage, "/crm/v1/batch", "reader", "application/json", batch(300_000)).await;
    let arrived = bodies(&recorder);
    assert!(reply.status == 200 && arrived.len() == 1 && arrived[0].len() > 300_000 && arrived[0].contains("/v1/accounts/A"), "{}", reply.body);
    assert_eq!(send(&stage, "/crm/v1/batch", "reader", "application/json", batch(1)).await.status, 200, "the same connection goes on");
    recorder.take();
    let large = send(&stage, "/crm/v1/graphql", "reader", "application/json", filled(1 << 20)).await;
    assert_eq!((large.status, large.text("reason"), &large.body["upstream_called"]), (413, "body_too_large", &json!(false)), "{}", large.body);
    let body = filled(1 << 20);
    let chunked = format!("{}{:x}\r\n{body}\r\n0\r\n\r\n", head("Transfer-Encoding: chunked"), body.len());
    let answers = raw::exchange(host, chunked.as_bytes()).await;
    assert_eq!(answers.first().map(|answer| (answer.status, answer.reason())), Some((413, Some("body_too_large"))), "{answers:?}");
    let refused = send(&stage, "/crm/v1/graphql", "reader", "application/json", json!({"query": "mutation { close }"}).to_string()).await;
    assert_eq!(
        (refused.status, refused.text("reason"), refused.decision.as_str()),
        (403, "role_lacks_scope", r#"deny;reason=role_lacks_scope;op="crm.graphql""#)
    );
    let unknown = send(&stage, "/crm/v1/graphql", "reader", "application/json", json!({"query": "{ hidden }"}).to_string()).await;
    assert_eq!((unknown.status, unknown.text("reason")), (403, "unknown_operation"));
    assert!(unknown.text("detail").contains("It names account.") && !unknown.body.to_string().contains("hidden"), "{}", unknown.body);
    assert_eq!(bodies(&recorder), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_http2_streams_are_read_and_written_anew_alike() {
    let (stage, recorder) = stage("limits: {requests_per_account: none}\n").await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let part = |url: &str| json!({"method": "GET", "url": url}).to_string();
    let mail = "x".repeat(500_000);
    for (part, told, arrives) in [
        (
            part("/v1/accounts/%41"),
            (200, None),
            vec![format!(r#"{{"requests":[{}],"mail":"{mail}"}}"#, r#"{"method":"GET","url":"/v1/accounts/A"}"#)],
        ),
        (part("/v1/hidden"), (403, Some("unknown_operation")), vec![]),
    ] {
        let body = format!(r#"{{ "requests": [{part}], "mail": "{mail}" }}"#);
        let headers = [("scopegate-account", "reader"), ("content-type", "application/json")];
        let answer = client.exchange("POST", "/crm/v1/batch", &headers, body.as_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.reason()), told);
        let sent: Vec<String> = bodies(&recorder).iter().map(|body| Json::read(body.as_bytes()).unwrap().to_string()).collect();
        assert_eq!(sent, arrives.iter().map(|body| Json::read(body.as_bytes()).unwrap().to_string()).collect::<Vec<_>>());
    }
    let filled = json!({"query": "{ account }", "variables": {"x": "x".repeat(1 << 20)}}).to_string();
    let headers = [("scopegate-account", "reader"), ("content-type", "application/json")];
    let answer = client.exchange("POST", "/crm/v1/graphql", &headers, filled.as_bytes()).await.unwrap();
    assert_eq!((answer.status, answer.reason(), bodies(&recorder).len()), (413, Some("body_too_large"), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_has_limits_of_its_own() {
    let (stage, recorder) = stage("limits: {body: 1KiB, requests_per_account: none}\n").await;
    for (target, length, status) in [
        ("/crm/v1/small", 10, 200),
        ("/crm/v1/small", 11, 413),
        ("/crm/v1/export", 100_000, 200),
        ("/crm/v1/export", 21 << 20, 413),
        ("/crm/v1/activities/1", 2000, 413),
        ("/crm/v1/export", 1, 429),
    ] {
        let reply = send(&stage, target, "writer", "text/plain", "x".repeat(length)).await;
        assert_eq!(reply.status, status, "{target} {length} {}", reply.body);
    }
    assert_eq!(send(&stage, "/crm/v1/export", "reader", "text/plain", "x").await.status, 200, "accounts do not share a rate");
    assert_eq!(bodies(&recorder).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shadow_mode_lets_through_is_told_to_the_audit_alone() {
    let (mut stage, _recorder) = stage("limits: {requests_per_account: none}\n").await;
    for (target, status, decision) in [
        ("/crm/v1/accounts/1", 200, r#"allow;op="crm.account.get""#),
        ("/crm/v1/opportunities/1", 200, r#"allow;op="crm.opportunity.get""#),
        ("/crm/v1/hidden", 403, "deny;reason=unknown_operation"),
    ] {
        let reply = stage.call(Method::GET, target, "newcomer").await;
        assert_eq!((reply.status, reply.decision.as_str()), (status, decision), "{target}");
    }
    let events = audit::all(&mut stage);
    let told: Vec<_> = events.iter().map(|event| (event["decision"].as_str().unwrap(), &event["reason"], &event["missing"])).collect();
    assert_eq!(
        told,
        [
            ("allow", &Value::Null, &json!([])),
            ("would_deny", &json!("role_lacks_scope"), &json!(["opportunities:read"])),
            ("deny", &json!("unknown_operation"), &json!([])),
        ]
    );
}
