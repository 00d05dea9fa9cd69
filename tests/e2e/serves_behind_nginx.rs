//! With nginx in front as `deploy/nginx.conf` puts it there: nothing is read differently, nothing is held, and nobody is let in
//! because the proxy stands on the same machine.

use crate::fountain::Fountain;
use crate::http2::{self, Http2};
use crate::nginx::Nginx;
use crate::raw::{self, Answer};
use crate::recorder::Recorder;
use crate::scripted::Scripted;
use crate::stage::{POLICY, Script, Stage};
use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const KEY: &str = "an-agents-key-for-this-test";
/// Its SHA-256.
const DIGEST: &str = "4e119ab9d0ec6a5d7d99f0a5170036440a07fcd163221acf659534adcfabb9cb";

/// A gateway whose callers show a key, and nginx in front of it.
async fn stage(upstream: SocketAddr) -> (Stage, Nginx) {
    let settings = format!(
        "limits: {{requests_per_account: none, body: 2GiB}}\ncallers:\n  - {{network: loopback}}\n  - {{api_key: {{name: crew, sha256: {DIGEST}, customers: [acme]}}}}\n"
    );
    let policy =
        POLICY.replace("operations:\n", "operations:\n      - {id: talk, match: GET /v1/talk, require: accounts:read, upgrade: websocket}\n");
    let script = Script {
        settings,
        policy,
        gateway: ", external_url: \"https://gate.example\"",
        upstream: Some(format!("http://{upstream}")),
        ..Script::default()
    };
    let stage = Stage::with(script).await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    let nginx = Nginx::before(stage.gateway, stage.admin).await;
    (stage, nginx)
}

fn head(method: &str, target: &str, account: &str, lines: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: gate.example\r\nScopegate-Account: {account}\r\nScopegate-Authorization: Bearer {KEY}\r\n{lines}\r\n"
    )
}

