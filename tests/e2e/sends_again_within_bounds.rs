//! A request is sent again where that does no harm: to another address of an upstream, where a pooled connection was dead, and
//! with a fresh token. Each has a bound of its own, so that none takes another's place.

use crate::http2::Http2;
use crate::moody::{Act, Came, Moody};
use crate::raw;
use crate::scripted::Scripted;
use crate::stage::{POLICY, Script, Stage, account_path};
use Act::{Answers, HangsUp, Holds, Refuses};
use reqwest::Method;
use serde_json::json;
use std::net::Ipv4Addr;

/// A loopback address of its own, so that its neighbours on the same port are nobody's.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 83, 0, 9);

/// A gateway whose upstream is a name that leads to `dead` addresses where nobody listens, and then to `upstream`.
async fn stage(upstream: &Moody, dead: u8) -> Stage {
    let addresses: Vec<_> = (1..=dead).map(|last| Ipv4Addr::new(127, 83, 0, last)).chain([HERE]).map(|address| address.to_string()).collect();
    let policy = POLICY.replace(
        "operations:\n",
        "operations:\n      - {id: report.make, match: POST /v1/reports, require: opportunities:write, replay_after_401: all}\n      \
         - {id: reading.make, match: POST /v1/readings, where: {json: {/kind: large}}, require: opportunities:write, replay_after_401: all}\n",
    );
    let stage = Stage::with(Script {
        listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
        upstream: Some(format!("http://api.invalid:{}", upstream.address.port())),
        egress: format!(", addresses: {{api.invalid: [{}]}}", addresses.join(", ")),
        settings: "limits: {requests_per_account: none, body: 1MiB, upstream: {connect: 5s, head: 20s, idle: 20s}}\n".into(),
        policy,
        ..Script::default()
    })
    .await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    stage
}

async fn get(stage: &Stage) -> (u16, String) {
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    (reply.status, reply.text("reason").to_owned())
}

fn allowed() -> (u16, String) {
    (200, String::new())
}

fn unreachable() -> (u16, String) {
    (502, "upstream_unreachable".to_owned())
}