async fn ask(nginx: &Nginx, text: &str) -> Answer {
    let mut stream = nginx.connect("gate.example", "http/1.1").await;
    stream.write_all(text.as_bytes()).await.unwrap();
    raw::read(stream).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_pass_as_they_were_sent_and_are_judged_by_the_gateway() {
    let recorder = Recorder::start().await;
    let (_stage, nginx) = stage(recorder.address).await;
    let http2 = Http2::over(nginx.connect("gate.example", "h2").await, "https").await;
    let bearer = format!("Bearer {KEY}");
    for (target, arrives) in [
        ("/crm/v1/files/%4f%2D7?b=2&a=%41+1&b=", Some("/v1/files/O-7?b=2&a=%41+1&b=")),
        ("/crm/v1/files/a@b:c", Some("/v1/files/a@b:c")),
        ("/crm/v1//files/a", None),
        ("/crm/v1/x/../files/a", None),
        ("/crm/v1/x/%2e%2e/files/a", None),
        ("/crm/v1/files%2Fa", None),
        ("/crm/v1/files/a;b", None),
    ] {
        let over_http1 = ask(&nginx, &head("GET", target, "user_1", "Connection: close\r\n")).await;
        let headers = [("scopegate-account", "user_1"), ("scopegate-authorization", bearer.as_str())];
        let over_http2 = http2.exchange("GET", target, &headers, b"").await.unwrap();
        let arrived: Vec<_> = recorder.take().iter().map(|request| String::from_utf8_lossy(request).split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(arrived, arrives.map_or(vec![], |arrives| vec![arrives.to_owned(); 2]), "{target}");
        let told = if arrives.is_some() { (200, None) } else { (400, Some("ambiguous_request")) };
        assert_eq!(((over_http1.status, over_http1.reason()), (over_http2.status, over_http2.reason())), (told, told), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_through_it_is_not_from_this_machine() {
    let (stage, nginx) = stage(Scripted::start(&[]).await.address).await;
    let without =
        head("GET", "/crm/v1/accounts/A-1", "user_1", "Connection: close\r\n").replace(&format!("Scopegate-Authorization: Bearer {KEY}\r\n"), "");
    let answer = ask(&nginx, &without).await;
    assert_eq!((answer.status, answer.reason()), (401, Some("caller_unauthenticated")));
    // neither where it says so itself
    let lies = without.replace("Connection", "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nConnection");
    assert_eq!(ask(&nginx, &lies).await.reason(), Some("caller_unauthenticated"));
    // who is here needs no key
    let direct = raw::exchange(stage.gateway, without.replace("gate.example", "localhost").as_bytes()).await;
    assert_ne!(direct[0].reason(), Some("caller_unauthenticated"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_the_gateway_are_kept_and_refusals_pass_as_they_are() {
    let upstream = Scripted::start(&[("moved", b"HTTP/1.1 302 Found\r\nLocation: /v1/files/b\r\nContent-Length: 0\r\n\r\n")]).await;
    let (stage, nginx) = stage(upstream.address).await;
    let opened = async || {
        let metrics = stage.ask(Method::GET, "/metrics", Value::Null).await.1;
        let line = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix("scopegate_connections_total ")).unwrap().to_owned();
        line.parse::<u64>().unwrap()
    };
    let before = opened().await;
    for _ in 0..20 {
        assert_eq!(ask(&nginx, &head("GET", "/crm/v1/files/a", "user_1", "Connection: close\r\n")).await.status, 200);
    }
    assert_eq!(opened().await - before, 1);
    let refused = ask(&nginx, &head("DELETE", "/crm/v1/files/a", "user_1", "Connection: close\r\n")).await;
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!((refused.status, refused.reason(), problem["reason"].as_str()), (403, Some("unknown_operation"), Some("unknown_operation")));
    let moved = ask(&nginx, &head("GET", "/crm/v1/files/moved", "user_1", "Connection: close\r\n")).await;
    assert_eq!((moved.status, moved.header("location")), (302, Some("https://gate.example/crm/v1/files/b")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_held_in_either_direction() {
    let upstream = Fountain::start().await;
    let (_stage, nginx) = stage(upstream.address).await;
    // the upstream sends an event only once this test has read the one before
    let mut stream = nginx.connect("gate.example", "http/1.1").await;
    stream.write_all(head("GET", "/crm/v1/files/events", "user_1", "").as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    for number in 1..=5 {
        upstream.allow();
        let event = format!("data: {number}\n\n");
        while !heard.windows(event.len()).any(|bytes| bytes == event.as_bytes()) {
            assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
        }
    }
    // and more of a body is sent only once what was sent is there
    let client = Http2::over(nginx.connect("gate.example", "h2").await, "https").await;
    let bearer = format!("Bearer {KEY}");
    let headers = [("scopegate-account", "user_2"), ("scopegate-authorization", bearer.as_str())];
    let (mut answer, mut sending) = client.open(client.request("PUT", "/crm/v1/files/swallow", &headers), false).await;
    for number in 1..=5 {
        sending.send_data(Bytes::from_static(&[b'x'; 100]), number == 5).unwrap();
        let arrives = async {
            while upstream.moved() < 100 * number {
                tokio::task::yield_now().await;
            }
        };
        if number < 5 {
            tokio::select! {
                () = arrives => {}
                answer = &mut answer => panic!("answered before all was sent: {answer:?}"),
            }
        } else {
            arrives.await;
        }
    }
    assert_eq!(http2::whole(answer.await.unwrap().into_body()).await.unwrap().0, b"500");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_pass_through_it() {
    let upstream = Scripted::start(&[("talk", b"(echo)")]).await;
    let (_stage, nginx) = stage(upstream.address).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let mut stream = nginx.connect("gate.example", "http/1.1").await;
    stream.write_all(head("GET", "/crm/v1/talk", "user_1", upgrade).as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
    }
    assert!(heard.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&heard));
    for word in ["one", "two"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut back = [0; 3];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, word.as_bytes());
    }
}