/// Leaves so many idle connections to the upstream.
async fn leave_connections(stage: &Stage, upstream: &Moody, number: usize) {
    upstream.will(&vec![Holds; number]);
    let calls = (0..number).map(|_| stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_1").send());
    let mut running = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(running.spawn(call)));
    upstream.until(number).await;
    upstream.release();
    while let Some(answer) = running.join_next().await {
        assert_eq!(answer.unwrap().unwrap().text().await.unwrap(), "ok");
    }
    upstream.take();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_a_dead_connection_and_a_token_may_all_fail_for_one_request() {
    let upstream = Moody::start(HERE).await;
    let stage = stage(&upstream, 2).await;
    leave_connections(&stage, &upstream, 1).await;
    upstream.will(&[HangsUp, Refuses, Answers]);
    assert_eq!(get(&stage).await, allowed());
    let tokens: Vec<_> = upstream.take().into_iter().map(|came| came.token).collect();
    assert!(tokens.len() == 3 && tokens[0] == tokens[1] && tokens[1] != tokens[2], "one token, then the fresh one: {}", tokens.len());
    // in another order: the replay finds a dead connection
    leave_connections(&stage, &upstream, 2).await;
    upstream.will(&[Refuses, HangsUp, Answers]);
    assert_eq!((get(&stage).await, upstream.take().len()), (allowed(), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_addresses_are_tried_and_no_more() {
    for (dead, told, came) in [(2, allowed(), 1), (3, unreachable(), 0)] {
        let upstream = Moody::start(HERE).await;
        let stage = stage(&upstream, dead).await;
        assert_eq!((get(&stage).await, upstream.take().len()), (told, came), "{dead}");
        // nothing was sent, so that it may be what no other failure lets be sent again
        let patch = stage.send(stage.request(Method::PATCH, "/crm/v1/opportunities/O-1", "user_2").body("{}")).await;
        assert_eq!((patch.status == 200, upstream.take().len()), (dead == 2, came), "{dead}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dead_connection_is_forgiven_and_no_second_one() {
    let upstream = Moody::start(HERE).await;
    let stage = stage(&upstream, 0).await;
    for (connections, acts, told, came) in [
        (2, &[HangsUp, HangsUp, Answers][..], unreachable(), 2),
        (1, &[HangsUp, Answers], allowed(), 2),
        // it was made for this request: the upstream has it, and what it did with it nobody knows
        (1, &[HangsUp, HangsUp, Answers], unreachable(), 2),
    ] {
        leave_connections(&stage, &upstream, connections).await;
        upstream.will(acts);
        assert_eq!((get(&stage).await, upstream.take().len()), (told, came), "{acts:?}");
    }
    leave_connections(&stage, &upstream, 1).await;
    upstream.will(&[HangsUp]);
    let patch = stage.send(stage.request(Method::PATCH, "/crm/v1/opportunities/O-1", "user_2").body("{}")).await;
    assert_eq!((patch.status, patch.text("reason"), upstream.take().len()), (502, "upstream_unreachable", 1), "an update may have been carried out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_401_is_answered_with_one_replay_where_that_does_no_harm() {
    let upstream = Moody::start(HERE).await;
    let stage = stage(&upstream, 0).await;
    let http2 = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let (small, large) = (vec![b'x'; 60_000], vec![b'x'; 70_000]);
    for (method, target, body, replayed) in [
        ("GET", "/crm/v1/files/a", &[][..], true),
        ("PUT", "/crm/v1/files/a", &small, true),
        ("PUT", "/crm/v1/files/a", &[], true),
        ("PUT", "/crm/v1/files/a", &large, false),
        ("PATCH", "/crm/v1/opportunities/O-1", &small, false),
        ("POST", "/crm/v1/activities/A-1", &small, false),
        ("POST", "/crm/v1/reports", &small, true),
        ("POST", "/crm/v1/reports", &large, false),
    ] {
        let account = if method == "GET" { "user_1" } else { "user_2" };
        let expected = if replayed { (200, 2) } else { (401, 1) };
        // whole, in pieces, and over HTTP/2
        let length = format!("Content-Length: {}\r\n", body.len());
        let pieces = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        let heads = [(length, body.to_vec()), ("Transfer-Encoding: chunked\r\n".to_owned(), pieces)];
        for (framing, bytes) in heads.into_iter().take(if body.is_empty() { 1 } else { 2 }) {
            upstream.will(&[Refuses]);
            let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nScopegate-Account: {account}\r\nConnection: close\r\n{framing}\r\n");
            let head = if method == "GET" { head.replace("Content-Length: 0\r\n", "") } else { head };
            let answers = raw::exchange(stage.gateway, &[head.as_bytes(), &bytes].concat()).await;
            let came = upstream.take();
            assert_eq!((answers[0].status, came.len()), expected, "{method} {target} {framing}");
            assert!(came.iter().all(|came| content(came) == body.len()), "{method} {target} {framing}");
            until_fresh(&stage, &upstream, account).await;
        }
        upstream.will(&[Refuses]);
        let answer = http2.exchange(method, target, &[("scopegate-account", account)], body).await.unwrap();
        let came = upstream.take();
        assert_eq!((answer.status, came.len()), expected, "{method} {target} over HTTP/2");
        assert!(came.iter().all(|came| content(came) == body.len()), "{method} {target} over HTTP/2");
        until_fresh(&stage, &upstream, account).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_a_policy_read_is_sent_again_whatever_its_size() {
    let upstream = Moody::start(HERE).await;
    let stage = stage(&upstream, 0).await;
    let body = format!(r#"{{"kind": "large", "note": "{}"}}"#, "x".repeat(300_000));
    upstream.will(&[Refuses]);
    let request = stage.request(Method::POST, "/crm/v1/readings", "user_2").header("content-type", "application/json").body(body);
    let reply = stage.send(request).await;
    let came = upstream.take();
    assert_eq!((reply.status, came.len()), (200, 2));
    assert!(came.iter().all(|came| content(came) == 300_000));
}

/// How much of a body of nothing but `x` came, however it was framed.
fn content(came: &Came) -> usize {
    came.body.iter().filter(|byte| **byte == b'x').count()
}

/// A refresh that nobody waited for is over when the next call is answered.
async fn until_fresh(stage: &Stage, upstream: &Moody, account: &str) {
    let target = if account == "user_1" { "/crm/v1/accounts/A-1" } else { "/crm/v1/opportunities/O-1" };
    assert_eq!(stage.call(Method::GET, target, account).await.status, 200);
    upstream.take();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_401_is_the_answer() {
    let upstream = Moody::start(HERE).await;
    let stage = stage(&upstream, 1).await;
    upstream.will(&[Refuses, Refuses, Answers]);
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    assert_eq!((reply.status, reply.decision.as_str(), upstream.take().len()), (401, "allow;op=\"crm.account.get\"", 2));
}

const MOVING: &str = r#"version: 1
connectors:
  moving:
    title: Moving
    upstream: "{instance_url}"
    variables:
      instance_url: {from: token, pointer: /instance_url, origin_of: ["*.moving.invalid:PORTS"]}
    oauth: {authorization_url: "http://127.0.0.1:1/a", token_url: "TOKEN", client_auth: client_secret_post}
    scopes: {all: {provider_scopes: [api]}}
    operations:
      - {id: read, match: "GET /v1/{id}", require: all}
roles:
  reader: {allow: {moving: [all]}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_fresh_token_leads_elsewhere_the_replay_goes_there() {
    let (before, after) = (Moody::start(Ipv4Addr::LOCALHOST).await, Moody::start(Ipv4Addr::LOCALHOST).await);
    let place = |name: &str, upstream: &Moody| format!("{name}.moving.invalid:{}", upstream.address.port());
    let (old, new) = (place("old", &before), place("new", &after));
    let tokens =
        json!({"access_token": "at-2", "refresh_token": "rt-2", "token_type": "Bearer", "expires_in": 3600, "instance_url": format!("http://{new}")});
    let tokens = tokens.to_string();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{tokens}", tokens.len());
    let provider = Scripted::start(&[("/token", answer.into_bytes().leak())]).await;
    let ports = format!("{}\", \"*.moving.invalid:{}", before.address.port(), after.address.port());
    let stage = Stage::with(Script {
        policy: MOVING.replace("PORTS", &ports).replace("TOKEN", &format!("http://{}/token", provider.address)),
        clients: &["moving"],
        egress: ", addresses: {old.moving.invalid: [127.0.0.1], new.moving.invalid: [127.0.0.1]}".into(),
        ..Script::default()
    })
    .await;
    let path = account_path("moving", "user_1");
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "reader"})).await;
    let brought = json!({"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600, "scope": "api", "variables": {"instance_url": format!("http://{old}")}});
    stage.must(Method::PUT, &format!("{path}/credentials"), brought).await;
    before.will(&[Refuses]);
    assert_eq!(stage.call(Method::GET, "/moving/v1/7", "user_1").await.status, 200);
    let told = |came: Vec<Came>| came.into_iter().map(|came| (came.host, came.token)).collect::<Vec<_>>();
    assert_eq!((told(before.take()), told(after.take())), (vec![(old, "at-1".to_owned())], vec![(new.clone(), "at-2".to_owned())]));
    assert_eq!(stage.call(Method::GET, "/moving/v1/7", "user_1").await.status, 200);
    assert_eq!((told(before.take()), told(after.take())), (vec![], vec![(new, "at-2".to_owned())]));
}
